"""Lesson 06: three ways to halve the grid, what each costs and what it can no longer see."""

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d

from inception_edu.cost import layer_table, text_table
from inception_edu.figures import COLOURS, Picture
from inception_edu.layers import Concat, conv

C, SIDE = 320, 35  # [V3] section 5: 35x35x320 -> 17x17x640
WAYS = ("pool then conv", "conv then pool", "side by side")
STRIPES = torch.tensor([1.0, -2.0, 1.0]).expand(1, 1, 3, 3) / 6  # a filter for upright stripes


def reduction(way: str, c: int, *, bare: bool = False) -> nn.Module:
    """One of WAYS: (n, c, h, w) -> (n, 2c, (h - 1) / 2, (w - 1) / 2); `bare` is linear but for max.

    [V3] section 5, Figures 9 and 10, with one 3x3 each so that the three can be compared.
    """
    how, pool = dict(norm=not bare, relu=not bare), nn.MaxPool2d(3, stride=2)
    if way == "pool then conv":
        return nn.Sequential(pool, conv(c, 2 * c, 3, **how))
    if way == "conv then pool":
        return nn.Sequential(conv(c, 2 * c, 3, **how), pool)
    return Concat(conv=conv(c, c, 3, 2, padding=0, **how), pool=pool)


def narrowest(layers: nn.Module, c: int, side: int) -> int:
    """The fewest values that stand between input and output of a reduction, output included."""
    x = torch.empty(1, c, side, side, device="meta")
    layers, counts = layers.to("meta").eval(), []
    for layer in [layers] if isinstance(layers, Concat) else layers:
        x = layer(x)
        counts.append(x.numel())
    return min(counts)


Costs = dict[str, tuple[int, int]]  # way -> (MACs, values at the narrowest place)


def costs() -> Costs:
    """What each way costs."""
    found = {}
    with torch.device("meta"):
        for way in WAYS:
            layers = reduction(way, C)
            macs = layer_table(layers, (C, SIDE, SIDE)).macs
            found[way] = macs, narrowest(layers, C, SIDE)
    return found


def words_costs(found: Costs) -> str:
    """A row for each way."""
    rows = [("way", "MACs", "values at the narrowest place")]
    return text_table(rows + [(way, *(f"{n:,}" for n in pair)) for way, pair in found.items()])


def show_costs() -> Picture:
    """MACs of the three ways, and the narrowest place in each."""
    return Picture(_draw_costs, costs(), words_costs, size=(9.5, 3))


def _draw_costs(fig: Figure, found: Costs) -> None:
    colours = COLOURS["muted"], COLOURS["before"], COLOURS["after"]
    titles = "million MACs", "thousand values at the narrowest place"
    for i, (ax, label) in enumerate(zip(fig.subplots(1, 2, sharey=True), titles, strict=True)):
        values = [pair[i] / (1e6, 1e3)[i] for pair in found.values()]
        ax.barh(list(found), values, 0.6, color=colours)
        for y, value in enumerate(values):
            ax.text(value, y, f" {value:,.0f}", va="center", weight="bold")
        ax.set(xlabel=label, xlim=(0, 1.25 * max(values)))
    fig.axes[0].set_title("Conv first is dear")
    fig.axes[1].set_title("Pool first is narrow")
    fig.axes[0].invert_yaxis()


def pattern() -> Tensor:
    """Bright dots, dark dots, stripes and a diagonal edge, with a little noise: (1, 1, h, w)."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    half, dots = SIDE // 2, ((y % 4 == 2) & (x % 4 == 2)).double()
    image = torch.where(x < half, dots, 1 - dots)
    below = torch.where(x < half, (x % 2).double(), (x - half > y - half).double())
    noise = torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (torch.where(y < half, image, below) + 0.02 * noise)[None, None]  # so that nothing ties


def noticed(way: str, image: Tensor) -> Tensor:
    """The pixels that the output would notice if they changed a little: (h, w), true or false."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        layers = reduction(way, 1, bare=True).double()
        image = image.clone().requires_grad_()
        output = layers(image)
        total = (output * torch.randn_like(output)).sum()
    return torch.autograd.grad(total, image)[0][0, 0] != 0


def words_pattern(image: Tensor) -> str:
    """The share of the pixels that each way notices."""
    shares = {way: noticed(way, image).double().mean() for way in WAYS}
    return "pixels noticed: " + ", ".join(f"{way} {100 * s:.0f} %" for way, s in shares.items())


def show_pattern() -> Picture:
    """A test pattern, what pool and strided convolution make of it, what each way notices."""
    return Picture(_draw_pattern, pattern(), words_pattern, size=(9.5, 6.4))


def _draw_pattern(fig: Figure, image: Tensor) -> None:
    above, below = fig.subplots(2, 3)
    pictures = {
        "the pattern, 35x35": image,
        "max pool: stripes gone": max_pool2d(image, 3, 2),
        "stripe filter: stripes kept": conv2d(image, STRIPES.double(), stride=2).abs(),
    }
    for ax, (title, picture) in zip(above, pictures.items(), strict=True):
        ax.imshow(picture[0, 0], vmin=0, vmax=1)
        ax.set_title(title, fontsize=14)
    for ax, way in zip(below, WAYS, strict=True):
        seen = noticed(way, image)
        ax.imshow(seen, cmap="Blues", vmin=0, vmax=1.6)
        ax.set_title(f"{way}: {100 * seen.double().mean():.0f} %", fontsize=14)
    below[0].set_ylabel("pixels noticed (blue)")
    for ax in fig.axes:
        ax.set(xticks=[], yticks=[])
