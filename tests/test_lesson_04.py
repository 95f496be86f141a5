import copy
import struct

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import cross_entropy, nll_loss

from authoring.measure import table
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
from inception_edu.lessons.studies import saved
from inception_edu.losses import head_logits, head_losses, loss_with_aux
from inception_edu.network import Outputs

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


class Mixing(nn.Linear):
    """A 1x1 convolution by a linear layer, whose weights have another shape."""

    def forward(self, x):
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


def linear_as_1x1(c_in, num_classes, width=1.0):
    head = Head(c_in, num_classes, width)
    head.reduce = Mixing(c_in, head.reduce.out_channels)
    return head


PAPERS = "AuxHead(24, 10, width=0.125) on a 14x14 grid: "
NO_SOFTMAX = "return logits, for the loss has its own"


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (
            linear_as_1x1,
            PAPERS + "its 34,586 parameters are as many as expected, but in other shapes; "
            "weights of shape (16, 24) are not expected",
        ),
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
            "with the correct values it puts out something else",
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
        (
            lambda o, y: 0.3 * sum(x.detach() for x in heads_of(o, y)),
            "something is detached; no gradient reaches the logits of aux1 and aux2",
        ),
        (
            lambda o, y: 0.3 * (heads_of(o, y)[0] + heads_of(o, y)[1].detach()) if o.aux else 0.0,
            "no gradient reaches the logits of aux2",
        ),
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


def softened(outputs):
    aux = {name: logits.softmax(1) for name, logits in outputs.aux.items()}
    return Outputs(logits=outputs.logits.softmax(1), aux=aux)


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
        (
            lambda o, y: cross_entropy(o.logits + 0.3 * sum(o.aux.values()), y),
            "add up the heads' losses, not their logits",
        ),
        (lambda o, y: by_a_loop(softened(o), y), "no softmax stands before it"),
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
        (lambda n: True, "aux1 reads 4b: a test fails by assert; what it returns is not looked at"),
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


@pytest.mark.parametrize("norm", [False, True])
def test_without_reduces_the_large_kernels_read_all_channels_and_no_width_changes(norm):
    torch.manual_seed(0)
    direct = Setting("Kaiming", norm).network(reduces=False)
    usual = Setting("Kaiming", norm).network()
    for (name, block), known in zip(
        direct.body.named_children(), usual.body.children(), strict=True
    ):
        if isinstance(block, Concat):
            kernels = [m for m in block.modules() if isinstance(m, nn.Conv2d)]
            assert [m.kernel_size[0] for m in kernels] == [1, 3, 5, 1], name
            assert len({m.in_channels for m in kernels}) == 1
            assert {m.bias is None for m in kernels} == {norm}
            x = torch.randn(2, kernels[0].in_channels, 7, 7)
            assert block(x).shape == known(x).shape
    x = torch.randn(2, 1, 28, 28)
    assert list(direct(x).aux) == ["aux1", "aux2"]


def test_the_race_takes_of_each_start_the_rate_that_is_best_on_validation():
    sweep = saved("aux_rates")["runs"]

    def reached(setting, heads, lr):
        (run,) = sweep[f"{setting}, {heads}, lr {lr:g}"]
        return run["valid_accuracy"]

    rates = {entry.recipe.lr for entry in lesson.RATES.values()}
    for setting, lr in lesson.BEST.items():
        for heads, aux in HEADS.items():
            assert lr == max(rates, key=lambda rate: reached(setting, heads, rate))
            runner = lesson.RACE[f"{setting}, {heads}"]
            assert runner.recipe.lr == lr and runner.recipe.steps == 600
            assert list(runner.build().aux) == ["aux1", "aux2"] * aux


# --- the gradients


@pytest.fixture(scope="module")
def batch():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 1, 28, 28, generator=generator), torch.arange(4)


