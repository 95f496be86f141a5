"""Training in the open: the loop, its recipe, its history, and how good the network is."""

from inception_edu.training.devices import pick_device, pick_precision
from inception_edu.training.evaluation import Evaluation, evaluate
from inception_edu.training.history import History
from inception_edu.training.inference import optimise_for_inference
from inception_edu.training.loop import fit, print_progress, silent
from inception_edu.training.plain import train
from inception_edu.training.recipe import Recipe

__all__ = [
    "Evaluation",
    "History",
    "Recipe",
    "evaluate",
    "fit",
    "optimise_for_inference",
    "pick_device",
    "pick_precision",
    "print_progress",
    "silent",
    "train",
]
