"""What was trained beforehand and saved, and how two entries of a study compare seed by seed."""

import json
import statistics
from importlib.resources import files
from typing import NamedTuple

ASSETS = files("inception_edu") / "assets"
# The 97.5 % quantile of Student's t distribution, by degrees of freedom.
T = {1: 12.71, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def saved(study: str) -> dict:
    """What `python -m authoring measure STUDY` saved: command, versions, hardware,
    and in "runs" each entry's runs, one a seed, with rows and loss curves."""
    return json.loads((ASSETS / f"{study}.json").read_text(encoding="utf-8"))


def accuracies(study: dict, name: str) -> list[float]:
    """Test accuracy in percent of each saved run of an entry, in the order of seeds."""
    return [100 * run["test_accuracy"] for run in study["runs"][name]]


def mean_std(values: list[float], sign: str = "", *, digits: int = 1) -> str:
    """Mean, and standard deviation where there are several values; `sign` "+" prints it always."""
    std = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.{digits}f}{std}"


class Paired(NamedTuple):
    """The mean difference of two entries over n seeds, and its 95 % confidence interval."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def verdict(self) -> str:
        """What the interval lets one say of the first entry: it may hold 0."""
        return "better" if self.low > 0 else "worse" if self.high < 0 else "cannot tell"

    def __str__(self) -> str:
        return f"{self.mean:+.1f} ({self.low:+.1f} to {self.high:+.1f})"


def paired(first: list[float], second: list[float]) -> Paired:
    """How much larger the first values are than the second ones, which belong to the same seeds;
    the interval is that of Student's t distribution. At least two pairs, at most ten."""
    changes = [a - b for a, b in zip(first, second, strict=True)]
    n, mean = len(changes), statistics.mean(changes)
    half = T[n - 1] * statistics.stdev(changes) / n**0.5
    return Paired(mean, mean - half, mean + half, n)


def best_rates(study: dict) -> dict[str, float]:
    """The rate of each entry with the best mean accuracy on validation images, in a study whose
    entries are named "entry, lr rate"."""
    best: dict[str, tuple[float, float]] = {}
    for name, runs in study["runs"].items():
        entry, lr = name.rsplit(", lr ", 1)
        right = statistics.mean(run["valid_accuracy"] for run in runs)
        best[entry] = max(best.get(entry, (0.0, 0.0)), (right, float(lr)))
    return {entry: lr for entry, (_, lr) in best.items()}


def made_by(study: dict) -> str:
    """The command, versions and hardware that made a study, for a caption."""
    versions = ", ".join(map(" ".join, study["versions"].items()))
    return f"{study['command']}; {study['hardware']}; {versions}"
