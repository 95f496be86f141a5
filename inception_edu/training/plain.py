"""The loop that lesson 00 has its readers write: plain SGD in plain PyTorch."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

PRINTED = 200  # steps from one line of progress to the next


def train(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], lr: float) -> list[float]:
    """One step of SGD on the mean cross-entropy of each batch (x, labels), in order; returns the
    loss of each, from before its step. The model learns in training mode and ends in evaluation
    mode; a line of progress is printed every 200 steps."""
    optimiser = torch.optim.SGD(model.parameters(), lr)
    losses = []
    model.train()
    for x, labels in batches:
        loss = cross_entropy(model(x), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        if len(losses) % PRINTED == 0:
            print(f"step {len(losses)}: loss {sum(losses[-PRINTED:]) / PRINTED:.2f}")
    model.eval()
    return losses
