import math
import struct
import sys

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.transforms import functional as tv

from conftest import solutions_pass
from inception_edu.figures import on_page
from inception_edu.googlenet import TABLE_1, GoogLeNet, Inception
from inception_edu.layers import Concat
from inception_edu.lessons.lesson_10 import (
    checks as checks,
    exhibits_count as count,
    exhibits_curve as curve,
    exhibits_silent as silent,
    exhibits_stop as stop,
    guard as guards,
    last_room,
    museum as museum,
    suspects_loud as loud,
)
from inception_edu.network import Outputs

pytestmark = pytest.mark.usefixtures("one_thread")


def verdict(exercise, answer, capsys):
    """The state after a check, and the one line it printed."""
    exercise.check(*(answer if isinstance(answer, tuple) else (answer,)))
    return exercise.state, capsys.readouterr().out


# --- right tests: each is an expression that should be true, made an assert and made a bool


def weights_of(block, c_in, row):
    counted = sum(p.numel() for p in block.parameters() if p.ndim == 4)
    reads = c_in * (row.n1x1 + row.n3x3_reduce + row.n5x5_reduce + row.pool_proj)
    return counted - reads - 9 * row.n3x3_reduce * row.n3x3 - 25 * row.n5x5_reduce * row.n5x5


def every_place_learns(network, images, labels):
    cross_entropy(network(images), labels).backward()
    kernels = [p for p in network.parameters() if p.ndim == 4]
    return all(bool((k.grad.abs().amax((0, 1)) > 0).all()) for k in kernels)


def most_weights_learn(network, images, labels):
    cross_entropy(network(images), labels).backward()
    shares = [(p.grad == 0).float().mean().item() for p in network.parameters() if p.ndim == 4]
    return max(shares) < 0.5


def goes_on(train):
    whole, (first, saved) = train(9)[0], train(5)
    return first + train(4, saved)[0] == whole


def second_loss(train):
    return train(2, train(5)[1])[0][1][1] == train(7)[0][6][1]


def second_row(train):
    return train(2, train(5)[1])[0][1] == train(7)[0][6]


def moved_by_4b(network):
    x, passes = torch.rand(2, 1, 28, 28), []
    for change in (0, 1):
        for weight in network.body.get_submodule("4b").parameters():
            weight.data += change
        torch.manual_seed(0)
        passes.append(network(x))
    return [torch.equal(a, b) for a, b in zip(*passes, strict=True)] == [False, True, False]


def standard(prepare, network, images):
    x = silent.arriving(network, prepare(images))
    return bool(abs(x.mean()) < 0.1 and abs(x.std() - 1) < 0.1)


def not_sprung(load):
    trap = silent.Trap()
    try:
        load(trap.file)
    except Exception:
        pass
    return not trap.sprung


def small_eps(block, x):
    return all(m.eps < 0.1 for m in norms(block))


def loud_enough(block, x):
    return min(museum.loudness(block, x).values()) > 0.1


def linear(block, x):
    return torch.allclose(block(x) + block(-x), 2 * block(0 * x), atol=1e-6)


def in_colour(mode):
    return tv.to_tensor(stop.cat(mode).convert("RGB"))


def close(a, b):
    return torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5) is None


def widths_agree(block, c_in, row):
    branches = block.branch1x1, *block.branch3x3, *block.branch5x5, block.branch_pool[1]
    widths = [branch.conv.out_channels for branch in branches]
    return widths == [row.n1x1, row.n3x3_reduce, row.n3x3, row.n5x5_reduce, row.n5x5, row.pool_proj]


