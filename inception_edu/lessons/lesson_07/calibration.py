"""Lesson 07: confidence against accuracy, drawn and told, with and without label smoothing."""

from matplotlib.figure import Figure

from inception_edu.cost import text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_07.runs import RECIPES
from inception_edu.lessons.lesson_07.smooth_targets import floor
from inception_edu.lessons.shared import mean_std

Runs = dict[str, list[dict]]  # name -> what `judged` found, a dictionary for each seed
MEASURES = {  # what is told of a run: its key, a factor, digits
    "test accuracy, %": ("test_accuracy", 100, 1),
    "confidence, %": ("confidence", 100, 1),
    "calibration error, %": ("calibration_error", 100, 1),
    "negative log-likelihood": ("negative_log_likelihood", 1, 3),
    "logit gap": ("logit_gap", 1, 2),
}
FEW = 20  # images: bins with fewer are not drawn
PALETTE = [COLOURS["before"], COLOURS["after"]]


def column(runs: list[dict], measure: str) -> list[float]:
    """A measure of every run, in the order of the seeds."""
    key, factor, _ = MEASURES[measure]
    return [factor * run[key] for run in runs]


def words_runs(runs_of: Runs) -> str:
    """A row for each measure: mean and standard deviation over the seeds."""
    n = len(next(iter(runs_of.values())))
    rows = [(f"n = {n}", *runs_of)]
    for measure, (_, _, digits) in MEASURES.items():
        cells = (mean_std(column(runs, measure), digits=digits) for runs in runs_of.values())
        rows.append((measure, *cells))
    return text_table(rows)


def show_calibration(runs_of: Runs) -> Picture:
    """A reliability diagram and a histogram of confidence for each entry, every seed a line."""
    return Picture(_draw_calibration, runs_of, words_runs, size=(10, 6.6))


def _draw_calibration(fig: Figure, runs_of: Runs) -> None:
    curves, counts = fig.subplots(2, len(runs_of), sharex=True, sharey="row", squeeze=False)
    columns = zip(curves, counts, runs_of.items(), PALETTE, strict=False)
    for curve, share, (name, runs), colour in columns:
        curve.plot([0, 1], [0, 1], color=COLOURS["ink"], lw=1.5, ls=":")
        for run in runs:
            points = [(mean, right) for n, mean, right in run["reliability"] if n >= FEW]
            curve.plot(*zip(*points, strict=True), "o-", lw=2.5, ms=6, color=colour, alpha=0.8)
        error = mean_std(column(runs, "calibration error, %"))
        curve.set_title(f"{name}: off by {error} %")
        bins = [[n for n, *_ in run["reliability"]] for run in runs]
        heights = [100 * sum(ns) / sum(map(sum, bins)) for ns in zip(*bins, strict=True)]
        width = 1 / len(heights)
        middles = [(i + 0.5) * width for i in range(len(heights))]
        share.bar(middles, heights, 0.9 * width, color=colour)
        sure, right = (mean_std(column(runs, m)) for m in ("confidence, %", "test accuracy, %"))
        share.set_title(f"{sure} % sure, {right} % right", fontsize=14)
        share.set(xlabel="confidence", xlim=(0, 1.02))
    curves[0].set_ylabel("accuracy (dotted: ideal)")
    counts[0].set_ylabel("images, %")


def show_losses(study: dict) -> Picture:
    """The training loss of every saved run, over the floors of the two losses."""
    return Picture(_draw_losses, study["runs"], _words_losses, size=(9, 4))


def _words_losses(runs_of: Runs) -> str:
    lasts = {name: [run["losses"]["main"][-1] for run in runs] for name, runs in runs_of.items()}
    return "\n".join(
        f"{name}: training loss ends at {mean_std(last, digits=2)}, its floor is {lowest(name):.3f}"
        for name, last in lasts.items()
    )


def lowest(name: str) -> float:
    """The floor of the loss that a saved entry was trained with."""
    return floor(RECIPES[name].label_smoothing, num_classes=10)


def _draw_losses(fig: Figure, runs_of: Runs) -> None:
    ax = fig.add_subplot()
    for (name, runs), colour in zip(runs_of.items(), PALETTE, strict=True):
        for seed, run in enumerate(runs):
            losses, every = run["losses"]["main"], run["loss_every"]
            steps = range(every, every * len(losses) + 1, every)
            ax.plot(steps, losses, lw=2.5, color=colour, alpha=0.8, label=None if seed else name)
        ax.axhline(lowest(name), color=colour, lw=2, ls=":")
    ax.set(xlabel="step", ylabel="training loss (dotted: its floor)", ylim=(0, 2.4))
    ax.set_title("Two losses, two floors: not to be compared")
    ax.legend(frameon=False)
