"""Lesson 09: the same steps from the shipped weights and from none, over several seeds."""

from matplotlib.figure import Figure

from inception_edu.cost import text_table
from inception_edu.data import Dataset
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.lessons.lesson_09.runs import fine_tune
from inception_edu.lessons.shared import mean_std
from inception_edu.predict import Classifier

Race = dict[str, list[dict[int, float]]]  # start -> for each seed: step -> accuracy in percent
EARLY = 20  # steps after which the ways are compared, beside the end
WAYS = {"fine-tuned": False, "from scratch": True}
LOOKS = {"fine-tuned": COLOURS["after"], "from scratch": COLOURS["before"]}


def race(start: Classifier, dataset: Dataset, *, seeds: tuple[int, ...] = (0, 1, 2)) -> Race:
    """Train both ways with each seed; validation accuracy as the runs go on."""
    found: Race = {way: [] for way in WAYS}
    for seed in seeds:
        for way, scratch in WAYS.items():
            _, history = fine_tune(start, dataset, scratch=scratch, seed=seed)
            run = {row["step"]: 100 * row["valid_accuracy"] for row in history.rows}
            found[way].append(run)
            last = run[max(run)]
            print(f"seed {seed}, {way}: {last:.0f} % after {max(run)} steps", flush=True)
    return found


def ends(race: Race, way: str) -> list[float]:
    """Each seed's accuracy at the end, in percent."""
    return [run[max(run)] for run in race[way]]


def leads(race: Race, step: int = EARLY) -> list[float]:
    """By how many points fine-tuning leads after a step, seed by seed."""
    pairs = zip(race["fine-tuned"], race["from scratch"], strict=True)
    return [tuned[step] - scratch[step] for tuned, scratch in pairs]


def table(race: Race) -> Table:
    """Each seed's lead, and where both ways end."""
    heading = (f"lead after {EARLY} steps, points", *(f"{way}, at the end, %" for way in race))
    columns = leads(race), *(ends(race, way) for way in race)
    rows = [[f"{x:.0f}" for x in row] for row in zip(*columns, strict=True)]
    return Table([("seed", *heading), *((seed, *row) for seed, row in enumerate(rows))])


def words(race: Race) -> str:
    """Mean and spread of each way by step."""
    steps = list(next(iter(race.values()))[0])
    rows = [("accuracy, %, after", *(f"{step} steps" for step in steps), "n")]
    for way, runs in race.items():
        cells = [mean_std([run[step] for run in runs]) for step in steps]
        rows.append((way, *cells, f"{len(runs)}"))
    return text_table(rows)


def show(race: Race) -> Picture:
    """Validation accuracy against steps, a line for each seed."""
    return Picture(_draw, race, words, size=(9, 4))


def _draw(fig: Figure, race: Race) -> None:
    ax, steps = fig.add_subplot(), list(race["fine-tuned"][0])
    for way, runs in race.items():
        for i, run in enumerate(runs):
            label = way if i == 0 else None
            ax.plot(list(run), list(run.values()), "o-", color=LOOKS[way], lw=2.5, label=label)
    early, late = (mean_std(leads(race, step), "+", digits=0) for step in (EARLY, max(steps)))
    ax.set_title(f"Ahead by {early} points at step {EARLY}, by {late} at step {max(steps)}")
    ax.axhline(25, color=COLOURS["muted"], ls=":", lw=2)
    ax.text(0, 26, "guessing", va="bottom", color=COLOURS["ink"])
    ax.set(xlabel="training step", ylabel="validation accuracy, %", ylim=(0, 102), xlim=(0, None))
    ax.legend(frameon=False, loc="lower right")
