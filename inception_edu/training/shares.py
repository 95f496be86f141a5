"""A batch in shares: every thread trains on a share of its own, and none waits for another.

PyTorch's threads split each small operation and wait for each other at its end, spinning. Where a
neighbour takes one core, all of them wait thousands of times in a step. A share is computed from
the first layer to the last gradient by a thread of its own instead, and they meet once in a step.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from inception_edu.training import devices
from inception_edu.training.replicas import replica, unrepeatable

LEAST = 16  # images of a share: with fewer, batch norm knows little of the others
Measures = dict[str, Tensor]  # scalars by the name of a head
Learn = Callable[[nn.Module, Tensor, Tensor], tuple[Measures, ...]]


class Shares:
    """A network and the replicas that learn beside it, each from its share of every batch.

    Share i of n takes every n-th image from the i-th on. A step starts with the same weights and
    running statistics in all of them; gradients, statistics and measures are their means, weighted
    by the number of images. Batch norm normalises a share by itself, and each share's dropout draws
    from a generator of its own, the first one's from PyTorch's. So the result depends on n alone,
    neither on timing nor on how many shares are computed at once; with several of PyTorch's
    threads in a share (`threads` // n), sums are rounded in another order. Processes of a group
    (torchrun) have n shares each, and are averaged alike.
    """

    def __init__(
        self, model: nn.Module, n: int, *, seed: int, threads: int, layout: torch.memory_format
    ) -> None:
        self.rank, self.world = devices.rank_and_world()
        self.layout, self.device = layout, next(model.parameters()).device
        seeds = [seed + self.rank + self.world * i for i in range(n)]
        torch.manual_seed(seeds[0])  # what the first one's dropout draws from
        self.generators = [torch.Generator().manual_seed(s) for s in seeds[1:]]
        self.networks = [model, *(replica(model, generator) for generator in self.generators)]
        self.buffers = [list(network.buffers()) for network in self.networks]
        if n > 1:
            workers = min(n, threads)
            self.pool = ThreadPoolExecutor(
                workers, initializer=torch.set_num_threads, initargs=(threads // workers,)
            )

    def __call__(self, learn: Learn, x: Tensor, labels: Tensor) -> tuple[Measures, ...]:
        """Call `learn(network, x, labels)` for every share; the means of what it returned. The
        network has the mean gradients and statistics afterwards."""
        n = len(self.networks)
        images = [x[i::n].contiguous(memory_format=self.layout) for i in range(n)]
        parts = list(zip(self.networks, images, (labels[i::n] for i in range(n)), strict=True))
        if n == 1:
            results = [learn(*parts[0])]
        else:
            for network, buffers in zip(self.networks[1:], self.buffers[1:], strict=True):
                network.zero_grad()
                for buffer, first in zip(buffers, self.buffers[0], strict=True):
                    buffer.copy_(first)
            futures = [self.pool.submit(learn, *part) for part in parts]
            try:
                results = [future.result() for future in futures]
            finally:
                wait(futures)  # after an interrupt, too: what follows has the network to itself
        if n * self.world > 1:
            self._average(results, [len(y) / len(labels) for _, _, y in parts])
        return results[0]

    @torch.no_grad()
    def _average(self, results: list[tuple[Measures, ...]], weights: list[float]) -> None:
        """Replace what the first share has by the weighted means over all shares."""
        for same in zip(*(network.parameters() for network in self.networks), strict=True):
            if any(p.grad is not None for p in same):  # maybe not in every share
                for p in same:
                    p.grad = torch.zeros_like(p) if p.grad is None else p.grad
        values = []
        for network, result in zip(self.networks, results, strict=True):
            gradients = [p.grad for p in network.parameters() if p.grad is not None]
            measures = [value for measured in result for value in measured.values()]
            values.append([*gradients, *statistics(network), *measures])
        if len(values) > 1:
            torch._foreach_mul_(values[0], weights[0])
        for others, weight in zip(values[1:], weights[1:], strict=True):
            torch._foreach_add_(values[0], others, alpha=weight)
        devices.average_over_processes(values[0])

    def state_dict(self) -> list[dict[str, Tensor]]:
        """Where the random numbers of every share of every process go on from."""
        mine = [devices.random_state(self.device)]
        mine += [dict(cpu=generator.get_state()) for generator in self.generators]
        return [state for turn in zip(*devices.gathered(mine), strict=True) for state in turn]

    def load_state_dict(self, states: list[dict[str, Tensor]]) -> None:
        """Go on from where the states were taken, as far as there were as many shares then."""
        mine = states[self.rank :: self.world]
        for state in mine[:1]:
            devices.set_random_state(state, self.device)
        for generator, state in zip(self.generators, mine[1:], strict=False):
            generator.set_state(state["cpu"])


def statistics(network: nn.Module) -> list[Tensor]:
    """The running means and variances that batch norm updates now."""
    norms = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.training]
    pairs = [(m.running_mean, m.running_var) for m in norms if m.track_running_stats]
    return [value for pair in pairs for value in pair]


def number_of_shares(model: nn.Module, wanted: int, size: int, x: Tensor) -> tuple[int, str]:
    """How many shares batches of `size` images are computed in; why one, where more are wanted.

    x are two images on the device; the network is in training mode.
    """
    if wanted == 1:
        return 1, ""
    if x.device.type != "cpu":
        return 1, f"{x.device.type} computes a batch in one piece"
    if size < 2 * LEAST:
        return 1, f"batches of {size} are too small to be shared out"
    try:
        trial = replica(model, torch.Generator())
    except Exception as error:  # whatever a network of one's own holds that cannot be copied
        return 1, f"the network cannot be copied ({error})"
    if any(p._backward_hooks for p in model.parameters()):
        return 1, "the network's weights have hooks"
    if reason := unrepeatable(trial, x):
        return 1, f"the network {reason}"
    return min(wanted, size // LEAST), ""
