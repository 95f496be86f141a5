"""What the lessons share: the networks that the series trains, and what they cost and reach."""

import inspect
import json
import statistics
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from typing import NamedTuple

import torch
from IPython.display import Markdown
from matplotlib.figure import Figure
from torch import Tensor, nn

from inception_edu.cost import conv_cost, layer_table, milliseconds, text_table
from inception_edu.data import Dataset
from inception_edu.figures import COLOURS, Picture
from inception_edu.googlenet import GoogLeNet, initialise
from inception_edu.inception_v3 import InceptionV3
from inception_edu.layers import Concat, conv
from inception_edu.training.devices import cpu_threads
from inception_edu.training.evaluation import Evaluation
from inception_edu.training.recipe import ONE_PASS, Recipe

GOOGLENET_RECIPE = Recipe(steps=460, **ONE_PASS)


def source(thing: object) -> Markdown:
    """The source of a function or class, highlighted."""
    return Markdown(f"```python\n{inspect.getsource(thing)}```")


def average_pool_block(c_in: int) -> Concat:
    """The course network's block, as in the original: (n, c_in, h, w) -> (n, 88, h, w)."""
    how = dict(norm=False, relu=False)
    return Concat(
        branch_pool=nn.Sequential(nn.AvgPool2d(3, 1, padding=1), conv(c_in, 24, 1, **how)),
        branch1x1=conv(c_in, 16, 1, **how),
        branch5x5=nn.Sequential(conv(c_in, 16, 1, **how), conv(16, 24, 5, **how)),
        branch3x3=nn.Sequential(
            conv(c_in, 16, 1, **how), conv(16, 24, 3, **how), conv(24, 24, 3, **how)
        ),
    )


def course_network(block: Callable[[int], Concat] = average_pool_block) -> nn.Sequential:
    """The small network of a PyTorch course: (n, 1, 28, 28) -> logits (n, 10)."""
    how = dict(padding=0, norm=False, relu=False)
    first = conv(1, 10, 5, **how), nn.MaxPool2d(2), nn.ReLU(), block(10)
    second = conv(88, 20, 5, **how), nn.MaxPool2d(2), nn.ReLU(), block(20)
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(1408, 10))  # 28 -> 12 -> 4


# How the weights start: what the uniform draw makes up for, and the biases; None: as PyTorch does.
STARTS = {"PyTorch": None, "Xavier": ("linear", 0.2), "Kaiming": ("relu", 0.0)}


def without_norm(network: nn.Module) -> nn.Module:
    """The network, changed in place: a bias on the convolution instead of every batch norm."""
    for layers in network.modules():
        if isinstance(getattr(layers, "norm", None), nn.BatchNorm2d):
            old = layers.conv
            sizes = old.in_channels, old.out_channels, old.kernel_size, old.stride, old.padding
            layers.conv = nn.Conv2d(*sizes)
            del layers.norm
    return network


def begin(network: nn.Module, start: str) -> nn.Module:
    """The network with weights drawn anew: "Xavier" as in [CAFFE], "Kaiming", or left alone."""
    if STARTS[start] is not None:
        initialise(network, *STARTS[start])
    return network


class Setting(NamedTuple):
    """How a network of this lesson starts, and whether it has batch norm."""

    start: str
    norm: bool

    def __str__(self) -> str:
        return f"{self.start}, {'batch norm' if self.norm else 'no norm'}"

    def network(self, *, aux: bool = True) -> GoogLeNet:
        """The small GoogLeNet at 1/8 width for Fashion-MNIST, in this setting."""
        network = GoogLeNet("small", num_classes=10, in_channels=1, aux=True, width=1 / 8)
        network = begin(network if self.norm else without_norm(network), self.start)
        if not aux:  # dropped last: from one seed, both start with the same weights up to the head
            network.aux.clear()
        return network


