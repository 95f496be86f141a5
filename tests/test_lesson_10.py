import math
import sys
from itertools import combinations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from conftest import solutions_pass
from inception_edu.__main__ import main
from inception_edu.commands import prove
from inception_edu.exercises.student_file import HEAD
from inception_edu.googlenet import TABLE_1, Inception
from inception_edu.lessons.lesson_10 import (
    checks as checks,
    diagnosis as diagnosis,
    exhibit_3 as three,
    exhibit_4 as four,
    exhibits_1_2 as one,
    exhibits_5_6 as five,
    guard as guards,
    last_room,
    last_script,
    suspects_4_6 as later,
    trials,
)

pytestmark = pytest.mark.usefixtures("one_thread")
X = torch.rand(6, 1, 28, 28, generator=torch.Generator().manual_seed(1))


def verdict(exercise, answer, capsys):
    """The state after a check, and the one line it printed."""
    exercise.check(*(answer if isinstance(answer, tuple) else (answer,)))
    return exercise.state, capsys.readouterr().out


# --- right tests: each is an expression that should be true, made an assert and made a bool


def three_of_four(accuracy):
    logits = torch.tensor([[2.0, 1], [0, 3], [5, 1], [2, 4]])
    return abs(float(accuracy(logits, torch.tensor([0, 1, 1, 1]))) - 0.75) < 1e-6


def all_right_of_two_classes(accuracy):
    labels = torch.tensor([0, 0, 1])
    return math.isclose(accuracy(torch.eye(3)[labels], labels), 1, abs_tol=1e-6)


def none_right(accuracy):
    return accuracy(torch.eye(4), torch.tensor([1, 2, 3, 0])) == 0


def loads(build, x):
    one, other = build().eval(), build().eval()
    other.load_state_dict(one.state_dict())
    return torch.allclose(one(x), other(x))


def copies(build, x):
    one, other = build(), build()
    for mine, theirs in zip(one.parameters(), other.parameters(), strict=True):
        mine.data = theirs.data.clone()
    return torch.allclose(one(x), other(x))


def silenced(build, x):
    block = build()
    for p in block.parameters():
        p.data.zero_()
    return block(x).abs().max() == 0


def momenta(block):
    return [m.momentum for m in block.modules() if isinstance(m, nn.BatchNorm2d)]


def remembers(block, x):
    norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)]
    with torch.no_grad():
        for _ in range(5):
            block(x)
        before = [m.running_var.clone() for m in norms]
        block(0 * x)
    return all((m.running_var >= 0.5 * old).all() for m, old in zip(norms, before, strict=True))


def in_double(build, x):
    return build().double()(x.double()).dtype == torch.float64


def leaf(block, x):
    block(x.requires_grad_())  # to write into it is an error
    return True


def of_a_hooked_batch(block, x):
    norms = [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)]
    means = {}
    for norm in norms:
        norm.register_forward_pre_hook(
            lambda norm, given: means.update({norm: given[0].mean((0, 2, 3))})
        )
    block(x)
    return all(((m.running_mean / means[m]) < 0.5001).all() for m in norms)


def leaves_the_random_numbers(network):
    before = torch.random.get_rng_state()
    network(X)
    return torch.equal(before, torch.random.get_rng_state())


def gradients(step):
    x, labels, network, seen = torch.randn(10, 4), torch.arange(10) % 3, nn.Linear(4, 3), []
    for size in (4, 10):
        step(network, torch.optim.SGD(network.parameters(), 0.0), x, labels, size)
        seen.append(network.weight.grad.clone())
    return torch.allclose(*seen, atol=1e-6)


def parts_as_one(step, sizes=(7, 3), momentum=0.9):
    x, labels, ends = torch.randn(7, 5), torch.arange(7) % 4, []
    for size in sizes:
        torch.manual_seed(3)
        network = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 4))
        step(network, torch.optim.SGD(network.parameters(), 0.2, momentum), x, labels, size)
        ends.append(network[0].weight.detach().clone())
    return torch.allclose(*ends, atol=1e-6)


def by_autograd(step):
    x, labels, network = torch.randn(10, 4), torch.arange(10) % 3, nn.Linear(4, 3)
    (right,) = torch.autograd.grad(cross_entropy(network(x), labels), [network.weight])
    start = network.weight.detach().clone()
    step(network, torch.optim.SGD(network.parameters(), 1.0), x, labels, 4)
    return torch.allclose(start - network.weight, right, atol=1e-5)


