"""Lesson 07: two regimes with and without label smoothing, saved, in figures and a table."""

import statistics
from collections.abc import Callable, Mapping
from itertools import count
from statistics import NormalDist
from typing import NamedTuple

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_07.colours import colour
from inception_edu.lessons.lesson_07.runs import REGIMES
from inception_edu.lessons.studies import Paired, T, made_by, mean_std, paired, saved

Runs = dict[str, dict[float, list[dict]]]  # regime -> eps -> a run for each seed
Curves = Mapping[float, list[list]]  # eps -> the reliability of each run
EPS = 0.0, 0.1
FEW = 20  # images: bins with fewer are not drawn


def runs() -> Runs:
    """The saved runs of both regimes."""
    of = saved("smoothing")["runs"]
    return {name: {eps: of[f"{name}, eps {eps:g}"] for eps in EPS} for name in REGIMES}


class Measure(NamedTuple):
    """What is compared: of a run, its digits, and whether more of it is better (0: neither)."""

    of: Callable[[dict], float]
    digits: int
    better: int


def excess(run: Mapping[str, float]) -> float:
    """Confidence minus accuracy on the test images, in percentage points."""
    return 100 * (run["confidence"] - run["test_accuracy"])


MEASURES = {
    "training accuracy, %": Measure(lambda run: 100 * run["rows"][-1]["main_accuracy"], 1, 0),
    "test accuracy, %": Measure(lambda run: 100 * run["test_accuracy"], 1, 1),
    "confidence - accuracy, points": Measure(excess, 1, 0),
    "calibration error, %": Measure(lambda run: 100 * run["calibration_error"], 1, -1),
    "negative log-likelihood": Measure(lambda run: run["negative_log_likelihood"], 3, -1),
    "logit gap": Measure(lambda run: run["logit_gap"], 1, 0),
}


def column(of: list[dict], measure: str) -> list[float]:
    """A measure of every run, in the order of seeds."""
    return list(map(MEASURES[measure].of, of))


def mean(regime: str, eps: float, measure: str) -> float:
    """The mean of a measure over the seeds, as it is printed."""
    found = statistics.mean(column(runs()[regime][eps], measure))
    return round(found, MEASURES[measure].digits)


def change(regime: str, measure: str) -> Paired:
    """What eps = 0.1 changed against eps = 0 in a regime, seed by seed."""
    plain, smooth = (column(runs()[regime][eps], measure) for eps in EPS)
    return paired(smooth, plain)


def verdict(regime: str, measure: str) -> str:
    """Whether smoothing made it better or worse; where neither is better, higher or lower."""
    found, better = change(regime, measure), MEASURES[measure].better
    if found.verdict == "cannot tell":
        return "cannot tell"
    up = found.verdict == "better"  # as Paired calls more
    return ("better" if up == (better > 0) else "worse") if better else "higher" if up else "lower"


def compare() -> Table:
    """Both regimes and all measures: means, the paired difference with its interval, a verdict."""
    rows = [("regime", "measure", "eps 0", "eps 0.1", "difference, 95 % interval", "verdict")]
    bold = []
    for regime, of in runs().items():
        for measure, (_, digits, _) in MEASURES.items():
            cells = (mean_std(column(of[eps], measure), digits=digits) for eps in EPS)
            found, said = change(regime, measure), verdict(regime, measure)
            bold += [len(rows) - 1] * (said in ("better", "worse"))
            low, high = (f"{end:+.{digits}f}" for end in (found.low, found.high))
            difference = f"{found.mean:+.{digits}f} ({low} to {high})"
            rows.append((regime, measure, *cells, difference, said))
    about = f"n = {found.n} seeds, paired; mean ± standard deviation; {made_by(saved('smoothing'))}"
    return Table(rows, left=2, bold=bold, caption=about)


def needed(points: float) -> Table:
    """How many seeds make the interval of a gain so many points wide on each side, if differences
    scatter as they do here."""
    seeds = f"n for an interval of ± {points:g} points"
    rows = [("regime", "gain, 95 % interval", "standard deviation", seeds)]
    for regime, of in runs().items():
        pairs = zip(*(column(of[eps], "test accuracy, %") for eps in EPS), strict=True)
        deviation = statistics.stdev(smooth - plain for plain, smooth in pairs)
        n = next(n for n in count(2) if quantile(n - 1) * deviation / n**0.5 <= points)
        rows.append((regime, str(change(regime, "test accuracy, %")), f"{deviation:.2f}", n))
    return Table(rows)


