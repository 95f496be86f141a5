"""Where and how a network is computed: device, precision, memory format, share of the work.

All by fixed rules from what the hardware has, never by a stopwatch, so that a run can be repeated.
"""

import os
import pathlib
import platform
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, distributed


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


def mean_over_processes(values: Tensor) -> Tensor:
    """The mean of `values` over all processes that train together."""
    if (world := rank_and_world()[1]) > 1:
        distributed.all_reduce(values)
    return values / world


@contextmanager
def cpu_threads(n: int | None) -> Iterator[None]:
    """What runs inside uses n threads of the CPU; None: as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(n or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def own_random_state() -> Iterator[None]:
    """What is drawn inside leaves the global random state as it was."""
    gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(gpus):
        yield


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The state of the generators that dropout draws from."""
    state = {"cpu": torch.get_rng_state()}
    if device.type != "cpu":
        state[device.type] = getattr(torch, device.type).get_rng_state()
    return state


def set_random_state(state: dict[str, Tensor], device: torch.device) -> None:
    """Put generators back into a state that `random_state` returned."""
    torch.set_rng_state(state["cpu"])
    if device.type in state and device.type != "cpu":
        getattr(torch, device.type).set_rng_state(state[device.type])