def untouched(block, x):
    before = x.clone()
    block(x)
    return bool((x == before).all())


def version(block, x):
    block(x)
    return x._version == 0


def still_negative(block, x):
    least = x.min().item()
    block(x)
    return x.min().item() == least


RIGHT = [
    ("1", three_of_four),
    ("1", none_right),
    ("1", all_right_of_two_classes),
    ("2", lambda network: torch.equal(network(X), network(X))),
    ("2", lambda network: (network(X) - network(X)).abs().max() < 1e-6),
    ("2", lambda network: torch.allclose(network(X[:1].expand(9, -1, -1, -1)).std(0).max(), T0)),
    ("3", loads),
    ("3", copies),
    ("3", silenced),
    ("2", leaves_the_random_numbers),
    ("3", in_double),
    ("4", leaf),
    ("5", of_a_hooked_batch),
    ("6", gradients),
    ("4", untouched),
    ("4", version),
    ("4", still_negative),
    ("5", lambda block, x: max(momenta(block)) <= 0.5),
    ("5", lambda block, x: all(m < 0.6 for m in momenta(block))),
    ("5", remembers),
    ("6", parts_as_one),
    ("6", lambda step: parts_as_one(step, (5, 2), 0)),
    ("6", by_autograd),
]
T0 = torch.tensor(0.0)


@pytest.mark.parametrize(("number", "holds"), RIGHT)
def test_a_test_that_tells_right_from_buggy_is_accepted(number, holds, capsys):
    def asserts(*arguments):
        assert holds(*arguments)

    assert verdict(checks.exhibit[number], asserts, capsys)[0] == "right"


@pytest.mark.parametrize(("number", "holds"), [RIGHT[0], RIGHT[7], RIGHT[-1]])
def test_a_test_that_returns_a_bool_is_accepted_as_one_that_asserts(number, holds, capsys):
    assert verdict(checks.exhibit[number], holds, capsys)[0] == "right"


# --- wrong tests: what each would have let through, or asks too much


def same_keys(build, x):
    one, other = build(), build()
    return list(one.state_dict()) == list(other.state_dict())


def trains(build, x):
    block = build()
    block(x).sum().backward()
    return all(p.grad is not None for p in block.parameters())


def moves(step):
    network = nn.Linear(4, 3)
    start = network.weight.detach().clone()
    step(network, torch.optim.SGD(network.parameters(), 0.1), torch.randn(8, 4), L8, 4)
    return not torch.equal(start, network.weight)


def ends_alike(step, optimiser, x, labels, atol):
    """Whether a step with the whole batch and one with parts of four end at the same weights."""
    ends = []
    for size in (len(x), 4):
        torch.manual_seed(0)
        network = nn.Linear(4, 3)
        step(network, optimiser(network.parameters(), 0.1), x, labels, size)
        ends.append(network.weight.detach())
    return torch.allclose(*ends, atol=atol)


def with_adam(step):
    x, labels = torch.randn(10, 4), torch.arange(10) % 3
    return ends_alike(step, torch.optim.Adam, x, labels, atol=1e-3)


def same_seed(build, x):
    one, other = (trials.seeded(0, build) for _ in range(2))
    other.load_state_dict(one.state_dict())
    return torch.equal(one(x), other(x))


def of_one_class(accuracy):
    return accuracy(torch.eye(4)[[0, 0, 0, 1]], torch.tensor([0] * 4)) == 0.75


def still_of_both_signs(block, x):
    n = (x < 0).sum()
    block(x)
    return (x < 0).sum() == n


def same_random_numbers(network):
    answers = []
    for _ in range(2):
        torch.manual_seed(0)
        answers.append(network(X))
    return torch.equal(*answers)


