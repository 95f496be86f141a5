"""What is wrong in a folder of HTML pages that should need nothing from anywhere else."""

from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"script": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


class _Page(HTMLParser):
    """The ids, links and pictures of a page, and the faults that it has by itself."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.faults: list[str] = []
        self.headings, self.language = 0, None
        self.feed(text)
        if self.headings != 1:
            self.faults.append(f"{self.headings} headings h1, there must be one")
        if not self.language:
            self.faults.append("no language (html lang)")
        double = {name for name in self.ids if self.ids.count(name) > 1}
        self.faults += [f"id {name!r} twice" for name in sorted(double)]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        self.headings += tag == "h1"
        self.language = found.get("lang") if tag == "html" else self.language
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag == "img":
            if not (found.get("alt") or "").strip():
                self.faults.append("a picture without alt text")
            if not found.get("src", "").startswith("data:"):
                self.faults.append(f"the picture {found.get('src')!r} is not in the page")
        if LOADED.get(tag, "-") in found:
            self.faults.append(f"it loads {found[LOADED[tag]]!r}")


def broken(folder: Path) -> list[str]:
    """One line for every link without a target, picture without alt text, and thing not inside."""
    pages = {file.name: _Page(file.read_text(encoding="utf-8")) for file in folder.glob("*.html")}
    found = []
    for name, page in sorted(pages.items()):
        found += [f"{name}: {fault}" for fault in page.faults]
        for link in page.links:
            parts = urlsplit(link)
            target = unquote(parts.path) or name
            if parts.scheme in ("http", "https", "mailto"):
                continue
            if target not in pages:
                found.append(f"{name}: the link {link!r} leads nowhere")
            elif parts.fragment and unquote(parts.fragment) not in pages[target].ids:
                found.append(f"{name}: the link {link!r} has no anchor")
    return found
