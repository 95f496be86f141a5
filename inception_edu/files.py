"""Files written whole or not at all, and their names as text that can be printed."""

import os
from pathlib import Path


def write(path: Path, content: bytes) -> None:
    """Write a file so that, whatever happens, its old or its new content is there whole."""
    part = path.with_name(path.name + ".part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError as error:
        try:
            part.unlink(missing_ok=True)
        except OSError:
            pass  # the first error says what is wrong
        kept = "; what it held before is kept" if path.is_file() else ""
        raise OSError(
            f"{path} could not be written ({error.strerror or error}){kept}; "
            "make room there, or choose a folder that can be written to"
        ) from error


def shown(name: str | os.PathLike) -> str:
    """A file's name as one line that can be printed anywhere, whatever bytes it is made of."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in os.fspath(name))