L8 = torch.arange(8) % 3
NEVER, CAUGHT = "it never fails", "so it would not have caught it"
WRONG = [
    ("1", lambda accuracy: accuracy(torch.eye(3), torch.arange(3)) == 1, "divided by the number"),
    ("1", lambda accuracy: accuracy(torch.eye(3)[:1], torch.tensor([0])) == 1, NEVER),
    ("1", lambda accuracy: accuracy(torch.eye(3), torch.arange(3)) <= 1, NEVER),
    (
        "1",
        lambda accuracy: accuracy(torch.eye(2), torch.tensor([1, 1])) == 1,
        "it fails on the right code",
    ),
    (
        "1",
        lambda accuracy: isinstance(accuracy(torch.eye(3), L8[:3]), float),
        "right code in 3 of 9",
    ),
    ("1", of_one_class, "(the answers stand in a column)"),
    ("1", lambda accuracy: accuracy(torch.zeros(4, 3), torch.zeros(4)) == 1, "in a column)"),
    ("2", same_random_numbers, NEVER),
    ("2", lambda network: (network(X).argmax(1) == network(X).argmax(1)).all(), CAUGHT),
    ("2", lambda network: network(X).shape[0] == 6, NEVER),
    ("2", lambda network: network(X).shape[1] == 10, "the right code in 6 of 9 forms"),
    ("2", lambda network: not torch.equal(network(X), network(X)), "it fails on the right code"),
    ("2", lambda network: (network(X) != 0).all(), "(dropout before the last layer)"),
    ("2", lambda network: isinstance(network, nn.Module), "so it tells nothing"),
    ("3", same_keys, NEVER),
    ("3", trains, NEVER),
    ("3", same_seed, NEVER),
    ("3", lambda build, x: len(list(build().parameters())) > 0, "(one branch in a list)"),
    ("3", lambda build, x: len(build().state_dict()) > 20, "(one branch in a list)"),
    ("3", lambda build, x: torch.equal(build()(x), build()(x)), "so it tells nothing"),
    ("3", lambda build, x: isinstance(build().branches, nn.ModuleList), "right code in 6 of 9"),
    ("4", lambda block, x: block(x).shape == x.shape, NEVER),
    ("4", lambda block, x: torch.equal(block(x), block(x)), "(a first ReLU that writes into x)"),
    ("4", lambda block, x: block(x).min() < 0, NEVER),
    ("4", still_of_both_signs, "(x scaled in place)"),
    ("4", lambda block, x: (block(x), x.min() < 0)[1], "(the sum written into x)"),
    ("4", lambda block, x: (block(x), x.min() >= 0)[1], "it fails on the right code"),
    ("5", lambda block, x: momenta(block)[0] < 0.5, "(momentum 0.9 in the 5x5 branch)"),
    ("5", lambda block, x: max(momenta(block)) < 0.9, "(momentum 0.75 everywhere)"),
    ("5", lambda block, x: set(momenta(block)) == {0.1}, "the right code in 6 of 9 forms"),
    ("5", lambda block, x: max(momenta(block)) <= 0.95, f"(momentum 0.9 everywhere), {CAUGHT}"),
    ("5", lambda block, x: block(x).shape[0] == 4, NEVER),
    ("5", lambda block, x: min(momenta(block)) > 0.5, "it fails on the right code"),
    ("6", lambda step: parts_as_one(step, (7, 7)), NEVER),
    ("6", lambda step: parts_as_one(step, (6, 6)), NEVER),
    ("6", moves, NEVER),
    ("6", with_adam, "(the parts' means added)"),
    ("6", lambda step: parts_as_one(step, (100, 7)), NEVER),
    ("6", lambda step: step(None, None, X, X, 1) is None, "so it tells nothing"),
]


@pytest.mark.parametrize(("number", "holds", "said"), WRONG)
def test_a_test_that_lets_a_bug_through_or_asks_too_much_is_told_which(number, holds, said, capsys):
    state, line = verdict(checks.exhibit[number], holds, capsys)
    assert state == "not right yet" and said.lower() in line.lower()


def test_equal_parts_alone_let_the_mean_of_means_through(capsys):
    def even(step):
        return ends_alike(step, torch.optim.SGD, torch.randn(8, 4), L8, atol=1e-6)

    state, line = verdict(checks.exhibit["6"], even, capsys)
    assert state == "not right yet" and "(the mean of the parts' means), so it would not" in line


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


def one_line(f): assert f(1) == 3  # fmt: skip  # noqa: E704


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
        (one_line, "it fails on the right code: it asks for `f(1) == 3"),
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
    if test in (bare, one_line):  # pytest adds words to a bare assert, a notebook does not
        asserts = lambda error: ""  # noqa: E731
    told = guards.told

    def plain(error):
        if isinstance(error, AssertionError):
            error.args = (asserts(error),)
        return told(error)

    monkeypatch.setattr(guards, "told", plain)
    assert said in guards.verdict(test, case(2, 3))


