"""Training in the open: the loop, its recipe, its history, and how good the network is."""

from inception_edu.training.devices import (
    pick_device as pick_device,
    pick_precision as pick_precision,
)
from inception_edu.training.evaluation import Evaluation as Evaluation, evaluate as evaluate
from inception_edu.training.history import History as History
from inception_edu.training.inference import optimise_for_inference as optimise_for_inference
from inception_edu.training.loop import (
    fit as fit,
    print_progress as print_progress,
    silent as silent,
)
from inception_edu.training.plain import train as train
from inception_edu.training.recipe import Recipe as Recipe