def longest_path(output: Tensor) -> int:
    """Convolutions and linear layers on the longest way back through autograd's graph."""
    depth, waiting = {}, [output.grad_fn]
    while waiting:
        node = waiting[-1]
        before = [n for n, _ in node.next_functions if n is not None]
        if todo := [n for n in before if n not in depth]:
            waiting += todo
            continue
        own = node.name().startswith(("ConvolutionBackward", "AddmmBackward"))
        depth[waiting.pop()] = own + max((depth[n] for n in before), default=0)
    return depth[output.grad_fn]


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Draw every weight, bias, batch-norm parameter and running statistic anew, in place."""
    draw = torch.Generator().manual_seed(seed)
    for value in model.state_dict().values():
        if value.ndim > 1:  # as large as a ReLU needs it to keep what flows alike
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=draw)
        elif value.is_floating_point():
            value.uniform_(0.5, 1.5, generator=draw)
    return model


# name -> c_in, c_out, k, grid, groups
SHAPES = {
    "5x5, 192 to 32": (192, 32, 5, 28, 1),
    "1x1, 192 to 32": (192, 32, 1, 28, 1),
    "3x3, 96 to 128": (96, 128, 3, 28, 1),
    "1x1, 832 to 256": (832, 256, 1, 7, 1),
    "3x3, 3 to 64": (3, 64, 3, 112, 1),
    "3x3, one by one": (192, 192, 3, 28, 192),  # each channel on its own
}


class Timing(NamedTuple):
    """One layer's MACs and the bytes it must move for one image, and its measured time."""

    macs: int
    bytes: int
    milliseconds: float

    @property
    def macs_per_byte(self) -> float:
        """How much arithmetic each number read or written is used for."""
        return self.macs / self.bytes

    @property
    def gmacs_per_second(self) -> float:
        """Thousand million MACs done in a second."""
        return self.macs / self.milliseconds / 1e6


def time_layer(
    c_in: int,
    c_out: int,
    k: int,
    grid: int,
    groups: int = 1,
    *,
    n: int = 8,
    dtype: torch.dtype = torch.float32,
    device: str | torch.device = "cpu",
    threads: int | None = None,
) -> Timing:
    """Time a convolution of `n` images, on all cores or `threads`; milliseconds are per image."""
    how = dict(dtype=dtype, device=device)
    layer = nn.Conv2d(c_in, c_out, k, padding=k // 2, groups=groups, bias=False, **how).eval()
    cost = conv_cost(c_in, c_out, k, grid, groups=groups)
    numbers = (c_in + c_out) * grid * grid + cost.params / n  # weights are read once a batch
    with cpu_threads(threads):
        ms = milliseconds(layer, torch.rand(n, c_in, grid, grid, **how)) / n
    return Timing(cost.macs, int(dtype.itemsize * numbers), ms)


class Entry(NamedTuple):
    """A network of the series: the lesson that trains it first, how it is built and trained."""

    lesson: str
    build: Callable[[], nn.Module]
    recipe: Recipe
    data: str = "fashion_mnist"
    prepare: Callable[[Dataset], Dataset] = lambda dataset: dataset  # what a run makes of it
    look: Callable[[Evaluation, Tensor], dict] = lambda tested, labels: {}  # what else is saved

    def recipe_for(self, seed: int) -> Recipe:
        """The recipe with another seed."""
        return replace(self.recipe, seed=seed)


def small_googlenet() -> GoogLeNet:
    """The nine blocks at an eighth of their width, for Fashion-MNIST: what the lessons train."""
    return GoogLeNet("small", num_classes=10, in_channels=1, aux=False, width=1 / 8)


def small_inception_v3() -> InceptionV3:
    """Inception v3 at an eighth of its width, for Fashion-MNIST."""
    return InceptionV3("small", num_classes=10, in_channels=1, aux=False, width=1 / 8)


NETWORKS = {
    "linear classifier": Entry(
        "00",
        lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 10)),
        Recipe(steps=400, lr=0.02, precision="float32", **ONE_PASS),
    ),
    "course network": Entry("02", course_network, Recipe(steps=400, lr=0.02, **ONE_PASS)),
    "GoogLeNet, 1/8 width": Entry("02", small_googlenet, GOOGLENET_RECIPE),
    "Inception v3, 1/8 width": Entry("08", small_inception_v3, GOOGLENET_RECIPE),
}
ASSETS = files("inception_edu") / "assets"