MODES = ("RGB", "L", "RGBA", "P")
NAMES = [f"{i}.png" for i in range(40)]
RIGHT = [
    ("1", lambda network: all(len(network(torch.rand(1, 3, s, s))) for s in (96, 320))),
    ("1", lambda network: network(torch.rand(2, 3, 40, 300)).ndim == 2),
    ("2", lambda read: all(torch.allclose(read(stop.cat(m)), in_colour(m)) for m in MODES)),
    (
        "2",
        lambda read: all(
            torch.equal(read(p), read(p.convert("RGB"))) for p in map(stop.cat, MODES)
        ),
    ),
    ("3", lambda network: torch.allclose(network(X[:1]), network(X)[:1], atol=1e-5)),
    ("3", lambda network: close(network(torch.cat([X, 0 * X]))[:6], network(X))),
    ("3", lambda network: not torch.allclose(network(X).sum(0), torch.ones(1), atol=1e-4)),
    ("4", goes_on),
    ("4", second_row),
    ("5", lambda block, c_in, row: weights_of(block, c_in, row) == 0),
    ("5", widths_agree),
    ("6", every_place_learns),
    ("6", most_weights_learn),
    ("7", lambda block, x: bool((block(x) >= 0).all())),
    ("7", lambda block, x: block(x).min().item() == 0),
    ("7", lambda block, x: torch.equal(block(-x).relu(), block(-x))),
    ("8", moved_by_4b),
    ("8", lambda network: silent.heard(network, "4b", X[:2]) == [True, False, True]),
    ("9", lambda split: split(NAMES) == split(NAMES[::-1])),
    ("9", lambda split: set(split(NAMES)[1]) == set(split(sorted(NAMES))[1])),
    ("10", standard),
    ("11", not_sprung),
    ("12", small_eps),
    ("12", loud_enough),
]
X = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("number", "holds"), RIGHT)
def test_a_test_that_tells_right_from_buggy_is_accepted(number, holds, capsys):
    def asserts(*arguments):
        assert holds(*arguments)

    assert verdict(checks.exhibit[number], asserts, capsys)[0] == "right"


@pytest.mark.parametrize(("number", "holds"), [RIGHT[0], RIGHT[7], RIGHT[-1]])
def test_a_test_that_returns_a_bool_is_accepted_as_one_that_asserts(number, holds, capsys):
    assert verdict(checks.exhibit[number], holds, capsys)[0] == "right"


# --- wrong tests: what each would have let through, or asks too much


def first_rate(train):
    return train(3, train(4)[1])[0][0][0] == train(5)[0][4][0]


def first_loss(train):
    return train(3, train(4)[1])[0][0][1] == train(5)[0][4][1]


def reduces_agree(block, c_in, row):
    counted = sum(p.numel() for p in block.parameters() if p.shape[2:] == (1, 1))
    return counted == c_in * (row.n1x1 + row.n3x3_reduce + row.n5x5_reduce + row.pool_proj)


def refuses(load):
    try:
        load(silent.Trap().file)
    except Exception:
        return True
    return False


def refuses_or_is_none(load):
    try:
        return load(silent.Trap().file) is None
    except Exception:
        return True


def norms(block):
    return [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)]


