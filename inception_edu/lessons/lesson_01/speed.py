"""Lesson 01, counting the cost: how fast this machine computes, and how fast it could at most."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from itertools import cycle
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from inception_edu.cost import conv_cost
from inception_edu.training.devices import cpu_threads

SHAPES = {  # name -> c_in, c_out, k, grid, groups
    "5x5, 192 to 32": (192, 32, 5, 28, 1),
    "1x1, 192 to 32": (192, 32, 1, 28, 1),
    "3x3, 96 to 128": (96, 128, 3, 28, 1),
    "1x1, 832 to 256": (832, 256, 1, 7, 1),
    "3x3, 3 to 64": (3, 64, 3, 112, 1),
    "3x3, one by one": (192, 192, 3, 28, 192),  # each channel on its own
}
BATCHES = (1, 8)  # images at once
ROUNDS, WARM_UP = 30, 2
SIDE = 640  # of the square matrices whose product shows how fast this machine can multiply
NUMBERS = 16 * 2**20  # 64 MB, more than most caches hold, copied piece by piece
PIECE = 2**20  # numbers of a piece
# The time that the core worked for this thread; where that is counted coarsely, what a clock shows.
FINE = time.get_clock_info("thread_time").resolution < 1e-6
CLOCK = time.thread_time if FINE else time.perf_counter
Name = TypeVar("Name", bound=Hashable)


class Timing(NamedTuple):
    """What one image costs in a layer: MACs, bytes read and written, measured seconds."""

    macs: int
    bytes: int
    seconds: float

    @property
    def macs_per_byte(self) -> float:
        """How many MACs are done for each byte read or written."""
        return self.macs / self.bytes

    @property
    def gmacs_per_second(self) -> float:
        """Billions of MACs done in a second."""
        return self.macs / self.seconds / 1e9

    @property
    def gigabytes_per_second(self) -> float:
        """Billions of bytes read and written in a second."""
        return self.bytes / self.seconds / 1e9


class Machine(NamedTuple):
    """What was measured: the layers by name and batch, and this machine's two ceilings."""

    layers: dict[tuple[str, int], Timing]
    gmacs: float  # most MACs in a second, in billions: of a large matrix product, or of a layer
    gigabytes: float  # most bytes in a second, in billions: of a large copy


def fastest(jobs: Mapping[Name, Callable[[], object]], rounds: int = ROUNDS) -> dict[Name, float]:
    """The shortest time of each job in seconds. The jobs take turns, so that a disturbance meets
    all of them alike, and none of them in every round."""
    found = dict.fromkeys(jobs, float("inf"))
    for i in range(WARM_UP + rounds):
        for name, job in jobs.items():
            start = CLOCK()
            job()
            took = CLOCK() - start
            if i >= WARM_UP:
                found[name] = min(found[name], took)
    return found


def layer_job(shape: tuple[int, ...], batch: int) -> tuple[Callable[[], object], int, int]:
    """A convolution at work on a batch; its MACs and bytes for one image, in float32."""
    c_in, c_out, k, grid, groups = shape
    layer = nn.Conv2d(c_in, c_out, k, padding=k // 2, groups=groups, bias=False).eval()
    x = torch.rand(batch, c_in, grid, grid)
    cost = conv_cost(c_in, c_out, k, grid, groups=groups)
    numbers = (c_in + c_out) * grid * grid + cost.params / batch  # weights are read once a batch
    return lambda: layer(x), cost.macs, round(4 * numbers)


def copy_job() -> Callable[[], object]:
    """A copy of one piece after the other of a tensor that is too large for most caches."""
    source, target = torch.rand(NUMBERS).split(PIECE), torch.rand(NUMBERS).split(PIECE)
    pieces = cycle(zip(target, source, strict=True))

    def copy() -> None:
        a, b = next(pieces)
        a.copy_(b)

    return copy


@torch.no_grad()
def measure(rounds: int = ROUNDS, names: Iterable[str] = SHAPES) -> Machine:
    """Measure layers and ceilings in turns, on one core, which others disturb least."""
    layers = {(n, batch): layer_job(SHAPES[n], batch) for n in names for batch in BATCHES}
    jobs = {name: job for name, (job, *_) in layers.items()}
    square, other = torch.rand(2, SIDE, SIDE)
    jobs |= {"product": lambda: square @ other, "copy": copy_job()}
    with cpu_threads(1):
        took = fastest(jobs, rounds)
    timings = {
        name: Timing(macs, size, took[name] / name[1]) for name, (_, macs, size) in layers.items()
    }
    product = SIDE**3 / took["product"] / 1e9
    most = max(product, *(timing.gmacs_per_second for timing in timings.values()))
    return Machine(timings, most, 8 * PIECE / took["copy"] / 1e9)  # each number is read and written


KEEP = {  # asks the C library of Linux to keep what is freed, up to these sizes in bytes
    "MALLOC_MMAP_THRESHOLD_": f"{2**31}",
    "MALLOC_TRIM_THRESHOLD_": f"{2**33}",
}


def with_memory_kept(name: str) -> dict[tuple[str, int], Timing]:
    """One layer of SHAPES in a process of its own, whose memory is not given back to the system."""
    show = f"print(json.dumps(list(measure(100, [{name!r}]).layers.values())))"
    how = dict(capture_output=True, text=True, check=True, env=os.environ | KEEP)
    code = f"import json; from {__name__} import measure; {show}"
    run = subprocess.run([sys.executable, "-c", code], **how)
    timings = (Timing(*values) for values in json.loads(run.stdout))
    return dict(zip(((name, batch) for batch in BATCHES), timings, strict=True))
