"""The rules of the house, read from its files without running them: who imports whom, how long."""

import ast
import re
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROWS = (  # the rooms of inception_edu/: each may import its own row and those above it
    ("__init__", "checks", "files", "display"),
    ("layers",),
    ("network",),
    ("googlenet", "factorised"),
    ("inception_v3",),
    ("cost", "losses", "deviations", "torchvision_weights"),
    ("data",),
    ("training",),
    ("predict",),
    ("figures",),
    ("widgets", "exercises"),
    ("photo_explorer",),
    ("lessons",),
    ("commands", "__main__"),
)
ROW_OF = {room: i for i, row in enumerate(ROWS) for room in row}
SHARED = "networks", "shared", "studies"  # what several lessons use
FILE_LINES, FUNCTION_LINES, FILES = 200, 40, 17  # at most; FILES stand beside the folders


def imported(tree: ast.Module, modules: set[str]) -> Iterator[tuple[int, str]]:
    """Line and name of all that a file imports, inside functions too: modules, not what they hold.

    `from a.b import c` imports the module a.b.c where there is one, else a.b.
    """
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            names = {f"{base}.{alias.name}" for alias in node.names}
            yield from ((node.lineno, name) for name in sorted(names & modules))
            if names - modules:
                yield node.lineno, base


def objection(here: str, there: str) -> str | None:
    """Why the module `here` may not import `there`; None if it may."""
    if there.startswith("."):
        return "write the whole name of what is imported"
    if there.split(".")[0] in ("authoring", "tests", "conftest"):
        allowed = here.startswith("authoring") and there.startswith("authoring")
        return None if allowed else "the package knows nothing of authoring and tests"
    if here.startswith("authoring") or not there.startswith("inception_edu."):
        return None
    room, *inside = here.split(".")[1:] or ["__init__"]
    other, *beyond = there.split(".")[1:]
    if ROW_OF.get(other, 0) > ROW_OF.get(room, len(ROWS)):
        return f"{other} stands below {room} in ROWS"
    if room == other == "lessons" and beyond and beyond[0] not in (*SHARED, inside[0]):
        return "a lesson imports its own folder, shared and studies alone"
    return None


