"""The pages to read: index, lessons and their links; what the check of the links notices."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from authoring import execution
from authoring.__main__ import main
from authoring.links import broken
from authoring.notebook import dumps, normalise

README = """# Our <course>

Learn `it` here.

## Licence

Code: [MIT](LICENSE). Data: CC0.

## More

Nothing.
"""


def lesson(title, link="01_b.ipynb"):
    head = f"# {title}\n\n**Question:** Why {title}?\n\n**Time:** 10 minutes"
    fold = "<details><summary>Hint 1</summary>\n\nThink.\n</details>"
    picture = new_output(
        "display_data",
        data={"image/png": "AAAA", "text/plain": "x"},
        metadata={"image/png": {"alt": "a bar & a line"}},
    )
    nav = new_markdown_cell("[Contents](00_a.ipynb)", metadata={"tags": ["nav"]})
    colab = new_code_cell("install()", metadata={"tags": ["colab"]}, execution_count=1)
    run = new_code_cell("print(1)", outputs=[picture], execution_count=2)
    rest = [new_markdown_cell(f"## One\n\nSee [it]({link})."), run, new_markdown_cell(fold)]
    return new_notebook(cells=[new_markdown_cell(head), nav, colab, *rest])


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Three lessons with their outputs, which are read and not run again."""
    monkeypatch.setattr(execution, "CACHE", tmp_path / "executed")
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "README.md").write_text(README, encoding="utf-8")
    for name, title in {"00_a": "00 A", "01_b": "01 B & co", "02_c": "02 C"}.items():
        text = dumps(normalise(lesson(title)))
        (tmp_path / f"notebooks/{name}.ipynb").write_text(text, encoding="utf-8")
    return tmp_path


def build(folder, *names):
    paths = sorted((folder / "notebooks").glob("*.ipynb"))
    chosen = [str(path) for path in paths if not names or path.stem in names]
    assert main(["site", *chosen, "--out", str(folder / "site")]) == 0
    return {page.stem: page.read_text("utf-8") for page in (folder / "site").iterdir()}


def test_the_index_lists_the_lessons_with_question_minutes_and_licence(folder, capsys):
    page = build(folder)["index"]
    assert "index.html: 3 lessons, 0.1 MB" in capsys.readouterr().out
    assert "<h1>Our &lt;course&gt;</h1>" in page and "Learn <code>it</code> here." in page
    assert '<a href="01_b.html">01 B &amp; co</a></td><td>Why 01 B &amp; co?</td><td>10' in page
    assert "Code: MIT. Data: CC0." in page and "Nothing" not in page and page.count("<h1") == 1


def test_every_link_leads_somewhere_and_pages_need_nothing_else(folder):
    pages = build(folder)
    assert set(pages) == {"index", "00_a", "01_b", "02_c"} and broken(folder / "site") == []
    assert not any("http" in page or "ipynb" in page for page in pages.values())


CONTENTS = '<a href="index.html">Contents</a>'
A, B, C = '<a href="00_a.html">{}</a>', '<a href="01_b.html">{}</a>', '<a href="02_c.html">{}</a>'


@pytest.mark.parametrize(
    ("name", "links"),
    [
        ("00_a", [CONTENTS, B.format("01 B &amp; co →")]),
        ("01_b", [A.format("← 00 A"), CONTENTS, C.format("02 C →")]),
        ("02_c", [B.format("← 01 B &amp; co"), CONTENTS]),
    ],
)
def test_a_lesson_links_to_the_one_before_the_contents_and_the_next(folder, name, links):
    assert build(folder)[name].count(f">{' · '.join(links)}</nav>") == 2


def test_a_lesson_shows_code_outputs_folds_and_its_sections_and_no_stamped_cell(folder):
    page = build(folder)["01_b"]
    assert '<html lang="en">' in page and page.count("<h1") == 1 and "<details open" not in page
    assert '<a href="#One">One</a>' in page and '<h2 id="One">' in page
    assert "<summary>Hint 1</summary>" in page and 'alt="a bar &amp; a line"' in page
    assert '<span class="nb">print</span>' in page and "prefers-color-scheme: dark" in page
    main = page.split("<main>")[1]
    assert "install" not in main and "print" in main and "<title>01 B &amp; co</title>" in page


def test_of_some_lessons_a_link_to_a_missing_one_becomes_words(folder):
    pages = build(folder, "00_a")
    assert set(pages) == {"index", "00_a"} and "See it." in pages["00_a"]
    assert broken(folder / "site") == []


def test_site_says_in_one_sentence_what_is_wrong(folder, capsys):
    missing = str(folder / "notebooks/07.ipynb")
    out = ["--out", str(folder / "README.md")]
    assert main(["site", missing, *out]) == 1
    assert capsys.readouterr().out == f"there is no notebook {missing}\n"
    assert main(["site", str(folder / "notebooks/00_a.ipynb"), *out]) == 1
    assert capsys.readouterr().out.startswith("00_a.ipynb: out must be a folder that can be made")


GOOD = '<html lang="en"><h1 id="top">T</h1><a href="#top">up</a><img src="data:x" alt="a"></html>'


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("#top", "#bottom"), "the link '#bottom' has no anchor"),
        (("#top", "b.html"), "the link 'b.html' leads nowhere"),
        (("#top", "a.html#x"), "the link 'a.html#x' has no anchor"),
        (("#top", "../a.html"), "the link '../a.html' leads nowhere"),
        (('alt="a"', 'alt=" "'), "a picture without alt text"),
        ((' alt="a"', ""), "a picture without alt text"),
        (("data:x", "x.png"), "the picture 'x.png' is not in the page"),
        ((' lang="en"', ""), "no language (html lang)"),
        (("h1", "h2"), "0 headings h1, there must be one"),
        (("</h1>", "</h1><h1>U</h1>"), "2 headings h1, there must be one"),
        (("</h1>", '</h1><p id="top"></p>'), "id 'top' twice"),
        (("</h1>", '</h1><script src="x.js"></script>'), "it loads 'x.js'"),
        (("</h1>", '</h1><link rel="stylesheet" href="x.css">'), "it loads 'x.css'"),
    ],
)
def test_the_check_of_links_names_each_fault(tmp_path, change, fault):
    page = tmp_path / "a.html"
    page.write_text(GOOD.replace("#top", "a.html#top"), encoding="utf-8")
    assert broken(tmp_path) == []
    page.write_text(GOOD.replace(*change), encoding="utf-8")
    assert broken(tmp_path) == [f"a.html: {fault}"]


def test_links_to_elsewhere_are_allowed(tmp_path):
    (tmp_path / "a.html").write_text(GOOD.replace("#top", "https://x.org/y#z"), encoding="utf-8")
    assert broken(tmp_path) == []
