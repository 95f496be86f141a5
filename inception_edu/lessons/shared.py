"""What two lessons or more use: the networks of the series, saved studies, the running table."""

import inspect
import statistics
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import NamedTuple

import torch
from IPython.display import Markdown
from torch import Tensor, nn

from inception_edu.cost import layer_table
from inception_edu.data import Dataset
from inception_edu.display import Table
from inception_edu.googlenet import TABLE_1, GoogLeNet, Inception, Row
from inception_edu.inception_v3 import InceptionV3
from inception_edu.layers import Concat, classifier, conv
from inception_edu.lessons.studies import (
    ASSETS as ASSETS,
    accuracies as accuracies,
    mean_std as mean_std,
    saved as saved,
)
from inception_edu.training import Evaluation, Recipe
from inception_edu.training.recipe import ONE_PASS

# The networks of the series, and how each is trained.


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


def average_pool_block(c_in: int, *, relu: bool = False) -> Concat:
    """The course network's block: (n, c_in, h, w) -> (n, 88, h, w); the original has no `relu`."""
    bare = dict(norm=False, relu=relu)
    return Concat(
        branch_pool=nn.Sequential(nn.AvgPool2d(3, 1, padding=1), conv(c_in, 24, 1, **bare)),
        branch1x1=conv(c_in, 16, 1, **bare),
        branch5x5=nn.Sequential(conv(c_in, 16, 1, **bare), conv(16, 24, 5, **bare)),
        branch3x3=nn.Sequential(
            conv(c_in, 16, 1, **bare), conv(16, 24, 3, **bare), conv(24, 24, 3, **bare)
        ),
    )


def course_network(block: Callable[[int], Concat] = average_pool_block) -> nn.Sequential:
    """The small network of a PyTorch course: (n, 1, 28, 28) -> logits (n, 10)."""
    bare = dict(padding=0, norm=False, relu=False)
    first = conv(1, 10, 5, **bare), nn.MaxPool2d(2), nn.ReLU(), block(10)
    second = conv(88, 20, 5, **bare), nn.MaxPool2d(2), nn.ReLU(), block(20)
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(1408, 10))  # 28 -> 12 -> 4


def small_googlenet(block: Callable[[int, Row], nn.Module] = Inception) -> GoogLeNet:
    """The nine blocks at an eighth of their width, for Fashion-MNIST: what the lessons train.

    `block(c_in, row)` makes a block that keeps h and w, of any make and number of channels.
    """
    network = GoogLeNet("small", num_classes=10, in_channels=1, aux=False, width=1 / 8)
    if block is Inception:
        return network
    x = network.eval().stem(torch.zeros(1, 1, 28, 28))
    for name, part in list(network.body.named_children()):
        if isinstance(part, Inception):
            part = block(x.shape[1], TABLE_1[name].scaled(1 / 8)).eval()
            network.body.set_submodule(name, part)
        x = part(x)
    if x.shape[1] != network.head.linear.in_features:
        network.head = classifier(x.shape[1], 10)
    return network.train()


def small_inception_v3() -> InceptionV3:
    """Inception v3 at an eighth of its width, for Fashion-MNIST."""
    return InceptionV3("small", num_classes=10, in_channels=1, aux=False, width=1 / 8)


GOOGLENET_RECIPE = Recipe(steps=460, **ONE_PASS)
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


def first_images(dataset: Dataset, train: int | None = None, *, valid: int = 2_000) -> Dataset:
    """The first `train` training images of a data set (None: all), and `valid` to validate on."""
    parts = dict(train=(dataset.train, train), valid=(dataset.valid, valid))
    short = {
        name: replace(part, images=part.images[:n], labels=part.labels[:n])
        for name, (part, n) in parts.items()
    }
    return replace(dataset, **short)


# The running table at the end of every lesson.


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
    runs_of, rows = saved("networks")["runs"], []
    for name, entry in NETWORKS.items():
        if entry.lesson <= lesson:
            table = layer_table(entry.build(), (1, 28, 28))
            right = [run["test_accuracy"] for run in runs_of[name]]
            seconds = statistics.mean(run["train_seconds"] for run in runs_of[name])
            accuracy = statistics.mean(right), statistics.stdev(right)
            rows.append(Reached(name, table.params, table.macs, *accuracy, seconds, len(right)))
    return rows


def table_reached(networks: list[Reached], *, bold: Iterable[int] = ()) -> Table:
    """The running table: test accuracy on Fashion-MNIST is mean and standard deviation."""
    rows = [("network", "parameters", "MACs per image", "test accuracy", "n", "seconds to train")]
    for r in networks:
        accuracy = f"{r.accuracy:.1%} ± {100 * r.spread:.1f}"
        cells = f"{r.params:,}", f"{r.macs:,}", accuracy, f"{r.n}", f"{r.seconds:.1f}"
        rows.append((r.name, *cells))
    about = saved("networks")
    where = about["hardware"], ", ".join(map(" ".join, about["versions"].items()))
    return Table(rows, bold=bold, caption="Fashion-MNIST, measured on {}; {}".format(*where))


def running_table(lesson: str) -> Table:
    """The networks trained up to a lesson, with what they cost and reached; its own are bold."""
    networks = reached(lesson)
    new = (i for i, network in enumerate(networks) if NETWORKS[network.name].lesson == lesson)
    return table_reached(networks, bold=new)


def source(thing: object) -> Markdown:
    """The source of a function or class, highlighted."""
    return Markdown(f"```python\n{inspect.getsource(thing)}```")


def without_norm(network: nn.Module) -> nn.Module:
    """The network, changed in place: a bias on the convolution instead of every batch norm."""
    for layers in network.modules():
        if isinstance(getattr(layers, "norm", None), nn.BatchNorm2d):
            old = layers.conv
            sizes = old.in_channels, old.out_channels, old.kernel_size, old.stride, old.padding
            layers.conv = nn.Conv2d(*sizes)
            del layers.norm
    return network


def randomise(model: nn.Module, seed: int = 0) -> nn.Module:
    """Draw every weight, bias, batch-norm parameter and running statistic anew, in place."""
    draw = torch.Generator().manual_seed(seed)
    for value in model.state_dict().values():
        if value.ndim > 1:  # as large as a ReLU needs it to keep what flows alike
            value.normal_(0, (2 / value[0].numel()) ** 0.5, generator=draw)
        elif value.is_floating_point():
            value.uniform_(0.5, 1.5, generator=draw)
    return model


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
