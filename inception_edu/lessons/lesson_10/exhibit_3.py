"""Lesson 10, exhibit 3: the code as it was, a run's report, and the damage."""

from functools import cache
from typing import NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.display import Table
from inception_edu.figures import COLOURS as INK, Picture
from inception_edu.googlenet import Row
from inception_edu.layers import conv
from inception_edu.lessons.lesson_10 import trials
from inception_edu.lessons.lesson_10.trials import COLOURS, ROW
from inception_edu.lessons.studies import mean_std, paired


class Block(nn.Module):
    """(n, c_in, h, w) -> (n, n1x1 + n3x3 + n5x5 + pool_proj, h, w)"""

    def __init__(self, c_in: int, row: Row) -> None:
        super().__init__()
        self.branches = [
            conv(c_in, row.n1x1, 1),
            nn.Sequential(conv(c_in, row.n3x3_reduce, 1), conv(row.n3x3_reduce, row.n3x3, 3)),
            nn.Sequential(conv(c_in, row.n5x5_reduce, 1), conv(row.n5x5_reduce, row.n5x5, 5)),
            nn.Sequential(nn.MaxPool2d(3, 1, padding=1), conv(c_in, row.pool_proj, 1)),
        ]

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([branch(x) for branch in self.branches], dim=1)


class Registered(Block):
    """The same block without the mistake."""

    def __init__(self, c_in: int, row: Row) -> None:
        super().__init__(c_in, row)
        self.branches = nn.ModuleList(self.branches)


BLOCKS = {"as it was": Block, "mended": Registered}


class Saved(NamedTuple):
    """Of one seed: accuracy in percent after training, and after loading; parameters known; what
    load_state_dict returned."""

    trained: float
    loaded: float
    known: int
    said: str


@cache
def saved_and_loaded() -> dict[str, list[Saved]]:
    """Trained, its state_dict loaded into a new network: as it was, and mended, for each seed."""
    found = {}
    for name, block in BLOCKS.items():
        found[name] = []
        for seed in trials.SEEDS:
            network, new = (
                trials.seeded(number, lambda block=block: trials.with_block(block(8, ROW)))
                for number in (seed, 100 + seed)
            )
            trials.fit(network, seed)
            trained, known = trials.percent(network), sum(p.numel() for p in network.parameters())
            said = repr(new.load_state_dict(network.state_dict()))
            found[name].append(Saved(trained, trials.percent(new), known, said))
    return found


def report_3() -> Table:
    """A trained network, and the network that its state_dict was loaded into."""
    first = saved_and_loaded()["as it was"][0]
    return Table(
        [
            ("1,000 validation images", "accuracy, %"),
            ("after training, before saving", f"{first.trained:.1f}"),
            ("in a new network, after load_state_dict", f"{first.loaded:.1f}"),
        ],
        caption=f"load_state_dict returned: {first.said}",
    )


def damage_3() -> Picture:
    """Accuracy after training and after loading, as it was and mended, of every seed."""
    return Picture(_draw_saved, saved_and_loaded(), _words_saved, size=(9, 3.4))


def _words_saved(found: dict[str, list[Saved]]) -> str:
    lines = [
        f"{name}: the optimiser knows {runs[0].known:,} parameters; accuracy "
        f"{mean_std([r.trained for r in runs])} after training, "
        f"{mean_std([r.loaded for r in runs])} after loading"
        for name, runs in found.items()
    ]
    was, mended = ([r.trained for r in runs] for runs in found.values())
    change = paired(was, mended)
    lines += [f"after training, as it was against mended: {change} points, n = {change.n}"]
    return "\n".join(lines)


def _draw_saved(fig: Figure, found: dict[str, list[Saved]]) -> None:
    ax = fig.add_subplot()
    for i, (name, runs) in enumerate(found.items()):
        colour = INK[COLOURS[name]]
        for x, values in enumerate(([r.trained for r in runs], [r.loaded for r in runs])):
            at = x + 0.3 * i - 0.15
            ax.plot([at] * len(values), values, "o", ms=8, color=colour, alpha=0.7)
        ax.plot([], [], "o", ms=8, color=colour, label=name)
    ax.axhline(10, color=INK["ink"], ls="--", lw=1.5, label="chance")
    ax.set(xlim=(-0.6, 1.6), xticks=(0, 1), ylim=(0, 100), ylabel="accuracy, %")
    ax.set_xticklabels(("after training", "saved and loaded"))
    was, mended = (runs[0].known for runs in found.values())
    ax.set_title(f"{was:,} of {mended:,} parameters were in the file")
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
