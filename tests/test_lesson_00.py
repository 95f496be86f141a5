import copy
import re
import struct
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from authoring.notebook import read
from conftest import solutions_pass
from inception_edu.cost import layer_table
from inception_edu.data import Dataset, Split
from inception_edu.exercises import Exercise
from inception_edu.figures import on_page
from inception_edu.googlenet import GoogLeNet
from inception_edu.lessons.lesson_00 import checks as checks, loops, pictures
from inception_edu.training import train

CLASSES = tuple("abcdefghij")

pytestmark = pytest.mark.usefixtures("one_thread")


# --- Exercise 1: the network


class Weighed(nn.Module):
    """One linear layer, by hand."""

    def __init__(self):
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(10))
        self.weight = nn.Parameter(torch.rand(784, 10).T.contiguous())

    def forward(self, x):
        return F.linear(x.reshape(len(x), -1), self.weight, self.bias)


def flat(*layers):
    return nn.Sequential(nn.Flatten(), *layers)


RIGHT_NETWORKS = {
    "by hand": Weighed,
    "with a pass-through": lambda: flat(nn.Identity(), nn.Linear(28 * 28, 10)),
    "nested": lambda: nn.Sequential(nn.Flatten(1), nn.Sequential(nn.Linear(784, 10))),
    "of a size found later": lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(10)),
}
WRONG_NETWORKS = {
    "zero": (lambda: 0, "is an nn.Module, such as nn.Sequential(...), got '0'"),
    "the class": (lambda: nn.Linear, "is an nn.Module"),
    "lazy": (nn.Identity, "it has 0 parameters, expected 7,850"),
    "not flat": (lambda: nn.Sequential(nn.Linear(784, 10)), "raised RuntimeError"),
    "one convolution": (
        lambda: nn.Sequential(nn.Conv2d(1, 10, 28), nn.Flatten()),
        "its 7,850 parameters are as many as expected, but in other shapes; weights of shape",
    ),
    "dropout": (lambda: flat(nn.Dropout(), nn.Linear(784, 10)), "it is to be one linear layer"),
    "two layers": (lambda: flat(nn.Linear(784, 32), nn.Linear(32, 10)), "25,450 parameters"),
    "no bias": (lambda: flat(nn.Linear(784, 10, bias=False)), "7,840 parameters"),
    "one class less": (lambda: flat(nn.Linear(784, 9)), "7,065 parameters"),
    "softmax": (lambda: flat(nn.Linear(784, 10), nn.Softmax(1)), "ends in a softmax"),
    "log_softmax": (lambda: flat(nn.Linear(784, 10), nn.LogSoftmax(1)), "ends in a log_softmax"),
    "in float64": (lambda: flat(nn.Linear(784, 10)).double(), "must have the same dtype"),
    "relu": (lambda: flat(nn.Linear(784, 10), nn.ReLU()), "ends in a ReLU"),
    "sigmoid": (lambda: flat(nn.Linear(784, 10), nn.Sigmoid()), "ends in a sigmoid"),
}


@pytest.mark.parametrize("build", RIGHT_NETWORKS.values(), ids=RIGHT_NETWORKS)
def test_a_linear_layer_of_any_make_is_right_and_left_as_it_was(build):
    network = build().train()
    if any(map(nn.parameter.is_lazy, network.parameters())):
        assert checks.exercise_1.judge(network) == ("right", "")
    before = copy.deepcopy(network.state_dict())
    assert checks.exercise_1.judge(network) == ("right", "")
    assert network.training
    assert all(torch.equal(a, before[name]) for name, a in network.state_dict().items())


@pytest.mark.parametrize(("build", "said"), WRONG_NETWORKS.values(), ids=WRONG_NETWORKS)
def test_another_network_is_not_right_and_told_apart(build, said):
    state, told = checks.exercise_1.judge(build())
    assert state == "not right yet" and said.lower() in told.lower()


def test_a_network_not_typed_yet_is_not_attempted_and_ours_is_the_same_every_time():
    assert checks.exercise_1.judge(...) == ("not attempted yet", "")
    one, other = (checks.first_network().state_dict().values() for _ in range(2))
    assert all(map(torch.equal, one, other))


# --- Exercise 2: the loop


def momentum(model, batches, lr):
    return by_optimiser(model, batches, torch.optim.SGD(model.parameters(), lr, momentum=0.9))


def adam(model, batches, lr):
    return by_optimiser(model, batches, torch.optim.Adam(model.parameters(), lr))