@pytest.fixture(scope="module")
def grid(batch):
    torch.manual_seed(5)
    drawn = torch.rand(1)
    torch.manual_seed(5)
    measured = gradients.measure(*batch, seeds=2)
    assert torch.equal(torch.rand(1), drawn)  # measuring leaves the random state alone
    return measured


@pytest.mark.parametrize("case", [CASES[1], CASES[4], CASES[8]], ids=str)
def test_the_grid_holds_what_backward_finds(batch, grid, case):
    """Gradients by `backward()` of the losses one by one, in double precision where they add."""
    images, labels = batch
    torch.manual_seed(1)
    network = case.setting.network(reduces=case.reduces)
    weights = [p for p in network.body.get_submodule("3b").parameters() if p.ndim == 4]
    losses, found = head_losses(network(images), labels), {}
    for head, loss in losses.items():
        network.zero_grad()
        loss.backward(retain_graph=True)
        found[head] = torch.cat([p.grad.double().flatten() for p in weights])
    total = found["main"] + 0.3 * found["aux1"] + 0.3 * found["aux2"]
    pull = grid[case][1]["3b"]
    assert pull.main == pytest.approx(found["main"].norm().item(), rel=1e-4)
    assert pull.aux1 == pytest.approx(0.3 * found["aux1"].norm().item(), rel=1e-4)
    assert pull.aux2 == pytest.approx(0.3 * found["aux2"].norm().item(), rel=1e-4)
    assert pull.ratio == pytest.approx((total.norm() / found["main"].norm()).item(), rel=1e-3)
    cosine = (total @ found["main"] / total.norm() / found["main"].norm()).item()
    assert pull.cosine == pytest.approx(cosine, abs=1e-3)
    assert grid[case][0] != grid[case][1]


def test_a_heads_gradient_ends_where_it_is_attached(grid):
    (run, *_) = grid[CASES[1]]
    blocks = ["conv1", "conv2", "3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"]
    assert list(run) == blocks
    assert [name for name in blocks if run[name].aux1] == blocks[:5]
    assert [name for name in blocks if run[name].aux2] == blocks[:8]
    assert [run[name].ratio for name in blocks[8:]] == pytest.approx([1, 1, 1])


def test_the_lessons_loss_has_the_gradient_whose_length_is_measured(batch, grid):
    images, labels = batch
    torch.manual_seed(0)
    network = CASES[1].setting.network()
    loss_with_aux(network(images), labels).backward()
    length = network.stem.conv1.conv.weight.grad.norm().item()
    assert length == pytest.approx(grid[CASES[1]][0]["conv1"].total, rel=1e-4)


def made_up(conv1=(1.0, 1.0, 1.0), total=(2.0, 2.0, 2.0)):
    """A grid whose numbers are known, alike in every case."""
    runs = [
        dict(conv1=Pull(a, 0.5, 0.25, a * b, 0.5), last=Pull(1.0, 0.0, 0.0, 1.0, 1.0))
        for a, b in zip(conv1, total, strict=True)
    ]
    runs = [{"conv1": run["conv1"], "5b": run["last"]} for run in runs]
    return dict.fromkeys(CASES, runs)


def test_factors_have_the_interval_of_their_logarithms():
    change = gradients.times([2.0, 8.0], [1.0, 1.0])
    assert change.mean == pytest.approx(4) and change.n == 2
    assert change.low * change.high == pytest.approx(16)
    assert gradients.says(change, "longer", "shorter") == "cannot tell"
    for factor, word in ((3.0, "longer"), (1 / 3, "shorter")):
        change = gradients.times([factor, factor * 1.01], [1.0, 1.0])
        assert gradients.says(change, "longer", "shorter") == word
    assert gradients.interval(gradients.times([30.0, 30.0], [1.0, 1.0])) == "30 (30 to 30)"


