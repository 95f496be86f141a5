// Enter and the space bar open a fold, the arrows move a slider that has the focus; a presenter's
// clicker (page up and down) turns the page from wherever the focus is.
document.querySelector('.slides').addEventListener('keydown', event => {
  const at = event.target;
  if (event.key.startsWith('Page')) { event.preventDefault(); at.blur(); }
  else if (event.key === 'Escape' && at.matches('input')) { at.blur(); event.stopPropagation(); }
  else if (at.matches('summary') && (event.key === ' ' || event.key === 'Enter')) event.stopPropagation();
});
Reveal.initialize({
  width: 1280, height: 720, margin: 0, center: false, hash: true, transition: 'none',
  backgroundTransition: 'none', slideNumber: 'c/t', navigationMode: 'linear',
});
