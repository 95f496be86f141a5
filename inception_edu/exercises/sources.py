"""The source of a definition that was typed in a notebook, and all that must go along with it."""

import ast
import inspect
import linecache
import sys
from collections.abc import Mapping
from types import FunctionType, ModuleType

HEAD_NAMES = {"torch", "nn", "F"}  # the file imports them
OURS = __name__.partition(".")[0]
ALONE = "your file must work without it: use torch alone, or keep your own first"


class Refused(Exception):
    """Why an answer that is right is not kept, as the end of a sentence."""


class Parts:
    """Definitions by name, each after those of its cell that it leans on; and their imports."""

    def __init__(self, known: set[str]) -> None:
        self.known, self.definitions, self.imports = known, {}, set()

    def take(self, answer: object, name: str) -> None:
        """Take a function or class in; Refused where its source is not found, or leans on something
        that can neither be imported, nor is `known`, nor stands in its cell."""
        for function in map(inspect.unwrap, own_functions(answer)):  # decorators out of the way
            cell = "".join(linecache.getlines(function.__code__.co_filename))
            if answer.__name__ == name and name in bindings(cell):
                self._take_from(cell, name, function.__globals__)
                return
        raise Refused(f"its source was not found: define {name} with def or class, in one cell")

    def _take_from(self, cell: str, name: str, names: dict[str, object]) -> None:
        """Take what a cell binds to a name, after what that leans on."""
        self.definitions[name] = ""  # so that what calls itself is not taken twice
        bound = bindings(cell)
        if OURS in inner_imports(bound[name]):
            raise Refused(f"it imports from {OURS}, and {ALONE}")
        for used in free_names(bound[name], names):
            if used in self.definitions:
                continue
            if used in bound:
                self._take_from(cell, used, names)
            else:
                self._lean_on(used, names[used])
        del self.definitions[name]
        self.definitions[name] = "\n".join(cell.splitlines()[slice(*lines(bound[name]))])

    def _lean_on(self, name: str, value: object) -> None:
        """See to it that a name of elsewhere means the same in the file."""
        if name in self.known:
            return
        home, line = home_of(value, name)
        if is_table(value):
            self._take_table(name, value)
        elif home.partition(".")[0] == OURS:
            raise Refused(f"it uses {name} of {OURS}, and {ALONE}")
        elif not line:
            raise Refused(f"it uses {name}, which another cell defines: move {name} into this one")
        else:
            self.imports.add(line)

    def _take_table(self, name: str, table: Mapping[str, tuple]) -> None:
        """Take a table of a paper in as data, with the class of its rows."""
        kind = type(next(iter(table.values())))
        if kind.__name__ not in self.known:
            source, place = inspect.getsource(kind), vars(sys.modules[kind.__module__])
            for used in free_names(ast.parse(source).body[0], place):
                self._lean_on(used, place[used])
            self.definitions[kind.__name__] = source.rstrip()
        rows = [f"    {key!r}: {kind.__name__}{tuple(row)!r}," for key, row in table.items()]
        self.definitions[name] = "\n".join([f"{name} = {{", *rows, "}"]).replace("'", '"')


def own_functions(answer: object) -> list[FunctionType]:
    """A function, or those that stand in a class."""
    own = vars(answer).values() if isinstance(answer, type) else [answer]
    return [part for part in own if isinstance(part, FunctionType)]


def bindings(text: str) -> dict[str, ast.stmt]:
    """What a text binds at its top level by def, class or assignment."""
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            found[node.name] = node
        for target in getattr(node, "targets", [getattr(node, "target", None)]):
            if isinstance(target, ast.Name):
                found[target.id] = node
    return found


def inner_imports(definition: ast.stmt) -> set[str]:
    """The packages that a definition imports from inside of itself."""
    found = set()
    for node in ast.walk(definition):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def free_names(definition: ast.stmt, names: dict[str, object]) -> list[str]:
    """The global names that a definition uses beside the head's, in the alphabet's order."""
    nodes = list(ast.walk(definition))
    own = {node.arg for node in nodes if isinstance(node, ast.arg)}
    own |= {node.name for node in nodes if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    used = [node for node in nodes if isinstance(node, ast.Name)]
    own |= {node.id for node in used if not isinstance(node.ctx, ast.Load)}
    return sorted({node.id for node in used} & set(names) - own - HEAD_NAMES)


def home_of(value: object, name: str) -> tuple[str, str]:
    """The module that something can be imported from, and the line that does it; "" for none."""
    if isinstance(value, ModuleType):
        home = value.__name__
        return home, f"import {home} as {name}".removesuffix(f" as {home}")
    home, own = getattr(value, "__module__", None) or "", getattr(value, "__name__", name)
    for module in ("torch.nn.functional", "torch", home):  # torch's functions name a hidden one
        if module != "__main__" and getattr(sys.modules.get(module), own, None) is value:
            alias = "" if own == name else f" as {name}"
            return module, f"from {module} import {own}{alias}"
    return home, ""


def is_table(value: object) -> bool:
    """Whether it is a table of this package: named rows, each a tuple with named columns."""
    rows = list(value.values()) if isinstance(value, dict) else []
    ours = (hasattr(r, "_fields") and type(r).__module__.partition(".")[0] == OURS for r in rows)
    return bool(rows) and all(ours)


def lines(node: ast.stmt) -> tuple[int, int]:
    """The first line of a definition, decorators included, from 0, and the line after its last."""
    first = min([node.lineno, *(d.lineno for d in getattr(node, "decorator_list", []))])
    return first - 1, node.end_lineno
