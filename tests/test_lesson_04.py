import copy
import json
import struct

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import cross_entropy, nll_loss

from conftest import moved, solutions_pass
from inception_edu import googlenet
from inception_edu.figures import on_page, render
from inception_edu.googlenet import GoogLeNet, initialise
from inception_edu.layers import Concat
from inception_edu.lessons.lesson_04 import (
    checks as checks,
    early_late,
    gradients,
    heads as aux_heads,
    pictures,
    pull_explorer,
    race as aux_race,
    runs as lesson,
    verdict,
)
from inception_edu.lessons.lesson_04.gradients import CASES, Case, Pull
from inception_edu.lessons.lesson_04.runs import HEADS, SETTINGS, STARTS, Setting
from inception_edu.losses import head_logits, head_losses, loss_with_aux

pytestmark = pytest.mark.usefixtures("one_thread")


NOT_YET, RIGHT, OPEN = "not right yet", "right", "not attempted yet"


# --- exercise 1: the head


class Head(nn.Module):
    """A right head whose parts can be replaced by wrong ones."""

    def __init__(self, c_in, num_classes, width=1.0):
        super().__init__()
        c, n = int(128 * width), int(1024 * width)
        self.last, self.first = nn.Linear(n, num_classes), nn.Linear(c * 16, n)
        self.reduce, self.p = nn.Conv2d(c_in, c, 1), 0.7

    def pool(self, x):
        return F.avg_pool2d(x, 5, 3) if x.shape[2] > 13 else F.adaptive_avg_pool2d(x, 4)

    def act(self, x):
        return F.relu(x)

    def second(self, x):
        return F.relu(x)

    def drop(self, x):
        return F.dropout(x, self.p, training=self.training)

    def end(self, x):
        return x

    def forward(self, x):
        x = self.act(self.reduce(self.pool(x))).flatten(1)
        return self.end(self.last(self.drop(self.second(self.first(x)))))


