"""How weights move: a recipe's optimiser, and the running average of what it makes."""

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from inception_edu.recipe import Recipe

RMS_DECAY = 0.9  # of rmsprop's mean square ([V3] section 8)


def make_optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser over all of the model's parameters."""
    how = dict(lr=recipe.lr, weight_decay=recipe.weight_decay)
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(model.parameters(), betas=(recipe.momentum, 0.999), **how)
    how["momentum"] = recipe.momentum
    if recipe.optimiser == "rmsprop":  # torch's form; [V3]'s was TensorFlow's, see lesson 08
        own = dict(alpha=RMS_DECAY, eps=recipe.epsilon)
        return torch.optim.RMSprop(model.parameters(), **own, **how)
    return torch.optim.SGD(model.parameters(), nesterov=recipe.momentum > 0, **how)


def make_average(model: nn.Module, recipe: Recipe) -> AveragedModel | None:
    """The running average of weights and batch norm's statistics; None if the recipe has none.

    A young average fades faster, by (1 + n) / (10 + n) after n steps as TensorFlow's does, so that
    a short run is not averaged with its random start.
    """
    if not recipe.average:
        return None

    def fade(average: Tensor, new: Tensor, n: Tensor) -> Tensor:
        keep = min(recipe.average, (1 + int(n)) / (10 + int(n)))
        return average + (1 - keep) * (new - average)

    return AveragedModel(model, avg_fn=fade, use_buffers=True).requires_grad_(False)


def snapshot(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the model's state dict that further training leaves alone."""
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