def saved(study: str) -> dict:
    """What `python -m authoring measure STUDY` saved: command, versions, hardware,
    and in "runs" each entry's runs, one a seed, with rows and loss curves."""
    return json.loads((ASSETS / f"{study}.json").read_text(encoding="utf-8"))


def accuracies(study: dict, name: str) -> list[float]:
    """Test accuracy in percent of each saved run of an entry, in the order of seeds."""
    return [100 * run["test_accuracy"] for run in study["runs"][name]]


def told(values: list[float], sign: str = "", *, digits: int = 1) -> str:
    """Mean, and standard deviation where there are several values; `sign` "+" prints it always."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):{sign}.{digits}f}{spread}"


class Reached(NamedTuple):
    """What a network costs and reached: means over n seeds, and the standard deviation."""

    name: str
    params: int
    macs: int
    accuracy: float
    spread: float
    seconds: float
    n: int


def reached(lesson: str) -> list[Reached]:
    """The networks trained up to a lesson; costs are counted now, accuracies were saved."""
    runs_of, found = saved("networks")["runs"], []
    for name, entry in NETWORKS.items():
        if entry.lesson <= lesson:
            table = layer_table(entry.build(), (1, 28, 28))
            accuracies = [run["test_accuracy"] for run in runs_of[name]]
            seconds = statistics.mean(run["train_seconds"] for run in runs_of[name])
            spread = statistics.stdev(accuracies)
            mean, n = statistics.mean(accuracies), len(accuracies)
            found.append(Reached(name, table.params, table.macs, mean, spread, seconds, n))
    return found


def words_reached(networks: list[Reached]) -> str:
    """The running table: test accuracy on Fashion-MNIST is mean and standard deviation."""
    heading = ("network", "parameters", "MACs per image", "test accuracy", "n", "seconds to train")
    rows = [heading]
    for r in networks:
        accuracy = f"{r.accuracy:.1%} ± {100 * r.spread:.1f}"
        cells = (f"{r.params:,}", f"{r.macs:,}", accuracy, f"{r.n}", f"{r.seconds:.1f}")
        rows.append((r.name, *cells))
    about = saved("networks")
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{text_table(rows)}\nFashion-MNIST, measured on {about['hardware']}; {versions}"


def running_table(lesson: str) -> None:
    """Print the networks trained up to a lesson, with what they cost and reached."""
    print(words_reached(reached(lesson)))


def _draw_promise(fig: Figure, networks: list[Reached]) -> None:
    ax = fig.add_subplot()
    for i, r in enumerate(networks):
        where = (r.seconds, 100 * r.accuracy)
        ax.errorbar(*where, 100 * r.spread, fmt="o", color=COLOURS["after"], markersize=12)
        inwards, above = (-1 if r.seconds > 30 else 1), (18 if i % 2 else -18)
        how = dict(textcoords="offset points", va="center", ha="left" if inwards > 0 else "right")
        ax.annotate(r.name, where, (8 * inwards, above), **how)
    best = max(networks, key=lambda r: r.accuracy)
    title = f"{100 * best.accuracy:.1f} % in {best.seconds:.0f} seconds, without a GPU"
    ax.set(xlabel="seconds to train on 2 CPU cores", ylabel="test accuracy, %", title=title)
    ax.margins(x=0.1, y=0.25)
    ax.set_xlim(left=-2)


def promise() -> Picture:
    """Accuracy against training seconds, for the networks that the first lessons train."""
    return Picture(_draw_promise, reached("02"), words_reached, size=(8, 4))