def by_optimiser(model, batches, optimiser):
    losses = []
    model.train()
    for x, labels in batches:
        optimiser.zero_grad()
        loss = nn.CrossEntropyLoss()(model(x), labels)
        loss.backward()
        optimiser.step()
        losses.append(loss.detach())
    model.eval()
    return losses


def class_and_optimiser(model, batches, lr):
    """nn.CrossEntropyLoss, torch.optim.SGD; losses as tensors."""
    return by_optimiser(model, batches, torch.optim.SGD(model.parameters(), lr=lr))


def by_hand(model, batches, lr):
    """Weights changed under no_grad, log_softmax and nll_loss; losses as an array."""
    losses = []
    model.train()
    for x, labels in batches:
        loss = F.nll_loss(F.log_softmax(model(x), dim=1), labels)
        loss.backward()
        with torch.no_grad():
            for p in model.parameters():
                p -= lr * p.grad
                p.grad = None
        losses.append(np.float64(loss.item()))
    model.eval()
    return np.array(losses)


def by_autograd(model, batches, lr):
    """No .grad at all; all batches in a list; prints, and returns a tensor."""
    losses = []
    for x, labels in list(batches):
        model.train(True)
        loss = F.cross_entropy(model(x), labels)
        found = torch.autograd.grad(loss, [*model.parameters()])
        for p, g in zip(model.parameters(), found, strict=True):
            p.data = p.data - lr * g
        print(f"loss {loss.item():.2f}", end="\r")
        losses += [loss.item()]
    model.train(False)
    return torch.tensor(losses)


def with_probabilities(model, batches, lr):
    """The loss from probabilities; modes set around each step, an evaluation in between."""
    losses = ()
    for x, labels in batches:
        model.eval()
        with torch.no_grad():
            model(x)
        model.train()
        model.zero_grad()
        loss = -model(x).softmax(1)[range(len(x)), labels].log().mean()
        loss.backward()
        torch.optim.SGD(model.parameters(), lr=lr).step()
        losses = (*losses, round(loss.item(), 3))
    model.eval()
    return losses


RIGHT_LOOPS = [class_and_optimiser, by_hand, by_autograd, with_probabilities]
LOOP = """
def answer(model, batches, lr):
    optimizer = torch.optim.SGD(model.parameters(), lr)
    losses = []
    model.train()
    for x, labels in batches:
        loss = F.cross_entropy(model(x), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    model.eval()
    return losses
"""
WRONG_LOOPS = {  # what is changed in the loop above -> what is said
    "no zero_grad": ("        optimizer.zero_grad()\n", "", "add up: forget them with zero_grad()"),
    "no step": ("        optimizer.step()\n", "", "step() must come right after backward()"),
    "zero_grad too late": ("optimizer.step()", "optimizer.zero_grad()", "right after backward()"),
    "no backward": ("        loss.backward()\n", "", "loss.backward() is missing"),
    "no train": ("    model.train()\n", "", "model.train() is missing"),
    "no eval": ("    model.eval()\n", "", "model.eval() is missing at the end"),
    "eval for train": ("model.train()", "model.eval()", "learned in evaluation mode"),
    "nothing returned": ("    return losses\n", "", "it returns None, expected a list of 4 losses"),
    "last loss": ("return losses", "return losses[-1]", "expected a list of 4 losses"),
    "mean loss": ("return losses", "return torch.tensor(losses).mean()", "list of 4 losses"),
    "one loss again": (
        "loss.item())",
        "loss.item()); losses[:] = losses[:1] * len(losses)",
        "same",
    ),
    "loss afterwards": (
        "losses.append(loss.item())",
        "losses.append(F.cross_entropy(model.eval()(x), labels).item()); model.train()",
        "the losses returned are",
    ),
    "too few losses": ("return losses", "return losses[1:]", "it returns 3 losses, expected 4"),
    "graphs kept": ("loss.item()", "loss", "append loss.item()"),
    "early return": ("losses.append(loss.item())", "return [loss.item()]", "after the first batch"),
    "early eval": (
        "losses.append(loss.item())",
        "losses.append(loss.item()); model.eval()",
        "later",
    ),
    "first batch": (
        "for x, labels in batches:",
        "x, labels = next(batches)\n    for _ in range(20):",
        "first batch",
    ),
    "first of all": (
        "for x, labels in batches:",
        "batches = list(batches)\n    for _ in batches:\n        x, labels = batches[0]",
        "every step takes the loss of the first batch",
    ),
    "last of all": (
        "for x, labels in batches:",
        "batches = list(batches)\n    for _ in batches:\n        x, labels = batches[-1]",
        "every step takes the loss of the last batch",
    ),
    "step outside": (
        "        optimizer.step()\n        losses.append(loss.item())\n",
        "        losses.append(loss.item())\n    optimizer.step()\n",
        "only the last batch moves the weights",
    ),
    "one left out": (
        "    losses = []\n",
        "    losses = []\n    next(batches)\n",
        "first batch is left out",
    ),
    "length asked": ("    losses = []\n", "    losses = [0] * len(batches)\n", "has no len()"),
    "lr ignored": ("parameters(), lr", "parameters(), 0.01", "lr is ignored"),
    "lr ignored, once right": ("parameters(), lr", "parameters(), 0.5", "lr is ignored"),
    "uphill": ("parameters(), lr", "parameters(), lr, maximize=True", "uphill"),
    "sum": ("labels)", 'labels, reduction="sum")', "sum of the batch's losses"),
    "softmax": ("model(x),", "model(x).softmax(1),", "a softmax before cross_entropy"),
    "a copy": (
        "    losses",
        "    import copy; model = copy.deepcopy(model)\n    losses",
        "what they were",
    ),
    "a copy of its own": (
        "    optimizer = ",
        "    import copy; model = copy.deepcopy(model)\n    optimizer = ",
        "what they were before: no batch has gone through model",
    ),
    "nothing": ("    optimizer = ", "    return []\n    optimizer = ", "no batch has gone through"),
    "zero": ("    optimizer = ", "    return 0\n    optimizer = ", "no batch has gone through"),
}


