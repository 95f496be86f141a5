"""Lesson 04: what makes an auxiliary head that of [G], judged by what it computes in both modes."""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, max_pool2d

from inception_edu import googlenet
from inception_edu.exercises.judging import WIRING, calls, mistaken_for, other_network, same

Build = Callable[..., nn.Module]
DRAWS = (  # input channels, classes, and a width where it is given
    (24, 10, dict(width=1 / 8)),
    (40, 7, dict(width=1 / 4)),
    (12, 5, {}),
    (33, 21, dict(width=1 / 2)),
)
SMALLER = (7, 7), (5, 5), (10, 8), (4, 13)  # grids on which 5x5 with stride 3 does not give 4x4
DROPOUT = 0.7


class AuxHead(googlenet.AuxHead):
    """The package's answer, called as the student's head is."""

    def __init__(self, c_in: int, num_classes: int, width: float = 1.0) -> None:
        super().__init__(c_in, num_classes, norm=False, width=width)


def pool(x: Tensor) -> Tensor:
    """Grids of 14 x 14 and smaller ones -> 4 x 4."""
    fits = min(x.shape[2:]) >= 14
    return avg_pool2d(x, 5, 3) if fits else adaptive_avg_pool2d(x, 4)


class Head(nn.Module):
    """The head in evaluation mode by functions of torch, right unless a mistake is asked for."""

    def __init__(
        self,
        c_in: int,
        num_classes: int,
        width: float = 1.0,
        *,
        pool: Callable[[Tensor], Tensor] = pool,
        first: Callable[[Tensor], Tensor] = torch.relu,
        second: Callable[[Tensor], Tensor] = torch.relu,
        end: Callable[[Tensor], Tensor] = torch.clone,
        pool_last: bool = False,
    ) -> None:
        super().__init__()
        c, hidden = int(128 * width), int(1024 * width)
        self.conv, self.hidden = nn.Conv2d(c_in, c, 1), nn.Linear(16 * c, hidden)
        self.last, self.pool_last = nn.Linear(hidden, num_classes), pool_last
        self.pool, self.first, self.second, self.end = pool, first, second, end

    def forward(self, x: Tensor) -> Tensor:
        if self.pool_last:
            x = self.pool(self.first(self.conv(x)))
        else:
            x = self.first(self.conv(self.pool(x)))
        return self.end(self.last(self.second(self.hidden(x.flatten(1)))))


NONE = torch.clone  # in place of an activation
MISTAKES = {  # what is said of each: how the head above makes it
    "it pools adaptively on 14x14, too: its windows are 4 wide there, [G]'s are 5": dict(
        pool=partial(adaptive_avg_pool2d, output_size=4)
    ),
    "its pool takes maxima; [G]'s takes means": dict(pool=lambda x: max_pool2d(x, 5, 3)),
    "the ReLU after the 1x1 convolution is missing": dict(first=NONE),
    "the ReLU between the linear layers is missing": dict(second=NONE),
    "both ReLUs are missing": dict(first=NONE, second=NONE),
    "it ends in a softmax; return logits, for the loss has its own": dict(
        end=partial(torch.softmax, dim=1)
    ),
    "it ends in a softmax over the batch; return logits": dict(end=partial(torch.softmax, dim=0)),
    "it ends in a log-softmax; return logits, for the loss has its own": dict(
        end=partial(torch.log_softmax, dim=1)
    ),
    "it ends in a ReLU; logits may be negative": dict(end=torch.relu),
    "the pool stands behind the convolution and its ReLU; [G] pools first": dict(pool_last=True),
}


def check_head(build: Build) -> str | None:
    """`build(c_in, num_classes, width)` is the auxiliary head of [G] section 5."""
    if calls(lambda: build(8, 3, width=1 / 8), googlenet.AuxHead.__init__):
        return "it calls the package's head: write it yourself"
    for c_in, classes, width in DRAWS:
        right = partial(Head, c_in, classes, **width)
        called = ", ".join(map(str, (c_in, classes, *(f"{n}={v:g}" for n, v in width.items()))))
        for grid in ((14, 14), *SMALLER):
            head, shape = build(c_in, classes, **width), (2, c_in, *grid)
            why = stops(head, shape) or other_network(head, right, shape)
            if why == WIRING:
                why = drops_always(head, shape) or named(head, right, shape) or why
            if why:
                return f"AuxHead({called}) on a {grid[0]}x{grid[1]} grid: {why}"
    return other_training(build)