def circle(graph: dict[str, set[str]]) -> list[str]:
    """A circle of imports between files, as one sentence; [] if there is none."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [f"imports in a circle: {' <- '.join(error.args[1])}"]
    return []


def sizes(path: str, text: str, tree: ast.Module) -> Iterator[str]:
    """What is too long in a file."""
    if (lines := len(text.splitlines())) > FILE_LINES:
        yield f"{path}: {lines} lines, at most {FILE_LINES}"
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            lines, place = node.end_lineno - node.lineno + 1, f"{path}:{node.lineno}: {node.name}"
            if lines > FUNCTION_LINES:
                yield f"{place} has {lines} lines, at most {FUNCTION_LINES}"


def faults(root: Path) -> list[str]:
    """Every breach of a rule in root/inception_edu and root/authoring, each in one sentence."""
    paths = [path for top in ("inception_edu", "authoring") for path in (root / top).rglob("*.py")]
    found, graph, files = [], {}, {}
    for path in sorted(paths):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        files[name.removesuffix(".__init__")] = path
    for here, path in files.items():
        text, shown = path.read_text(encoding="utf-8"), path.relative_to(root).as_posix()
        tree = ast.parse(text)
        imports = list(imported(tree, set(files)))
        graph[here] = {there for _, there in imports if there in files}
        found += sizes(shown, text, tree)
        found += [
            f"{shown}:{line}: imports {there}: {why}"
            for line, there in imports
            if (why := objection(here, there))
        ]
    rooms = {here.split(".")[1] for here in files if here.startswith("inception_edu.")}
    found += [f"{room}: stands in no row of ROWS" for room in sorted(rooms - set(ROW_OF))]
    if (n := len(list((root / "inception_edu").glob("*.py")))) > FILES:
        found.append(f"inception_edu: {n} files beside the folders, at most {FILES}")
    return found + circle(graph)


def test_the_house_keeps_its_rules():
    assert faults(ROOT) == []


def test_the_packages_tree_names_every_file_and_folder_in_the_order_of_imports():
    tree = (ROOT / "PACKAGE.md").read_text(encoding="utf-8").split("```\ninception_edu/\n")[1]
    lines = tree.split("authoring/ ")[0].splitlines()
    told = [name for line in lines for name in re.match("  (.+?)  ", line)[1].split(", ")]
    there = {f"{path.name}{'/' * path.is_dir()}" for path in (ROOT / "inception_edu").iterdir()}
    assert set(told) | {"__init__.py"} == there - {"__pycache__/"} and len(told) == len(set(told))
    rows = [ROW_OF[name.removesuffix(".py").strip("/")] for name in told if name != "assets/"]
    assert rows == sorted(rows)


@pytest.fixture
def house(tmp_path):
    """A function that builds a house of given files, and one that is in order without them."""

    def build(**planted: str) -> Path:
        files = {
            "inception_edu/__init__": "__version__ = '1'",
            "inception_edu/checks": "import torch",
            "inception_edu/layers": "from inception_edu.checks import check_count",
            "inception_edu/data/__init__": "from inception_edu.data.sources import read as load",
            "inception_edu/data/sources": "from inception_edu.layers import conv",
            "inception_edu/lessons/shared": "import inception_edu.data as data",
            "inception_edu/lessons/lesson_01/__init__": "",
            "inception_edu/lessons/lesson_01/game": "from inception_edu.lessons import shared",
            "inception_edu/lessons/lesson_02/checks": "from inception_edu.data import load",
            "inception_edu/lessons/lesson_02/game": (
                "def f():\n    from inception_edu.lessons.lesson_02 import checks"
            ),
            "inception_edu/__main__": "from inception_edu.lessons import shared",
            "authoring/run": "from authoring import page\nfrom inception_edu.data import load",
            "authoring/page": "",
        }
        for name, text in (files | planted).items():
            path = tmp_path / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return tmp_path

    return build


def test_a_house_in_order_has_no_fault(house):
    assert faults(house()) == []


CIRCLE = "imports in a circle: inception_edu."


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("__init__", "from inception_edu.layers import conv", "layers stands below __init__"),
        ("checks", "import inception_edu.checks", CIRCLE + "checks <- inception_edu.checks"),
        ("data/sources", "from inception_edu.data import load", CIRCLE + "data"),
        ("data/sources", "def f():\n    from inception_edu import data", CIRCLE + "data"),
        ("checks", "from inception_edu.layers import conv", "py:1: imports inception_edu.layers"),
        ("checks", "def f():\n    import inception_edu.data", "data stands below checks in ROWS"),
        ("data/sources", "from inception_edu.lessons import shared", "lessons stands below data"),
        ("lessons/shared", "import inception_edu.__main__", "__main__ stands below lessons"),
        ("layers", "from .checks import check_count", "imports .checks: write the whole name"),
        ("layers", "from . import checks", "write the whole name of what is imported"),
        ("layers", "import authoring.run", "the package knows nothing of authoring and tests"),
        ("__main__", "from authoring import run", "imports authoring.run: the package knows"),
        ("layers", "from conftest import apart", "imports conftest: the package knows nothing"),
        (
            "lessons/lesson_02/checks",
            "from inception_edu.lessons.lesson_01.checks import right",
            "lesson_01.checks: a lesson imports its own folder, shared and studies alone",
        ),
        (
            "lessons/lesson_02/checks",
            "def f():\n    from inception_edu.lessons import lesson_01",
            "checks.py:2: imports inception_edu.lessons.lesson_01: a lesson imports its own",
        ),
        ("lessons/shared", "from inception_edu.lessons.lesson_01 import game", "a lesson imports"),
        ("layers", "x = 1\n" * 201, "inception_edu/layers.py: 201 lines, at most 200"),
        ("layers", "def f():\n" + 40 * "    x\n", "layers.py:1: f has 41 lines, at most 40"),
        ("attic", "", "attic: stands in no row of ROWS"),
    ],
)
def test_each_breach_of_a_rule_is_named(house, file, text, fault):
    found = faults(house(**{f"inception_edu/{file}": text}))
    assert any(fault in each for each in found), found


def test_lengths_at_the_limit_are_allowed(house):
    longest = "def f():\n" + 39 * "    x\n" + 160 * "y\n"
    assert faults(house(**{"inception_edu/layers": longest})) == []


@pytest.mark.parametrize(("more", "too_many"), [(13, False), (14, True)])  # beside four
def test_17_files_beside_the_folders_are_allowed_and_18_are_not(house, more, too_many):
    found = faults(house(**{f"inception_edu/room{i}": "" for i in range(more)}))
    assert ("inception_edu: 18 files beside the folders, at most 17" in found) == too_many
