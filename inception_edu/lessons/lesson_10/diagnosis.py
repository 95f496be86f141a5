"""Lesson 10: a diagnosis from a list, to which the learner commits before seeing the damage."""

from collections.abc import Mapping

from IPython.display import display

from inception_edu.display import Box


class Diagnosis:
    """One of several letters: `Diagnosis("B", {"A": ..., "B": ...}).check(guess)`.

    `evidence` says of the right letter why it is right, and of each other one what in the report
    speaks against it.
    """

    def __init__(self, answer: str, evidence: Mapping[str, str]) -> None:
        self.answer, self.evidence = answer, evidence

    def verdict(self, guess: object) -> tuple[str, str]:
        """The verdict, and what speaks for the answer and against another guess."""
        right = f"the answer is {self.answer}: {self.evidence[self.answer]}"
        if guess is ...:
            return "not attempted yet", right
        letter = guess.strip(" .:()'\"").upper() if isinstance(guess, str) else ""
        if letter not in self.evidence:
            letters = ", ".join(self.evidence)
            said = f"a guess is one of the letters {letters}, got {str(guess)[:40]!r}"
            return "not right yet", said
        if letter == self.answer:
            return "right", right
        return "not right yet", f"against {letter} speaks that {self.evidence[letter]}; {right}"

    def check(self, guess: object) -> None:
        """Show the verdict on a guess and, unless it is no letter at all, the answer."""
        verdict, said = self.verdict(guess)
        display(Box(verdict, "Your guess", f"{said[0].upper()}{said[1:]}."))


DIAGNOSES = {
    "1": Diagnosis(
        "C",
        {
            "A": "with wrong labels the validation loss could not fall far below ln 10 = 2.30",
            "B": "with 90 % of the unseen images wrong, the validation loss could not be below "
            "0.9 ln 2 = 0.62",
            "C": "answers of shape (n, 1) and labels of shape (n,) are broadcast to (n, n), and "
            "every answer is compared with every label",
            "D": "this network has neither batch norm nor dropout, so that both modes are the same",
        },
    ),
    "2": Diagnosis(
        "B",
        {
            "A": "the accuracy of 1,000 images is a mean, which no order of them changes",
            "B": "F.dropout drops in evaluation mode, too, since its argument `training` is True "
            "where nobody sets it",
            "C": "rounding changes a logit by about a millionth, which does not change the answers "
            "for several images in a hundred",
            "D": "the weights were compared before and after, and differ by 0",
        },
    ),
    "3": Diagnosis(
        "D",
        {
            "A": "a damaged file cannot be read, or its tensors have other shapes",
            "B": "running means and variances are buffers, and state_dict holds the buffers of all "
            "layers that it knows",
            "C": "the accuracy before saving was measured on images that were not trained on",
            "D": "nn.Module looks for layers among its attributes but not inside a list, so that "
            "the weights of the branches are neither trained nor saved",
        },
    ),
    "4": Diagnosis(
        "C",
        {
            "A": "then the branches alone would differ as well",
            "B": "another mode would change the batch norms of the stem and of the branches",
            "C": "the first ReLU writes its result into x, and the sum then adds the changed x",
            "D": "sums in another order differ by about a millionth of the values",
        },
    ),
    "5": Diagnosis(
        "D",
        {
            "A": "too high a rate would make the training loss jump as well, and here the "
            "rate falls from 13 % of its peak to 0",
            "B": "these are the same 1,000 images every time: chance draws them once, and not "
            "anew for every point",
            "C": "overfitting lowers the validation accuracy slowly, and does not make it go up "
            "and down from step to step",
            "D": "with momentum 0.9 the running mean and variance consist to nine tenths of the "
            "last batch, and that has 8 images",
        },
    ),
    "6": Diagnosis(
        "A",
        {
            "A": "backward() adds, and the sum of eight means is eight times the mean",
            "B": "the order within a batch changes neither the mean loss nor its gradient",
            "C": "a linear layer treats each image by itself, and there is no batch norm here",
            "D": "zero_grad() before the loop is right: within the loop it would delete the "
            "gradients of the earlier parts",
        },
    ),
}
