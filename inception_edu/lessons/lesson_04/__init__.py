"""Lesson 04, auxiliary classifiers: what its notebook imports."""
