"""The command line, one file a command.

A command's file has its description (the docstring), an EXAMPLE of its arguments, `options`, which
adds them to a parser, and `run`, which returns the exit code. What takes seconds to import is
imported in `run`, so that `--help` and wrong arguments answer at once.
"""
