"""Lesson 07, label smoothing: what its notebook imports."""
