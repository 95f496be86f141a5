"""Lesson 06: how near a column times a row comes to a kernel, and 1xn + nx1 to a whole layer."""

import copy

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.display import text_table
from inception_edu.figures import COLOURS, Picture

LINE = torch.eye(5)  # a diagonal line: its five singular values are equal


def errors(matrices: Tensor) -> Tensor:
    """Relative error of the best rank 1, 2, ... of matrices: (..., n, m) -> (..., min(n, m))."""
    energy = torch.linalg.svdvals(matrices.double()).square()
    kept = energy.cumsum(-1) / energy.sum(-1, keepdim=True)
    return (1 - kept).clamp(min=0).sqrt()


def as_matrix(weight: Tensor) -> Tensor:
    """A layer's kernels (c_out, c_in, n, n) as one matrix (c_out n, c_in n): columns by rows."""
    c_out, c_in, kh, kw = weight.shape
    return weight.permute(0, 2, 1, 3).reshape(c_out * kh, c_in * kw)


def best_pair(weight: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """Kernels (m, c_in, 1, n) and (c_out, m, n, 1) that come nearest to a layer's, by SVD."""
    c_out, c_in, kh, kw = weight.shape
    u, s, vh = torch.linalg.svd(as_matrix(weight).double(), full_matrices=False)
    rows = vh[:m].reshape(m, c_in, 1, kw)
    columns = (u[:, :m] * s[:m]).reshape(c_out, kh, m, 1).permute(0, 2, 1, 3)
    return rows.to(weight), columns.to(weight)


def nearest(weight: Tensor, m: int) -> Tensor:
    """The one kernel bank (c_out, c_in, n, n) that `best_pair` with m channels between is."""
    rows, columns = best_pair(weight, m)
    return torch.einsum("mijw,omhk->oihw", rows, columns)


def through_pairs(network: nn.Module, m: int) -> nn.Module:
    """A copy with each n x n convolution of `layer1` to `layer3` as its best pair, linear."""
    network = copy.deepcopy(network)
    for layer in (network.layer1, network.layer2, network.layer3):
        row, column = best_pair(layer[0].conv.weight.data, m)
        pair = [nn.Conv2d(*w.shape[1::-1], w.shape[2:], padding="same") for w in (row, column)]
        for conv, weight in zip(pair, (row, column), strict=True):
            conv.weight.data, conv.bias = weight, None
        layer[0].conv = nn.Sequential(*pair)
    return network


Banks = dict[str, Tensor]  # "untrained", "trained" -> (c_out, c_in, 5, 5)


def typical(weight: Tensor) -> Tensor:
    """Error of one kernel at rank 1 to n: the 10th, 50th and 90th percentile, (3, n)."""
    levels = torch.tensor([0.1, 0.5, 0.9], dtype=torch.float64)
    return errors(weight.flatten(0, 1)).quantile(levels, dim=0)


def rank_of(weight: Tensor) -> tuple[int, int]:
    """The lowest rank among a layer's kernels, and the rank of the layer as one matrix."""
    ranks = []
    for matrices in (weight.flatten(0, 1), as_matrix(weight)):
        values = torch.linalg.svdvals(matrices.double())
        larger = values > 1e-5 * values[..., :1]  # than what float32 makes of 0
        ranks.append(int(larger.sum(-1).min()))
    return ranks[0], ranks[1]


def words_rank(banks: Banks) -> str:
    """Error by rank of single kernels, then by channels in between of the whole layer."""
    rows = [("one kernel, error with pairs", *map(str, range(1, 6)), "lowest rank")]
    c = next(iter(banks.values())).shape[0]
    between = [c // 2, c, 2 * c, 5 * c // 2, 5 * c]
    whole = [("the layer, error with channels between", *map(str, between), "rank")]
    for name, weight in banks.items():
        single, layer = rank_of(weight)
        percents = (f"{100 * e:.0f} %" for e in typical(weight)[1])
        rows.append((f"{name}, median", *percents, f"{single}"))
        left = errors(as_matrix(weight))
        whole.append((name, *(f"{100 * left[m - 1]:.0f} %" for m in between), f"{layer}"))
    rows.append(("diagonal line", *(f"{100 * e:.0f} %" for e in errors(LINE)), "5"))
    return f"{text_table(rows)}\n{text_table(whole)}"


def show_rank(banks: Banks) -> Picture:
    """Error against rank, of single kernels and of the layer as a whole."""
    return Picture(_draw_rank, banks, words_rank, size=(10, 4.2))


def _draw_rank(fig: Figure, banks: Banks) -> None:
    single, whole = fig.subplots(1, 2)
    colours = dict(zip(banks, (COLOURS["muted"], COLOURS["branch5x5"]), strict=True))
    for name, weight in banks.items():
        low, middle, high = 100 * typical(weight)
        single.fill_between(range(1, 6), low, high, color=colours[name], alpha=0.25)
        single.plot(range(1, 6), middle, "o-", lw=3, color=colours[name], label=name)
        left = 100 * errors(as_matrix(weight))
        whole.plot(range(1, len(left) + 1), left, lw=3, color=colours[name], label=name)
    dashed = dict(lw=2, ls="--", color=COLOURS["before"])
    single.plot(range(1, 6), 100 * errors(LINE), **dashed, label="diagonal line")
    before, last = (f"{100 * typical(weight)[1][0]:.0f}" for weight in banks.values())
    single.set_title(f"One pair misses {last} %, untrained {before} %")
    xlabel = "pairs of vectors for one kernel\nband: the middle 80 % of the kernels"
    single.set(xlabel=xlabel, ylabel="error, %", xticks=range(1, 6))
    weight = list(banks.values())[-1]
    c = weight.shape[0]
    _mark(whole, c, f"{c}: 2/5 of\nthe cost")
    _mark(whole, 5 * c // 2, f"{5 * c // 2}: the\nsame cost")
    whole.set_title(f"The layer: zero only at {rank_of(weight)[1]} channels")
    whole.set(xlabel="channels between 1x5 and 5x1", ylabel="error, %", xlim=(0, None))
    for ax in (single, whole):
        ax.set_ylim(0, 100)
    single.legend(frameon=False)


def _mark(ax: Axes, x: int, text: str) -> None:
    ax.axvline(x, color=COLOURS["ink"], ls=":", lw=2)
    ax.text(x + 2, 97, text, va="top")
