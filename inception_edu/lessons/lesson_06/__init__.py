"""Lesson 06, factorised convolutions: what its notebook imports."""
