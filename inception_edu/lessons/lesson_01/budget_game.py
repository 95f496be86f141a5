"""Lesson 01: a game about block 3a, which must fit a budget of multiply-adds."""

import ipywidgets
from matplotlib.figure import Figure

from inception_edu.googlenet import TABLE_1
from inception_edu.lessons.lesson_01.pictures import (
    C_IN,
    GRID,
    Bars,
    chain,
    draw_bars,
    total,
    words_bars,
)
from inception_edu.widgets import Explorer

BUDGET = 100_000_000  # MACs; the published block costs 128 million


def block_bars(reduce3: int = 96, reduce5: int = 16, pool_proj: int = 32) -> Bars:
    """Bars of block 3a by branch; the naive block lacks both reduces, its output is as wide."""
    row = TABLE_1["3a"]
    bars = {}
    for name, reduced in {"naive": False, "reduced": True}.items():
        layers = {
            "branch1x1": [(row.n1x1, 1)],
            "branch3x3": [(reduce3, 1), (row.n3x3, 3)][not reduced :],
            "branch5x5": [(reduce5, 1), (row.n5x5, 5)][not reduced :],
            "branch_pool": [(pool_proj, 1)],
        }
        for branch, each in layers.items():
            costs = chain(C_IN, GRID, *each)
            macs, weights = sum(c.macs for c in costs), sum(c.params for c in costs)
            bars.setdefault(name, {})[branch] = macs, weights
    return bars


def words_game(bars: Bars) -> str:
    """The bars as a table, and whether the game is won."""
    alive = sum(macs > 0 for macs, _ in bars["reduced"].values())
    won = alive == 4 and total(bars["reduced"]) < BUDGET
    return f"{words_bars(bars)}\n{alive} of 4 branches alive; {'won' if won else 'not won yet'}"


def _draw_game(fig: Figure, bars: Bars) -> None:
    macs = total(bars["reduced"])
    side = "under" if macs < BUDGET else "over"
    draw_bars(fig, bars, f"Block 3a at {macs / 1e6:.1f} million MACs: {side} the budget", BUDGET)


def explorer() -> Explorer:
    """Keep block 3a under 100 million MACs with all four branches alive."""
    controls = {
        "reduce3": ipywidgets.IntSlider(96, 0, 192, 4),
        "reduce5": ipywidgets.IntSlider(16, 0, 96, 2),
        "pool_proj": ipywidgets.IntSlider(32, 0, 128, 4),
    }
    title = "The budget game"
    return Explorer(controls, block_bars, _draw_game, words_game, title=title, size=(8, 3.2))
