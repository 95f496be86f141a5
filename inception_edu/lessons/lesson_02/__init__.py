"""Lesson 02, the Inception block: what its notebook imports."""
