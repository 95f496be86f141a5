"""Lesson 09: the board. Five ways to name the stamps, on five splits by object."""

import statistics

from matplotlib.figure import Figure

from inception_edu.data import Dataset, load
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_09.memory_test import SEEDS, memoriser
from inception_edu.lessons.lesson_09.runs import FEATURES, SCRATCH, TUNED, WAYS
from inception_edu.lessons.studies import accuracies, made_by, mean_std, paired, saved

FREQUENT, MEMORISER = "most frequent class", "pixel memoriser"
LOOKS = {
    FREQUENT: COLOURS["muted"],
    MEMORISER: COLOURS["branch_pool"],
    FEATURES: COLOURS["branch1x1"],
    SCRATCH: COLOURS["before"],
    TUNED: COLOURS["after"],
}
Board = dict[str, list[float]]  # way -> test accuracy in percent on each split


def most_frequent(dataset: Dataset) -> float:
    """Test accuracy of one answer for all: the class with most training images."""
    answer = dataset.train.labels.mode().values
    return (dataset.test.labels == answer).double().mean().item()


def baselines() -> Board:
    """What needs no network, computed now."""
    splits = [load("stamps", seed=seed) for seed in SEEDS]
    ways = {FREQUENT: most_frequent, MEMORISER: memoriser}
    return {way: [100 * judge(split) for split in splits] for way, judge in ways.items()}


def trained() -> Board:
    """The three networks' accuracies, from the saved study."""
    study = saved("stamps")
    return {way: accuracies(study, way) for way in WAYS}


def lead(board: Board, first: str = TUNED, second: str = MEMORISER) -> float:
    """By how many points one way leads another, on average."""
    return round(paired(board[first], board[second]).mean, 1)


def show(board: Board) -> Picture:
    """Each way's accuracy on each split."""
    return Picture(_draw, board, words, size=(10, 1.3 + 0.65 * len(board)))


def _draw(fig: Figure, board: Board) -> None:
    ax = fig.add_subplot()
    for y, (way, values) in enumerate(board.items()):
        mean = statistics.mean(values)
        ax.plot(values, [y] * len(values), "o", ms=10, color=LOOKS[way], alpha=0.7)
        ax.plot([mean, mean], [y - 0.25, y + 0.25], color=COLOURS["ink"], lw=3)
        ax.text(mean, y - 0.28, f"{mean:.1f}", ha="center", va="bottom", weight="bold")
    ax.set_yticks(range(len(board)), board)
    label = "accuracy on objects never trained on, %; a dot a split, a bar the mean"
    ax.set(xlim=(20, 100), ylim=(len(board) - 0.5, -0.9), xlabel=label)
    best = max(board, key=lambda way: statistics.mean(board[way]))
    ax.set_title(f"{best[0].upper()}{best[1:]}: {statistics.mean(board[best]):.1f} %")


def words(board: Board) -> str:
    """Mean and standard deviation of each way."""
    return "\n".join(f"{way}: {mean_std(v)} %, n = {len(v)} splits" for way, v in board.items())


def compare(board: Board) -> Table:
    """Paired differences over the splits, with their intervals."""
    pairs = (TUNED, MEMORISER), (TUNED, FEATURES), (TUNED, SCRATCH), (SCRATCH, FREQUENT)
    rows, bold = [("compared", "with", "points, 95 % interval", "verdict")], []
    for first, second in pairs:
        change = paired(board[first], board[second])
        bold += [len(rows) - 1] if change.verdict != "cannot tell" else []
        rows.append((first, second, str(change), change.verdict))
    about = f"n = {change.n} splits by object, paired; {made_by(saved('stamps'))}"
    return Table(rows, left=2, bold=bold, caption=about)
