"""The settings of a training run, as plain data."""

import math
from dataclasses import dataclass, field, fields
from typing import Any, get_args

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from inception_edu.checks import check_choice, check_number, check_whole
from inception_edu.losses import AUX_WEIGHT

BATCH_SIZE, EPOCHS = 128, 3  # where a recipe does not say
# Shifts and flips pay in long training; in one pass over the data they only make it harder.
ONE_PASS = dict(shift=0, flip=False, weight_decay=2e-4)
DECAY, DECAY_EPOCHS = 0.94, 2  # the exponential schedule of [V3] section 8
# [V3] section 8; it names no momentum beside RMSProp, the trainer that was released had 0.9.
V3 = dict(optimiser="rmsprop", lr=0.045, schedule="exponential", warm_up=0.0, clip=2.0)
V3 |= dict(average=0.9999, label_smoothing=0.1)
FEWEST_BATCHES, SMALLEST_BATCH, FEWEST_STEPS = 4, 8, 100  # where there are few images
OPTIMISERS = ("sgd", "adamw", "rmsprop")
SCHEDULES = ("linear", "cosine", "constant", "exponential")
PRECISIONS = ("auto", "float32", "bfloat16")
COUNT = dict(low=1, high=10**12)
FRACTION = dict(allowed="at least 0 and below 1", right=lambda x: 0 <= x < 1)
POSITIVE = dict(allowed="above 0 and below 1e38", right=lambda x: 0 < x < 1e38)  # float32 ends
NOT_NEGATIVE = dict(allowed="at least 0 and below 1e38", right=lambda x: 0 <= x < 1e38)


def setting(default: object, help: str, choices: tuple = (), **range: object) -> Any:
    """A field of the recipe: its default, its help on the command line, and what it takes: one of
    the choices, or a number as `check_whole` or `check_number` allows in that range.

    Name and type of the option are the field's; None, where it is the default, means what the help
    has in brackets.
    """
    return field(default=default, metadata=dict(help=help, choices=choices, range=range))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides how a network is trained; an error names a value out of range.

    Where images are few, batches are smaller unless their size is given, so that an epoch has about
    four; and a run whose length is not given has at least a hundred steps: in three, nothing is
    learned.
    """

    epochs: int | None = setting(None, "passes over the images (3; more for few images)", **COUNT)
    steps: int | None = setting(None, "batches in all, instead of epochs", **COUNT)
    batch_size: int | None = setting(None, "size of batches (128; smaller for few images)", **COUNT)
    optimiser: str = setting("sgd", "sgd has Nesterov momentum; rmsprop as in v3", OPTIMISERS)
    lr: float = setting(0.2, "the highest learning rate of the run", **POSITIVE)
    schedule: str = setting("linear", "linear, cosine fall to 0; exponential as in v3", SCHEDULES)
    warm_up: float = setting(0.25, "fraction of the run in which lr rises", **FRACTION)
    momentum: float = setting(0.9, "momentum; for adamw the first beta", **FRACTION)
    epsilon: float = setting(1.0, "for rmsprop: added to the root of the mean square", **POSITIVE)
    clip: float | None = setting(None, "highest norm of the gradient (not clipped)", **POSITIVE)
    average: float = setting(0.0, "decay of the moving average of weights; 0: none", **FRACTION)
    weight_decay: float = setting(5e-4, "how strongly weights are pulled to 0", **NOT_NEGATIVE)
    label_smoothing: float = setting(0.0, "fraction of a label spread over all classes", **FRACTION)
    aux_weight: float = setting(AUX_WEIGHT, "weight of each auxiliary head's loss", **NOT_NEGATIVE)
    shift: int = setting(2, "largest shift, in pixels; 0: none (photos: no random crops)", low=0)
    flip: bool = setting(True, "mirror half of the images; switch off for digits and text")
    precision: str = setting("auto", "auto: bfloat16 where the hardware has units", PRECISIONS)
    shares: int = setting(2, "shares of a batch that a CPU computes side by side", **COUNT)
    validate_every: int | None = setting(None, "steps between validations (an epoch)", **COUNT)
    seed: int = setting(0, "random seed of batches and dropout", low=0, high=2**63 - 1)

    def __post_init__(self) -> None:
        for one in fields(self):
            value, told = getattr(self, one.name), one.metadata
            kind, *optional = get_args(one.type) or (one.type,)
            if value is None and optional:
                continue
            if kind in (int, float):  # as Python's own, which JSON can hold
                check = check_whole if kind is int else check_number
                object.__setattr__(self, one.name, check(one.name, value, **told["range"]))
            else:
                check_choice(one.name, value, told["choices"] or (True, False))
        if self.epochs is not None and self.steps is not None:
            raise ValueError(f"give epochs or steps, got epochs={self.epochs}, steps={self.steps}")

    def size_for(self, images: int) -> int:
        """The batch size for a training split of so many images."""
        if images == 0:
            raise ValueError("there are 0 training images; load the data set with more of them")
        if self.batch_size is not None and self.batch_size > images:
            raise ValueError(
                f"batch_size must be at most the {images} images to train on, "
                f"got {self.batch_size}; leave it out for a size that fits"
            )
        return self.batch_size or smaller_batches(BATCH_SIZE, images)

    def steps_for(self, images: int) -> tuple[int, int]:
        """Steps of the whole run, and from one row of the history to the next."""
        epoch = images // self.size_for(images)
        epochs = self.epochs or more_epochs(EPOCHS, epoch)
        return self.steps or epochs * epoch, self.validate_every or epoch

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


def smaller_batches(size: int, images: int) -> int:
    """`size`, or where images are few what makes four batches of them, of at least 8 images."""
    return min(size, images, max(SMALLEST_BATCH, images // FEWEST_BATCHES))


def more_epochs(epochs: int, epoch_steps: int) -> int:
    """`epochs`, or where they have few steps as many as make a hundred."""
    return max(epochs, math.ceil(FEWEST_STEPS / epoch_steps))


def for_photos(images: int) -> dict:
    """What a folder of so many photos is trained with: it holds hundreds, not 60,000."""
    size = smaller_batches(32, images)
    return dict(epochs=more_epochs(10, images // size), batch_size=size, shift=2, flip=True)


RMS_DECAY = 0.9  # of rmsprop's mean square ([V3] section 8)


def make_optimiser(model: nn.Module, recipe: Recipe) -> torch.optim.Optimizer:
    """The recipe's optimiser, for the weights of the model that are not frozen."""
    weights = [weight for weight in model.parameters() if weight.requires_grad]
    how = dict(lr=recipe.lr, weight_decay=recipe.weight_decay)
    if recipe.optimiser == "adamw":
        return torch.optim.AdamW(weights, betas=(recipe.momentum, 0.999), **how)
    how["momentum"] = recipe.momentum
    if recipe.optimiser == "rmsprop":  # torch's form; [V3]'s was TensorFlow's, see lesson 08
        own = dict(alpha=RMS_DECAY, eps=recipe.epsilon)
        return torch.optim.RMSprop(weights, **own, **how)
    return torch.optim.SGD(weights, nesterov=recipe.momentum > 0, **how)


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
