"""Where and how a network is computed: device, precision, memory format, threads, processes.

All by fixed rules from what the hardware has, never by a stopwatch, so that a run can be repeated.

PyTorch's threads spin at the end of every small operation until the last of them is there; beside
a neighbour that takes a core, they spin for most of the time. `fit`, `evaluate` and `predict` have
threads that compute something of their own each, with one of PyTorch's threads, and never spin.
For what else runs in a notebook (a loop of one's own, an explorer) `lab`, the other commands except
`bench`, and the tests set OMP_WAIT_POLICY=PASSIVE, which is read when torch is imported: waiting
threads sleep.
"""

import os
import pathlib
import platform
import signal
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import distributed

Item, Result = TypeVar("Item"), TypeVar("Result")


def pick_device(device: str = "auto") -> torch.device:
    """The device; "auto" is INCEPTION_EDU_DEVICE, else CUDA, else Apple's MPS, else the CPU."""
    if device == "auto":
        best = "mps" if torch.backends.mps.is_available() else "cpu"
        best = "cuda" if torch.cuda.is_available() else best
        device = os.environ.get("INCEPTION_EDU_DEVICE", best)
    try:
        if str(device).split(":")[0] in ("cpu", "cuda", "mps"):
            return torch.empty(0, device=device).device
        reason = None
    except (RuntimeError, AssertionError) as error:
        reason = error
    message = f'device must be "auto", "cpu", "cuda" or "mps" and be there, got {device!r}'
    raise ValueError(message) from reason


def pick_precision(device: torch.device) -> str:
    """ "bfloat16" where the hardware multiplies in it, else "float32"."""
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device)[0] >= 8 else "float32"
    flags = pathlib.Path("/proc/cpuinfo")  # Linux only; elsewhere float32 is the safe choice
    if device.type == "cpu" and flags.exists():
        units = {"avx512_bf16", "amx_bf16"} & set(flags.read_text().split())
        return "bfloat16" if units else "float32"
    return "float32"


def pick_memory_format(device: torch.device) -> str:
    """ "channels_last", which convolutions are fastest in, but "contiguous" on Apple's MPS."""
    return "contiguous" if device.type == "mps" else "channels_last"


def hardware(device: torch.device) -> str:
    """What computes, in words: the GPU's name, else cores and architecture."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{os.cpu_count()} cores, {platform.machine()}, {device.type}"


MEMORY_FORMATS = {
    "channels_last": torch.channels_last,
    "contiguous": torch.contiguous_format,
}


def rank_and_world() -> tuple[int, int]:
    """This process's number and how many train together; (0, 1) outside of torchrun."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


@contextmanager
def cpu_threads(n: int | None) -> Iterator[None]:
    """What runs inside uses n threads of the CPU, or as many as it sets; then as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def side_by_side(
    call: Callable[[Item], Result], items: Iterable[Item], threads: int | None = None
) -> list[Result]:
    """`call(item)` for every item, in order, without gradients: `threads` of them at once, or as
    many as PyTorch has threads, and each with one thread of PyTorch.

    Where a neighbour takes a core, one call is late; PyTorch's own threads would all wait for each
    other. And every number is the same however many threads there are.
    """

    @torch.no_grad()
    def alone(item: Item) -> Result:
        return call(item)

    with cpu_threads(None):  # new threads take the number that was set last, in any thread
        workers = threads or torch.get_num_threads()
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return list(pool.map(alone, items))


@contextmanager
def left_as_it_was() -> Iterator[None]:
    """What runs inside leaves the random state, the number of threads and what an interrupt does
    as they were."""
    handler = signal.getsignal(signal.SIGINT)
    gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(gpus), cpu_threads(None):
        try:
            yield
        finally:
            if signal.getsignal(signal.SIGINT) is not handler:
                signal.signal(signal.SIGINT, handler)


def group_interrupts(device: torch.device) -> Callable[[], bool]:
    """Whether any process of the group has been interrupted: all ask together, in the same step.

    From now on an interrupt is only noted in a group, for a process that left it alone would have
    the others wait for it. Without a group, it raises KeyboardInterrupt as ever.
    """
    noted = []
    if rank_and_world()[1] == 1:
        return lambda: False
    if threading.current_thread() is threading.main_thread():  # no other may set a handler
        signal.signal(signal.SIGINT, lambda *_: noted.append(True))

    def ask() -> bool:
        flag = torch.tensor(float(len(noted)), device=device)
        distributed.all_reduce(flag)
        return flag.item() > 0

    return ask