def test_the_table_of_conv1_says_where_the_heads_make_the_gradient_longer():
    table = gradients.table_conv1(made_up(conv1=(0.1, 0.2, 0.4), total=(2.0, 2.2, 1.8)))
    assert table.rows[1][0] == "PyTorch, no norm" and table.rows[1][1] == "2.0e-01"
    assert table.rows[1][2].startswith("1.99 (") and table.rows[1][3:] == ("longer", "0.50")
    assert table.bold == set(range(6)) and "n = 3 seeds" in table.caption
    table = gradients.table_conv1(made_up(total=(0.5, 1.0, 2.0)))
    assert table.rows[6][3] == "cannot tell" and not table.bold


def test_what_is_left_of_the_gradient_is_compared_seed_by_seed():
    grid = made_up(conv1=(0.1, 0.2, 0.4))
    assert gradients.faded(grid[CASES[0]]) == pytest.approx([0.1, 0.2, 0.4])
    less = [{**run, "5b": run["5b"]._replace(main=2.0)} for run in grid[CASES[0]]]
    grid = grid | {case: less for case in CASES if not case.reduces}
    rows = gradients.table_reduces(grid).rows
    assert rows[1] == ("PyTorch, no norm", "2.0e-01", "1.0e-01", "0.50 (0.50 to 0.50)", "less")


def test_the_explorer_looks_up_every_case_and_its_picture_changes(grid):
    explorer = pull_explorer.explorer(grid)
    assert explorer.controls["start"].options == tuple(STARTS)
    for name, value in dict(start="Kaiming", norm="batch norm", blocks="without").items():
        moved(explorer, **{name: value})
        width, _ = struct.unpack(">II", explorer.picture.value[16:24])
        assert width == 2 * on_page((11, 4))[0]
    case = Case(Setting("Kaiming", True), False)
    assert explorer.words == pull_explorer._words(pull_explorer.Choice(case, grid[case]))
    assert explorer.words.startswith("Kaiming, batch norm, no reduces") and "0.3 aux1" in (
        explorer.words
    )


def test_the_explorer_draws_the_ratio_and_every_heads_reach(grid):
    choice = pull_explorer.Choice(CASES[0], grid[CASES[0]])
    left, right = render(pull_explorer._draw, choice, (11, 4)).axes
    ratios = [gradients.middle(choice.runs, "ratio", name) for name in choice.runs[0]]
    assert list(left.lines[1].get_ydata()) == ratios and set(left.lines[0].get_ydata()) == {1}
    assert [len(line.get_xdata()) for line in right.lines] == [11, 5, 8]
    assert f"conv1: {gradients.few(ratios[0])} times" in left.get_title("left")


# --- pictures


def test_the_heads_are_drawn_where_the_network_reads_them():
    with torch.device("meta"):
        network = GoogLeNet()
    words = pictures.show_heads(network).words
    assert "aux1 reads 4a (14x14x512), aux2 reads 4d (14x14x528)" in words
    assert "stem -> 3a -> 3b -> 4a -> 4b" in words and "5b -> head" in words
    small = GoogLeNet("small", num_classes=10, in_channels=1, width=1 / 8)
    small.reads = {"aux1": "4b", "aux2": "4d"}
    late = pictures.stages(small, (1, 28, 28))
    assert pictures.words(late).endswith("aux1 reads 4b (7x7x64), aux2 reads 4d (7x7x66)")


def test_the_heads_are_48_percent_of_what_is_trained():
    with torch.device("meta"):
        network = GoogLeNet()
    heads = sum(p.numel() for p in network.aux.parameters())
    whole = sum(p.numel() for p in network.parameters())
    assert (heads, whole, round(100 * heads / whole)) == (6_379_728, 13_378_280, 48)


def test_a_live_curve_is_of_means_that_share_no_step():
    losses = {"without heads": [2.0] * 10 + [1.0] * 10, "with heads": [3.0] * 20 + [9.0] * 5}
    picture = pictures.show_losses(losses)
    assert "without heads: loss 2.00 in the first 10 steps, 1.00 in the last" in picture.words
    assert "with heads: loss 3.00 in the first 10 steps, 3.00 in the last" in picture.words
    assert pictures.windows(losses["with heads"]) == [3.0, 3.0]


