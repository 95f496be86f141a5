"""Lesson 09: a function asked again in another process, where Python draws another salt for the
hashes of strings.

Run as a file, this is that process; it imports nothing of the package, so that it starts at once.
"""

import json
import marshal
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from types import BuiltinFunctionType, CodeType, FunctionType, ModuleType

SECONDS = 60


def elsewhere(function: FunctionType, *arguments: object) -> list[list[str]] | None:
    """What a function that returns lists of texts returns in a process with another salt.

    None where it cannot go there, as with something in a closure or an object made in a notebook.
    """
    salt = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    try:
        sent = marshal.dumps((packed(function), arguments))
        done = subprocess.run(
            [sys.executable, __file__],
            input=sent,
            capture_output=True,
            timeout=SECONDS,
            env=os.environ | {"PYTHONHASHSEED": salt},
        )
        return json.loads(done.stdout)
    except (ValueError, OSError, subprocess.SubprocessError):
        return None


def packed(function: FunctionType) -> dict[str, tuple]:
    """A function and all globals that it and its helpers use, by name; it is called "" itself.

    ValueError where something cannot be packed.
    """
    if not isinstance(function, FunctionType):
        raise ValueError(f"function must be one of Python, got {function!r}")
    home, result, todo = function.__globals__, {}, [("", function)]
    while todo:
        name, value = todo.pop()
        if isinstance(value, FunctionType) and value.__globals__ is home:
            if value.__closure__:
                raise ValueError(f"{name} has a closure")
            code = value.__code__
            result[name] = ("def", code, value.__defaults__, value.__kwdefaults__)
            todo += [(n, home[n]) for n in used(code) if n in home and n not in result]
        elif isinstance(value, ModuleType):
            result[name] = ("import", value.__name__, None)
        elif isinstance(value, (type, FunctionType, BuiltinFunctionType)):
            result[name] = ("import", value.__module__, value.__name__)
        else:
            result[name] = ("value", value)
    return result


def used(code: CodeType) -> Iterator[str]:
    """The names that code looks up, in the functions within it too."""
    yield from code.co_names
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from used(inner)


def unpacked(parcel: dict[str, tuple]) -> FunctionType:
    """The function of a parcel, in a namespace of its own."""
    space: dict[str, object] = {}
    for name, (kind, *what) in parcel.items():
        if kind == "def":
            code, defaults, keywords = what
            space[name] = FunctionType(code, space, name, defaults)
            space[name].__kwdefaults__ = keywords
        elif kind == "import":
            module = import_module(what[0])
            space[name] = getattr(module, what[1]) if what[1] else module
        else:
            (space[name],) = what
    return space[""]


if __name__ == "__main__":
    parcel, given = marshal.loads(sys.stdin.buffer.read())
    print(json.dumps([[str(name) for name in part] for part in unpacked(parcel)(*given)]))
