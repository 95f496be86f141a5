// Heights are estimated when a deck is made: where a page turns out too high, all of it gets smaller,
// but no code below 15 pixels; then it scrolls.
function fit(page) {
  const sizes = [...page.querySelectorAll('[style*="--size"]')].map(block => parseFloat(block.style.getPropertyValue('--size')));
  const least = Math.max(0.6, 15 / Math.min(25, ...sizes));
  for (let size = 1; page.scrollHeight > page.clientHeight && size > least; size -= 0.03)
    page.style.setProperty('--fit', size);
}
Reveal.on('slidechanged', event => fit(event.currentSlide));
addEventListener('load', async () => {
  await window.MathJax?.startup?.promise;  // formulas are typeset
  fit(Reveal.getCurrentSlide());
});
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