# --- the sweep and the race


def swept(**ends):
    """A sweep of two starts, three rates: validation accuracy at the end, by start and heads."""
    runs = {}
    for start in ("PyTorch", "Xavier"):
        for heads in HEADS:
            values = ends.get(f"{start}_{heads.split()[0]}", (0.1, 0.1, 0.1))
            for lr, value in zip((0.1, 0.01, 0.3), values, strict=True):
                rows = [dict(step=60, valid_accuracy=0.9), dict(step=120, valid_accuracy=value)]
                runs[f"{start}, no norm, {heads}, lr {lr:g}"] = [dict(rows=rows)]
    return dict(runs=runs)


def test_the_best_rate_is_that_of_the_highest_accuracy_and_none_where_nothing_trains():
    study = swept(Xavier_with=(0.5, 0.7, 0.1), Xavier_without=(0.15, 0.19, 0.6))
    rates = aux_race.sweep(study)[("Xavier, no norm", "with heads")]
    assert list(rates.items()) == [(0.01, 70.0), (0.1, 50.0), (0.3, 10.0)]
    best = aux_race.best_rates(study)
    assert best["Xavier, no norm", "with heads"] == 0.01
    assert best["Xavier, no norm", "without heads"] == 0.3
    assert best["PyTorch, no norm", "with heads"] is None
    assert aux_race.rates_that_train(study, aux_race.Runner("Xavier, no norm", "with heads")) == 2
    fig = render(aux_race._draw_sweep, study, (10, 3.4))
    titles = [ax.get_title("left") for ax in fig.axes]
    assert titles == [
        "PyTorch: rates that train,\n0 without heads, 0 with",
        "Xavier: rates that train,\n1 without heads, 2 with",
    ]
    assert "Xavier, no norm, with heads: 0.01: 70.0; 0.1: 50.0; 0.3: 10.0" in (
        aux_race.show_sweep(study).words
    )


ABOUT = dict(command="made up", hardware="none", versions=dict(python="3"))


def raced(plain, helped, early=(2.3, 1.9, 1.0), late=(2.3, 2.3, 1.9)):
    """A saved race of two settings: accuracies by seed; losses with heads and without."""
    runs, recipes = {}, {}
    for setting in ("Xavier, no norm", "Kaiming, no norm"):
        for heads, accuracies, losses in zip(HEADS, (plain, helped), (late, early), strict=True):
            name = f"{setting}, {heads}"
            recipes[name] = dict(lr=0.03)
            runs[name] = [
                dict(test_accuracy=a, losses=dict(main=list(losses)), loss_every=3)
                for a in accuracies
            ]
    return dict(runs=runs, recipes=recipes, **ABOUT)


def test_gains_are_paired_seed_by_seed():
    study = raced((0.80, 0.70, 0.75), (0.81, 0.73, 0.73))
    change = aux_race.gain(study, "Xavier, no norm")
    assert change.mean == pytest.approx(2 / 3) and change.n == 3
    assert change.high - change.mean == pytest.approx(4.303 * 2.5166 / 3**0.5, rel=1e-3)


def test_chance_is_left_when_a_mean_of_steps_falls_below_2():
    assert aux_race.leaves(dict(losses=dict(main=[2.3, 2.0, 1.99, 2.4]), loss_every=3)) == 9
    assert aux_race.leaves(dict(losses=dict(main=[2.3, 2.0]), loss_every=3)) is None
    study = raced((0.8, 0.7), (0.8, 0.7))
    sooner = aux_race.saved_steps(study, "Xavier, no norm")
    assert sooner.mean == 3 and aux_race.fewer(sooner) == "-3 (-3 to -3)"
    never = raced((0.8, 0.7), (0.8, 0.7), late=(2.3, 2.3))
    assert aux_race.saved_steps(never, "Xavier, no norm") is None


