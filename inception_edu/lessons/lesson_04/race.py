"""Lesson 04: the sweep of learning rates, and the race at the best ones, with heads and without."""

import math
import statistics
from typing import NamedTuple

from matplotlib.figure import Figure

from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_04.runs import HEADS
from inception_edu.lessons.studies import (
    Paired,
    accuracies,
    made_by,
    mean_std,
    paired,
)

CHANCE = 2.0  # a mean loss below this has left ln 10 = 2.303 behind
TRAINED = 20  # percent of the images; chance is 10
HEAD_STYLE = dict(zip(HEADS, (COLOURS["before"], COLOURS["after"]), strict=True))
Study = dict


class Runner(NamedTuple):
    """A start, and whether it has heads."""

    setting: str
    heads: str

    @property
    def start(self) -> str:
        """The start's name alone."""
        return self.setting.partition(",")[0]


def sweep(study: Study) -> dict[Runner, dict[float, float]]:
    """For each runner of the sweep, validation accuracy in percent by learning rate."""
    found: dict[Runner, dict[float, float]] = {}
    for name, (run, *_) in study["runs"].items():
        runner, _, lr = name.rpartition(", lr ")
        setting, _, heads = runner.rpartition(", ")
        by_rate = found.setdefault(Runner(setting, heads), {})
        by_rate[float(lr)] = 100 * run["rows"][-1]["valid_accuracy"]
    return {runner: dict(sorted(by_rate.items())) for runner, by_rate in found.items()}


def rates_that_train(study: Study, runner: Runner) -> int:
    """At how many of the rates a runner ends above TRAINED percent."""
    return sum(accuracy > TRAINED for accuracy in sweep(study)[runner].values())


def best_rates(study: Study) -> dict[Runner, float | None]:
    """The rate of each runner's highest validation accuracy; None where it trains at no rate."""
    return {
        runner: max(by_rate, key=by_rate.get) if rates_that_train(study, runner) else None
        for runner, by_rate in sweep(study).items()
    }


def leaves(run: dict) -> int | None:
    """The step up to which the main loss, a mean over a few steps, first falls below CHANCE;
    None: never."""
    means = enumerate(run["losses"]["main"], 1)
    return next((i * run["loss_every"] for i, loss in means if loss < CHANCE), None)


def show_sweep(study: Study) -> Picture:
    """Validation accuracy against the learning rate, for each start, with and without heads."""
    return Picture(_draw_sweep, study, _tell_sweep, size=(10, 3.4))


def _tell_sweep(study: Study) -> str:
    lines = []
    for (setting, heads), by_rate in sweep(study).items():
        points = "; ".join(f"{lr:g}: {accuracy:.1f}" for lr, accuracy in by_rate.items())
        lines.append(f"{setting}, {heads}: {points}")
    return "\n".join(lines)


def _draw_sweep(fig: Figure, study: Study) -> None:
    found = sweep(study)
    starts = list(dict.fromkeys(runner.setting for runner in found))
    for ax, setting in zip(fig.subplots(1, len(starts), sharey=True), starts, strict=True):
        for runner, by_rate in found.items():
            if runner.setting == setting:
                style = "--" if runner.heads == "with heads" else "-"
                colour = HEAD_STYLE[runner.heads]
                ax.plot(*zip(*by_rate.items(), strict=True), f"o{style}", lw=3, color=colour,
                        markersize=8, label=runner.heads)  # fmt: skip
        alone, helped = (rates_that_train(study, Runner(setting, heads)) for heads in HEADS)
        start = Runner(setting, "").start
        ax.set_title(f"{start}: rates that train,\n{alone} without heads, {helped} with")
        ax.axhline(10, color=COLOURS["muted"], ls=":", lw=2)
        ax.set(xscale="log", xlabel="learning rate", ylim=(0, 100))
        rates = list(by_rate)
        ax.set_xticks(rates, [f"{lr:g}" for lr in rates])
        ax.minorticks_off()
    fig.axes[0].set_ylabel("validation accuracy, %\n(dotted: chance)")
    fig.axes[0].legend(frameon=False, loc="upper left")


def settings(study: Study) -> list[str]:
    """The settings that race, in order."""
    return list(dict.fromkeys(name.rpartition(", ")[0] for name in study["runs"]))


