"""Lesson 07: two networks trained in the lesson, one with and one without label smoothing."""

from collections.abc import Callable, Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.data import Split
from inception_edu.figures import Picture, running_mean
from inception_edu.lessons.lesson_07.colours import colour
from inception_edu.lessons.lesson_07.regimes import draw_reliability
from inception_edu.lessons.lesson_07.runs import RECIPE
from inception_edu.lessons.lesson_07.smooth_targets import floor
from inception_edu.losses import Bin, reliability

CLASSES, KEEP = 10, 0.8  # of a loss's running mean, kept from step to step
Losses = Mapping[float, list[float]]  # eps -> the training loss of every step
Logits = Mapping[float, Tensor]  # eps -> logits (n, K)


def train(
    network: nn.Module,
    part: Split,
    loss_of: Callable[[Tensor, Tensor, float], Tensor],
    eps: float,
    *,
    passes: int = 16,
    size: int = 64,
) -> list[float]:
    """Train on a split again and again, in the study's way and in plain PyTorch, under a loss of
    logits (n, K), labels (n,) and eps; the loss of each step."""
    order = torch.cat([torch.randperm(len(part)) for _ in range(passes)]).split(size)
    settings = dict(momentum=RECIPE.momentum, weight_decay=RECIPE.weight_decay, nesterov=True)
    optimizer, losses = torch.optim.SGD(network.parameters(), RECIPE.lr, **settings), []
    network.train()
    for step, batch in enumerate(order, 1):
        optimizer.param_groups[0]["lr"] = RECIPE.lr_at(step, len(order))
        x, labels = part.batch(batch)
        loss = loss_of(network(x).logits, labels, eps)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        print(f"\rstep {step} of {len(order)}", end="", flush=True)
    print()
    return losses


def show_losses(losses: Losses) -> Picture:
    """Training losses over the floors that their targets set."""
    return Picture(_draw_losses, losses, _tell_losses, size=(11, 4))


def _tell_losses(losses: Losses) -> str:
    return "\n".join(
        f"eps {eps:g}: training loss ends at {running_mean(found, keep=KEEP)[-1]:.2f}, "
        f"its floor is {floor(eps, CLASSES):.3f}"
        for eps, found in losses.items()
    )


def _draw_losses(fig: Figure, losses: Losses) -> None:
    ax = fig.add_subplot()
    for eps, found in losses.items():
        steps = range(1, len(found) + 1)
        ax.plot(steps, found, color=colour(eps), lw=0.8, alpha=0.5)
        ax.plot(
            steps, running_mean(found, keep=KEEP), color=colour(eps), lw=3, label=f"eps = {eps:g}"
        )
        ax.axhline(floor(eps, CLASSES), color=colour(eps), lw=2, ls=":")
    ax.set(xlabel="step", ylabel="training loss (dotted: its floor)", xlim=(0, len(found)))
    ax.set(ylim=(-0.05, 2.6), title="Two losses with two floors cannot be compared")
    ax.legend(frameon=False)


def show_mended(before: Logits, after: Logits, labels: Tensor) -> Picture:
    """Reliability as trained and at each network's own temperature."""
    both = {"As trained": before, "Divided by T": after}
    curves = {
        title: {eps: [reliability(x, labels)] for eps, x in logits.items()}
        for title, logits in both.items()
    }
    return Picture(_draw_mended, curves, _tell_mended, size=(11, 5.2))


def _draw_mended(fig: Figure, curves: Mapping[str, dict]) -> None:
    for ax, (title, found) in zip(fig.subplots(1, 2, sharey=True), curves.items(), strict=True):
        draw_reliability(ax, found)
        off = " and ".join(f"{off_by(bins):.1f}" for (bins,) in found.values())
        ax.set_title(f"{title}: off by {off} %")
    fig.axes[0].set_ylabel("accuracy (dotted: calibrated)")
    fig.axes[0].legend(frameon=False, loc="lower right")


def off_by(bins: list[Bin]) -> float:
    """The calibration error of a reliability curve, in percent."""
    return 100 * sum(b.count * abs(b.confidence - b.accuracy) for b in bins) / of_all(bins)


def of_all(bins: list[Bin]) -> int:
    """The images in all bins."""
    return sum(b.count for b in bins)


def _tell_mended(curves: Mapping[str, dict]) -> str:
    lines = []
    for title, found in curves.items():
        for eps, (bins,) in found.items():
            n = of_all(bins)
            confidence = sum(b.count * b.confidence for b in bins) / n
            accuracy = sum(b.count * b.accuracy for b in bins) / n
            said = f"confidence {100 * confidence:.1f} %, accuracy {100 * accuracy:.1f} %"
            lines.append(f"{title}, eps {eps:g}: {said}")
    return "\n".join(lines)