def test_the_races_tables_have_every_runner_and_every_effect():
    study = raced((0.80, 0.70, 0.75), (0.84, 0.74, 0.79))
    rows = aux_race.table_runners(study).rows
    assert rows[1] == ("Xavier, no norm", "without heads", "0.03", "75.0 ± 5.0", "9 ± 0")
    assert len(rows) == 5
    table = aux_race.table_effects(study)
    assert [row[3] for row in table.rows[1:]] == ["better"] * 4 and table.bold == {0, 1, 2, 3}
    assert table.rows[1][2] == "+4.0 (+4.0 to +4.0)" and table.rows[2][2] == "-3 (-3 to -3)"
    never = raced((0.8, 0.7), (0.7, 0.8), late=(2.3, 2.3))
    assert aux_race.table_runners(never).rows[1][4] == "never in 2 of 2"
    assert aux_race.table_effects(never).rows[2][3] == "some runs never leave it"
    assert aux_race.table_effects(never).bold == set()
    mixed = [2.3, 1.0], [2.3, 2.3]
    never["runs"]["Xavier, no norm, with heads"] = [
        dict(test_accuracy=0.5, losses=dict(main=x), loss_every=3) for x in mixed
    ]
    assert aux_race.table_runners(never).rows[2][4] == "6, never in 1 of 2"


def test_the_race_is_drawn_with_a_line_for_every_run_and_their_mean():
    study = raced((0.80, 0.70, 0.75), (0.84, 0.74, 0.79))
    fig = render(aux_race._draw_race, study, (10, 3.6))
    assert [len(ax.lines) for ax in fig.axes] == [2 * (3 + 1) + 1] * 2
    assert list(fig.axes[0].lines[3].get_xdata()) == [1.5, 4.5, 7.5]
    assert list(fig.axes[0].lines[3].get_ydata()) == pytest.approx([2.3, 2.3, 1.9])
    assert fig.axes[1].get_title("left") == "Kaiming: +4.0 (+4.0 to +4.0) points"
    assert "Kaiming, no norm: with heads +4.0 (+4.0 to +4.0) points" in (
        aux_race.show_race(study).words
    )


# --- early or late


def kinds(**gains):
    """A study of all kinds: 70, 80 and 79 % at step 120, at the end and in the test, and more by
    `gains` in tenths of a point at the end."""
    runs = {}
    for i, kind in enumerate(lesson.KINDS):
        more = gains.get("abcdef"[i], 0)
        runs[kind] = [
            dict(
                test_accuracy=0.79 + seed / 100 + more / 1000,
                rows=[
                    dict(step=step, valid_accuracy=v + seed / 100, main_accuracy=m)
                    for step, v, m in ((60, 0.5, 0.5), (120, 0.7, 0.7), (180, late, 1.0))
                ],
            )
            for seed, late in ((0, 0.8 + more / 1000), (1, 0.8 + more / 1000))
        ]
    return dict(runs=runs, **ABOUT)


def test_changes_are_paired_at_each_moment():
    study = kinds(e=20, f=30)
    heads, *_, lower = early_late.QUESTIONS
    found = [early_late.change(study, heads, moment).mean for moment in early_late.MOMENTS]
    assert found == pytest.approx([0, 2, 2], abs=1e-9)
    assert early_late.gain_at_end(study) == 2.0
    assert early_late.change(study, lower, early_late.LATE_TEST).mean == pytest.approx(1)
    assert early_late.detectable(study) == pytest.approx(0, abs=1e-9)
    assert early_late.EARLY in {60 * n for n in range(1, 11)}


def test_every_question_compares_two_saved_kinds():
    for question in early_late.QUESTIONS:
        assert question.kind in lesson.KINDS and question.against in lesson.KINDS
    assert early_late.UPPER.startswith("upper alone") and early_late.NONE == "no heads"


