"""Lesson 00, start here: what its notebook imports."""
