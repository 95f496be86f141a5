"""Text that can be told from its background: WCAG 2's contrast ratio of what a page shows."""

# [colour, background, text] of every text in the elements that `where` selects, folds opened. The
# colours of code are JupyterLab's and Pygments' own; a few have a contrast just below 4.5.
TEXTS = """where => {
  for (const fold of document.querySelectorAll('details')) fold.open = true;
  const numbers = colour => colour.match(/[\\d.]+/g).map(Number);
  const behind = element => {
    for (; element; element = element.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(element).backgroundColor);
      if (a === 1) return [r, g, b] }
    return [255, 255, 255] };
  const found = [];
  for (const root of document.querySelectorAll(where)) {
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
      const element = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
      if (!/\\w/.test(text) || !element.checkVisibility()) continue;
      if (element.closest('option, pre code, .highlight')) continue;
      found.push([numbers(getComputedStyle(element).color), behind(element), text]) }}
  return found }"""


def luminance(rgb: list[float]) -> float:
    """Relative luminance of an sRGB colour with values from 0 to 255, as WCAG 2 defines it."""
    shares = [value / 255 for value in rgb[:3]]
    r, g, b = (s / 12.92 if s <= 0.04045 else ((s + 0.055) / 1.055) ** 2.4 for s in shares)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def ratio(one: list[float], other: list[float]) -> float:
    """The contrast of two colours: 1 for equal ones, 21 for black on white."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def faint(page, where: str, least: float = 4.5) -> tuple[int, list[str]]:
    """How many texts a page shows in the elements selected, and which have too little contrast."""
    texts = page.evaluate(TEXTS, where)
    found = {
        f"{ratio(colour, ground):.1f}: {text[:60]!r} {colour} on {ground}"
        for colour, ground, text in texts
        if ratio(colour, ground) < least
    }
    return len(texts), sorted(found)