class Lazy(nn.Module):
    """In double precision, in one Sequential; the first layer's inputs are left to PyTorch, and
    the pool stands between the convolution and its ReLU, which changes no number."""

    def __init__(self, c_in, num_classes, width=1.0):
        super().__init__()
        hidden = [nn.LazyLinear(int(1024 * width)), nn.Dropout(0.7), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(
            nn.ReLU(), nn.Flatten(), *hidden, nn.Linear(int(1024 * width), num_classes)
        )
        self.conv = nn.Conv2d(c_in, int(128 * width), (1, 1))
        self.double()

    def forward(self, x):
        x = self.conv(x)
        pool = nn.AvgPool2d(5, stride=3) if x.size(-1) == 14 else nn.AdaptiveAvgPool2d((4, 4))
        return self.layers(pool(x))


class ByFunctions(nn.Module):
    """With parameters of its own; dropout by a mask."""

    def __init__(self, c_in, num_classes, width=1.0):
        super().__init__()
        c, n = round(128 * width), round(1024 * width)
        shapes = dict(a=(c, c_in, 1, 1), b=(c,), c=(n, 16 * c), d=(n,), e=(num_classes, n))
        shapes["f"] = (num_classes,)
        self.w = nn.ParameterDict({k: nn.Parameter(torch.randn(v)) for k, v in shapes.items()})

    def forward(self, x):
        if min(x.shape[2:]) >= 14:
            x = x.unfold(2, 5, 3).unfold(3, 5, 3).mean((4, 5))
        else:
            x = F.adaptive_avg_pool2d(x, (4, 4))
        x = F.conv2d(x, self.w["a"], self.w["b"]).clamp(min=0).reshape(len(x), -1)
        x = (x @ self.w["c"].T + self.w["d"]).clamp(min=0)
        if self.training:
            x = x * (torch.rand_like(x) < 0.3) / 0.3
        return x @ self.w["e"].T + self.w["f"]


@pytest.mark.parametrize("build", [Head, Lazy, ByFunctions])
def test_a_head_of_any_make_is_right(build):
    assert checks.exercise_1.judge(build) == (RIGHT, "")


def but(**parts):
    """A head with some parts replaced."""
    return type("AuxHead", (Head,), parts)


def pool_last(self, x):
    x = self.pool(self.act(self.reduce(x))).flatten(1)
    return self.last(self.drop(self.second(self.first(x))))


class Narrow(Head):
    def __init__(self, c_in, num_classes, width=1.0):
        super().__init__(c_in, num_classes, 1 / 8)


class Normed(Head):
    def __init__(self, c_in, num_classes, width=1.0):
        super().__init__(c_in, num_classes, width)
        self.norm = nn.BatchNorm2d(int(128 * width))

    def act(self, x):
        return self.norm(x).relu()


PAPERS = "AuxHead(24, 10, width=0.125) on a 14x14 grid: "
NO_SOFTMAX = "return logits, for the loss has its own"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            but(pool=lambda self, x: F.adaptive_avg_pool2d(x, 4)),
            PAPERS
            + "it pools adaptively on 14x14, too: its windows are 4 wide there, [G]'s are 5.",
        ),
        (
            but(pool=lambda self, x: F.avg_pool2d(x, 5, 3)),
            "F.adaptive_avg_pool2d(x, 4) makes 4x4 of every smaller grid.",
        ),
        (
            but(pool=lambda self, x: F.adaptive_max_pool2d(x, 4)),
            "with the right ones' values it puts out something else",
        ),
        (but(pool=lambda self, x: F.max_pool2d(x, 5, 3)), "its pool takes maxima"),
        (
            but(
                pool=lambda self, x: (
                    F.interpolate(x, (4, 4)) if len(x[0, 0]) < 14 else F.avg_pool2d(x, 5, 3)
                )
            ),
            "on a 7x7 grid: smaller grids go through F.adaptive_avg_pool2d(x, 4)",
        ),
        (but(pool=lambda self, x: x), "4 x 4 places of 128 * width channels enter the first"),
        (but(forward=pool_last), "the pool stands behind the convolution and its ReLU"),
        (but(act=lambda self, x: x), "the ReLU after the 1x1 convolution is missing"),
        (but(second=lambda self, x: x), "the ReLU between the linear layers is missing"),
        (but(act=lambda self, x: x, second=lambda self, x: x), "both ReLUs are missing"),
        (but(end=lambda self, x: x.softmax(1)), "it ends in a softmax; " + NO_SOFTMAX),
        (but(end=lambda self, x: x.softmax(0)), "it ends in a softmax over the batch"),
        (but(end=lambda self, x: x.log_softmax(1)), "it ends in a log-softmax; " + NO_SOFTMAX),
        (but(end=lambda self, x: x.relu()), "it ends in a ReLU; logits may be negative"),
        (but(end=lambda self, x: x.tanh()), "it puts out something else"),
        (but(drop=lambda self, x: x.detach()), "learn something else: something is detached"),
        (Narrow, "AuxHead(40, 7, width=0.25) on a 14x14 grid: it has 34,455 parameters, expected"),
        (Normed, "weights of shape (16,) are not expected"),
        (but(end=lambda self, x: [x]), "expected (2, 10)"),
        (googlenet.AuxHead, "It calls the package's head: write it yourself"),
        (lambda c, n, width=1.0: aux_heads.AuxHead(c, n, width), "It calls the package's head"),
        (lambda c, n, width=1.0: "head", "must make an nn.Module, got 'head'"),
        (lambda c, n: Head(c, n), "It raised TypeError"),
    ],
)
def test_wrong_heads_are_told_apart(build, said):
    state, told = checks.exercise_1.judge(build)
    assert state == NOT_YET and said in told, told


def rows_at_once(self, x):
    return x * (torch.rand(len(x), 1) < 0.3) / 0.3 if self.training else x


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        (dict(drop=lambda self, x: x), "no hidden unit is dropped: a dropout of 0.7 follows"),
        (
            dict(drop=lambda self, x: F.dropout(x, 0.3, self.training)),
            "30% of the hidden units are dropped, expected 70%; 0.7 is the fraction that",
        ),
        (
            dict(drop=lambda self, x: F.dropout(x, 0.5, self.training)),
            "50% of the hidden units are dropped, expected 70%.",
        ),
        (dict(drop=lambda self, x: F.dropout(x, 0.7)), "needs training=self.training"),
        (
            dict(drop=lambda self, x: x, end=lambda self, x: F.dropout(x, 0.7, self.training)),
            "it drops logits",
        ),
        (
            dict(
                drop=lambda self, x: x, act=lambda self, x: F.dropout(x.relu(), 0.7, self.training)
            ),
            "no hidden unit is dropped",
        ),
        (
            dict(act=lambda self, x: F.dropout(x.relu(), 0.7, self.training)),
            "something else than one dropout",
        ),
        (dict(drop=rows_at_once), "not dropped one by one, but together"),
        (
            dict(drop=lambda self, x: x * (torch.rand_like(x) < 0.3) if self.training else x),
            "something else than one dropout",
        ),
        (
            dict(drop=lambda self, x: Head.drop(self, x.detach() if self.training else x)),
            "gradients are others: something is detached",
        ),
        (
            dict(end=lambda self, x: (x, x) if self.training else x),
            "in training it must return logits alone",
        ),
    ],
)
def test_dropout_is_found_by_what_it_does(parts, said):
    state, told = checks.exercise_1.judge(but(**parts))
    assert state == NOT_YET and said.lower() in told.lower(), told


