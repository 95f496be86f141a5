"""Lesson 05: training runs as curves: saved ones, a range test, and runs that were resumed."""

from collections.abc import Sequence
from typing import NamedTuple

from matplotlib.figure import Figure

from inception_edu.display import Table, text_table
from inception_edu.figures import COLOURS, Picture, running_mean
from inception_edu.lessons.lesson_05.runs import LETTERS
from inception_edu.lessons.studies import made_by, mean_std, saved

LN_10 = 2.302585
WORST = 1000.0  # what a loss counts as that is larger or not finite


# Five saved runs


def show_runs() -> Picture:
    """Five saved runs of one network, the first seed of each: a healthy one, and A, B, C, D."""
    runs = saved("training")["runs"]
    names = {"healthy": "healthy", **LETTERS}
    return Picture(_draw_runs, {k: runs[n][0] for k, n in names.items()}, _words, size=(11, 5))


def _words(runs: dict[str, dict]) -> str:
    rows = [("run", "training loss", "training accuracy", "validation loss", "validation accuracy")]
    for name, run in runs.items():
        last, cells = run["rows"][-1], []
        for part in ("main", "valid"):
            cells += f"{last[f'{part}_loss']:.2f}", f"{last[f'{part}_accuracy']:.0%}"
        rows.append((name, *cells))
    return text_table(rows)


def _draw_runs(fig: Figure, runs: dict[str, dict]) -> None:
    grid = fig.subplots(2, len(runs), sharey="row")
    for i, (loss, accuracy, (name, run)) in enumerate(zip(*grid, runs.items(), strict=True)):
        train, valid = COLOURS["before"], COLOURS["branch1x1"]
        steps = [row["step"] for row in run["rows"]]
        every, losses = run["loss_every"], run["losses"]["main"]
        loss.plot([every * (j + 1) for j in range(len(losses))], losses, color=train, lw=2)
        loss.plot(steps, [row["valid_loss"] for row in run["rows"]], "o-", color=valid, lw=2)
        loss.axhline(LN_10, color=COLOURS["ink"], lw=1.5, ls=":")
        loss.set(title=name, ylim=(0, 5), ylabel="" if i else "loss (dotted: ln 10)")
        for part, colour, label in (("main", train, "training"), ("valid", valid, "validation")):
            percent = [100 * row[f"{part}_accuracy"] for row in run["rows"]]
            accuracy.plot(steps, percent, "o-", color=colour, lw=2, ms=5, label=label)
        accuracy.set(ylim=(0, 103), xlabel="step", ylabel="" if i else "accuracy, %")
        for ax in (loss, accuracy):
            ax.set(xlim=(0, steps[-1] + 5), xticks=(0, 100, 200))
    handles = accuracy.get_legend_handles_labels()
    fig.legend(*handles, loc="outside lower center", ncols=2, frameon=False)


def table_faults() -> Table:
    """What was changed in each run, and where training and validation end, over its seeds."""
    rows = [("run", "changed", "peak rate", "training, %", "validation, %", "n")]
    study = saved("training")
    for letter, name in {"healthy": "healthy", **LETTERS}.items():
        runs, changed = study["runs"][name], "nothing" if letter == "healthy" else name
        cells = [
            mean_std([100 * run["rows"][-1][f"{part}_accuracy"] for run in runs])
            for part in ("main", "valid")
        ]
        rows.append((letter, changed, f"{study['recipes'][name]['lr']:g}", *cells, len(runs)))
    return Table(rows, left=2, caption=made_by(study))


# A range test, and what it says of a peak


class RangeTest(NamedTuple):
    """The learning rate of every step, its loss, and the loss averaged over the steps before."""

    rates: list[float]
    losses: list[float]
    smooth: list[float]

    @property
    def best(self) -> float:
        """The rate at which the averaged loss was lowest."""
        return self.rates[self.smooth.index(min(self.smooth))]


def range_test(rates: Sequence[float], losses: Sequence[float]) -> RangeTest:
    """What a run with growing rates showed; a loss that is not finite counts as 1,000."""
    kept = [loss if loss < WORST else WORST for loss in losses]
    return RangeTest(list(rates), kept, running_mean(kept, keep=0.8))


def show_range(test: RangeTest) -> Picture:
    """Loss against learning rate, where the rate grows from step to step."""
    words = f"averaged loss lowest, {min(test.smooth):.2f}, at a rate of {test.best:.2g}; "
    words += f"{test.smooth[-1]:.2f} at {test.rates[-1]:.2g}"
    return Picture(_draw_range, test, lambda _: words, size=(8, 4))


def _draw_range(fig: Figure, test: RangeTest) -> None:
    ax = fig.add_subplot()
    ax.plot(test.rates, test.losses, "o", color=COLOURS["muted"], label="loss of each step")
    ax.plot(test.rates, test.smooth, lw=4, color=COLOURS["before"], label="averaged")
    ax.axvline(test.best, color=COLOURS["ink"], ls=":", lw=2, label=f"lowest at {test.best:.2g}")
    ax.set(xscale="log", xlabel="learning rate, growing from step to step", ylabel="loss")
    ax.set(ylim=(0, 5), title=f"Falls up to a rate of {test.best:.2g}, then rises")
    ax.legend(frameon=False, loc="upper left")


class Run(NamedTuple):
    """The learning rate and the loss of every step."""

    rates: list[float]
    losses: list[float]

    @property
    def smooth(self) -> list[float]:
        """The loss averaged over the steps before."""
        return running_mean([min(loss, WORST) for loss in self.losses], keep=0.8)

    @property
    def rise(self) -> float:
        """How far the averaged loss climbs above the lowest that it had before."""
        lowest, most = self.smooth[0], 0.0
        for value in self.smooth:
            lowest, most = min(lowest, value), max(most, value - lowest)
        return most


def show_peaks(runs: Sequence[Run], test: RangeTest) -> Picture:
    """Runs with other peaks of the schedule: the loss beside the rate of every step."""
    return Picture(_draw_peaks, (list(runs), test), _words_peaks, size=(11, 4))


def _words_peaks(data: tuple[list[Run], RangeTest]) -> str:
    return "\n".join(
        f"peak {max(run.rates):.2g}: averaged loss climbs by {run.rise:.2f} on its way and ends at "
        f"{run.smooth[-1]:.2f}; {sum(rate > data[1].best for rate in run.rates)} of "
        f"{len(run.rates)} steps above the rate of the lowest loss"
        for run in data[0]
    )


def _draw_peaks(fig: Figure, data: tuple[list[Run], RangeTest]) -> None:
    (runs, test), (rate, loss) = data, fig.subplots(1, 2)
    for run, colour in zip(runs, ("branch1x1", "before"), strict=True):
        steps, label = range(1, len(run.rates) + 1), f"peak {max(run.rates):.2g}"
        rate.plot(steps, run.rates, lw=3, color=COLOURS[colour], label=label)
        loss.plot(steps, run.losses, lw=1, alpha=0.5, color=COLOURS[colour])
        loss.plot(steps, run.smooth, lw=3, color=COLOURS[colour])
    rate.axhline(test.best, color=COLOURS["ink"], ls=":", lw=2, label="lowest loss of the test")
    rate.set(yscale="log", xlabel="step", ylabel="learning rate", title="The schedule")
    loss.axhline(LN_10, color=COLOURS["ink"], lw=1.5, ls=":")
    loss.set(xlabel="step", ylabel="loss (dotted: ln 10)", ylim=(0, 4))
    loss.set_title("Too high a peak: the loss climbs first")
    fig.legend(
        *rate.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False
    )
