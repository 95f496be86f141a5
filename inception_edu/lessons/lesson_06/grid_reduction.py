"""Lesson 06: four ways to halve the grid, what each costs and what it can no longer see."""

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn.functional import conv2d, max_pool2d

from inception_edu.cost import layer_table
from inception_edu.display import Table
from inception_edu.figures import COLOURS, Picture
from inception_edu.layers import Concat, conv

C, SIDE = 320, 35  # [V3] section 5: 35x35x320 -> 17x17x640
WAYS = ("pool, then convolution", "convolution, then pool", "stride-2 convolution", "side by side")
COLOUR = dict(zip(WAYS, ("muted", "before", "branch3x3", "after"), strict=True))
STRIPES = torch.tensor([1.0, -2.0, 1.0]).expand(1, 1, 3, 3) / 6  # a filter for upright stripes


def reduction(way: str, c: int, *, bare: bool = False) -> nn.Module:
    """One of WAYS: (n, c, h, w) -> (n, 2c, (h - 1) / 2, (w - 1) / 2); `bare` is linear but for max.

    [V3] section 5, Figures 9 and 10, with one 3x3 each so that they can be compared.
    """
    after, pool = dict(norm=not bare, relu=not bare), nn.MaxPool2d(3, stride=2)
    if way == "pool, then convolution":
        return nn.Sequential(pool, conv(c, 2 * c, 3, **after))
    if way == "convolution, then pool":
        return nn.Sequential(conv(c, 2 * c, 3, **after), pool)
    if way == "stride-2 convolution":
        return conv(c, 2 * c, 3, 2, padding=0, **after)
    return Concat(conv=conv(c, c, 3, 2, padding=0, **after), pool=pool)


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
    """What each way costs, in [V3]'s example."""
    counted = {}
    with torch.device("meta"):
        for way in WAYS:
            layers = reduction(way, C)
            macs = layer_table(layers, (C, SIDE, SIDE)).macs
            counted[way] = macs, narrowest(layers, C, SIDE)
    return counted


def words_costs(counted: Costs) -> str:
    """A row for each way."""
    rows = [("way", "MACs", "values at the narrowest place")]
    return repr(Table(rows + [(way, *(f"{n:,}" for n in pair)) for way, pair in counted.items()]))


def show_costs() -> Picture:
    """MACs of the four ways, and the narrowest place in each."""
    return Picture(_draw_costs, costs(), words_costs, size=(11, 3.4))


def _draw_costs(fig: Figure, counted: Costs) -> None:
    labels = "million MACs", "thousand values at the narrowest place"
    for i, (ax, label) in enumerate(zip(fig.subplots(1, 2, sharey=True), labels, strict=True)):
        values = [pair[i] / (1e6, 1e3)[i] for pair in counted.values()]
        ax.barh(list(counted), values, 0.6, color=[COLOURS[COLOUR[way]] for way in counted])
        for y, value in enumerate(values):
            ax.text(value, y, f" {value:,.0f}", va="center", weight="bold")
        ax.set(xlabel=label, xlim=(0, 1.25 * max(values)))
    fig.axes[0].set_title("Side by side costs least")
    fig.axes[1].set_title("One way has a bottleneck")
    fig.axes[0].invert_yaxis()


def pattern() -> Tensor:
    """Bright dots, dark dots, stripes and a diagonal edge, with a little noise: (1, 1, h, w)."""
    y, x = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    half, dots = SIDE // 2, ((y % 4 == 2) & (x % 4 == 2)).double()
    image = torch.where(x < half, dots, 1 - dots)
    below = torch.where(x < half, (x % 2).double(), (x - half > y - half).double())
    noise = torch.rand(SIDE, SIDE, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return (torch.where(y < half, image, below) + 0.02 * noise)[None, None]  # so that nothing ties


def parts() -> dict[str, nn.Module]:
    """What halves a grid of one channel, by name: the two parts that stand side by side, each
    alone, then the four ways. No norm and no ReLU, weights as PyTorch draws them."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        alone = {
            "max pool alone": nn.MaxPool2d(3, 2),
            "half of the channels, convolved": conv(1, 1, 3, 2, padding=0, norm=False, relu=False),
        }
        return alone | {way: reduction(way, 1, bare=True) for way in WAYS}


def noticed(layers: nn.Module, image: Tensor) -> Tensor:
    """The pixels that the output depends on: (h, w), true or false."""
    image = image.clone().requires_grad_()
    output = layers.double()(image)
    draw = torch.Generator().manual_seed(0)
    along = torch.rand(output.shape, generator=draw, dtype=output.dtype) + 0.5
    return torch.autograd.grad((output * along).sum(), image)[0][0, 0] != 0


Seen = dict[str, Tensor]  # by part or way, the pixels that its output depends on


def words_pattern(seen: Seen) -> str:
    """What fraction of the pixels reaches the output."""
    rows = [("of a 35x35 pattern, one channel", "pixels that the output depends on, %")]
    return repr(Table(rows + [(name, f"{100 * percent(one):.0f}") for name, one in seen.items()]))


def percent(seen: Tensor) -> float:
    """The fraction of pixels that are seen."""
    return seen.double().mean().item()


def show_pattern() -> Picture:
    """A test pattern, what pool and strided convolution make of it, and what of it reaches the
    output of the pool, of the strided convolution and of each way."""
    image = pattern()
    seen = {name: noticed(layers, image) for name, layers in parts().items()}
    return Picture(_draw_pattern, seen, words_pattern, size=(10, 6.2))


def _draw_pattern(fig: Figure, seen: Seen) -> None:
    above, below = fig.subplots(2, 4)
    image = pattern()
    shown = {
        "the pattern": image[0, 0],
        "max pool:\nstripes gone": max_pool2d(image, 3, 2)[0, 0],
        "stripe filter:\nstripes kept": conv2d(image, STRIPES.double(), stride=2).abs()[0, 0],
        f"max pool alone:\n{100 * percent(seen['max pool alone']):.0f} % seen": None,
    }
    for ax, (title, picture) in zip(above, shown.items(), strict=True):
        if picture is None:
            ax.imshow(seen["max pool alone"], cmap="Blues", vmin=0, vmax=1.6)
        else:
            ax.imshow(picture, vmin=0, vmax=1)
        ax.set_title(title, fontsize=14)
    for ax, way in zip(below, WAYS, strict=True):
        ax.imshow(seen[way], cmap="Blues", vmin=0, vmax=1.6)
        name = way.replace(", then ", ", then\n").replace("stride-2 ", "stride-2\n")
        ax.set_title(f"{name}: {100 * percent(seen[way]):.0f} %", fontsize=14)
    for ax in fig.axes:
        ax.set(xticks=[], yticks=[])