def quantile(freedom: int) -> float:
    """The 97.5 % quantile of Student's t distribution; beyond the table of `studies` by the first
    terms of its expansion around the normal distribution's (Abramowitz and Stegun, 26.7.5)."""
    if freedom in T:
        return T[freedom]
    z = NormalDist().inv_cdf(0.975)
    return z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)


def show_reliability() -> Picture:
    """A reliability diagram for each regime, every run a line in the colour of its eps."""
    return Picture(_draw_reliability, runs(), _tell_reliability, size=(11, 5.2))


def _draw_reliability(fig: Figure, found: Runs) -> None:
    effects = {"better": "helps", "worse": "hurts", "cannot tell": "cannot tell"}
    for ax, (regime, of) in zip(fig.subplots(1, 2, sharey=True), found.items(), strict=True):
        draw_reliability(ax, {eps: [run["reliability"] for run in of[eps]] for eps in of})
        effect = effects[verdict(regime, "calibration error, %")]
        ax.set_title(f"{regime.capitalize()}: smoothing {effect}")
    fig.axes[0].set_ylabel("accuracy (dotted: calibrated)")
    fig.axes[0].legend(frameon=False, loc="lower right")


def draw_reliability(ax: Axes, curves: Curves) -> None:
    """Accuracy at each confidence, where a bin holds enough images; dotted: perfect calibration."""
    ax.plot([0, 1], [0, 1], color=COLOURS["ink"], lw=1.5, ls=":")
    for eps, found in curves.items():
        for i, bins in enumerate(found):
            points = [(confidence, right) for n, confidence, right in bins if n >= FEW]
            line = dict(color=colour(eps), label=None if i else f"eps = {eps:g}")
            ax.plot(*zip(*points, strict=True), "o-", lw=2, ms=5, alpha=0.8, **line)
    ax.set(xlabel="confidence", xlim=(0.2, 1.02), ylim=(0, 1.02))


def _tell_reliability(found: Runs) -> str:
    return "\n".join(
        f"{regime}, eps {eps:g}: calibration error {mean_std(column(of, 'calibration error, %'))} %"
        for regime, both in found.items()
        for eps, of in both.items()
    )


def show_excess() -> Picture:
    """Confidence minus accuracy on the validation images while both regimes train."""
    return Picture(_draw_excess, runs(), _tell_excess, size=(11, 4.4))


def excess_curve(run: dict) -> list[float]:
    """Confidence minus accuracy on the validation images, in points, row by row."""
    return [100 * (row["valid_confidence"] - row["valid_accuracy"]) for row in run["rows"]]


def _draw_excess(fig: Figure, found: Runs) -> None:
    for ax, (regime, both) in zip(fig.subplots(1, 2, sharey=True), found.items(), strict=True):
        ends = []
        for eps, of in both.items():
            steps, curves = [row["step"] for row in of[0]["rows"]], [*map(excess_curve, of)]
            for curve in curves:
                ax.plot(steps, curve, color=colour(eps), lw=1, alpha=0.5)
            means = [statistics.mean(values) for values in zip(*curves, strict=True)]
            ax.plot(steps, means, "o-", color=colour(eps), lw=3, ms=6, label=f"eps = {eps:g}")
            ends.append(means[-1])
        ax.axhline(0, color=COLOURS["ink"], lw=1.5, ls=":")
        ax.set(xlabel="training step (thin: each seed)", xlim=(0, 1.03 * steps[-1]))
        ax.set_ylim(-15, 30)  # of some first rows, up to 64 points, the rest would be pressed flat
        ax.set_title(f"{regime.capitalize()}: {ends[0]:+.1f} and {ends[1]:+.1f}")
    fig.axes[0].set_ylabel("confidence - accuracy, points")
    fig.axes[0].legend(frameon=False)


def _tell_excess(found: Runs) -> str:
    lines = []
    for regime, both in found.items():
        for eps, of in both.items():
            curves = zip(*map(excess_curve, of), strict=True)
            means = [statistics.mean(values) for values in curves]
            first = f"{means[0]:+.1f} points after {of[0]['rows'][0]['step']} steps"
            lines.append(f"{regime}, eps {eps:g}: {first}, {means[-1]:+.1f} at the end")
    return "\n".join(lines)
