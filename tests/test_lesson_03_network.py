"""Exercise 1 of lesson 03: the student's GoogLeNet, in any make, and what is said of wrong ones."""

import linecache
import subprocess
import sys

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from inception_edu.exercises.student_file import FILE
from inception_edu.googlenet import TABLE_1, GoogLeNet as Ours, Inception, Variant
from inception_edu.layers import conv
from inception_edu.lessons.lesson_03 import checks as checks, plain, rows

NOT_YET, RIGHT, OPEN = "not right yet", "right", "not attempted yet"
pytestmark = pytest.mark.usefixtures("one_thread")


class Walked(nn.Module):
    """Table 1 row by row, with the places where a mistake may be made as methods."""

    last = ("linear",)

    def __init__(self, num_classes=1000, norm=False, k5=5, pool4=3):
        super().__init__()
        self.settings = dict(norm=norm, k5=k5)
        self.parts, c = self.holder(), 3
        for name, row in TABLE_1.items():
            layer = self.layer(name, row, c, norm, k5, pool4, num_classes)
            if layer is not None:
                self.parts.append(layer)
                c = row.output[2]

    def holder(self):
        return nn.ModuleList()

    def layer(self, name, row, c, norm, k5, pool4, num_classes):
        if row.type == "inception":
            return self.block(name, c, row, norm, k5)
        if name == "conv1":
            return self.first(c, row, norm)
        if name == "conv2":
            return self.second(c, row, norm)
        if row.type == "max pool":
            return self.pool(row.patch if name != "pool4" else self.fourth(pool4), row.stride)
        if row.type == "avg pool":
            return self.mean()
        if row.type == "linear":
            return self.linear(c, num_classes)
        return nn.Dropout(self.dropout) if row.type.startswith("dropout") else None

    dropout = 0.4

    def block(self, name, c, row, norm, k5):
        return Inception(c, row, norm=norm, k5=k5)

    def first(self, c, row, norm):
        return conv(c, row.output[2], row.patch, row.stride, norm=norm)

    def second(self, c, row, norm):
        one = conv(c, row.n3x3_reduce, 1, norm=norm)
        return nn.Sequential(one, conv(row.n3x3_reduce, row.n3x3, 3, norm=norm))

    def fourth(self, pool4):
        return pool4

    def pool(self, k, stride):
        return nn.MaxPool2d(k, stride, ceil_mode=True)

    def mean(self):
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

    def linear(self, c, num_classes):
        return nn.Linear(c, num_classes)

    def forward(self, x):
        for part in self.parts:
            x = part(x)
        return x


