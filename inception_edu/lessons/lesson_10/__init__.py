"""Lesson 10, the bug museum: what its notebook imports."""