CAUGHT = "so it would not have caught it"
WRONG = [
    ("1", lambda n: n(torch.rand(1, 3, 224, 224)).ndim == 2, "on the right code, but on the buggy"),
    ("1", lambda n: n(torch.rand(1, 3, 256, 256)).ndim == 2, "(a pool of 7x7 with stride 7), so"),
    ("1", lambda n: n(torch.rand(1, 3, 64, 64)).shape == (1, 10), "on the right code in 6 of 9"),
    ("1", lambda n: n(torch.rand(1, 3, 160, 160)).ndim == 2, "(a pool of 7x7, small grids filled"),
    ("1", lambda n: n(torch.rand(1, 3, 640, 640)).ndim == 2, "(pools of 7x7, and their mean)"),
    ("1", lambda n: isinstance(n, nn.Module), "so it tells nothing"),
    ("2", lambda read: torch.equal(read(stop.cat("P")), in_colour("P")), "(grey taken for red)"),
    ("2", lambda read: torch.equal(read(stop.cat("L")), in_colour("L")), "(numbers of a palette"),
    ("2", lambda read: all(len(read(stop.cat(m))) == 3 for m in MODES), "(numbers of a palette"),
    ("2", lambda read: len(read(stop.cat("RGB"))) == 3, "on the right code, but on the buggy"),
    ("2", lambda read: len(read(stop.cat("RGBA"))) == 3, "(numbers of a palette taken for grey)"),
    ("2", lambda read: len(read(stop.cat("L"))) == 1, "it fails on the right code: it returns"),
    ("3", lambda n: n(X).shape[0] == 6, "on the right code, but on the buggy"),
    ("3", lambda n: n(X).max() > 1.001, "it fails on the right code"),
    ("3", lambda n: n(X).max() < 1, "it fails on the right code in 5 of 9 forms"),
    ("3", lambda n: n(X[:1]).max() < 1, "it fails on the right code in 4 of 9 forms"),
    ("3", lambda n: torch.allclose(n(X).flip(0), n(X.flip(0)), atol=1e-5), "it never fails"),
    ("3", lambda n: n(X).min() < 0, "it fails on the right code in 3 of 9 forms"),
    ("3", lambda n: n(X).shape[1] == 10, "the right code in 6 of 9 forms"),
    ("4", first_loss, f"(weights alone), {CAUGHT}"),
    ("4", lambda train: train(6)[1]["steps"] == 6, "it never fails"),
    ("4", lambda train: train(1, train(5)[1])[0][0][0] == 0.2 * 0.95**5, "the right code"),
    ("4", lambda train: "optimiser" in train(1)[1], "the right code in 3 of 9 forms"),
    ("4", second_loss, f"(the schedule forgotten), {CAUGHT}"),
    ("4", first_rate, f"(the schedule forgotten), {CAUGHT}"),
    ("4", lambda train: train(4)[0] == train(5)[0], "on the right code as on the buggy"),
    ("5", lambda b, c, row: b.branch3x3[0].conv.out_channels == row.n3x3_reduce, "5x5 reduce too"),
    ("5", lambda b, c, row: b(torch.rand(2, c, 7, 7)).shape[1] == row.c_out, "it never fails"),
    ("5", lambda b, c, row: row.n3x3_reduce == 144, "so it tells nothing"),
    ("5", lambda b, c, row: sum(p.numel() for p in b.parameters()) > 9000, "the right code"),
    ("5", reduces_agree, "(a 3x3 reduce too narrow, a 5x5 reduce too wide)"),
    ("6", lambda n, x, y: n(x).shape == (len(y), 10), "it never fails"),
    ("6", lambda n, x, y: n.stem.conv1.conv.stride == (1, 1), "(a stem with three pools)"),
    ("6", lambda n, x, y: n.stem.conv1.conv.kernel_size == (3, 3), "the right code in 3 of 9"),
    ("6", lambda n, x, y: n.stem.pool1.stride == 2, "the right code"),
    ("7", lambda block, x: not torch.allclose(block(-x), -block(x)), "it never fails"),
    ("7", lambda block, x: bool((block(x) > 0).all()), "so it tells nothing"),
    ("7", lambda block, x: bool((block(x)[:, :4] >= 0).all()), "end of the 5x5 branch)"),
    ("7", lambda block, x: block(x).shape[1] == 128, "the right code"),
    ("7", lambda block, x: not linear(block, x), "it never fails"),
    ("8", lambda n: n(X)[1].shape == n(X)[2].shape, "it never fails"),
    ("8", lambda n: not silent.heard(n, "4b", X)[1], "(the first head twice)"),
    ("8", lambda n: silent.heard(n, "4b", X)[2], "(the second head twice)"),
    ("8", lambda n: silent.heard(n, "4a", X) == [True] * 3, "it never fails"),
    ("8", lambda n: isinstance(n(X), tuple), "the right code in 3 of 9 forms"),
    ("8", lambda n: silent.heard(n, "4d", X) == [True, False, False], "on the right code: it"),
    ("9", lambda split: split(NAMES) == split(NAMES), "it never fails"),
    ("9", lambda split: split(NAMES)[1] != NAMES[:4], "(a seed, but no sort)"),
    ("9", lambda split: split(NAMES)[1] == sorted(NAMES)[:4], "it fails on the right code"),
    ("9", lambda split: len(split(NAMES)[1]) == 4, "it never fails"),
    ("9", lambda split: split(NAMES)[1][0] in ("0.png", "12.png"), "the right code"),
    ("10", lambda p, n, i: bool(abs(silent.arriving(n, p(i)).mean()) < 0.1), "(the mean alone)"),
    ("10", lambda p, n, i: bool(silent.arriving(n, p(i)).std() > 0.9), "(normalised twice)"),
    ("10", lambda p, n, i: bool(abs(p(i).mean()) < 0.1), "the right code in 3 of 9 forms"),
    ("10", lambda p, n, i: n.mean == 0, "the right code in 3 of 9 forms"),
    ("10", lambda p, n, i: bool(silent.arriving(n, p(i)).std() < 1.5), "(not at all)"),
    ("11", lambda load: load(silent.Trap().file) is None, "it says UnpicklingError"),
    ("11", refuses, "it fails on the right code in 3 of 9 forms"),
    ("11", refuses_or_is_none, "(weights_only=False, and an error afterwards)"),
    ("11", lambda load: not silent.Trap().sprung, "it never fails"),
    ("12", lambda block, x: block(x).std() > 0.1, "(eps = channels in the 5x5 branch)"),
    ("12", lambda b, x: b.branch1x1.norm.eps == 1e-3, "the right code in 6 of 9 forms"),
    ("12", lambda b, x: all(m.eps != m.num_features for m in norms(b)), "(eps = 100 in the 3x3"),
    ("12", lambda b, x: all(m.eps in (1e-3, 1e-5) for m in norms(b)), "in 3 of 9 forms"),
    ("12", lambda b, x: max(m.eps for m in norms(b.branch5x5)) < 1, "(eps = channels in the pool"),
    ("12", lambda b, x: b.branch1x1.norm.eps != 16, "(eps = channels everywhere)"),
]