def test_the_reference_head_is_the_papers_and_the_packages():
    """By torch's layers with [G] section 5's numbers, and by the package's class."""
    torch.manual_seed(0)
    ours, x = aux_heads.Head(512, 10).eval(), torch.randn(2, 512, 14, 14)
    layers = nn.Sequential(
        nn.AvgPool2d(5, 3), nn.Conv2d(512, 128, 1), nn.ReLU(), nn.Flatten(),
        nn.Linear(2048, 1024), nn.ReLU(), nn.Dropout(0.7), nn.Linear(1024, 10),
    ).eval()  # fmt: skip
    package = aux_heads.AuxHead(512, 10).eval()
    for other in (layers, package):
        other.load_state_dict(
            dict(zip(other.state_dict(), ours.state_dict().values(), strict=True))
        )
        assert torch.allclose(other(x), ours(x), atol=1e-5)
    assert torch.allclose(package(x[..., :7, :7]), ours(x[..., :7, :7]), atol=1e-5)
    assert not torch.allclose(ours(x[:1]), ours(x[1:]), atol=1e-2)


def heads_of(outputs, labels):
    return [cross_entropy(x, labels) for x in outputs.aux.values()]


# --- exercise 2: the loss


def by_a_loop(outputs, labels):
    loss = cross_entropy(outputs.logits, labels)
    for name in outputs.aux:
        loss = loss + 0.3 * cross_entropy(outputs.aux[name], labels)
    return loss


def by_hand(outputs, labels):
    total = 0
    for weight, logits in [(1, outputs.logits), *((0.3, x) for x in outputs.aux.values())]:
        chosen = logits.log_softmax(-1).gather(1, labels[:, None])
        total -= weight * chosen.mean()
    return total


def by_cases(outputs, labels):
    if not outputs.aux:
        return nn.CrossEntropyLoss()(outputs.logits, labels)
    losses = nll_loss(
        torch.stack([outputs.logits, *outputs.aux.values()]).log_softmax(2).permute(1, 2, 0),
        labels[:, None].expand(-1, 3),
        reduction="none",
    ).mean(0)
    return losses @ torch.tensor([1, 0.3, 0.3], dtype=losses.dtype)


class Loss(nn.Module):
    def forward(self, outputs, labels):
        aux = sum(heads_of(outputs, labels), start=torch.zeros(()))
        return 0.3 * aux.double() + cross_entropy(outputs.logits.double(), labels)


@pytest.mark.parametrize("loss", [by_a_loop, by_hand, by_cases, Loss()])
def test_the_loss_with_weights_1_and_0_3_is_right_in_any_make(loss):
    assert checks.exercise_2.judge(loss) == (RIGHT, "")


@pytest.mark.parametrize(
    ("aux_part", "said"),
    [
        (lambda o, y: sum(heads_of(o, y)), "weigh each by 0.3"),
        (lambda o, y: 0.0, "main head alone"),
        (lambda o, y: 0.3 * sum(heads_of(o, y)[:1]), "aux2 is not counted"),
        (lambda o, y: 0.3 * sum(heads_of(o, y)[1:]), "aux1 is not counted"),
        (lambda o, y: 0.15 * sum(heads_of(o, y)), "not to their mean"),
        (lambda o, y: 0.5 * sum(heads_of(o, y)), "In training it returns"),
        (
            lambda o, y: (
                0.3 * cross_entropy(o.aux["aux1"], y) + 0.3 * cross_entropy(o.aux["aux2"], y)
            ),
            "At inference, with no head in outputs.aux, it raised KeyError: there is no aux head",
        ),
        (
            lambda o, y: 0.3 * (sum(heads_of(o, y)) if o.aux else 2 * cross_entropy(o.logits, y)),
            "At inference, where the main head alone counts, it returns",
        ),
        (lambda o, y: 0.3 * sum(x.detach() for x in heads_of(o, y)), "something is detached"),
        (lambda o, y: 0.3 * sum(x.item() for x in heads_of(o, y)), "something is detached"),
        (
            lambda o, y: 0.3 * sum(cross_entropy(x, y.flip(0)) for x in o.aux.values()),
            "In training it returns",
        ),
    ],
)
def test_wrong_losses_are_told_apart(aux_part, said):
    state, told = checks.exercise_2.judge(
        lambda outputs, labels: cross_entropy(outputs.logits, labels) + aux_part(outputs, labels)
    )
    assert state == NOT_YET and said in told


