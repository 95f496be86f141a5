"""What `make slides site` built, opened from the disk: no server, no kernel, no network."""

from pathlib import Path

import pytest
from chromium import watch
from contrast import faint

from authoring.links import broken

BUILD = Path(__file__).parents[2] / "build"
KINDS = ("slides", "site")
ON_TOP = """input => {
  const box = input.getBoundingClientRect();
  return document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2) === input }"""
STATE = """frames => [frames.querySelector('img').src, frames.querySelector('pre').innerText,
  frames.querySelector('output').innerText]"""


def built(kind: str) -> list[Path]:
    """The pages in build/slides or build/site; the test fails where there are none."""
    found = sorted((BUILD / kind).glob("*.html"))
    if not found:
        pytest.fail(
            f"There is no page in build/{kind}: run `make slides site` first.", pytrace=False
        )
    return found


def with_frames(kind: str) -> Path:
    """The first page that holds an explorer's frames."""
    return next(path for path in built(kind) if 'class="frames"' in path.read_text("utf-8"))


# What of each page of a deck lies below its edge, in pixels, and the least type in it.
CUT_OFF = """() => {
  const page = Reveal.getCurrentSlide(), style = page.querySelectorAll('[style*="--size"]');
  const fit = Number(page.style.getPropertyValue('--fit') || 1);
  const sizes = [...style].map(x => fit * parseFloat(x.style.getPropertyValue('--size')));
  return [page.scrollHeight - page.clientHeight, Math.min(...sizes)] }"""


@pytest.fixture
def opened(browser):
    """Open a page from the disk: `opened(path)`, or `opened(path, color_scheme="dark")`."""
    pages = []

    def open_page(path: Path, **how):
        page = browser.new_page(viewport={"width": 1400, "height": 1000}, **how)
        pages.append((page, watch(page, path.as_uri())))
        page.goto(path.as_uri())
        return page

    yield open_page
    faults = [fault for _, faults in pages for fault in faults]
    for page, _ in pages:
        page.close()
    assert faults == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_static_slider_moves_picture_and_words(opened, screenshots, kind):
    path = with_frames(kind)
    page = opened(path)
    frames = page.locator(".frames").first
    slider = frames.locator("input[type=range]")
    if kind == "site":
        slider.scroll_into_view_if_needed()
    for _ in range(300):  # as a lecturer comes to the slide
        if slider.evaluate(ON_TOP):
            break
        page.keyboard.press("Space")
        page.wait_for_timeout(50)
    slider.focus()
    before = frames.evaluate(STATE)
    page.screenshot(path=screenshots / f"{kind}_{path.stem}_before.png")
    page.keyboard.press("ArrowRight")
    page.wait_for_function(
        f"([frames, old]) => ({STATE})(frames)[2] !== old", arg=[frames.element_handle(), before[2]]
    )
    after = frames.evaluate(STATE)
    assert [old != new for old, new in zip(before, after, strict=True)] == [True] * 3
    assert slider.evaluate(ON_TOP), "the slide with the slider is left"
    page.screenshot(path=screenshots / f"{kind}_{path.stem}_after.png")


def test_no_page_of_a_deck_is_cut_off_unless_it_is_long_code(opened):
    for path in built("slides"):
        page = opened(path)
        page.set_viewport_size({"width": 1280, "height": 720})
        page.wait_for_timeout(2000)  # formulas are typeset
        faults, scrolls = [], 0
        while not page.evaluate("Reveal.isLastSlide() && !Reveal.availableFragments().next"):
            page.evaluate("Reveal.next()")
            over, size = page.evaluate(CUT_OFF)
            scrolls += over > 1
            if over > 1 and size > 15.5 or size < 14.5:
                faults.append((page.url, over, size))
        assert faults == [] and scrolls <= 2


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_text_can_be_read(opened, screenshots, kind, scheme):
    path = with_frames(kind)
    page = opened(path, color_scheme=scheme)
    page.screenshot(path=screenshots / f"{kind}_{path.stem}_{scheme}.png")
    texts, unreadable = faint(page, "body")
    assert texts > 10 and unreadable == []


def test_the_site_needs_nothing_else_and_every_link_in_it_leads_somewhere():
    built("site")
    assert broken(BUILD / "site") == [], "is the site older than a lesson? run `make site`"
