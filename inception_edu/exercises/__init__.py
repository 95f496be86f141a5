"""Guesses and exercises that check themselves, and the file in which a student keeps what is right.

Each answers in a box, never raises, and leaves random numbers as they were.
"""

from inception_edu.exercises.answers import number as number, unattempted as unattempted
from inception_edu.exercises.exercise import Exercise as Exercise
from inception_edu.exercises.guess import Guess as Guess
from inception_edu.exercises.student_file import mine as mine