class Block(nn.Module):
    """A block whose branches are declared from the last to the first, with one ReLU for all."""

    def __init__(self, c_in, widths, norm, k5):
        super().__init__()
        one, r3, three, r5, five, proj = widths
        self.norm, self.after = norm, nn.ModuleDict()
        self.proj = self.new(c_in, proj, 1)
        self.five, self.r5 = self.new(r5, five, k5), self.new(c_in, r5, 1)
        self.three, self.r3 = self.new(r3, three, 3), self.new(c_in, r3, 1)
        self.one = self.new(c_in, one, 1)

    def new(self, c_in, c_out, k):
        layer = nn.Conv2d(c_in, c_out, k, padding=k // 2, bias=not self.norm)
        return nn.Sequential(layer, nn.BatchNorm2d(c_out)) if self.norm else layer

    def forward(self, x):
        pooled = self.proj(F.max_pool2d(x, 3, 1, 1))
        three, five = self.three(self.r3(x).relu()), self.five(F.relu(self.r5(x)))
        return torch.cat([self.one(x), three, five, pooled], dim=1).clamp(min=0)


class ByHand(nn.Module):
    """No table: numbers, attributes, functional calls; a ReLU behind the pool of the stem."""

    WIDTHS = (
        (64, 96, 128, 16, 32, 32),
        (128, 128, 192, 32, 96, 64),
        (192, 96, 208, 16, 48, 64),
        (160, 112, 224, 24, 64, 64),
        (128, 128, 256, 24, 64, 64),
        (112, 144, 288, 32, 64, 64),
        (256, 160, 320, 32, 128, 128),
        (256, 160, 320, 32, 128, 128),
        (384, 192, 384, 48, 128, 128),
    )

    def __init__(self, num_classes=1000, norm=False, k5=5, pool4=3):
        super().__init__()
        self.fc, self.pool4, self.norm = nn.Linear(1024, num_classes), pool4, norm
        for i, (c, w) in enumerate(
            zip((192, 256, 480, 512, 512, 512, 528, 832, 832), self.WIDTHS, strict=True)
        ):
            setattr(self, f"block{i}", Block(c, w, norm, k5))
        bias = dict(bias=not norm)
        self.c1 = nn.Conv2d(3, 64, 7, 2, 3, **bias)
        self.c2, self.c3 = nn.Conv2d(64, 64, 1, **bias), nn.Conv2d(64, 192, 3, padding=1, **bias)
        self.n = nn.ModuleList([nn.BatchNorm2d(c) for c in (64, 64, 192)] if norm else [])

    def normed(self, i, x):
        return self.n[i](x) if self.norm else x

    def forward(self, x):
        x = F.max_pool2d(self.normed(0, self.c1(x)), 3, 2, ceil_mode=True).relu()
        x = F.relu(self.normed(1, self.c2(x)))
        x = F.max_pool2d(torch.relu(self.normed(2, self.c3(x))), 3, 2, ceil_mode=True)
        for i in range(9):
            x = getattr(self, f"block{i}")(x)
            if i in (1, 6):
                x = F.max_pool2d(x, self.pool4 if i == 6 else 3, 2, ceil_mode=True)
        return self.fc(F.dropout(x.mean((2, 3)), 0.4, self.training))


class InParts(Walked):
    """Doubles, held in a dictionary of modules, with the mean taken axis by axis."""

    def holder(self):
        return nn.Sequential()

    def mean(self):
        class Mean(nn.Module):
            def forward(self, x):
                return x.mean(3).mean(2)

        return Mean()

    def forward(self, x):
        return self.parts(x)


def in_function(num_classes=1000, norm=False, k5=5, pool4=3):
    """No class at all: a function that hands over a Sequential."""
    network = InParts(num_classes, norm, k5, pool4)
    return nn.Sequential(*network.parts)


@pytest.mark.parametrize("network", [Walked, ByHand, InParts, in_function])
def test_table_1_is_right_in_any_make(network):
    assert checks.exercise_1.judge(network) == (RIGHT, "")


def changed(**methods):
    """Walked with some of its places changed: a class."""
    return type("GoogLeNet", (Walked,), methods)


WRONG = {
    "no ceil_mode": (
        changed(pool=lambda s, k, stride: nn.MaxPool2d(k, stride)),
        "row pool1 puts out 55x55x64, expected 56x56x64: with ceil_mode=True",
    ),
    "4d with 128": (
        changed(
            block=lambda s, name, c, row, norm, k5: Inception(
                c, row._replace(n3x3_reduce=128) if name == "4d" else row, norm=norm, k5=k5
            )
        ),
        "row 4d has a 1x1 from 512 to 128 channels and should have a 1x1 from 512 to 144 channels",
    ),
    "no linear": (changed(linear=lambda s, c, n: print(end="")), "row linear (linear) is missing"),
    "no reduce in conv2": (
        changed(second=lambda s, c, row, norm: conv(c, row.n3x3, 3, norm=norm)),
        "row conv2 lacks its 1x1: the column #3x3 reduce says 64",
    ),
    "no ReLU in the stem": (
        changed(first=lambda s, c, row, norm: conv(c, 64, 7, 2, norm=norm, relu=False)),
        "row conv1 has 1 convolutions and 0 ReLUs",
    ),
    "no dropout": (changed(dropout=0.0), "0% of the values that enter the linear layer"),
    "torchvision's dropout": (
        changed(dropout=0.2),
        "% of the values that enter the linear layer are set to 0, expected 40 %",
    ),
    "dropout always": (
        changed(forward=lambda s, x: F.dropout(Walked.forward(s, x), 0.4)),
        "dropout works in training alone",
    ),
    "softmax": (
        changed(forward=lambda s, x: Walked.forward(s, x).softmax(1)),
        "it returns a softmax: return the logits",
    ),
    "a list": (changed(holder=lambda s: []), "57 convolutions that its parameters() do not list"),
    "k5 ignored": (
        changed(block=lambda s, name, c, row, norm, k5: Inception(c, row, norm=norm)),
        "k5=3, pool4=3: row 3a has a 5x5 from 16 to 32 channels and should have a 3x3",
    ),
    "norm ignored": (
        changed(block=lambda s, name, c, row, norm, k5: Inception(c, row, norm=False, k5=k5)),
        "norm=True, k5=7, pool4=2: batch norms in row 3a: 0, expected 6",
    ),
    "pool4 ignored": (
        changed(fourth=lambda s, pool4: 3),
        "row pool4 pools windows of 3, expected 2",
    ),
    "num_classes ignored": (
        changed(linear=lambda s, c, n: nn.Linear(c, 1000)),
        "a linear layer from 1024 to 1000 channels and should have a linear layer from 1024 to 10",
    ),
    "a 7x7 mean": (
        changed(mean=lambda s: nn.Sequential(nn.AvgPool2d(7), nn.Flatten())),
        "take the mean over whatever grid there is",
    ),
    "not flattened": (
        changed(mean=lambda s: nn.AdaptiveAvgPool2d(1)),
        "its pass stops in row linear",
    ),
    "maximum for mean": (
        changed(mean=lambda s: nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten())),
        "row avgpool is missing",
    ),
    "a pool left out": (
        changed(
            layer=lambda s, name, *rest: None if name == "pool3" else Walked.layer(s, name, *rest)
        ),
        "in the place of row pool3, max pool, the network has: inception",
    ),
    "LRN": (
        changed(
            pool=lambda s, k, stride: nn.Sequential(
                Walked.pool(s, k, stride), nn.LocalResponseNorm(5)
            )
        ),
        "normalises responses (LRN), which Table 1 does not list",
    ),
    "detached": (
        changed(forward=lambda s, x: Walked.forward(s, x).detach()),
        "no gradient flows back",
    ),
    "the wrong channels enter": (
        changed(second=lambda s, c, row, norm: Walked.second(s, 32, row, norm)),
        "its pass stops in row conv2",
    ),
    "two blocks are one": (
        changed(
            block=lambda s, name, c, row, norm, k5: (
                s.__dict__.setdefault("shared", Walked.block(s, name, c, row, norm, k5))
                if name in ("4b", "4c")
                else Walked.block(s, name, c, row, norm, k5)
            )
        ),
        "row 4c has",
    ),
    "a layer too many": (
        changed(
            forward=lambda s, x: Walked.forward(s, x),
            holder=lambda s: setattr(s, "idle", nn.Linear(3, 3)) or nn.ModuleList(),
        ),
        "it has 6,998,564 parameters, expected 6,998,552: some of its layers are not used",
    ),
    "returns nothing": (changed(forward=lambda s, x: print(end="")), "it returns NoneType"),
    "a table": (lambda **setting: dict(TABLE_1), "must make an nn.Module, got"),
    "the package's": (
        lambda num_classes=1000, norm=False, k5=5, pool4=3: Ours(
            Variant(lrn=False, norm=norm, k5=k5, pool4=pool4), num_classes=num_classes, aux=False
        ),
        "it calls the package's GoogLeNet",
    ),
    "ours": (
        lambda *a, **k: plain.GoogLeNet(*a, **k),
        "it calls the package's GoogLeNet",
    ),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_wrong_networks_are_told_apart(mistake):
    network, said = WRONG[mistake]
    state, told = checks.exercise_1.judge(network)
    assert state == NOT_YET and said.lower() in told.lower(), told


def test_half_of_the_blocks_gradients_are_not_enough():
    def forward(self, x):
        for i, part in enumerate(self.parts):
            x = part(x.detach() if i == 8 else x)
        return x

    state, told = checks.exercise_1.judge(changed(forward=forward))
    assert state == NOT_YET and "13 layers with weights on the longest way" in told, told


def test_a_stub_is_not_attempted_and_half_of_one_is():
    class Stub(nn.Module):
        """Table 1"""

        def __init__(self, num_classes=1000, norm=False, k5=5, pool4=3): ...

        def forward(self, x): ...

    assert checks.exercise_1.judge(Stub)[0] == OPEN
    assert checks.exercise_1.judge(plain.GoogLeNet)[0] == OPEN  # the cell was run twice
    half = type("Half", (Walked,), dict(forward=lambda self, x: print(end="")))
    assert checks.exercise_1.judge(half)[0] == NOT_YET


def test_the_rows_of_table_1_are_found_in_networks_of_any_make():
    with torch.device("meta"):
        networks = Walked().eval(), ByHand().eval(), plain.GoogLeNet().eval()
    for network in networks:
        table = rows.beside_table_1(network)
        assert [row[0] for row in table.rows[1:]] == list(TABLE_1) and len(TABLE_1) == 19
        assert {row[-1] for row in table.rows[1:]} == {"equal"}
        parts = rows.recorded(network)[0].parts
        assert sum(part.macs for part in parts) == 1_582_671_872
        assert [sorted(part.weights) for part in parts] == [
            sorted(part.weights) for part in rows.recorded(networks[-1])[0].parts
        ]
    with torch.device("meta"):
        other = changed(pool=lambda s, k, stride: nn.MaxPool2d(k, stride))().eval()
    assert rows.beside_table_1(other).rows[2][2:] == ("55x55x64", "56x56x64", "DIFFERS")


# --- what becomes of it in the student's file

LESSON_02 = """import torch
from torch import nn


# Lesson 02


def conv(c_in, c_out, k, stride=1, norm=True):
    layers = [nn.Conv2d(c_in, c_out, k, stride, k // 2, bias=not norm)]
    layers += [nn.BatchNorm2d(c_out, eps=1e-3)] if norm else []
    return nn.Sequential(*layers, nn.ReLU())


class Inception(nn.Module):
    def __init__(self, c_in, row, norm=True, k5=5):
        super().__init__()
        self.b1 = conv(c_in, row.n1x1, 1, norm=norm)
        self.b2 = nn.Sequential(
            conv(c_in, row.n3x3_reduce, 1, norm=norm),
            conv(row.n3x3_reduce, row.n3x3, 3, norm=norm),
        )
        self.b3 = nn.Sequential(
            conv(c_in, row.n5x5_reduce, 1, norm=norm),
            conv(row.n5x5_reduce, row.n5x5, k5, norm=norm),
        )
        self.b4 = nn.Sequential(
            nn.MaxPool2d(3, 1, padding=1), conv(c_in, row.pool_proj, 1, norm=norm)
        )

    def forward(self, x):
        return torch.cat([self.b1(x), self.b2(x), self.b3(x), self.b4(x)], dim=1)
"""


def test_every_folded_solution_passes_and_the_network_goes_home(tmp_path):
    from conftest import solutions_pass

    text = solutions_pass("03", LESSON_02)
    assert LESSON_02.partition("# Lesson 02")[2].rstrip() in text and "# Lesson 03" in text
    names = "conv", "Inception", "Row", "TABLE_1", "GoogLeNet"
    places = [text.index(f"{name} = {{" if name.isupper() else f" {name}(") for name in names]
    assert len(set(places)) == 5 and text.count("class Inception") == 1
    (tmp_path / FILE).write_text(text, encoding="utf-8")
    code = (
        "import sys, torch, my_inception as my; net = my.GoogLeNet(num_classes=10);"
        "print(sum(p.numel() for p in net.parameters()),"
        " tuple(net(torch.zeros(1, 3, 64, 64)).shape), 'inception_edu' in sys.modules)"
    )
    how = dict(capture_output=True, text=True, cwd=tmp_path)
    done = subprocess.run([sys.executable, "-c", code], **how)
    assert done.stdout == "5983802 (1, 10) False\n", done.stderr


def test_without_lesson_02s_block_the_message_names_it_and_nothing_is_kept(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    text = f"class GoogLeNet(nn.Module):\n{SOURCE}"
    linecache.cache["/tmp/ipykernel_3/1.py"] = (len(text), None, text.splitlines(True), "x")
    space = dict(nn=nn, torch=torch, TABLE_1=TABLE_1, Inception=Inception, conv=conv)
    space |= dict(__name__="__main__")
    exec(compile(text, "/tmp/ipykernel_3/1.py", "exec"), space)
    checks.exercise_1.check(space["GoogLeNet"])
    told = capsys.readouterr().out
    assert "right. It is not kept in your file, since it uses Inception" in told, told
    assert "keep your own first" in told and not (tmp_path / FILE).exists()


SOURCE = """
    def __init__(self, num_classes=1000, norm=False, k5=5, pool4=3):
        super().__init__()
        parts, c = [], 3
        for name, row in TABLE_1.items():
            if row.type == "inception":
                parts.append(Inception(c, row, norm=norm, k5=k5))
            elif name == "conv1":
                parts.append(conv(c, 64, 7, 2, norm=norm))
            elif name == "conv2":
                parts += [conv(c, 64, 1, norm=norm), conv(64, 192, 3, norm=norm)]
            elif row.type == "max pool":
                k = pool4 if name == "pool4" else 3
                parts.append(nn.MaxPool2d(k, 2, ceil_mode=True))
            c = row.output[2]
        head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4), nn.Linear(1024, num_classes)
        self.parts = nn.Sequential(*parts, *head)

    def forward(self, x):
        return self.parts(x)
"""