def stops(head: nn.Module, shape: tuple[int, ...]) -> str | None:
    """Why a head's pass cannot come to its end; it also makes the weights of lazy layers."""
    if not isinstance(head, nn.Module):
        return f"calling the class must make an nn.Module, got {str(head)[:60]!r}"
    try:
        head.float().eval()(torch.randn(shape))
    except (RuntimeError, ValueError) as error:
        if min(shape[2:]) < 14:
            advice = "F.adaptive_avg_pool2d(x, 4) makes 4x4 of every smaller grid"
        else:
            advice = "4 x 4 places of 128 * width channels enter the first linear layer, flattened"
        return f"its pass stops ({error}); {advice}"
    return None


def drops_always(head: nn.Module, shape: tuple[int, ...]) -> str | None:
    """Whether a head is random in evaluation mode."""
    x = torch.randn(shape)
    if same(head.eval()(x), head(x)):
        return None
    return "it drops in evaluation mode, too; F.dropout needs training=self.training"


def named(head: nn.Module, right: Build, shape: tuple[int, ...]) -> str | None:
    """The common mistake that a head is, if any."""
    if min(shape[2:]) < 14:
        return "smaller grids go through F.adaptive_avg_pool2d(x, 4) instead of the 5x5 pool"
    return mistaken_for(head, {why: partial(right, **how) for why, how in MISTAKES.items()}, shape)


def other_training(build: Build) -> str | None:
    """How a head that is right in evaluation mode differs while it trains.

    Its last layer is made to hand on every hidden unit as it is, so that what was dropped shows.
    """
    units, n, shift = 64, 100, 5.0
    head, x = build(20, units + 1, width=1 / 16).float().eval(), torch.rand(n, 20, 14, 14)
    head(x)  # lazy layers have weights from here on
    weights = {tuple(p.shape): p for p in head.parameters()}
    with torch.no_grad():
        weights[units, 128].mul_(0.1)
        weights[units,].fill_(2.0)  # no unit is cut off by its ReLU
        weights[units + 1, units].copy_(torch.eye(units + 1, units))
        weights[units + 1,].fill_(shift)
        whole = head(x)[:, :units] - shift
    out = head.train()(x)
    if not isinstance(out, Tensor) or out.shape != (n, units + 1):
        return "in training it must return logits alone, as in evaluation mode"
    if not same(out[:, units], torch.full((n,), shift)):
        return "in training it drops logits: the dropout stands before the last linear layer"
    seen, dropped = out[:, :units] - shift, (out[:, :units] - shift).abs() < 1e-4
    if why := other_dropout(dropped):
        return f"in training {why}"
    if not same(seen, whole / (1 - DROPOUT) * ~dropped, 1e-3):
        return "in training something else than one dropout after the second ReLU changes values"
    (gradient,) = torch.autograd.grad(out.sum(), weights[units,], allow_unused=True)
    if gradient is None or not same(gradient, (~dropped).sum(0) / (1 - DROPOUT), 1e-3):
        return "in training its gradients are others: something is detached"
    return None


def other_dropout(dropped: Tensor) -> str | None:
    """What is wrong with the units that were dropped, (images, units) of bool."""
    part = dropped.float().mean().item()
    if not part:
        return "no hidden unit is dropped: a dropout of 0.7 follows the second ReLU"
    each = torch.cat([dropped.float().mean(0), dropped.float().mean(1)])
    if (each - part).abs().max() > 0.28:
        return "units are not dropped one by one, but together: take nn.Dropout"
    if abs(part - DROPOUT) > 0.04:
        said = "; 0.7 is the fraction that is dropped, not what is kept" if part < 0.34 else ""
        return f"{part:.0%} of the hidden units are dropped, expected 70%{said}"
    return None
