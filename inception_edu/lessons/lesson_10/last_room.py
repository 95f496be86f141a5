"""Lesson 10, last room: a network and its training script with three bugs, unmarked, and the
check of what was found."""

import random
from collections.abc import Callable

import torch
from torch import nn

from inception_edu.checks import check_whole
from inception_edu.googlenet import TABLE_1, GoogLeNet, Inception, Row
from inception_edu.layers import Concat, chain
from inception_edu.lessons.lesson_10.exhibits_5_6 import with_norm
from inception_edu.lessons.lesson_10.last_script import FUNCTIONS, MISTAKES, Script

BLOCKS = tuple(name for name, row in TABLE_1.items() if row.type == "inception")
PLACES = (*BLOCKS, *FUNCTIONS)
WIDTH = 1 / 8


def without_relu(block: Concat, branch: str) -> Concat:
    """The block without the last ReLU of a branch."""
    layers = [layer for layer in block[branch].modules() if hasattr(layer, "relu")]
    del layers[-1].relu
    return block


def norm_of(c: int) -> nn.BatchNorm2d:
    """Batch norm whose epsilon is its number of channels, as a public GoogLeNet has it."""
    return nn.BatchNorm2d(c, c)


SPOILT: dict[str, Callable[[int, Row], Concat]] = {  # kind of bug -> a block that has it
    "kernel": lambda c_in, row: Inception(c_in, row, k5=3),
    "width": lambda c_in, row: Inception(c_in, row._replace(n3x3_reduce=row.n3x3_reduce - 4)),
    "relu": lambda c_in, row: without_relu(Inception(c_in, row), "branch5x5"),
    "eps": lambda c_in, row: with_norm(Inception(c_in, row), norm_of, "branch3x3"),
}
KINDS = {
    "kernel": ("a block", "a kernel is smaller than its branch's name says"),
    "width": ("a block", "a reduce has fewer channels than its row of the table says"),
    "relu": ("a block", "a branch ends without a ReLU"),
    "eps": ("a block", "a batch norm has an eps as large as its number of channels"),
    "rate": ("rate", "the learning rate becomes higher than its peak"),
    "mode": ("train", "after the first epoch the network learns in evaluation mode"),
    "optimiser": ("train", "the optimiser forgets its momentum between epochs"),
    "order": ("train", "every epoch has the same batches in the same order"),
    "count": ("accuracy", "more images are counted than there are"),
    "leak": ("split", "some images are both trained on and validated on"),
}


def bugs(number: int) -> dict[str, str]:
    """Place -> kind of bug: one in a block, and two in different functions of the script."""
    check_whole("number", number)
    dice = random.Random(4 * number)
    found = {dice.choice(BLOCKS): dice.choice(sorted(SPOILT))}
    kinds = sorted(MISTAKES)
    dice.shuffle(kinds)
    for kind in kinds:
        place = MISTAKES[kind][0]
        if place not in found and len(found) < 3:
            found[place] = kind
    return found


def network(number: int = 1) -> nn.Sequential:
    """GoogLeNet for Fashion-MNIST at an eighth of its width, with the bug of `number`: its stem,
    its body and its head, one after the other."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(number)
        model = GoogLeNet("small", num_classes=10, in_channels=1, aux=False, width=WIDTH)
        for name, kind in bugs(number).items():
            if name in BLOCKS:
                c_in = model.body.get_submodule(name).branch1x1.conv.in_channels
                model.body.add_module(name, SPOILT[kind](c_in, TABLE_1[name].scaled(WIDTH)))
        return chain(stem=model.stem, body=model.body, head=model.head)


def script(number: int = 1) -> Script:
    """The training script, with the two bugs of `number`."""
    return Script(*(kind for kind in bugs(number).values() if kind in MISTAKES))


def named(found: object) -> dict[str, object] | None:
    """Place -> kind from a dict or from pairs, "4A" for "4a" among them and what is left open left
    out; None for anything else."""
    pairs = found.items() if isinstance(found, dict) else found
    if isinstance(pairs, str) or not hasattr(pairs, "__iter__"):
        return None
    pairs = list(pairs)
    if not all(isinstance(p, (tuple, list)) and len(p) == 2 for p in pairs):
        return None
    if not all(isinstance(place, str) for place, _ in pairs):
        return None
    given = {place_in(place): kind for place, kind in pairs if kind is not ...}
    return {
        place: kind.strip().lower() if isinstance(kind, str) else kind
        for place, kind in given.items()
    }


def place_in(text: str) -> str:
    """ "4b" for " 4B", "body.4b" or "block 4b", and "split" for "script.split()"."""
    words = text.lower().replace(".", " ").replace("()", " ").split()
    return words[-1] if words and {*words[:-1]} <= {"network", "body", "block", "script"} else text


def check_found(found: dict[str, str], number: int = 1) -> str | None:
    """`found` names place and kind of each bug of network and script `number`."""
    if (answer := named(found)) is None:
        return f'give a dict such as {{"3a": "kernel"}}, got {str(found)[:60]}'
    right = bugs(number)
    if answer and set(answer) <= set(KINDS):
        return 'write the place first, then the kind, such as {"3a": "kernel"}'
    if len(answer) > len(right):
        return f"there are {len(right)} bugs, you name {len(answer)}"
    verdicts = [judged(place, kind, right.get(place)) for place, kind in answer.items()]
    hits = sum(said.endswith("is right") for said in verdicts)
    if hits == len(right):
        return None
    return f"{hits} of {len(right)} found: {'; '.join(verdicts) or 'nothing named yet'}"


def judged(place: str, kind: object, right: str | None) -> str:
    """What is to be said of one place and kind, where `right` is the bug there, if any."""
    if place not in PLACES:
        return f"{place!r} is none of the places {', '.join(PLACES)}"
    if not isinstance(kind, str) or kind not in KINDS:
        return f"{kind!r} is none of the kinds {', '.join(KINDS)}"
    if right is None:
        return f"{place} has no bug"
    if kind != right:
        return f"{place} has a bug, but of another kind than {kind!r}"
    return f"{place} {kind} is right"