def altered(old, new):
    """The loop with a change, as a notebook's cell would make it."""
    assert LOOP.count(old) >= 1
    names = dict(torch=torch, F=F)
    exec(LOOP.replace(old, new, 1), names)
    return names["answer"]


@pytest.mark.parametrize("answer", RIGHT_LOOPS)
def test_a_right_loop_of_any_make_is_right_and_prints_nothing_in_its_check(answer, capsys):
    assert checks.exercise_2.judge(answer) == ("right", "")
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("old", "new", "said"), WRONG_LOOPS.values(), ids=WRONG_LOOPS)
def test_a_wrong_loop_is_told_what_it_does(old, new, said):
    state, told = checks.exercise_2.judge(altered(old, new))
    assert state == "not right yet" and said in told


@pytest.mark.parametrize(
    ("answer", "said"), [(momentum, "a momentum of 0.9"), (adam, "already after the first batch")]
)
def test_another_optimiser_is_no_plain_sgd(answer, said):
    assert said in checks.exercise_2.judge(answer)[1]


def test_our_loop_is_no_answer_but_passes_its_check():
    assert checks.exercise_2.judge(train) == ("not attempted yet", "")
    assert loops.check_train(train) is None


def test_each_task_tells_its_mistakes_apart():
    told = set()
    for task in loops.tasks():
        right, _ = loops.learn(task, task.batches)
        wrong = loops.mistakes(task)
        told |= {why for why, weights in wrong.items() if not loops.alike(weights, right)}
    assert told == {*wrong} and len(told) >= 10


# --- what the lesson shows