@pytest.mark.parametrize(
    ("loss", "said"),
    [
        (lambda o, y: by_a_loop(o, y).item(), "expected a tensor of shape ()"),
        (lambda o, y: cross_entropy(o.logits, y, reduction="none"), "it returns shape (7,)"),
        (lambda o, y: by_a_loop(o, y).detach(), "no gradient flows back"),
        (lambda o, y: by_a_loop(o, y) / 1.6, "do not divide by 1.6"),
        (
            lambda o, y: 0.3 * (cross_entropy(o.logits, y) + sum(heads_of(o, y))),
            "the main head has weight 1",
        ),
        (lambda o, y: 0.3 * sum(heads_of(o, y)), "the main head is not counted"),
        (lambda o, y: by_a_loop(o, y) * len(y), "In training it returns"),
        (lambda o, y: by_a_loop(o, torch.zeros_like(y)), "In training it returns"),
        (lambda o, y: o, "it returns 'Outputs"),
        (0.3, "It raised TypeError"),
    ],
)
def test_losses_of_the_wrong_kind_are_told_apart(loss, said):
    state, told = checks.exercise_2.judge(loss)
    assert state == NOT_YET and said in told


# --- exercise 3: a test


def by_disturbing(network, *, seed=True, block="4b", head="aux1"):
    x, part, passes = torch.randn(2, 1, 28, 28), network.body.get_submodule(block), []
    for change in (0, 1):
        for weight in part.parameters():
            weight.data += change
        if seed:
            torch.manual_seed(0)
        passes.append(network(x).aux[head])
    assert torch.equal(*passes)


def by_gradient(network):
    weights = list(network.body.get_submodule("4b").parameters())
    aux1 = network(torch.randn(2, 1, 28, 28)).aux["aux1"].sum()
    found = torch.autograd.grad(aux1, weights, allow_unused=True)
    assert all(gradient is None for gradient in found)


def by_spoiling(network):
    block = network.body.get_submodule("4b")
    block.register_forward_hook(lambda module, given, output: output * float("nan"))
    outputs = network(torch.randn(2, 1, 28, 28))
    assert outputs.logits.isnan().all()
    torch.testing.assert_close(outputs.aux["aux1"], outputs.aux["aux1"])


def by_another_block(network):
    other = copy.deepcopy(network)
    setattr(other.body, "4b", nn.Identity())
    outputs = []
    for one in (network, other):
        torch.manual_seed(3)
        outputs.append(one(torch.ones(2, 1, 28, 28)).aux["aux1"].detach().numpy())
    np.testing.assert_array_equal(*outputs)


def by_walking(network):
    x = network.stem(image := torch.randn(2, 1, 28, 28))
    for name, block in network.body.named_children():
        x = block(x)
        if name == "4a":
            break
    torch.manual_seed(0)
    expected = network.aux["aux1"](x)
    torch.manual_seed(0)
    assert torch.allclose(network(image).aux["aux1"], expected, atol=1e-6)


@pytest.mark.parametrize(
    "test", [by_disturbing, by_gradient, by_spoiling, by_another_block, by_walking]
)
def test_a_test_that_tells_the_networks_apart_is_right(test):
    assert checks.exercise_3.judge(test) == (RIGHT, "")


def network_shapes(network):
    assert network(torch.randn(2, 1, 28, 28)).aux["aux1"].shape == (2, 10)


def reads_the_settings(network):
    assert network.reads["aux1"] == "4a"


def looks_at_the_heads(network):
    assert network.aux["aux1"].conv.conv.in_channels == 64


def fails(network):
    raise AssertionError("always")


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (lambda n: by_disturbing(n, seed=False), "draws anew in every pass"),
        (lambda n: by_disturbing(n, block="4c"), "It passes on a network in which aux1 reads 4b"),
        (lambda n: by_disturbing(n, head="aux2"), "It fails on a right network, in which aux1"),
        (network_shapes, "It passes on a network in which aux1 reads 4b"),
        (reads_the_settings, "It passes on a network in which aux1 reads 4b"),
        (looks_at_the_heads, "It passes on a network in which aux1 reads 4b"),
        (fails, "in which aux1 does ignore 4b (always)"),
        (lambda n: True, "It passes on a network"),
        (lambda n: by_hooks(n), "outputs have swapped names"),
        (lambda n: roughly(n), "nine parts of 4a and one of 4b"),
        (lambda n: n.body["4b"], "It raised"),
        ("yes", "It raised"),
    ],
)
def test_wrong_tests_are_told_apart(test, said):
    state, told = checks.exercise_3.judge(test)
    assert state == NOT_YET and said in told


