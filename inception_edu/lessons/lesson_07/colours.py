"""Lesson 07: one colour for each condition, in every figure."""

from inception_edu.figures import COLOURS

PLAIN, SMOOTH = COLOURS["before"], COLOURS["after"]  # eps = 0, and any eps above it


def colour(eps: float) -> str:
    """The colour of a loss with this eps."""
    return SMOOTH if eps else PLAIN
