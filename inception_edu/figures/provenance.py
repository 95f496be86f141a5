"""Which code drew a picture, so that a saved one that is older than its code can be told."""

import hashlib
import inspect
from collections.abc import Callable
from importlib import import_module
from types import CodeType

from inception_edu.figures import style

PROJECT = __name__.split(".")[0]


def drawn_by(draw: Callable) -> str:
    """ "module:function digest": the digest changes with the source of `draw`, of what it calls in
    this project, and with the style. A function written in a notebook has none."""
    name = f"{draw.__module__}:{draw.__qualname__}"
    if not draw.__module__.startswith(PROJECT):
        return name
    sources = [inspect.getsource(style), *_sources(draw, set())]
    digest = hashlib.sha256("".join(sources).encode())
    return f"{name} {digest.hexdigest()[:12]}"


def _sources(function: Callable, seen: set[Callable]) -> list[str]:
    """The source of a function and, in the order of their names, of those it calls."""
    seen.add(function)
    found = [inspect.getsource(function)]
    for name in sorted(_names(function.__code__)):
        called = function.__globals__.get(name)
        inside = inspect.isfunction(called) and called.__module__.startswith(PROJECT)
        if inside and called not in seen:
            found += _sources(called, seen)
    return found


def _names(code: CodeType) -> set[str]:
    """The names that a function's code looks up, and the functions inside of it."""
    inner = [part for part in code.co_consts if inspect.iscode(part)]
    return set(code.co_names).union(*map(_names, inner))


def is_current(drawn: str) -> bool:
    """Whether the code that `drawn_by` told of is today's; not so where nothing was told."""
    module, _, function = drawn.partition(" ")[0].partition(":")
    if not module.startswith(PROJECT):
        return bool(module)
    try:
        return drawn_by(getattr(import_module(module), function)) == drawn
    except (ImportError, AttributeError):
        return False
