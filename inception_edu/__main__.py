"""python -m inception_edu COMMAND: each command is a file of commands/ with its options.

The exit code is 0 when it is done, 2 for a wrong argument, 1 for a failed run, proof or photo. An
error that is a sentence goes to stderr: what a `raise ValueError` or `raise FileExistsError` of
this package says, and any OSError. Every other error is a bug, and keeps its traceback.
"""

import argparse
import importlib
import os
import sys
import traceback
from pathlib import Path

COMMANDS = {
    "lab": "open your copies of the lessons in JupyterLab",
    "restore": "put a fresh copy of a lesson back",
    "prove": "prove your my_inception.py once more",
    "train": "train a network",
    "split": "split a folder of photos for training and validation",
    "predict": "classify photos",
    "cost": "count parameters and multiply-adds",
    "bench": "time training and inference on this machine",
}


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one sentence."""

    def error(self, message: str) -> None:
        self.exit(2, f"{self.prog}: {message}; see --help\n")


def parser(chosen: str) -> Parser:
    """All commands; the chosen one with its options, for whose sake its file is imported."""
    name = "python -m inception_edu"
    about = "GoogLeNet and Inception, taught by doing. COMMAND --help tells more."
    top = Parser(name, description=about, epilog=f"example: {name} lab --no-browser")
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for command, summary in COMMANDS.items():
        if command != chosen:
            commands.add_parser(command, help=summary)
            continue
        file = importlib.import_module(f"inception_edu.commands.{command}")
        epilog = f"example: {name} {command} {file.EXAMPLE}"
        sub = commands.add_parser(command, help=summary, description=file.__doc__, epilog=epilog)
        sub.set_defaults(run=file.run)
        file.options(sub)
    return top


def is_sentence(error: Exception) -> bool:
    """Whether the error is meant for the user: this package raised it, or it is the system's."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    ours = Path(last.filename).is_relative_to(Path(__file__).parent)
    return isinstance(error, OSError) or (ours and last.line.startswith("raise "))


def main(argv: list[str] | None = None) -> int:
    """Run one command; returns its exit code, or exits with a sentence on stderr."""
    argv = sys.argv[1:] if argv is None else argv
    if argv[:1] != ["bench"]:  # which times the loop that everyone writes as everyone runs it
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # a thread that waits frees its core
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a name that the terminal has no letters for
    top = parser(*argv[:1] or [""])
    args, rest = top.parse_known_args(argv)
    if rest and args.command != "lab":  # JupyterLab has options of its own
        top.error(f"unknown argument {rest[0]!r}")
    args.argv, args.rest = argv, rest
    top.prog += f" {args.command}"
    try:
        return args.run(args)
    except KeyboardInterrupt:
        top.exit(1, f"{top.prog}: interrupted\n")
    except (ValueError, OSError) as error:
        if not is_sentence(error):
            raise
        said = " ".join(str(error).split())
        if isinstance(error, (ValueError, FileExistsError)):
            top.error(said)
        top.exit(1, f"{top.prog}: {said}\n")


if __name__ == "__main__":
    sys.exit(main())
