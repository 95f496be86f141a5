"""Lesson 08, Inception v3: what its notebook imports."""
