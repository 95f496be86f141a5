"""Lesson 10, last room: a training script as one reads it, with or without mistakes."""

import math
from types import SimpleNamespace

import torch
from torch.nn.functional import cross_entropy

RIGHT = '''\
def rate(step, steps, peak):
    """Up in the first quarter of the steps, then down to 0."""
    return peak * min(4 * step / steps, 4 / 3 * (1 - step / steps))


def train(network, images, labels, epochs, peak, size=64):
    """SGD on shuffled batches; returns the loss of every step."""
    steps, losses = epochs * math.ceil(len(images) / size), []
    optimiser = torch.optim.SGD(network.parameters(), peak, momentum=0.9)
    for epoch in range(epochs):
        network.train()
        order = torch.randperm(len(images))
        for chosen in order.split(size):
            optimiser.param_groups[0]["lr"] = rate(len(losses), steps, peak)
            loss = cross_entropy(network(images[chosen]), labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}: {accuracy(network, images, labels):.1%} of the training images")
    return losses


@torch.no_grad()
def accuracy(network, images, labels, size=96):
    """The fraction of images that are classified correctly."""
    network.eval()
    correct, n = 0, 0
    for x, y in zip(images.split(size), labels.split(size)):
        correct += (network(x).argmax(1) == y).sum().item()
        n += len(y)
    return correct / n


def split(n):
    """The places of the images to train on, and of those to validate on."""
    order = torch.randperm(n)
    return order[n // 5 :], order[: n // 5]
'''

LOOP = "    for epoch in range(epochs):\n"
OPTIMISER = "    optimiser = torch.optim.SGD(network.parameters(), peak, momentum=0.9)\n"
MODE = "        network.train()\n"
# Kind of mistake -> the function that it is in, the lines as they should be, the lines as they are.
MISTAKES = {
    "rate": ("rate", "4 / 3 * (1 - step / steps)", "4 * (1 - step / steps)"),
    "mode": ("train", OPTIMISER + LOOP + MODE, f"{OPTIMISER}    network.train()\n{LOOP}"),
    "optimiser": ("train", OPTIMISER + LOOP, f"{LOOP}    {OPTIMISER}"),
    "order": ("train", "torch.randperm(len(images))", "torch.arange(len(images))"),
    "count": ("accuracy", "        n += len(y)\n", "        n += size\n"),
    "leak": ("split", "order[n // 5 :], order", "order[n // 10 :], order"),
}


class Script:
    """The script with these mistakes: shown as its source, its functions are attributes."""

    def __init__(self, *mistakes: str) -> None:
        self.text = RIGHT
        for kind in mistakes:
            _, right, wrong = MISTAKES[kind]
            if right not in self.text:
                raise ValueError(f"{kind} does not go together with {', '.join(mistakes)}")
            self.text = self.text.replace(right, wrong)
        space = dict(math=math, torch=torch, cross_entropy=cross_entropy)
        exec(compile(self.text, "<the last room>", "exec"), space)
        self.functions = SimpleNamespace(**{name: space[name] for name in FUNCTIONS})

    def __getattr__(self, name: str) -> object:
        if name in FUNCTIONS:
            return getattr(self.functions, name)
        raise AttributeError(name)

    def __repr__(self) -> str:
        return self.text

    def _repr_markdown_(self) -> str:
        return f"```python\n{self.text}```"


FUNCTIONS = "rate", "train", "accuracy", "split"