@pytest.mark.parametrize(("number", "holds", "said"), WRONG)
def test_a_test_that_lets_a_bug_through_or_asks_too_much_is_told_which(number, holds, said, capsys):
    state, line = verdict(checks.exhibit[number], holds, capsys)
    assert state == "not right yet" and said.lower() in line.lower()


# --- the verdict


def case(*wrong):
    """Right code adds 1 in several forms, a bug adds something else."""
    add = lambda by: lambda seed: (guards.sealed(lambda x: x + by + 0 * seed),)  # noqa: E731
    return guards.Case([add(1)], {f"adds {by}": add(by) for by in wrong})


def exits(f):
    if f(1) != 2:
        sys.exit("wrong")


def fails_in_pytest(f):
    if f(1) != 2:
        pytest.fail("wrong")


@pytest.mark.parametrize(
    "test",
    [
        lambda f: f(1) == 2,
        lambda f: np.bool_(f(1) == 2),
        lambda f: torch.tensor(f(1)) == 2,
        lambda f: np.array(f(1)) == 2,
        lambda f: None if f(1) == 2 else 1 / 0,
        exits,
        fails_in_pytest,
    ],
)
def test_false_and_whatever_a_test_raises_are_failures_alike(test):
    assert guards.verdict(test, case(2, 3)) is None
    assert "(adds 1)" in guards.verdict(test, case(2, 1))  # not a bug: no test can fail on it


def bare(f):
    assert f(1) == 3


def with_a_message(f):
    assert f(1) == 3, "three,\n  I said"


def two_arguments(f, g):
    return True


@pytest.mark.parametrize(
    ("test", "said"),
    [
        (lambda f: True, "it never fails: your test passes on the right code, but on the buggy"),
        (lambda f: 1 / 0, "as on the buggy code, so it tells nothing: it says ZeroDivisionError"),
        (two_arguments, "as on the buggy code, so it tells nothing: it says TypeError"),
        (bare, "it fails on the right code: it asks for `f(1) == 3`"),
        (with_a_message, "it fails on the right code: it says three, I said"),
        (lambda f: f(1) == 3, "it fails on the right code: it returns False"),
        (lambda f: f(1) != 4, "your test passes on the buggy code (adds 2), so it would not have"),
        (lambda f: 7, "a test asserts, or returns True or False; yours returns 7"),
        (lambda f: torch.ones(3), "yours returns tensor([1., 1., 1.])"),
        (lambda f: (yield), "yours returns <generator object"),
        (True, "give the test itself, a function, got 'True'"),
    ],
)
def test_the_verdict_says_which_of_the_two_went_wrong(test, said, monkeypatch):
    asserts = lambda error: error.args[0].partition("\nassert")[0]  # noqa: E731
    if test is bare:  # pytest adds words to a bare assert, a notebook does not
        asserts = lambda error: ""  # noqa: E731
    told = guards.told

    def plain(error):
        if isinstance(error, AssertionError):
            error.args = (asserts(error),)
        return told(error)

    monkeypatch.setattr(guards, "told", plain)
    assert said in guards.verdict(test, case(2, 3))


