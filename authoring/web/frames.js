// An explorer without a kernel: its slider chooses among pictures and words drawn beforehand.
for (const box of document.querySelectorAll('.frames')) {
  const [slider, value, picture, words] = ['input', 'output', 'img', 'pre'].map(x => box.querySelector(x));
  const drawn = JSON.parse(box.querySelector('script').textContent);
  slider.value = slider.defaultValue;  // a browser may remember another
  drawn[slider.value][1] = picture.src;
  const about = picture.alt.slice(0, picture.alt.lastIndexOf(' = ') + 3);
  slider.addEventListener('input', () => {
    const [label, source, text] = drawn[slider.value];
    picture.src = source;
    picture.alt = about + label;
    words.textContent = text;
    value.textContent = label;
    slider.setAttribute('aria-valuetext', label);
  });
}