def test_the_table_of_kinds_has_training_and_new_images():
    table = early_late.table_kinds(kinds(e=20))
    assert table.rows[1] == ("no heads", "100.0 ± 0.0", "70.5 ± 0.7", "80.5 ± 0.7", "79.5 ± 0.7")
    assert table.rows[5][3] == "82.5 ± 0.7" and len(table.rows) == 7


def test_the_curves_and_intervals_are_those_of_the_study():
    study = kinds(e=20)
    left, right = render(early_late._draw_curves, study, (10, 3.6)).axes
    assert list(right.lines[1].get_ydata()) == pytest.approx([50.5, 70.5, 82.5])
    assert left.get_title("left") == "Training images: 100 % without heads"
    assert right.get_title("left") == "Heads: +0.0 early, +2.0 late"
    (ax,) = render(early_late._draw_changes, study, (10, 4.8)).axes
    assert len(ax.lines) == 2 * 18 + 1
    assert "both, batch norm and dropout: 60: 50.5, 120: 70.5, 180: 82.5" in (
        early_late.show_curves(study).words
    )
    assert "heads as in [G], with batch norm: validation, step 120 +0.0" in (
        early_late.show_changes(study).words
    )


# --- the verdict


def test_the_verdict_judges_each_claim_by_its_interval():
    grid = made_up(conv1=(0.1, 0.2, 0.4), total=(2.0, 2.2, 1.8))
    study = raced((0.80, 0.70, 0.75), (0.84, 0.74, 0.79))
    table = verdict.conclusion(grid, swept(Xavier_with=(0.5, 0.7, 0.1)), study, kinds(b=-30, f=-9))
    heading, *rows = table.rows
    found = {claim: (who, here, n, said) for claim, who, here, n, said in rows}
    assert heading[0] == "claim" and len(found) == len(rows) == 14
    assert found["more gradient for conv1, batch norm"][2:] == ("3", "better: 3 of 3")
    rescued = found["a start that does not train is rescued"]
    assert rescued[1:] == (
        "no rate of 3 trains PyTorch, Xavier without heads; with heads: Xavier", "1", "better"
    )  # fmt: skip
    assert found["better network, Xavier"][1:] == ("+4.0 (+4.0 to +4.0) points", "3", "better")
    assert found["loss leaves chance sooner, Kaiming"][1] == "-3 (-3 to -3) steps"
    assert found["the lower head can go"][3] == "worse"
    assert found["no effect early in training"][3] == "cannot tell at this scale"
    assert found["1x1 eases vanishing gradients"][3] == "cannot tell at this scale"
    assert not any("open" in cell.split() for row in rows for cell in row)


def test_the_verdict_says_what_never_trained():
    never = raced((0.8, 0.7), (0.8, 0.6), late=(2.3, 2.3))
    rows = verdict.conclusion(made_up(), swept(), never, kinds()).rows
    found = {row[0]: row[2:] for row in rows}
    assert found["loss leaves chance sooner, Xavier"][0] == "some runs never leave it"
    assert found["a start that does not train is rescued"] == (
        "no rate of 3 trains PyTorch, Xavier without heads; with heads: none", "1", "no better"
    )  # fmt: skip


# --- the saved studies


@pytest.mark.parametrize("study", ["aux_rates", "aux_race", "aux_heads"])
def test_the_saved_studies_are_of_todays_entries_and_finished(study):
    entries, found = table(study), saved(study)
    assert list(found["runs"]) == list(entries)
    for name, runs in found["runs"].items():
        assert [run["seed"] for run in runs] == list(range(1 if study == "aux_rates" else 5))
        for run in runs:
            assert run["stopped"] == "" and run["rows"][-1]["step"] == entries[name].recipe.steps


def test_every_folded_solution_passes_its_own_check_and_is_kept():
    file = solutions_pass("04")
    assert "class AuxHead" in file and "def loss_with_aux" in file and "inception_edu" not in file
