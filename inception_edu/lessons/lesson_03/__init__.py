"""Lesson 03, GoogLeNet: what its notebook imports."""
