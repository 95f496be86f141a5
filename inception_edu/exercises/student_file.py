"""my_inception.py, a student's own module: what was right in the lessons, and nothing of ours.

It runs anywhere where torch is, years later. A definition goes in from the cell that made it, is
run again in a fresh namespace and passes its check there before the file is changed.
"""

import ast
import importlib.util
import linecache
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

from inception_edu.exercises.sources import Parts, Refused, bindings, lines
from inception_edu.files import write

FILE = Path("my_inception.py")  # in the folder of the notebook
HEAD = '''"""What I wrote in the Inception lessons; every definition has passed its check."""

import torch
from torch import nn
from torch.nn import functional as F
'''
SECTION = "# Lesson "


def keep(
    lesson: str,
    names: Sequence[str],
    answers: Sequence[object],
    why_not: Callable[..., str],
) -> str:
    """Put right answers into the file, and say what became of that in a sentence.

    `why_not(*answers)` is the check, asked once more of what the file defines.
    """
    try:
        text, section = read() or HEAD, SECTION + lesson
        parts = Parts(set(_parsed(text)))
        for name, answer in zip(names, answers, strict=True):
            parts.take(answer, name)
        for name, source in parts.definitions.items():
            if name not in names:
                refuse_another(text, name, source, section)
            text = put(text, name, source, section)
        text = put_imports(text, parts.imports)
        module = load(text)
        if why := why_not(*(getattr(module, name) for name in names)):
            raise Refused(f"run from {FILE}, it fails its check: {why[0].lower()}{why[1:-1]}")
        write(FILE, text.encode())
    except (Refused, OSError) as reason:
        return f"It is not kept in your file, since {reason}."
    sys.modules[FILE.stem] = module  # where a class of the file is looked up by what shows it
    return f"Kept in {FILE}."


def mine(name: str, ours: object) -> object:
    """The student's own definition of a name, or `ours` where there is none; prints whose it is."""
    found, why = None, ""
    try:
        if text := read():
            module = load(text)
            found, sys.modules[FILE.stem] = getattr(module, name, None), module
    except (Refused, OSError) as reason:
        why = f", since {reason}"
    print(f"{name}: " + (f"yours, from {FILE}" if found is not None else f"the package's{why}"))
    return ours if found is None else found


def read() -> str:
    """The file's text, "" where there is none; OSError or Refused where it cannot be read."""
    try:
        return FILE.read_text(encoding="utf-8-sig") if FILE.exists() else ""
    except OSError as error:
        raise Refused(f"{FILE} cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise Refused(f"{FILE} is not a text in UTF-8; save it as one, or move it away") from error


def load(text: str) -> ModuleType:
    """The module that a text is, run anew; Refused, in one line, whatever it raises."""
    path = str(FILE.resolve())
    spec = importlib.util.spec_from_loader(FILE.stem, loader=None, origin=path)
    module = importlib.util.module_from_spec(spec)
    module.__file__ = path
    linecache.cache[path] = (len(text), None, text.splitlines(keepends=True), path)
    try:
        exec(compile(text, path, "exec"), vars(module))
    except SyntaxError as error:
        raise Refused(f"{FILE} is not Python in line {error.lineno}; correct or move it") from error
    except Exception as error:  # a student's file may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise Refused(f"{FILE} cannot be run ({said}); correct or move it") from error
    return module


def refuse_another(text: str, name: str, source: str, section: str) -> None:
    """Refused where a helper would replace what an earlier lesson's definitions use."""
    rows, node = text.splitlines(), _parsed(text).get(name)
    if node is None or "\n".join(rows[slice(*lines(node))]) == source:
        return
    home = [row for row in rows[: node.lineno] if row.startswith(SECTION)][-1:]
    if home not in ([], [section]):
        raise Refused(f"{home[0][2:].lower()} has another {name} there: give it a name of its own")


def put(text: str, name: str, source: str, section: str) -> str:
    """A file's text with a name defined by a source: where it stands, else at its lesson's end."""
    rows = text.splitlines()
    if node := _parsed(text).get(name):
        rows[slice(*lines(node))] = source.splitlines()
        return "\n".join(rows) + "\n"
    later = [i for i, row in enumerate(rows) if row.startswith(SECTION) and row > section]
    at = later[0] if later else len(rows)
    heading = "" if section in rows else f"{section}\n\n"
    parts = ["\n".join(rows[:at]).rstrip(), heading + source, "\n".join(rows[at:])]
    return "\n\n\n".join(filter(None, parts)) + "\n"


def put_imports(text: str, imports: set[str]) -> str:
    """A file's text with these imports among the ones at its top."""
    rows = text.splitlines()
    tops = [n for n in ast.parse(text).body if isinstance(n, (ast.Import, ast.ImportFrom))]
    at = tops[-1].end_lineno if tops else 0
    return "\n".join(rows[:at] + sorted(imports - set(rows)) + rows[at:]) + "\n"


def _parsed(text: str) -> dict[str, ast.stmt]:
    """What a file's text defines by name."""
    try:
        return bindings(text)
    except SyntaxError as error:
        raise Refused(f"{FILE} is not Python in line {error.lineno}; correct or move it") from error
