"""A batch in shares: every thread trains on a share of its own, and none waits for another.

PyTorch's threads split each small operation and wait for each other at its end, spinning. Where a
neighbour takes one core, all of them wait thousands of times in a step. A share is computed from
the first layer to the last gradient by a thread of its own instead, and they meet once in a step.
"""

import copy
import pickle
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from functools import partial
from itertools import chain

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm

from inception_edu.training import devices

LEAST = 16  # images of a share: with fewer, batch norm knows little of the others
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
Measures = dict[str, Tensor]  # scalars by the name of a head
Learn = Callable[[nn.Module, Tensor, Tensor], tuple[Measures, ...]]


class Shares:
    """A network and the replicas that learn beside it, each from its share of every batch.

    Share i of n takes every n-th image from the i-th on. A step starts with the same weights and
    buffers in all of them; gradients, batch norm's running statistics and measures are their means,
    weighted by the number of images. Batch norm normalises a share by itself, and each share's
    dropout draws from a generator of its own, the first one's from PyTorch's. So the result depends
    on n alone, neither on timing nor on how many shares are computed at once; with several of
    PyTorch's threads in a share (`threads` // n), sums are rounded in another order. Processes of a
    group (torchrun) have n shares each, and are averaged alike.
    """

    def __init__(
        self, model: nn.Module, n: int, *, seed: int, threads: int, layout: torch.memory_format
    ) -> None:
        self.rank, self.world = devices.rank_and_world()
        self.layout, self.device = layout, next(model.parameters()).device
        seeds = [seed + self.rank + self.world * i for i in range(n)]
        torch.manual_seed(seeds[0])  # of a GPU's generator, too
        own = [torch.Generator().manual_seed(s) for s in seeds[1:]]
        self.generators = [torch.default_generator, *own]
        self.networks = [model, *(replica(model, generator) for generator in own)]
        if n > 1:
            workers = min(n, threads)
            self.pool = ThreadPoolExecutor(
                workers, initializer=torch.set_num_threads, initargs=(threads // workers,)
            )

    def __call__(self, learn: Learn, x: Tensor, labels: Tensor) -> tuple[Measures, ...]:
        """Call `learn(network, x, labels)` for every share; the means of what it returned. The
        network has the mean gradients and statistics afterwards."""
        n, (model, *replicas) = len(self.networks), self.networks
        images = [x[i::n].contiguous(memory_format=self.layout) for i in range(n)]
        parts = list(zip(self.networks, images, (labels[i::n] for i in range(n)), strict=True))
        for network in replicas:
            network.zero_grad()
            for buffer, first in zip(network.buffers(), model.buffers(), strict=True):
                buffer.copy_(first)
        if n == 1:
            results = [learn(*parts[0])]
        else:
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
            norms = [(n.running_mean, n.running_var) for n in learning_norms(network)]
            values.append([*gradients, *chain(*norms, *(each.values() for each in result))])
        means, *others = values
        if others:
            torch._foreach_mul_(means, weights[0])
        for more, weight in zip(others, weights[1:], strict=True):
            torch._foreach_add_(means, more, alpha=weight)
        if self.world > 1:
            flat = torch.cat([value.flatten() for value in means])
            distributed.all_reduce(flat)
            parts = (flat / self.world).split([value.numel() for value in means])
            for value, part in zip(means, parts, strict=True):
                value.copy_(part.view_as(value))

    def state_dict(self) -> list[dict[str, Tensor]]:
        """Where the random numbers of every share of every process go on from."""
        mine = [dict(cpu=generator.get_state()) for generator in self.generators]
        if (kind := self.device.type) != "cpu":
            mine[0][kind] = getattr(torch, kind).get_rng_state()
        everyones = [mine] * self.world
        if self.world > 1:
            distributed.all_gather_object(everyones, mine)
        return [state for turn in zip(*everyones, strict=True) for state in turn]

    def load_state_dict(self, states: list[dict[str, Tensor]]) -> None:
        """Go on from where the states were taken, as far as there were as many shares then."""
        kind = self.device.type
        for generator, state in zip(self.generators, states[self.rank :: self.world], strict=False):
            generator.set_state(state["cpu"])
            if kind != "cpu" and kind in state:
                getattr(torch, kind).set_rng_state(state[kind])


def learning_norms(network: nn.Module) -> list[nn.Module]:
    """The layers of batch norm that update running statistics now."""
    norms = (layer for layer in network.modules() if isinstance(layer, _BatchNorm))
    return [norm for norm in norms if norm.training and norm.track_running_stats]


def replica(model: nn.Module, generator: torch.Generator) -> nn.Module:
    """A copy with the very same weights, whose nn.Dropout layers draw from `generator`."""
    weights = {id(p): nn.Parameter(p.detach(), p.requires_grad) for p in model.parameters()}
    twin = copy.deepcopy(model, weights)
    for layer in twin.modules():
        if type(layer) is nn.Dropout:
            layer.forward = partial(drop, layer, generator)
    return twin


def drop(layer: nn.Dropout, generator: torch.Generator, x: Tensor) -> Tensor:
    """What a layer of dropout puts out for x, drawn from `generator`."""
    if not layer.training:
        return x
    keep = 1 - layer.p
    return x * torch.empty_like(x).bernoulli_(keep, generator=generator).div_(keep or 1)


def obstacle(model: nn.Module, x: Tensor) -> str:
    """Why replicas of a network would not compute repeatably side by side, as the end of a sentence
    that begins with "the network"; "" if they do: tried with a batch x.

    What a network of one's own keeps between its layers or calls is no obstacle: each replica has
    that for itself.
    """
    hooks = [getattr(layer, kind) for layer in model.modules() for kind in HOOKS]
    if any(hooks) or any(p._backward_hooks for p in model.parameters()):
        return "has hooks"
    try:
        trial = replica(model, torch.Generator())
    except Exception as error:  # whatever a network of one's own holds that cannot be copied
        return f"cannot be copied ({error})"
    with torch.random.fork_rng([]), torch.no_grad(), devices.cpu_threads(1):
        before = global_random_numbers()
        trial(x)
        drew = global_random_numbers() != before
    return "draws random numbers outside of nn.Dropout" if drew else ""


def global_random_numbers() -> bytes:
    """Where the generators stand that all threads share."""
    states = torch.get_rng_state().numpy(), random.getstate(), np.random.get_state()
    return pickle.dumps(states)


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
    if reason := obstacle(model, x):
        return 1, f"the network {reason}"
    return min(wanted, size // LEAST), ""
