"""Lesson 04: the heads drawn where they sit, and the saved race with and without them."""

import math
import statistics

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from inception_edu.cost import layer_table, text_table
from inception_edu.figures import COLOURS, HEAD_COLOURS, Picture, draw_loss, running_mean
from inception_edu.lessons.lesson_04.runs import HEADS, RATES, Setting
from inception_edu.lessons.shared import mean_std
from inception_edu.network import Network
from inception_edu.training.history import History

CHANCE = 2.0  # a running mean below this has left ln 10 = 2.303 behind
Stage = tuple[str, str, str]  # a part of the network, its output, the aux head that reads it


def stages(network: Network, size: tuple[int, int, int] = (3, 224, 224)) -> list[Stage]:
    """Stem, blocks and head in the order they run, each with its output's shape."""
    readers, found = {block: head for head, block in network.reads.items()}, {}
    for row in layer_table(network, size, depth=2, training=True).rows:
        part, name = row.name.split(".")
        name = name if part == "body" else part
        if part != "aux" and not name.startswith("pool"):
            c, *grid = row.output
            shape = "x".join(map(str, (*grid, c)))
            found[name] = (name, shape, readers.get(name, ""))
    return list(found.values())


def show_heads(network: Network) -> Picture:
    """Where the aux heads sit, drawn from the network."""
    return Picture(_draw_heads, stages(network), words_heads, size=(10, 2.6))


def words_heads(data: list[Stage]) -> str:
    """What each aux head reads, and where in the row of blocks that is."""
    reads = [f"{head} reads {name} ({shape})" for name, shape, head in data if head]
    return f"{' -> '.join(name for name, *_ in data)}; {', '.join(reads)}"


def _draw_heads(fig: Figure, data: list[Stage]) -> None:
    ax = fig.add_subplot()
    last = len(data) - 1
    ax.plot([0, last], [0, 0], color=COLOURS["muted"], lw=3, zorder=0)
    for x, (name, shape, head) in enumerate(data):
        colour = HEAD_COLOURS["main"] if x == last else COLOURS["ink"]
        _box(ax, x, 0, "main head" if x == last else name, colour)
        ax.text(x, -0.5, shape, ha="center", va="top", fontsize=9.5)
        if head:
            ax.plot([x + 0.5, x + 0.5], [0, 1.2], color=HEAD_COLOURS[head], lw=3)
            _box(ax, x + 0.5, 1.3, head, HEAD_COLOURS[head])
    blocks = [name for name, _, head in data if head]
    ax.set(xlim=(-0.6, last + 0.6), ylim=(-0.9, 1.8))
    ax.set_title(f"The side heads read {' and '.join(blocks)}")
    ax.axis("off")


def _box(ax: Axes, x: float, y: float, text: str, colour: str) -> None:
    ax.add_patch(Rectangle((x - 0.42, y - 0.38), 0.84, 0.76, color=colour))
    how = dict(ha="center", va="center", color="white", weight="bold", fontsize=12)
    ax.text(x, y, text.replace(" ", "\n"), **how)


def runs_of(race: dict, setting: Setting, heads: str) -> list[dict]:
    """The saved runs of one setting, "with heads" or "without heads", in the order of seeds."""
    return race["runs"][f"{setting}, {heads}"]


def leaves(run: dict) -> int | None:
    """The step at which the running mean of the main loss falls below CHANCE; None: never."""
    steps = (i for i, loss in enumerate(run["losses"]["main"], 1) if loss < CHANCE)
    first = next(steps, None)
    return first and first * run["loss_every"]


def gains(race: dict, setting: Setting) -> list[float]:
    """Points of test accuracy that the heads gain, seed by seed; negative: they cost some."""
    plain, helped = (runs_of(race, setting, heads) for heads in HEADS)
    pairs = zip(plain, helped, strict=True)
    return [100 * (b["test_accuracy"] - a["test_accuracy"]) for a, b in pairs]


def words_race(race: dict) -> str:
    """A row for each runner, then the heads' gain in each setting."""
    rows = [("setting", "heads", "test accuracy, %", f"loss below {CHANCE:g} at step", "n")]
    for setting in RATES:
        for heads in HEADS:
            runs = runs_of(race, setting, heads)
            steps = [leaves(run) for run in runs]
            accuracy = mean_std([100 * run["test_accuracy"] for run in runs])
            at = ", ".join("never" if step is None else f"{step}" for step in steps)
            rows.append((str(setting), heads.split()[0], accuracy, at, f"{len(runs)}"))
    gain = "; ".join(f"{setting} {mean_std(gains(race, setting), '+')}" for setting in RATES)
    return f"{text_table(rows, left=2)}\npoints gained by the heads: {gain}"


def show_race(race: dict) -> Picture:
    """The main head's loss with and without aux heads, every seed, in every setting."""
    return Picture(_draw_race, race, words_race, size=(10, 6.4))


def _draw_race(fig: Figure, race: dict) -> None:
    colours = dict(zip(HEADS, (COLOURS["before"], COLOURS["after"]), strict=True))
    for ax, setting in zip(fig.subplots(2, 2, sharex=True, sharey=True).flat, RATES, strict=True):
        for heads in HEADS:
            for seed, run in enumerate(runs_of(race, setting, heads)):
                loss, every = run["losses"]["main"], run["loss_every"]
                steps = range(every, every * len(loss) + 1, every)
                label = heads if seed == 0 else None
                ax.plot(steps, loss, lw=2, color=colours[heads], alpha=0.8, label=label)
        ax.set_title(f"{setting}: {mean_std(gains(race, setting), '+')} points", fontsize=14)
        ax.set(ylim=(0, 2.6))
    fig.supxlabel("step")
    fig.supylabel("main head's loss")
    fig.axes[-1].legend(frameon=False, loc="upper right")


def show_losses(histories: dict[str, History]) -> Picture:
    """The losses of runs side by side, a curve for each of a run's heads."""
    return Picture(_draw_losses, histories, words_losses, size=(10, 3.8))


def words_losses(histories: dict[str, History]) -> str:
    """Each run's speed and accuracy, and the mean of each head's last losses."""
    lines = []
    for name, history in histories.items():
        ends = {head: statistics.fmean(values[-20:]) for head, values in history.losses.items()}
        told = ", ".join(f"{head} {loss:.2f}" for head, loss in ends.items())
        lines.append(f"{name}: {history}; last 20 steps: {told}")
    return "\n".join(lines)


def _draw_losses(fig: Figure, histories: dict[str, History]) -> None:
    for ax, (name, history) in zip(fig.subplots(1, 2), histories.items(), strict=True):
        draw_loss(ax, history)
        ax.axhline(math.log(10), color=COLOURS["muted"], ls=":", lw=2)
        ax.set_title(f"{name}: main at {running_mean(history.losses['main'])[-1]:.2f}")
        ax.set_ylim(1, 3.5)
