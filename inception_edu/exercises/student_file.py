"""my_inception.py, a student's own module: what was right in the lessons, and nothing of ours.

It runs anywhere where torch is, years later. A definition goes in from the cell that made it, is
run again in a fresh namespace and passes its check there before the file is changed.
"""

import ast
import importlib.util
import inspect
import linecache
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FunctionType, ModuleType

from inception_edu.files import write

FILE = Path("my_inception.py")  # in the folder of the notebook
HEAD = '''"""What I wrote in the Inception lessons; every definition has passed its check."""

import torch
from torch import nn
from torch.nn import functional as F
'''
SECTION = "# Lesson "
OURS = __name__.partition(".")[0]


class Refused(Exception):
    """Why an answer that is right is not kept, as the end of a sentence."""


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
        text = read() or HEAD
        for name, answer in zip(names, answers, strict=True):
            source, imports = source_of(answer, name)
            text = put(text, name, source, SECTION + lesson)
            text = put_imports(text, imports)
        module = load(text)
        if why := why_not(*(getattr(module, name) for name in names)):
            raise Refused(f"read from {FILE}, it is another: {why[0].lower()}{why[1:-1]}")
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
        raise Refused(f"{FILE} is not Python in line {error.lineno}; mend or move it") from error
    except Exception as error:  # a student's file may raise anything
        said = " ".join(f"{type(error).__name__}: {error}".split())
        raise Refused(f"{FILE} cannot be run ({said}); mend or move it") from error
    return module


def source_of(answer: object, name: str) -> tuple[str, set[str]]:
    """The definition of a function or class as it stands in its cell, and the imports that it
    needs; Refused where it is not found, or leans on something that cannot go along."""
    if isinstance(answer, type):
        own = [part for part in vars(answer).values() if isinstance(part, FunctionType)]
    else:
        own = [answer] if isinstance(answer, FunctionType) else []
    for function in map(inspect.unwrap, own):  # decorators out of the way
        cell = "".join(linecache.getlines(function.__code__.co_filename))
        for node in ast.parse(cell).body:
            if getattr(node, "name", None) == answer.__name__ == name:
                source = "\n".join(cell.splitlines()[slice(*lines(node))])
                return source, needed(node, function.__globals__)
    raise Refused(f"its source was not found: define {name} with def or class, in one cell")


def needed(definition: ast.stmt, names: dict[str, object]) -> set[str]:
    """The import statements that a definition needs beside the head's; Refused, with its name,
    where it leans on what cannot be imported: something of another cell, or of this package."""
    nodes = list(ast.walk(definition))
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    used = [node for node in nodes if isinstance(node, ast.Name)]
    own |= {node.id for node in used if not isinstance(node.ctx, ast.Load)}
    imports = set()
    for name in sorted({node.id for node in used} & set(names) - own - {"torch", "nn", "F"}):
        value = names[name]
        if isinstance(value, ModuleType):
            home, line = value.__name__, f"import {value.__name__} as {name}"
            line = line.removesuffix(f" as {home}")
        else:
            home, line = home_of(value, name)
        if home.partition(".")[0] == OURS:
            raise Refused(
                f"it uses {name} of {OURS}, and your file stands alone: write it in torch"
            )
        if not line:
            raise Refused(f"it leans on {name}, which stands outside of it: move {name} inside")
        imports.add(line)
    return imports


def home_of(value: object, name: str) -> tuple[str, str]:
    """The module that a function or class can be imported from, and the line that does it."""
    home, own = getattr(value, "__module__", None) or "", getattr(value, "__name__", name)
    for module in ("torch.nn.functional", "torch", home):  # torch's functions name a hidden one
        if module != "__main__" and getattr(sys.modules.get(module), own, None) is value:
            alias = "" if own == name else f" as {name}"
            return module, f"from {module} import {own}{alias}"
    return home, ""


def put(text: str, name: str, source: str, section: str) -> str:
    """A file's text with a name defined by a source: where it stands, else at its lesson's end."""
    rows = text.splitlines()
    for node in _parsed(text):
        if getattr(node, "name", None) == name:
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
    tops = [node for node in _parsed(text) if isinstance(node, (ast.Import, ast.ImportFrom))]
    at = tops[-1].end_lineno if tops else 0
    return "\n".join(rows[:at] + sorted(imports - set(rows)) + rows[at:]) + "\n"


def _parsed(text: str) -> list[ast.stmt]:
    try:
        return ast.parse(text).body
    except SyntaxError as error:
        raise Refused(f"{FILE} is not Python in line {error.lineno}; mend or move it") from error


def lines(node: ast.stmt) -> tuple[int, int]:
    """The first line of a definition, decorators included, from 0, and the line after its last."""
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    return first - 1, node.end_lineno
