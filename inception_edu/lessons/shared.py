"""What two lessons or more use: the networks of the series, saved studies, the running table."""

import inspect
import math
import statistics
from collections.abc import Iterable
from typing import NamedTuple

import torch
from IPython.display import Markdown
from torch import Tensor, nn

from inception_edu.cost import layer_table
from inception_edu.display import Table
from inception_edu.lessons.networks import (
    GOOGLENET_RECIPE as GOOGLENET_RECIPE,
    NETWORKS as NETWORKS,
    Entry as Entry,
    average_pool_block as average_pool_block,
    course_network as course_network,
    first_images as first_images,
    small_googlenet as small_googlenet,
    small_inception_v3 as small_inception_v3,
)
from inception_edu.lessons.studies import (
    ASSETS as ASSETS,
    accuracies as accuracies,
    mean_std as mean_std,
    saved as saved,
)

# The running table at the end of every lesson.


class Reached(NamedTuple):
    """What a network costs and reached: means over n seeds, and the standard deviation; seconds are
    those of the runs beside which nothing else computed, nan where there is none."""

    name: str
    params: int
    macs: int
    accuracy: float
    std: float
    seconds: float
    n: int


def reached(lesson: str) -> list[Reached]:
    """The networks trained up to a lesson; costs are counted now, accuracies were saved."""
    runs_of, rows = saved("networks")["runs"], []
    for name, entry in NETWORKS.items():
        if entry.lesson <= lesson:
            table = layer_table(entry.build(), (1, 28, 28))  # at inference
            right = [run["test_accuracy"] for run in runs_of[name]]
            quiet = [run["train_seconds"] for run in runs_of[name] if run["quiet"]]
            seconds = statistics.mean(quiet) if quiet else math.nan
            accuracy = statistics.mean(right), statistics.stdev(right)
            rows.append(Reached(name, table.params, table.macs, *accuracy, seconds, len(right)))
    return rows


def table_reached(networks: list[Reached], *, bold: Iterable[int] = ()) -> Table:
    """The running table: test accuracy on Fashion-MNIST is mean and standard deviation."""
    rows = [("network", "parameters", "MACs per image", "test accuracy", "n", "seconds to train")]
    for r in networks:
        accuracy = f"{r.accuracy:.1%} ± {100 * r.std:.1f}"
        seconds = "" if math.isnan(r.seconds) else f"{r.seconds:.1f}"
        cells = f"{r.params:,}", f"{r.macs:,}", accuracy, f"{r.n}", seconds
        rows.append((r.name, *cells))
    about = saved("networks")
    versions = ", ".join(map(" ".join, about["versions"].items()))
    where = f"Fashion-MNIST; {about['hardware']}, seconds while nothing else computed; {versions}"
    return Table(rows, bold=bold, caption=where)


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
