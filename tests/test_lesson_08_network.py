"""Exercise 4 of lesson 08: the student's Inception v3, of any make, and wrong ones."""

import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torchvision import models

from conftest import solutions_pass
from inception_edu.inception_v3 import InceptionV3 as Ours
from inception_edu.lessons.lesson_08 import building, checks as checks, dataflow, plain, proof
from inception_edu.lessons.shared import randomise

pytestmark = pytest.mark.usefixtures("one_thread")


class Layer(nn.Module):
    """A normalised convolution in functional style; `relu` is False where that is forgotten."""

    def __init__(self, c_in, c_out, k, stride=1, padding=None, relu=True):
        super().__init__()
        kh, kw = k if isinstance(k, tuple) else (k, k)
        self.norm = nn.BatchNorm2d(c_out, eps=1e-3)
        self.weight = nn.Parameter(torch.randn(c_out, c_in, kh, kw) / (c_in * kh * kw) ** 0.5)
        same = (kh // 2, kw // 2) if stride == 1 else 0
        self.stride, self.padding = stride, same if padding is None else padding
        self.relu = relu

    def forward(self, x):
        x = self.norm(F.conv2d(x, self.weight, None, self.stride, self.padding))
        return F.relu(x, inplace=True) if self.relu else x


class Block(nn.Module):
    """Branches of layers, declared from the last to the first and run in that order, too; a fork
    is a pair of layers at the end of a branch, joined with the block's other outputs at once."""

    def __init__(self, *branches):
        super().__init__()
        for i in reversed(range(len(branches))):
            chain, ends = branches[i]
            self.add_module(f"chain{i}", nn.ModuleList(chain))
            self.add_module(f"ends{i}", nn.ModuleList(ends))
        self.n = len(branches)

    def forward(self, x):
        out = {}
        for i in reversed(range(self.n)):
            y = x
            for layer in getattr(self, f"chain{i}"):
                y = layer(y)
            ends = list(getattr(self, f"ends{i}"))
            out[i] = [end(y) for end in reversed(ends)][::-1] or [y]
        return torch.cat([y for i in range(self.n) for y in out[i]], 1)


class Own(nn.Module):
    """Inception v3 with the places where a mistake may be made as attributes and methods."""

    five, seven, reads, dropout, relu, stem_padding = 5, ((1, 7), (7, 1)), "grid17d", 0.5, True, 0

    def __init__(self, num_classes=1000, width=1.0):
        super().__init__()
        self.width = width
        a, b, c, d = map(self.wide, (32, 64, 80, 192))
        self.convs = self.holder(
            [
                Layer(3, a, 3, 2),
                Layer(a, a, 3, padding=self.stem_padding),
                Layer(a, b, 3, relu=self.relu),
                Layer(b, c, 1),
                Layer(c, d, 3, padding=0),
            ]
        )
        self.blocks, self.names, c_in = nn.ModuleList(), list(plain.BLOCKS), d
        for name, row in plain.BLOCKS.items():
            w = row.scaled(width)
            block = getattr(self, name.rstrip("abcd"))(c_in, w)
            self.blocks.append(block)
            ends = 1 + name.startswith("grid8")
            c_in = w.n1x1 + ends * (w.single + w.double) + (w.pool_proj or c_in)
            if name == self.reads:
                self.side = nn.ModuleList(self.aux(c_in, num_classes))
        self.fc = nn.Linear(c_in, num_classes)

    def wide(self, n):
        return max(1, round(n * self.width))

    def holder(self, layers):
        return nn.ModuleList(layers)

    def pooled(self, c_in, w):
        return [nn.AvgPool2d(3, 1, 1), Layer(c_in, w.pool_proj, 1)], []

    def grid35(self, c_in, w):
        a, b, c = w.reduce, w.double_reduce, w.double
        two = [Layer(c_in, a, 1), Layer(a, w.single, self.five)], []
        three = [Layer(c_in, b, 1), Layer(b, c, 3), Layer(c, c, 3)], []
        return Block(([Layer(c_in, w.n1x1, 1)], []), two, three, self.pooled(c_in, w))

    def grid17(self, c_in, w):
        a, b, (p, q) = w.reduce, w.double_reduce, self.seven
        two = [Layer(c_in, a, 1), Layer(a, a, p), Layer(a, w.single, q)], []
        long = [Layer(c_in, b, 1), Layer(b, b, q), Layer(b, b, p), Layer(b, b, q)]
        three = long + [Layer(b, w.double, p)], []
        return Block(([Layer(c_in, w.n1x1, 1)], []), two, three, self.pooled(c_in, w))

    def grid8(self, c_in, w):
        a, b, c, s = w.reduce, w.double_reduce, w.double, w.single
        two = [Layer(c_in, a, 1)], [Layer(a, s, (1, 3)), Layer(a, s, (3, 1))]
        three = [Layer(c_in, b, 1), Layer(b, c, 3)], [Layer(c, c, (1, 3)), Layer(c, c, (3, 1))]
        return Block(([Layer(c_in, w.n1x1, 1)], []), two, three, self.pooled(c_in, w))

    def reduce35to17(self, c_in, w):
        b, c = w.double_reduce, w.double
        long = [Layer(c_in, b, 1), Layer(b, c, 3), Layer(c, c, 3, 2)], []
        return Block(([Layer(c_in, w.single, 3, 2)], []), long, ([nn.MaxPool2d(3, 2)], []))

    def reduce17to8(self, c_in, w):
        a, b = w.reduce, w.double_reduce
        short = [Layer(c_in, a, 1), Layer(a, w.single, 3, 2)], []
        long = [Layer(c_in, b, 1), Layer(b, b, (1, 7)), Layer(b, b, (7, 1))]
        return Block(short, (long + [Layer(b, w.double, 3, 2)], []), ([nn.MaxPool2d(3, 2)], []))

    def aux(self, c_in, classes):
        c, hidden = self.wide(128), self.wide(768)
        layers = nn.AvgPool2d(5, 3), Layer(c_in, c, 1), Layer(c, hidden, 5, padding=0)
        return *layers, nn.Flatten(), nn.Linear(hidden, classes)

    def head(self, x):
        return self.fc(F.dropout(x.mean((2, 3)), self.dropout, self.training))

    def forward(self, x):
        for i, layer in enumerate(self.convs):
            x = layer(x)
            x = F.max_pool2d(x, 3, 2) if i in (2, 4) else x
        for name, block in zip(self.names, self.blocks, strict=True):
            x = block(x)
            if name == self.reads:
                y = self.before_aux(x)
                for layer in self.side if self.training else ():
                    y = layer(y)
        return self.out(self.head(x), y)

    def before_aux(self, x):
        return x

    def out(self, logits, aux):
        return (logits, aux) if self.training else logits


class Double(Own):
    """In double precision, the mean by an adaptive pool, and ReLU a maximum with 0."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.double()

    def head(self, x):
        x = nn.AdaptiveAvgPool2d((1, 1))(x).flatten(1)
        return self.fc(nn.Dropout(0.5).train(self.training)(x))


class Lists(Own):
    """Returns a list while it trains, and shuffles the declaration of its blocks."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.kept = nn.ModuleList(reversed(self.blocks))
        del self.blocks

    @property
    def order(self):
        return list(self.kept)[::-1]

    def forward(self, x):
        self.__dict__["blocks"] = self.order
        return super().forward(x)

    def out(self, logits, aux):
        return [logits, aux] if self.training else logits


@pytest.mark.parametrize("build", [Own, Double, Lists])
def test_inception_v3_is_right_of_any_make(build):
    assert checks.exercise_4.judge(build) == ("right", "")


def variant(**changed):
    return type("Wrong", (Own,), changed)


def shared_blocks(self, c_in, w):
    made = self.__dict__.setdefault("made", {})
    return made.setdefault((c_in, w), Own.grid17(self, c_in, w))


def maximum(self, c_in, w):
    return [nn.MaxPool2d(3, 1, 1), Layer(c_in, w.pool_proj, 1)], []


def unnormed(self, c_in, classes):
    pool, conv, _, *rest = Own.aux(self, c_in, classes)
    return pool, conv, nn.Conv2d(self.wide(128), self.wide(768), 5), nn.ReLU(), *rest


def wide_epsilon(self, layers):
    for layer in layers:
        layer.norm.eps = float(layer.norm.num_features)
    return nn.ModuleList(layers)


WRONG = {
    "Figure 5": (dict(five=3), "in grid35a, branch3x3, expected a 5x5 convolution from 2 to 3"),
    "the 7x1 first": (
        dict(seven=((7, 1), (1, 7))),
        "in grid17a, branch7x7, expected a 7x1 convolution from 5 to 8",
    ),
    "the maximum": (
        dict(pooled=maximum),
        "expected a 3x3 average pool; your network has a 3x3 max",
    ),
    "aux on 17c": (dict(reads="grid17c"), "expected"),
    "no dropout": (dict(dropout=0.0), "0% of the values that enter the last linear layer"),
    "no ReLU": (dict(relu=False), "in the stem, conv3"),
    "padded stem": (dict(stem_padding=1), "differ, with the right weights in it"),
    "one output": (dict(out=lambda self, x, y: x), "return (logits, aux logits)"),
    "aux for use": (dict(out=lambda self, x, y: (x, y)), "return the logits alone, got tuple"),
    "aux first": (
        dict(out=lambda self, x, y: (y, x) if self.training else x),
        "it returns the aux logits first",
    ),
    "a channel count as epsilon": (dict(holder=wide_epsilon), "an epsilon of"),
    "detached": (dict(before_aux=lambda self, x: x.detach()), "learn something else"),
    "shared": (dict(grid17=shared_blocks), "parameters, expected"),
    "width ignored": (dict(wide=lambda self, n: n), "in the stem, conv1, expected a 3x3 stride 2"),
    "no norm in the head": (dict(aux=unnormed), "in the aux head"),
    "a Python list": (dict(holder=list), "not in a Python list"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_networks_are_told_apart(name):
    changed, said = WRONG[name]
    state, told = checks.exercise_4.judge(variant(**changed))
    assert state == "not right yet" and said.lower() in told.lower(), told


def test_calling_the_packages_network_is_no_answer():
    state, told = checks.exercise_4.judge(lambda num_classes=1000, width=1.0: Ours("torchvision"))
    assert state == "not right yet" and "the package's network" in told
    assert checks.exercise_4.judge(Own(10, 1 / 16))[0] == "not right yet"


def test_torchvisions_numbers_go_into_a_network_of_any_make_and_logits_are_equal():
    theirs = randomise(models.inception_v3(weights=None, init_weights=False, num_classes=10))
    net = Own(10)
    assert proof.copy(theirs, net) > 24_000_000
    rows = proof.differences(theirs, net).rows[1:]
    assert [row[2] for row in rows[1:]] == ["0.000%", "0.000%"] and float(rows[0][2][:-1]) > 1


def test_a_network_that_differs_gets_no_numbers_and_is_told_where():
    theirs = models.inception_v3(weights=None, init_weights=False, num_classes=10)
    with pytest.raises(ValueError, match="5x5 convolution from 48 to 64"):
        proof.copy(theirs, variant(five=3)(10))


def test_the_package_has_27_161_264_parameters_as_torchvision_says():
    assert building.PARAMETERS == models.Inception_V3_Weights.DEFAULT.meta["num_params"]


def test_a_layer_is_known_by_what_leads_to_it_and_what_becomes_of_it():
    x = torch.randn(2, 3, 8, 8)

    def twins(first, second):
        a, b = nn.Conv2d(3, 4, 1), nn.Conv2d(3, 4, 1)
        net = nn.Module()
        net.a, net.b, net.c = a, b, nn.Conv2d(4, 5, 3)
        net.forward = lambda x: torch.cat(
            [net.c(getattr(net, first)(x)), getattr(net, second)(x)[..., 1:-1, 1:-1]], 1
        )
        return net

    one, other = twins("a", "b"), twins("b", "a")
    mine, theirs = dataflow.traced(one, x), dataflow.traced(other, x)
    assert dataflow.difference(mine, theirs, other) is None
    with torch.no_grad():
        for own, right in dataflow.pairs(mine, theirs):
            own.copy_(right)
    assert torch.equal(one(x), other(x)) and torch.equal(one.a.weight, other.b.weight)


def test_the_kept_network_runs_in_a_process_of_its_own(tmp_path):
    (tmp_path / "my_inception.py").write_text(solutions_pass("08"), encoding="utf-8")
    code = "import my_inception as m, torch; n = m.InceptionV3(7, 1 / 16).eval(); "
    code += "print(tuple(n(torch.zeros(1, 3, 107, 96)).shape)); import sys; "
    code += "print('inception_edu' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}); {code}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split("\n")[:2] == ["(1, 7)", "False"]
