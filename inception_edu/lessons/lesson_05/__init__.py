"""Lesson 05, training for real: what its notebook imports."""