@pytest.fixture(scope="module")
def garments():
    """Forty noisy images of ten classes, each class around a grey of its own."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40) % 10
    noise = torch.randint(0, 120, (40, 1, 6, 6), generator=generator)
    images = (noise + 12 * labels.view(-1, 1, 1, 1)).to(torch.uint8)
    part = Split(images, labels, (0.5,), (0.25,))
    classes = ("Coat", *"abcdefgh", "Shirt")
    return Dataset("tiny", part, part, part, classes, part.mean, part.std)


def picture_of(picture, *inches):
    assert struct.unpack(">II", picture.png[16:24]) == tuple(2 * n for n in on_page(inches))
    return repr(picture)


def test_class_mean_is_the_mean_of_its_class_pixel_by_pixel(garments):
    means = pictures.class_means(garments.train)
    assert means.shape == (10, 1, 6, 6) and means.dtype == torch.float64
    for label in (0, 9):
        total = torch.zeros(1, 6, 6)
        for image, of in zip(garments.train.images, garments.train.labels, strict=True):
            total += image * (of == label)
        torch.testing.assert_close(means[label].float(), total / 4)
    assert not torch.allclose(means[0], means[1])


def test_nearest_mean_equals_a_direct_loop(garments):
    means, expected = pictures.class_means(garments.train), []
    for image in garments.valid.images:
        gaps = [((image.double() - mean) ** 2).sum().item() for mean in means]
        expected.append(gaps.index(min(gaps)))
    assert len(set(expected)) > 5 and expected != garments.valid.labels.tolist()
    assert pictures.nearest_mean(means, garments.valid).tolist() == expected


def test_confusion_counts_true_classes_in_rows_and_answers_in_columns():
    labels, predicted = torch.tensor([0, 0, 0, 1, 2, 2]), torch.tensor([1, 1, 0, 1, 0, 2])
    assert pictures.confusion(labels, predicted, 3).tolist() == [[1, 2, 0], [0, 1, 0], [1, 0, 1]]


def test_mistakes_among_tops_are_a_share_of_all_mistakes(garments):
    percent = torch.zeros(10, 10).fill_diagonal_(60.0)
    percent[0, 9] = percent[9, 0] = 30.0  # coat and shirt
    percent[0, 1] = percent[1, 2] = 10.0
    confused = pictures.Confused(garments.classes, torch.zeros(10, 6, 6), percent)
    assert confused.among_tops == pytest.approx(75)


def test_the_confusion_matrix_tells_each_class_and_draws_its_mean_twice(garments):
    means, labels = pictures.class_means(garments.train), garments.test.labels
    predicted = torch.where(torch.arange(40) < 10, labels, 9 - labels)  # of each class 1 in 4
    told = picture_of(pictures.show_confusion(garments, means, predicted), 9.5, 8.25)
    assert told.splitlines()[1:11] == [f"{name}: 25" for name in garments.classes]
    assert '"20 of 100 mistakes take one top for another"; 21 images, 10 coll' in told
    assert "20 labels" in told  # two numbers in each row


def test_garments_weights_and_losses_are_told(garments):
    more = garments.train.images.repeat(2, 1, 1, 1), garments.train.labels.repeat(2)
    eight = replace(garments, train=Split(*more, garments.mean, garments.std))
    told = picture_of(pictures.show_garments(eight), 11, 3.3)
    assert told.startswith("6 images each of Coat, a, b, ")
    means = pictures.class_means(garments.train)
    network = nn.Sequential(nn.Flatten(), nn.Linear(36, 10))
    told = picture_of(pictures.show_weights(network, means, garments.classes), 11, 3)
    assert "Orange pixels speak for the class" in told and told.startswith("36 weights for each of")
    told = picture_of(pictures.show_losses([2.4, *[0.5] * 99]), 11, 3.25)
    assert "loss 2.4 at first, 0.5 at the end" in told
    assert "falls from 2.4 to 0.5 in 100 steps" in told


def test_machine_is_told_in_six_rows(monkeypatch):
    ran = []
    monkeypatch.setattr(
        pictures, "milliseconds", lambda layer, x, **_: ran.append((layer, x)) or 4.0
    )
    _, *rows = pictures.machine().rows
    names = [name for name, _ in rows]
    speeds = [f"{name}, GMAC/s on one core" for name in ("float32", "bfloat16")]
    assert names[:4] == ["device", "CPU cores", *speeds]
    assert rows[0][1] == "cpu" and int(rows[1][1]) >= 1 and rows[5][1] in ("float32", "bfloat16")
    (layer, x), (_, half) = ran
    assert (x.dtype, half.dtype) == (torch.float32, torch.bfloat16)
    with torch.no_grad():
        macs = layer(x).numel() * layer.weight[0].numel()
    assert rows[2][1] == rows[3][1] == f"{macs / 4e6:.0f}"
    network = layer_table(GoogLeNet("paper", aux=False), (3, 224, 224)).macs
    assert rows[4][1] == f"{macs / 4e-3 / network:.0f}"


def test_what_the_lesson_promises_is_what_later_lessons_keep():
    (path,) = Path(__file__).parents[1].glob("notebooks/00_*.ipynb")
    text = "\n".join(cell.source for cell in read(path).cells)
    rows = re.findall(r"^\| (\d\d) \| (`.*) \|$", text, re.M)
    promised = {lesson: set(re.findall(r"`(\w+)`", row)) for lesson, row in rows}
    assert list(promised) == [f"{lesson:02}" for lesson in range(10)]
    kept = {}
    for lesson in promised:
        found = vars(import_module(f"inception_edu.lessons.lesson_{lesson}.checks")).values()
        kept[lesson] = {name for e in found if isinstance(e, Exercise) for name in e.keep}
    assert {x: names - kept[x] for x, names in promised.items() if names - kept[x]} == {}
    assert kept["00"] == {"train"}


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("00")