def gain(study: Study, setting: str) -> Paired:
    """Points of test accuracy that the heads gain, seed by seed; negative: they cost some."""
    without, with_heads = (accuracies(study, f"{setting}, {heads}") for heads in HEADS)
    return paired(with_heads, without)


def saved_steps(study: Study, setting: str) -> Paired | None:
    """Steps by which the loss leaves chance sooner with heads; None where a run never does."""
    without, with_heads = (
        [leaves(run) for run in study["runs"][f"{setting}, {heads}"]] for heads in HEADS
    )
    return None if None in without + with_heads else paired(without, with_heads)


def show_race(study: Study) -> Picture:
    """The main head's loss with and without aux heads, every seed, in every setting."""
    return Picture(_draw_race, study, _tell_race, size=(10, 3.6))


def _tell_race(study: Study) -> str:
    return "\n".join(
        f"{setting}: with heads {gain(study, setting)} points" for setting in settings(study)
    )


def _draw_race(fig: Figure, study: Study) -> None:
    axes = fig.subplots(1, len(settings(study)), sharex=True, sharey=True, squeeze=False)[0]
    for ax, setting in zip(axes, settings(study), strict=True):
        for heads in HEADS:
            runs = study["runs"][f"{setting}, {heads}"]
            every, style = runs[0]["loss_every"], dict(color=HEAD_STYLE[heads])
            steps = [every * (i + 0.5) for i in range(len(runs[0]["losses"]["main"]))]
            for run in runs:
                ax.plot(steps, run["losses"]["main"], lw=1, alpha=0.5, **style)
            means = [statistics.fmean(x) for x in zip(*(r["losses"]["main"] for r in runs),
                                                      strict=True)]  # fmt: skip
            ax.plot(steps, means, lw=3.5, label=heads, **style)
        ax.axhline(math.log(10), color=COLOURS["muted"], ls=":", lw=2)
        ax.set_title(f"{Runner(setting, '').start}: {gain(study, setting)} points")
        ax.set(ylim=(0, 2.6), xlabel="step")
    axes[0].set_ylabel("main head's training loss\n(dotted: ln 10)")
    axes[0].legend(frameon=False, loc="lower left")


def table_runners(study: Study) -> Table:
    """Each runner's rate, accuracy and the step at which its loss leaves chance."""
    rows = [("setting", "heads", "lr", "test accuracy, %", "loss below 2 at step")]
    for name, runs in study["runs"].items():
        setting, _, heads = name.rpartition(", ")
        lr, steps = study["recipes"][name]["lr"], [leaves(run) for run in runs]
        rows.append((setting, heads, f"{lr:g}", mean_std(accuracies(study, name)), _steps(steps)))
    about = f"n = {len(runs)} seeds, mean and standard deviation; {made_by(study)}"
    return Table(rows, left=2, caption=about)


def _steps(steps: list[int | None]) -> str:
    reached = [step for step in steps if step is not None]
    if len(reached) == len(steps):
        return mean_std(reached, digits=0)
    never = f"never in {len(steps) - len(reached)} of {len(steps)}"
    return f"{statistics.mean(reached):.0f}, {never}" if reached else never


def table_effects(study: Study) -> Table:
    """What the heads change in each setting, seed by seed."""
    rows, bold = [("setting", "what the heads change", "95 % interval", "verdict")], []
    for setting in settings(study):
        points, sooner = gain(study, setting), saved_steps(study, setting)
        changes = {"test accuracy, points": points, "steps until the loss is below 2": sooner}
        for measured, change in changes.items():
            bold += [len(rows) - 1] if change and change.verdict != "cannot tell" else []
            verdict = change.verdict if change else "some runs never leave it"
            by = (str(change) if change is points else fewer(change)) if change else ""
            rows.append((setting, measured, by, verdict))
    about = f"n = {points.n} seeds, paired"
    return Table(rows, left=2, bold=bold, caption=about)


def fewer(change: Paired) -> str:
    """Steps saved, as a change of their number: the other sign, in whole steps."""
    return f"{-change.mean:+.0f} ({-change.high:+.0f} to {-change.low:+.0f})"
