"""Lesson 00, start here: the checks of its exercises."""

from inception_edu.exercises import Exercise
from inception_edu.exercises.answers import number

IMAGES = {  # other counts of the lesson, and what they count
    60_000: "60,000 come with the data set, but 5,000 of them are set aside for validation",
    70_000: "70,000 is everything; the test part is never trained on",
    5_000: "5,000 is the validation part, which is never trained on",
    10_000: "10,000 is the test part, which is never trained on",
    51_200: "51,200 is what 400 steps of 128 pictures take; the part they are drawn from is larger",
    784: "784 is the number of pixels of one picture",
}


def check_warm_up(answer: object) -> str | None:
    """Two and two."""
    return None if number(answer) == 4 else f"you say {answer!r}; put two and two together"


def check_training_images(answer: object) -> str | None:
    """How many pictures the training part holds."""
    said = number(answer)
    if said is None:
        return f"give one number, got {str(answer)[:40]!r}"
    otherwise = f"you say {answer}; len(fashion.train) knows"
    return None if said == 55_000 else IMAGES.get(said, otherwise)


warm_up = Exercise("0", check_warm_up)
exercise_1 = Exercise("1", check_training_images)