def test_a_test_cannot_tell_the_two_codes_by_name_identity_source_or_order():
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
    for number in ("1", "2", "3", "4", "6"):
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
    assert verdict(checks.exercise_7, (..., 1), capsys)[0] == "not attempted yet"
    assert verdict(checks.exercise_7, ({"3a": ...}, 1), capsys)[0] == "not attempted yet"


# --- diagnoses


def test_a_diagnosis_is_judged_and_every_other_letter_has_its_own_evidence(capsys):
    for one_of_six in diagnosis.DIAGNOSES.values():
        assert list(one_of_six.evidence) == ["A", "B", "C", "D"]
        assert len(set(one_of_six.evidence.values())) == 4
        for letter, why in one_of_six.evidence.items():
            one_of_six.check(letter)
            line = capsys.readouterr().out
            right = letter == one_of_six.answer
            assert line.startswith(
                "✔ Your guess: right" if right else "✘ Your guess: not right yet"
            )
            assert why in line and f"he answer is {one_of_six.answer}: " in line
            assert line.count("\n") == 1
    assert len({d.answer for d in diagnosis.DIAGNOSES.values()}) == 4


@pytest.mark.parametrize("guess", ["C", "c", " C. ", "(c)", "'C'"])
def test_a_letter_is_accepted_in_any_dress(guess):
    assert diagnosis.DIAGNOSES["1"].verdict(guess)[0] == "right"


@pytest.mark.parametrize("guess", ["E", "", "AC", 3, None, ["C"]])
def test_what_is_no_letter_learns_the_letters_and_not_the_answer(guess):
    state, said = diagnosis.DIAGNOSES["1"].verdict(guess)
    assert state == "not right yet" and "one of the letters A, B, C, D" in said
    assert "the answer is" not in said and diagnosis.DIAGNOSES["1"].verdict(...)[1] != said


# --- the damage


def test_a_column_of_answers_is_compared_with_every_label():
    logits, labels = torch.eye(3)[[0, 1, 2, 0]], torch.tensor([0, 1, 1, 1])
    assert one.accuracy(logits, labels) == 5 / 16
    p = torch.bincount(logits.argmax(1), minlength=3) / 4
    q = torch.bincount(labels, minlength=3) / 4
    assert one.accuracy(logits, labels) == (p * q).sum().item()


def test_dropout_stays_on_in_evaluation_unless_it_is_told_of_it():
    x = torch.rand(5, 32)
    for head, same in ((one.Head, False), (one.Mended, True)):
        network = trials.seeded(0, lambda head=head: head(32, 10))
        assert not torch.equal(network(x), network(x))
        assert torch.equal(network.eval()(x), network(x)) == same


def test_a_list_hides_its_branches_from_parameters_state_and_mode():
    listed, registered = three.Block(8, trials.ROW), three.Registered(8, trials.ROW)
    assert not list(listed.parameters()) and not listed.state_dict()
    assert len(list(registered.parameters())) == 18
    assert listed.eval().branches[0].training and not registered.eval().branches[0].training


def test_the_residual_block_writes_into_its_input_and_trains_without_an_error():
    block, x = four.Residual(8, trials.ROW), torch.randn(2, 8, 5, 5)
    right, before = four.mended(block), x.clone()
    assert torch.equal(right.eval()(x), right.branches(x) + x) and torch.equal(x, before)
    assert torch.allclose(block.eval()(x), right.branches(before) + before.relu(), atol=1e-6)
    assert torch.equal(x, before.relu())
    stem = nn.Sequential(nn.Conv2d(1, 8, 3), nn.BatchNorm2d(8))
    nn.Sequential(stem, block.train())(torch.randn(2, 1, 7, 7)).sum().backward()


def test_momentum_0_9_changes_what_evaluation_reads_and_nothing_that_is_trained():
    runs = {m: five.run_5(later.momentum(m), seed=0, steps=21) for m in (0.9, 0.1)}
    assert runs[0.9].losses == runs[0.1].losses and runs[0.9].weights == runs[0.1].weights
    assert runs[0.9].accuracies != runs[0.1].accuracies and len(runs[0.1].accuracies) == five.LAST
    assert five.norm(3).momentum == 0.9