def by_hooks(network):
    """What enters the module aux1, whatever its output is called then."""
    seen = []
    network.aux["aux1"].register_forward_hook(lambda module, given, output: seen.append(*given))
    network.body.get_submodule("4a").register_forward_hook(lambda module, x, y: seen.append(y))
    network(torch.randn(2, 1, 28, 28))
    assert torch.equal(*sorted(seen, key=id))


def roughly(network):
    before, after = ([], [])
    for passes, change in ((before, 0), (after, 1)):
        for weight in network.body.get_submodule("4b").parameters():
            weight.data += change
        torch.manual_seed(0)
        passes.append(network(torch.ones(2, 1, 28, 28)).aux["aux1"])
    assert torch.allclose(*before, *after, rtol=0, atol=0.3)


def test_the_wired_network_is_googlenet_where_it_is_wired_as_in_the_paper():
    torch.manual_seed(0)
    wired, x = checks.Wired("4a", dropout=False).train(), torch.randn(2, 1, 28, 28)
    plain = GoogLeNet("small", num_classes=10, in_channels=1, width=1 / 8)
    plain.load_state_dict(wired.state_dict())
    for layer in plain.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    found, right = wired(x), plain.train()(x)
    for a, b in zip(head_logits(found).values(), head_logits(right).values(), strict=True):
        assert torch.equal(a, b)
    assert wired.reads == plain.reads
    for depends_on in checks.WRONG_NETWORKS:
        torch.manual_seed(0)
        other = checks.Wired(depends_on, dropout=False).train()(x)
        assert torch.equal(other.logits, found.logits)
        assert not torch.allclose(other.aux["aux1"], found.aux["aux1"], rtol=0.01)


@pytest.mark.parametrize("exercise", [checks.exercise_1, checks.exercise_2, checks.exercise_3])
def test_stubs_are_not_attempted_yet(exercise):
    def stub(outputs, labels):
        """Outputs, labels -> a scalar"""
        ...

    class Stub(nn.Module):
        """(n, c_in, h, w) -> logits"""

        def __init__(self, c_in, num_classes, width=1.0): ...

        def forward(self, x): ...

    for answer in (stub, Stub, ...):
        assert exercise.judge(answer)[0] == OPEN


def test_the_lesson_goes_on_with_the_packages_until_the_learners_is_right(capsys):
    assert checks.exercise_1.check(...) is aux_heads.AuxHead
    assert checks.exercise_1.check(aux_heads.AuxHead) is aux_heads.AuxHead
    assert checks.exercise_2.check(...) is loss_with_aux
    assert checks.exercise_2.check(loss_with_aux) is loss_with_aux
    assert checks.exercise_1.state == checks.exercise_2.state == OPEN


# --- the networks


def test_xavier_is_how_the_papers_variant_starts():
    networks = []
    for start in ("Xavier", "PyTorch", "PyTorch"):
        torch.manual_seed(0)
        networks.append(Setting(start, False).network())
        if len(networks) == 2:
            initialise(networks[1])
    ours, theirs, left_alone = (network.state_dict() for network in networks)
    assert all(torch.equal(ours[name], value) for name, value in theirs.items())
    assert not torch.equal(ours["stem.conv1.conv.weight"], left_alone["stem.conv1.conv.weight"])


@pytest.mark.parametrize(("start", "variance"), [("Xavier", 1), ("Kaiming", 2)])
@pytest.mark.parametrize("norm", [False, True])
def test_weights_start_with_the_stated_variance_over_the_inputs(start, variance, norm):
    torch.manual_seed(0)
    network = Setting(start, norm).network()
    hidden = network.aux["aux1"].hidden
    assert hidden.weight.var().item() * hidden.in_features == pytest.approx(variance, rel=0.05)
    assert {round(bias, 4) for bias in hidden.bias.tolist()} == {0.2 if start == "Xavier" else 0.0}
    assert set(network.head.linear.bias.tolist()) == {0.0}


@pytest.mark.parametrize("setting", SETTINGS, ids=str)
def test_with_and_without_heads_one_seed_starts_the_same_network(setting):
    found = []
    for aux in (True, False):
        torch.manual_seed(3)
        found.append(setting.network(aux=aux))
    with_heads, without = found
    assert list(with_heads.aux) == ["aux1", "aux2"] and not without.aux
    weights = with_heads.state_dict()
    assert all(torch.equal(weights[name], v) for name, v in without.state_dict().items())
