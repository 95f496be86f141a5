"""Lesson 01, counting the cost: what its notebook imports."""