def test_parts_add_up_to_as_many_gradients():
    whole = five.gradient_6(64)
    for size in (32, 8):
        times = 64 // size
        assert torch.allclose(five.gradient_6(size), times * whole, rtol=1e-3, atol=1e-5)
    assert not torch.allclose(five.gradient_6(24), 3 * whole, rtol=1e-3, atol=1e-5)


def test_reports_and_damage_say_their_numbers(monkeypatch):
    monkeypatch.setattr(trials, "SEEDS", range(2))
    pictures = [one.report_1(), one.damage_1(), one.damage_2(), five.report_6()]
    assert pictures[0].words.splitlines()[1].endswith("10.0")
    assert "of all 1,000 x 1,000 comparisons: 10.0 %" in pictures[1].words
    assert "as it was against mended: -" in pictures[2].words
    assert "parts of 8 images" in pictures[3].words
    assert repr(one.report_2()).count(" 0.0 ") == 5
    table = repr(five.damage_6())
    assert "8 of 8" in table and " 8.00 " in table and "n = 2" in table
    for cached in (one.first_run, one.repeats, five.run_6):
        cached.cache_clear()


# --- the last room


def found_by_instruments(network, script):
    found, x = {}, network.stem(torch.rand(3, 1, 28, 28))
    for name, block in network.body.named_children():
        if name in last_room.BLOCKS:
            row, c_in = TABLE_1[name].scaled(last_room.WIDTH), x.shape[1]
            right = Inception(c_in, row)
            ours, theirs = (
                [tuple(p.shape) for p in b.parameters() if p.ndim == 4] for b in (block, right)
            )
            if [s[2:] for s in ours] != [s[2:] for s in theirs]:
                found[name] = "kernel"
            elif ours != theirs:
                found[name] = "width"
            if min(branch(x).min() for branch in block.values()) < 0:
                found[name] = "relu"
            if any(m.eps > 1 for m in block.modules() if isinstance(m, nn.BatchNorm2d)):
                found[name] = "eps"
        x = block(x)
    return found | in_the_script(script)


class Watched(nn.Linear):
    """A network that notes mode and batch of every forward pass with gradients."""

    seen = ()

    def forward(self, x):
        if torch.is_grad_enabled():
            self.seen = [*self.seen, (self.training, x[:, 0].tolist())]
        return super().forward(x)


def in_the_script(script):
    found = {}
    if max(script.rate(step, 40, 1.0) for step in range(40)) > 1:
        found["rate"] = "rate"
    sure, labels = lambda x: torch.eye(2)[[0] * len(x)], torch.zeros(100, dtype=torch.long)
    sure.eval = lambda: None
    if script.accuracy(sure, torch.zeros(100, 1), labels) != 1:
        found["accuracy"] = "count"
    train, valid = script.split(100)
    if {*train.tolist()} & {*valid.tolist()}:
        found["split"] = "leak"
    x, network = torch.arange(20.0)[:, None] / 20, Watched(1, 2)
    made, sgd = [], torch.optim.SGD
    torch.optim.SGD = lambda *a, **k: made.append(0) or sgd(*a, **k)
    try:
        script.train(network, x, (x[:, 0] > 0.5).long(), 2, 0.1, 10)
    finally:
        torch.optim.SGD = sgd
    modes, batches = zip(*network.seen, strict=True)
    if not all(modes):
        found["train"] = "mode"
    elif len(made) > 1:
        found["train"] = "optimiser"
    elif batches[:2] == batches[2:]:
        found["train"] = "order"
    return found


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6])
def test_instruments_find_all_three_bugs(number):
    room = last_room.network(number), last_room.script(number)
    assert found_by_instruments(*room) == last_room.bugs(number)


def test_the_script_without_mistakes_has_none():
    assert in_the_script(last_script.Script()) == {}


@pytest.mark.parametrize("kind", last_script.MISTAKES)
def test_each_mistake_of_the_script_is_one_and_shows_in_its_text(kind):
    script = last_script.Script(kind)
    assert in_the_script(script) == {last_script.MISTAKES[kind][0]: kind}
    assert script.text != last_script.RIGHT and repr(script) in script._repr_markdown_()


def test_mistakes_of_different_functions_go_together_in_either_order():
    for a, b in combinations(last_script.MISTAKES, 2):
        if last_script.MISTAKES[a][0] != last_script.MISTAKES[b][0]:
            assert last_script.Script(a, b).text == last_script.Script(b, a).text
    with pytest.raises(ValueError, match="does not go together"):
        last_script.Script("mode", "optimiser")


