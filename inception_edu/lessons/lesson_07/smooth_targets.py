"""Lesson 07: what a loss with smoothed targets asks for: probabilities, a floor, a logit gap."""

import math

from matplotlib.figure import Figure

from inception_edu.cost import text_table
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_07.colours import colour

GAPS = [i / 10 for i in range(201)]  # of the label's logit above all others, which are equal


def targets(eps: float, num_classes: int) -> tuple[float, float]:
    """q' of the label's own class, and of each other class."""
    return 1 - eps + eps / num_classes, eps / num_classes


def floor(eps: float, num_classes: int) -> float:
    """The lowest loss that any network can have: the entropy of q', in nats."""
    if not eps:
        return 0.0
    own, other = targets(eps, num_classes)
    return -own * math.log(own) - (num_classes - 1) * other * math.log(other)


def optimal_gap(eps: float, num_classes: int) -> float:
    """The logit gap at which the loss stands on its floor; infinite for hard labels."""
    return math.log((1 - eps) * num_classes / eps + 1) if eps else math.inf


def loss_at(gap: float, eps: float, num_classes: int) -> float:
    """The loss where the label's logit lies `gap` above the others, which are equal."""
    others = num_classes - 1
    return math.log1p(others * math.exp(-gap)) + others * targets(eps, num_classes)[1] * gap


def push_at(gap: float, eps: float, num_classes: int) -> float:
    """q' - p of the label's class: how hard its logit is pushed up; below 0, pulled back."""
    others = num_classes - 1
    rest = others / (math.exp(gap) + others)  # 1 - p, without its rounding
    return rest - others * targets(eps, num_classes)[1]


def by_hand(logits: tuple[float, ...] = (2.0, 1.0, 0.0), eps: float = 0.1) -> Table:
    """The loss of one row of logits for every label, in each of the three forms, worked out."""
    total, k = sum(map(math.exp, logits)), len(logits)
    cost = [math.log(total) - z for z in logits]  # -log p
    own, other = targets(eps, k)
    mean, entropy = sum(cost) / k, floor(eps, k)
    rows = [("label", "form", "worked out", "loss")]
    for label, c in enumerate(cost):
        q = [own if i == label else other for i in range(k)]
        mixed = [f"{weight:.4f} x {x:.4f}" for weight, x in zip(q, cost, strict=True)]
        loss = sum(map(math.prod, zip(q, cost, strict=True)))
        divergence = sum(a * (math.log(a) + x) for a, x in zip(q, cost, strict=True))
        two = (1 - eps) * c + eps * mean
        rows += [
            (label, "mixed targets", " + ".join(mixed), f"{loss:.4f}"),
            ("", "two terms", f"{1 - eps:g} x {c:.4f} + {eps:g} x {mean:.4f}", f"{two:.4f}"),
            (
                "",
                "KL + entropy",
                f"{divergence:.4f} + {entropy:.4f}",
                f"{divergence + entropy:.4f}",
            ),
        ]
    return Table(rows, left=3, caption=f"-log p: {', '.join(f'{c:.4f}' for c in cost)}")


def show_push(*eps: float, num_classes: int = 10) -> Picture:
    """Loss and gradient while one logit goes up: of hard labels on a logarithmic scale, on which
    neither ends; with smoothed ones on a linear scale, on which a valley is a valley."""
    return Picture(_draw_push, (eps, num_classes), _words_push, size=(11, 4))


def _words_push(data: tuple[tuple[float, ...], int]) -> str:
    eps, classes = data
    rows = [("eps", "logit", "loss", "push on it, q - p")]
    for value in eps:
        for gap in sorted({0.0, 5.0, 10.0, 20.0} | ({optimal_gap(value, classes)} - {math.inf})):
            push = push_at(gap, value, classes)
            push = f"{push:+.1e}" if abs(push) > 1e-12 else "0"
            rows.append((f"{value:g}", f"{gap:.2f}", f"{loss_at(gap, value, classes):.2g}", push))
    return text_table(rows)


def _draw_push(fig: Figure, data: tuple[tuple[float, ...], int]) -> None:
    (eps, classes), (loss, push) = data, fig.subplots(1, 2)
    smooth = max(eps)
    gaps = [gap for gap in GAPS if gap <= 12] if smooth else GAPS
    for value in eps:
        line = dict(lw=3.5, color=colour(value), label=f"eps = {value:g}")
        loss.plot(gaps, [loss_at(gap, value, classes) for gap in gaps], **line)
        push.plot(gaps, [push_at(gap, value, classes) for gap in gaps], **line)
    for ax in (loss, push):
        ax.set(xlabel="logit of the label's class (the others: 0)", xlim=(0, gaps[-1]))
    if smooth:
        best = optimal_gap(smooth, classes)
        loss.plot(best, floor(smooth, classes), "o", ms=11, color=COLOURS["ink"])
        push.axhline(0, color=COLOURS["ink"], lw=1.5, ls=":")
        push.plot(best, 0, "o", ms=11, color=COLOURS["ink"])
        loss.set(ylabel="loss", ylim=(0, 2.4), title=f"Smoothed: lowest at logit {best:.2f}")
        push.set(ylabel="push, q - p", title="There the push ends, then it pulls back")
        loss.legend(frameon=False, loc="upper right")
    else:
        loss.set(yscale="log", ylabel="loss", title="The loss never reaches 0 ...")
        push.set(yscale="log", ylabel="push, q - p", title="... and the push never ends")


def show_targets(*eps: float, num_classes: int = 10, label: int = 3) -> Picture:
    """The targets of one image as bars, for some values of eps."""
    return Picture(_draw_targets, (eps, num_classes, label), _words_targets, size=(11, 3.4))


def _words_targets(data: tuple[tuple[float, ...], int, int]) -> str:
    eps, classes, label = data
    lines = [(value, *targets(value, classes)) for value in eps]
    return f"label {label} of {classes}: " + "; ".join(
        f"eps {value:g}: {own:.2f} for it, {other:.2f} for each other"
        for value, own, other in lines
    )


def _draw_targets(fig: Figure, data: tuple[tuple[float, ...], int, int]) -> None:
    eps, classes, label = data
    for ax, value in zip(fig.subplots(1, len(eps), sharey=True), eps, strict=True):
        own, other = targets(value, classes)
        heights = [own if k == label else other for k in range(classes)]
        ax.bar(range(classes), heights, color=colour(value))
        ax.text(label, own, f"{own:.2f}", ha="center", va="bottom", weight="bold")
        ax.text(classes - 2, other, f"{other:.2f}", ha="center", va="bottom")
        ax.set(xlabel="class", xticks=range(classes), ylim=(0, 1.12))
        ax.set_title(f"eps = {value:g}: the label keeps {own:.2f}")
    fig.axes[0].set_ylabel("target, q'")