def test_a_test_cannot_tell_the_two_codes_by_name_identity_source_or_order(capsys):
    seen = []

    def by_name(f):
        return "bug" not in f.__name__ and f.__name__ == "candidate"

    def by_source(f):
        return f.__code__ is not seen[0].__code__ if seen else not seen.append(f)

    def by_turns(f):
        seen.append(f)
        return len(seen) % 2 == 0

    for test in (by_name, by_source, by_turns):
        seen.clear()
        assert guards.verdict(test, case(2)) is not None
    for number in ("1", "2", "3", "7", "9", "11"):
        right = [make(0)[0] for make in checks.CASES[number].right]
        wrong = [make(0)[0] for make in checks.CASES[number].wrong.values()]
        assert len({(f.__name__, f.__code__) for f in right + wrong}) == 1
    for number in checks.CASES:
        for make in [*checks.CASES[number].right, *checks.CASES[number].wrong.values()]:
            assert make(0)[0] is not make(0)[0]


def test_the_check_leaves_the_random_state_alone_and_an_interrupt_goes_through():
    before = torch.random.get_rng_state()
    assert guards.verdict(lambda f: torch.rand(1) < 0, case(2)) is not None
    assert torch.equal(before, torch.random.get_rng_state())

    def interrupted(f):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guards.verdict(interrupted, case(2))


def test_stubs_are_not_attempted_yet(capsys):
    def stub(network):
        """a function: (n, 3, h, w) -> logits (n, classes)"""
        ...

    for exercise in checks.exhibit.values():
        assert verdict(exercise, stub, capsys)[0] == "not attempted yet"
    assert verdict(checks.exercise_13, (..., 1), capsys)[0] == "not attempted yet"
    assert verdict(checks.exercise_13, ({"3a": ...}, 1), capsys)[0] == "not attempted yet"


# --- the last room


def found_by_instruments(network):
    found, x = {}, network.stem(torch.rand(3, 1, 28, 28))
    for name, block in network.body.named_children():
        if name in last_room.BLOCKS:
            row = TABLE_1[name]
            if off := weights_of(block, x.shape[1], row):
                found[name] = "kernel" if off == -16 * row.n5x5_reduce * row.n5x5 else "width"
            if min(branch(x).min() for branch in block.values()) < 0:
                found[name] = "relu"
            if min(museum.loudness(block, x).values()) < 0.1:
                found[name] = "eps"
        x = block(x)
    return found


@pytest.mark.parametrize("number", [1, 2, 3])
def test_the_instruments_of_the_exhibits_find_all_three_bugs(number):
    assert found_by_instruments(last_room.network(number)) == last_room.bugs(number)


def test_every_number_has_three_kinds_and_together_they_bring_every_kind_and_block():
    drawn = [last_room.bugs(number) for number in range(1, 40)]
    assert {kind for bugs in drawn for kind in bugs.values()} == set(last_room.KINDS)
    assert {block for bugs in drawn for block in bugs} == set(last_room.BLOCKS)
    assert set(last_room.SPOILT) == set(last_room.KINDS)
    assert all(len(bugs) == len(set(bugs.values())) == 3 for bugs in drawn)


def test_each_bug_is_judged_by_itself(capsys):
    right = last_room.bugs(1)
    assert right == {"3b": "kernel", "4a": "eps", "5b": "relu"}
    rights = right, dict(reversed(right.items())), list(right.items()), {"3B": "Kernel", **right}
    for found in (*rights, {"3b": "kernel", "4A": "EPS", "5b": "relu", "5a": ...}):
        assert verdict(checks.exercise_13, (found, 1), capsys)[0] == "right"
    wrong = {
        "1 of 3 found: 3b kernel is right": {"3b": "kernel", "4a": ...},
        "2 of 3 found: 3b kernel is right; 5b relu is right": {"3b": "kernel", "5b": "relu"},
        "4a has a bug, but of another kind than 'width'": {"4a": "width"},
        "0 of 3 found: 3a is as Table 1 has it": {"3a": "kernel"},
        "there are 3 bugs, you name 4": right | {"5a": "eps"},
        "'pool3' is none of the blocks 3a, 3b": {"pool3": "relu"},
        "'nap' is none of the kinds kernel, width, relu, eps": {"3b": "nap"},
        "none of the kinds": {"3b": ["kernel"]},
        "give a dict such as": ["3b"],
        "got 3b": "3b",
        "got 3": 3,
        "0 of 3 found: nothing named yet": {},
        'such as {"3a": "kernel"}': {3: "kernel"},
    }
    for said, found in wrong.items():
        state, line = verdict(checks.exercise_13, (found, 1), capsys)
        assert state == "not right yet" and said.lower() in line.lower()
    assert verdict(checks.exercise_13, (right, 2), capsys)[0] == "not right yet"
    assert verdict(checks.exercise_13, (right, 0), capsys)[0] == "not right yet"


