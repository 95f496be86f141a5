window.MathJax = {
  tex: { inlineMath: [['$', '$'], ['\\(', '\\)']] },
  svg: { fontCache: 'global' },
  options: { enableMenu: false },  // it would load parts from elsewhere
};
