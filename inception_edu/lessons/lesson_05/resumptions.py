"""Lesson 05: what each part of a checkpoint was worth to runs that were cut and resumed."""

import statistics
from collections.abc import Sequence

from matplotlib.figure import Figure

from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.studies import mean_std, paired


def means(runs: Sequence[Sequence[float]]) -> list[float]:
    """The mean over runs of every step's loss."""
    return [statistics.fmean(step) for step in zip(*runs, strict=True)]


STYLES = {
    "not cut": dict(color=COLOURS["muted"], lw=8),
    "weights only": dict(color=COLOURS["before"], lw=2.5),
    "+ step": dict(color=COLOURS["branch3x3"], lw=2.5),
    "+ optimiser": dict(color=COLOURS["branch5x5"], lw=2.5),
    "everything": dict(color=COLOURS["branch1x1"], lw=2.5),
}
Losses = dict[str, list[list[float]]]  # by what was restored: for each seed, every step's loss


def show_resumed(losses: Losses, rates: Sequence[float], cut: int) -> Picture:
    """Rate and mean loss after a cut, by what was restored; averaged over a few steps."""
    data = dict(losses), list(rates), cut
    return Picture(_draw_resumed, data, _words_resumed, size=(11, 4.6))


def _words_resumed(data: tuple[Losses, list[float], int]) -> str:
    losses, rates, cut = data
    return (
        f"learning rate of step {cut + 1}: {rates[cut]:.4f}, and {rates[0]:.4f} with weights only; "
        f"means over {len(losses['not cut'])} seeds"
    )


def _draw_resumed(fig: Figure, data: tuple[Losses, list[float], int]) -> None:
    (losses, rates, cut), (rate, loss) = data, fig.subplots(1, 2)
    steps = range(cut + 1, len(rates) + 1)
    for name, style in STYLES.items():
        again = rates[: len(steps)] if name == "weights only" else rates[cut:]
        rate.plot(steps, again, label=name, **style)
        loss.plot(steps, _averaged(means(losses[name])), **style)
    rate.plot(range(1, cut + 1), rates[:cut], color=COLOURS["muted"], lw=3, ls="--")
    rate.axvline(cut + 0.5, color=COLOURS["ink"], ls=":", lw=2)
    rate.set(xlabel="step; dotted: the cut", ylabel="learning rate", title="The rate starts again")
    loss.set(xlabel="step", ylabel="training loss, averaged")
    loss.set_title("What each part of the state was worth")
    handles = rate.get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncols=5, frameon=False)


def _averaged(values: list[float], n: int = 9) -> list[float]:
    """Each value's mean with its neighbours on both sides, so without lag."""
    half = n // 2
    return [statistics.fmean(values[max(0, i - half) : i + half + 1]) for i in range(len(values))]


def table_worth(losses: Losses, scores: dict[str, list[float]]) -> Table:
    """Mean loss after the cut and accuracy in percent of each run, and how they differ from those
    of the row above, seed by seed."""
    rows = [("restored", "mean loss", "against the row above", "accuracy, %", "points against it")]
    names = [name for name in STYLES if name != "not cut"] + ["not cut"]
    for above, name in zip([None, *names], names, strict=False):
        mean = [statistics.fmean(run) for run in losses[name]]
        loss = accuracy = ""
        if above:
            change = paired(mean, [statistics.fmean(run) for run in losses[above]])
            loss = f"{change.mean:+.3f} ({change.low:+.3f} to {change.high:+.3f})"
            accuracy = str(paired(scores[name], scores[above]))
        rows.append((name, mean_std(mean, digits=3), loss, mean_std(scores[name]), accuracy))
    n = len(scores["not cut"])
    return Table(rows, caption=f"n = {n} seeds, paired; in brackets the 95 % interval")