# --- the damage


def test_a_7x7_pool_takes_224_pixels_only():
    network = stop.halvings(stop.fixed_head(8, 10))
    assert network(torch.rand(1, 3, 224, 224)).shape == (1, 10)
    for side in (160, 256):
        with pytest.raises(RuntimeError):
            network(torch.rand(1, 3, side, side))


def test_the_cat_comes_in_four_modes_and_one_fits_three_channels():
    shapes = {mode: len(stop.read(stop.cat(mode))) for mode in ("RGB", "L", "RGBA", "P")}
    assert shapes == {"RGB": 3, "L": 1, "RGBA": 4, "P": 1}


def test_no_scores_get_below_the_floor_of_a_softmax_over_the_batch():
    labels = torch.arange(10).repeat(13)
    least = curve.least_loss(1 / 13, 10)
    losses = curve.descend(nn.Softmax(dim=0), labels)
    assert losses[0] == pytest.approx(math.log(10)) and least == pytest.approx(2.2336, abs=1e-4)
    assert least < losses[-1] < least + 0.001
    assert curve.descend(nn.Identity(), labels)[-1] < 0.01
    picture = curve.show_floor({"softmax": losses, "none": losses[:2]}, least)
    assert "softmax 2.23" in picture.words and "is 2.23" in picture.words


def test_going_on_from_weights_alone_makes_rate_and_loss_jump():
    whole, (first, saved) = curve.trainer(curve.go_on)(60)[0], curve.trainer(curve.go_on)(40)
    again = curve.trainer(curve.go_on)(20, saved)[0]
    assert first == whole[:40] and again[0][1] == whole[40][1]
    assert again[0][0] == 0.2 and whole[40][0] == pytest.approx(0.2 * 0.95**40)
    assert sum(b - a for (_, a), (_, b) in zip(whole[40:], again, strict=True)) / 20 > 0.1
    train = curve.trainer(loud.putting_back("model", "optimiser", "schedule"))
    assert train(20, train(40)[1])[0] == whole[40:]
    assert "of step 41: 0.026 uninterrupted, 0.200" in curve.show_restart(whole, again, 40).words


def test_128_for_144_changes_no_shape_and_49_680_parameters():
    row = TABLE_1["4d"]._replace(n3x3_reduce=128)
    with torch.device("meta"):
        blocks = [Inception(512, r, norm=False) for r in (TABLE_1["4d"], row)]
        shapes = {block(torch.empty(1, 512, 14, 14)).shape for block in blocks}
    right, wrong = (sum(p.numel() for p in block.parameters()) for block in blocks)
    assert len(shapes) == 1 and right - wrong == 49_680


def test_on_imagenets_stem_the_last_kernels_meet_padding_only():
    images, labels = torch.randn(4, 1, 28, 28), torch.arange(4)
    shares = {}
    for stem in (count.imagenet_stem, count.small_stem):
        network = count.nine_blocks(stem(4), 4)
        found = count.reached(network, images, labels)
        shares[stem] = [int(m.sum()) for each in found.values() for m in each.values()]
        assert "5b, places that learn" in count.show_reached(found).words
    assert shares[count.imagenet_stem] == [9, 25, 9, 9, 1, 1]
    assert shares[count.small_stem] == [9, 25, 9, 25, 9, 25]
    sides = count.grids(count.nine_blocks(count.imagenet_stem(4), 4))
    assert list(sides.values()) == [28, 14, 7, 4, 2, 1]


def test_relus_go_everywhere_or_at_the_end_of_one_branch():
    block, x = Inception(8, TABLE_1["3a"].scaled(1 / 8)).eval(), torch.randn(2, 8, 5, 5)
    whole = block(x)
    bare = count.without_relu(block, last="branch5x5")(x)
    same = (whole == bare).all((0, 2, 3))
    assert same[:24].all() and not same[24:28].any() and same[28:].all()
    branch = Inception(8, TABLE_1["3a"].scaled(1 / 8)).eval().branch5x5
    assert not linear(branch, x)
    assert linear(count.without_relu(Concat(branch5x5=branch)).branch5x5, x)