def test_every_number_has_one_bug_in_a_block_and_two_in_the_script():
    drawn = [last_room.bugs(number) for number in range(1, 80)]
    assert {kind for bugs in drawn for kind in bugs.values()} == set(last_room.KINDS)
    assert {place for bugs in drawn for place in bugs} == set(last_room.PLACES)
    assert set(last_room.SPOILT) | set(last_script.MISTAKES) == set(last_room.KINDS)
    for bugs in drawn:
        assert len(bugs) == 3 and sum(place in last_room.BLOCKS for place in bugs) == 1


def test_each_bug_is_judged_by_itself(capsys):
    right = last_room.bugs(1)
    assert right == {"4b": "relu", "split": "leak", "train": "mode"}
    rights = right, dict(reversed(right.items())), list(right.items()), {"4B": "ReLU", **right}
    more = (
        {"4B": "RELU", "Split": "leak", "train": "mode", "5a": ...},
        {" body.4b ": " relu", "script.split()": "leak", "script train": "mode"},
    )
    for found in (*rights[:3], *more):
        assert verdict(checks.exercise_7, (found, 1), capsys)[0] == "right"
    wrong = {
        "1 of 3 found: 4b relu is right": {"4b": "relu", "4a": ...},
        "2 of 3 found: 4b relu is right; train mode is right": {"4b": "relu", "train": "mode"},
        "4b has a bug, but of another kind than 'width'": {"4b": "width"},
        "0 of 3 found: 3a has no bug": {"3a": "kernel"},
        "there are 3 bugs, you name 4": right | {"5a": "eps"},
        "'pool3' is none of the places 3a, 3b": {"pool3": "relu"},
        "'nap' is none of the kinds kernel, width, relu, eps": {"4b": "nap"},
        "none of the kinds": {"4b": ["relu"]},
        "give a dict such as": ["3b"],
        "got 3b": "3b",
        "got 3": 3,
        "0 of 3 found: nothing named yet": {},
        'such as {"3a": "kernel"}': {3: "kernel"},
        "write the place first, then the kind": {kind: place for place, kind in right.items()},
        "'head 4b' is none of the places": {"head 4b": "relu"},
    }
    for said, found in wrong.items():
        state, line = verdict(checks.exercise_7, (found, 1), capsys)
        assert state == "not right yet" and said.lower() in line.lower()
    assert verdict(checks.exercise_7, (right, 2), capsys)[0] == "not right yet"
    assert verdict(checks.exercise_7, (right, 0), capsys)[0] == "not right yet"


# --- the student's file, proved


COST = """def conv_cost(c_in, c_out, k, size, stride=1, padding=0, groups=1, bias=False):
    return 1, 2
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    yield tmp_path
    sys.modules.pop("my_inception", None)


def test_every_kept_exercise_has_its_proof_in_words():
    assert {", ".join(each.keep) for each in prove.kept()} == set(prove.PROOFS)


def test_without_a_file_every_definition_is_told_with_its_exercise(folder):
    rows = prove.proofs()
    assert {row.lines for row in rows} == {0} and not any(row.passed for row in rows)
    assert rows[0].verdict == "not in your file: Exercise 2"
    assert f"0 of {len(rows)} proofs passed" in prove.contents().words


def test_a_wrong_definition_and_half_of_a_pair_are_seen(folder, capsys):
    text = f"{HEAD}\n\n{COST}\n\ndef save(path):\n    return 1\n"
    (folder / "my_inception.py").write_text(text)
    rows = {row.name: row for row in prove.proofs()}
    assert rows["conv_cost"].lines == 2 and rows["conv_cost"].verdict.startswith("not right yet: ")
    assert rows["save, resume"].verdict == "incomplete: resume is missing"
    assert main(["prove", "--figure", "proofs.png"]) == 1
    assert "0 of" in capsys.readouterr().out and (folder / "proofs.png").stat().st_size > 1000


def test_a_file_that_cannot_be_run_is_one_sentence(folder, capsys):
    (folder / "my_inception.py").write_text("def (")
    assert "not Python in line 1" in repr(prove.contents())
    with pytest.raises(SystemExit):
        main(["prove"])
    assert capsys.readouterr().err.count("\n") == 1


def test_every_folded_solution_passes_its_own_check():
    solutions_pass("10")
