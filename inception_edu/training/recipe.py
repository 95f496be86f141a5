"""What a training run is told to do, as plain data."""

import math
from dataclasses import dataclass, fields

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from inception_edu.checks import check_count, check_whole
from inception_edu.losses import AUX_WEIGHT

BATCH_SIZE, EPOCHS = 128, 3  # where a recipe does not say
# Shifts and flips pay in long training; in one pass over the data they only make it harder.
ONE_PASS = dict(shift=0, flip=False, weight_decay=2e-4)
DECAY, DECAY_EPOCHS = 0.94, 2  # the exponential schedule of [V3] section 8
# [V3] section 8; it names no momentum beside RMSProp, the trainer that was released had 0.9.
V3 = dict(
    optimiser="rmsprop",
    lr=0.045,
    schedule="exponential",
    warm_up=0.0,
    clip=2.0,
    average=0.9999,
    label_smoothing=0.1,
)
CHOICES = {
    "optimiser": ("sgd", "adamw", "rmsprop"),
    "schedule": ("linear", "cosine", "constant", "exponential"),
    "precision": ("auto", "float32", "bfloat16"),
}


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides how a network is trained; an error names a value out of range."""

    epochs: int | None = None  # passes over the training part; 3 unless `steps` is given
    steps: int | None = None  # batches in all, instead of epochs
    batch_size: int | None = None  # None: 128, or all images where there are fewer
    optimiser: str = "sgd"  # "sgd" (Nesterov's momentum), "adamw", or "rmsprop" as in [V3]
    lr: float = 0.2
    schedule: str = "linear"  # to 0: "linear", "cosine"; "exponential" as in [V3]; "constant"
    warm_up: float = 0.25  # part of the run in which the rate rises from 0
    momentum: float = 0.9  # adamw: its first beta
    epsilon: float = 1.0  # rmsprop alone: added to the root of the mean square
    clip: float | None = None  # the gradient's norm at most; None: as it is
    average: float = 0.0  # evaluate a running average of the weights, which keeps this a step
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    aux_weight: float = AUX_WEIGHT  # of each auxiliary head's loss, where the network has them
    shift: int = 2  # pixels by which an image is moved at most; 0 leaves it in place
    flip: bool = True  # mirror half of the images; turn off for digits and text
    precision: str = "auto"  # "float32", "bfloat16", or "auto": what the hardware has units for
    validate_every: int | None = None  # steps from row to row of the history; None: an epoch
    seed: int = 0

    def __new__(cls, **given: object) -> "Recipe":
        names = [field.name for field in fields(cls)]
        if unknown := [name for name in given if name not in names]:
            raise TypeError(f"a recipe has no field {unknown[0]!r}; it has {', '.join(names)}")
        return super().__new__(cls)

    def __post_init__(self) -> None:
        for name in ("epochs", "steps", "batch_size", "validate_every"):
            if getattr(self, name) is not None:
                check_count(**{name: getattr(self, name)})
        if self.epochs is not None and self.steps is not None:
            raise ValueError(f"give epochs or steps, got epochs={self.epochs}, steps={self.steps}")
        check_whole("seed", self.seed, 0, 2**63 - 1)
        for name, allowed in CHOICES.items():
            if getattr(self, name) not in allowed:
                found = getattr(self, name)
                raise ValueError(f"{name} must be one of {', '.join(allowed)}, got {found!r}")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"lr must be above 0, got {self.lr}")
        for name in ("epsilon", "clip"):
            if getattr(self, name) is not None and not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        for name in ("warm_up", "momentum", "average", "label_smoothing"):
            if not 0 <= getattr(self, name) < 1:
                found = getattr(self, name)
                raise ValueError(f"{name} must be at least 0 and below 1, got {found}")
        for name in ("weight_decay", "aux_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}")

    def size_for(self, images: int) -> int:
        """The batch size for a training part of so many images."""
        if self.batch_size is not None and self.batch_size > images:
            raise ValueError(
                f"batch_size must be at most the {images} images of the training part, "
                f"got {self.batch_size}; leave it out to take what there is"
            )
        return self.batch_size or min(BATCH_SIZE, images)

    def steps_for(self, images: int) -> tuple[int, int]:
        """Steps of the whole run, and from one row of the history to the next."""
        epoch = images // self.size_for(images)
        return self.steps or (self.epochs or EPOCHS) * epoch, self.validate_every or epoch

    def lr_at(self, step: int, steps: int, epoch_steps: int | None = None) -> float:
        """The learning rate of `step`, 1 to `steps`: linearly up to `lr`, then as scheduled.

        The exponential schedule counts epochs, of `epoch_steps` each.
        """
        done = (step - 0.5) / steps
        if done < self.warm_up:
            return self.lr * done / self.warm_up
        if self.schedule == "constant":
            return self.lr
        if self.schedule == "exponential":
            if epoch_steps is None:
                raise ValueError("the exponential schedule counts epochs; give epoch_steps, too")
            return self.lr * DECAY ** ((step - 1) // (DECAY_EPOCHS * epoch_steps))
        left = (1 - done) / (1 - self.warm_up)
        if self.schedule == "cosine":
            left = (1 - math.cos(math.pi * left)) / 2
        return self.lr * left


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