def test_the_tuple_swaps_the_heads():
    outputs = Outputs(logits=torch.zeros(1), aux={"aux1": torch.ones(1), "aux2": torch.ones(1) * 2})
    assert [int(x) for x in silent.as_tuple(outputs)] == [0, 2, 1]
    heads, x = silent.Heads(silent.as_tuple), torch.rand(2, 1, 28, 28)
    assert silent.heard(heads, "4b", x) == [True, True, False]
    assert isinstance(heads.network, GoogLeNet)


def test_an_unsorted_split_depends_on_the_listing_and_a_sorted_one_does_not():
    here, there = silent.listings(1000)
    assert sorted(here) == sorted(there) and here != there
    assert len({*silent.split(here)[0]} & {*silent.split(there)[1]}) == 92
    assert silent.sorted_split(here) == silent.sorted_split(there)
    assert [len(part) for part in silent.sorted_split(here)] == [900, 100]


def test_arriving_is_what_the_first_layer_gets():
    x = torch.rand(3, 1, 6, 6)
    network = silent.Secretive(nn.Sequential(nn.ReLU(), nn.Conv2d(1, 2, 3)), 0.5, 0.1)
    assert torch.equal(silent.arriving(network, x), ((x - 0.5) / 0.1).relu())
    assert not network.network[1]._forward_pre_hooks


def test_a_trap_springs_where_it_is_unpickled_and_only_its_own():
    trap, other = silent.Trap(), silent.Trap()
    loaded = silent.load(trap.file)
    assert trap.sprung and not other.sprung and torch.equal(loaded["weights"], torch.zeros(3))
    with pytest.raises(Exception, match="spring"):
        torch.load(other.file, weights_only=True)
    assert not other.sprung


def test_eps_n_divides_by_the_root_of_n_plus_1_and_mutes_a_branch():
    x = torch.randn(64, 128, 8, 8)
    assert museum.norm_as_it_was(128)(x).std().item() == pytest.approx(129**-0.5, rel=0.02)
    row = TABLE_1["3b"].scaled(1 / 4)
    block = silent.with_norm(Inception(8, row), museum.norm_as_it_was, "5x5")
    heard = museum.loudness(block, torch.randn(4, 8, 9, 9))
    assert heard["branch5x5"] < 0.02 and heard["branch3x3"] > 0.4
    picture = museum.show_loudness({"a": block, "b": block}, torch.randn(4, 8, 9, 9))
    assert "branch5x5" in picture.words


def test_the_race_has_a_run_for_each_seed_and_setting_alike_but_for_eps(monkeypatch):
    runs = []

    class Run:
        losses = {"main": [9.0] * 50 + [1.0] * 5 + [2.0] * 5}

    def fit(network, dataset, recipe, watch):
        eps = sorted({m.eps for m in network.modules() if isinstance(m, nn.BatchNorm2d)})
        runs.append((recipe.seed, network.conv1.conv.weight.sum().item(), eps))
        return Run()

    monkeypatch.setattr(museum, "fit", fit)
    found = museum.race(None, (3, 4))
    assert found == dict.fromkeys(museum.SETTINGS, [1.5, 1.5])
    _, first, *_, last = repr(museum.table(found | {"louder": [2, 2.5]})).splitlines()
    assert first.split() == ["eps", "=", "0.001", "1.50", "1.50", "1.50", "0.00"]
    assert last.split() == ["louder", "2.00", "2.50", "2.25", "0.75"]
    assert [seed for seed, *_ in runs] == [3, 4] * 3 and len({w for _, w, _ in runs}) == 2
    assert [eps[0] for *_, eps in runs] == [1e-3] * 4 + [4] * 2
    assert [len(eps) > 1 for *_, eps in runs] == [False] * 2 + [True] * 4


def test_the_plan_shows_every_exhibit_that_has_a_check():
    words = museum.show_plan()
    hung = [int(name.split()[0]) for room in museum.ROOMS.values() for name in room]
    assert [str(n) for n in hung] == list(checks.CASES)
    assert all(name in repr(words) for room in museum.ROOMS.values() for name in room)


def test_pictures_are_as_large_as_they_are_shown():
    assert struct.unpack(">II", museum.show_plan().png[16:24]) == tuple(
        2 * n for n in on_page((10, 3.3))
    )


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("10")
