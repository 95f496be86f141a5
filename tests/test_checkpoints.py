"""Checkpoints: resumed runs are the uninterrupted ones, and no bad file is taken for a good one."""

import errno
import os
import pickle
from dataclasses import asdict

import pytest
import torch
from torch import nn

from conftest import refused
from inception_edu import files
from inception_edu.data import Dataset, Split
from inception_edu.googlenet import GoogLeNet
from inception_edu.training import Evaluation, Recipe, checkpoints, evaluate, fit
from inception_edu.training.run import Run

SIDE = 16


pytestmark = pytest.mark.usefixtures("one_thread")


def dataset(n=40, valid=12):
    generator = torch.Generator().manual_seed(0)

    def part(n):
        labels = torch.arange(n) % 4
        images = torch.randint(0, 90, (n, 1, SIDE, SIDE), generator=generator)
        return Split((images + 40 * labels.view(-1, 1, 1, 1)).byte(), labels, (0.4,), (0.2,))

    return Dataset("tiny", part(n), part(valid), part(8), tuple("abcd"), (0.4,), (0.2,))


def network(seed=0, **how):
    """All that may carry state from step to step: batch norm, dropout in two aux heads."""
    torch.manual_seed(seed)
    return GoogLeNet("small", **dict(num_classes=4, in_channels=1, width=1 / 16) | how)


def recipe(**how):
    return Recipe(**dict(epochs=3, batch_size=8, lr=0.05, precision="float32") | how)


def run(model=None, data=None, told=None, **how):
    model, watch = model or network(), how.pop("watch", lambda *_: None)
    told, data = told or recipe(), data or dataset()
    return model, fit(model, data, told, device="cpu", watch=watch, **how)


def steady(history):
    """A history without what may vary from run to run."""

    def strip(value):
        if isinstance(value, dict):
            names = ("images_per_second", "command")
            kept = {k: v for k, v in value.items() if k not in names and k[-8:] != "_seconds"}
            return {k: strip(v) for k, v in kept.items()}
        return [strip(v) for v in value] if isinstance(value, list) else value

    return strip(asdict(history))


def same_weights(a, b):
    a, b = a.state_dict(), b.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def interrupt_at(step):
    """A hook that stops the training in its nth forward pass."""
    seen = []

    def hook(module, inputs):
        seen.extend([1] * module.training)
        if len(seen) == step and module.training:
            raise KeyboardInterrupt

    return hook


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: folder, network, history."""
    out = tmp_path_factory.mktemp("whole")
    return out, *run(out=out)


# --- going on


@pytest.mark.parametrize("step", [2, 6, 9, 11], ids=["epoch 1", "end", "middle", "epoch 3"])
def test_a_run_interrupted_anywhere_and_resumed_is_bit_identical_to_one_never_interrupted(
    whole, tmp_path, step
):
    _, model, history = whole
    first = network()
    handle = first.register_forward_pre_hook(interrupt_at(step))
    _, broken = run(first, out=tmp_path)
    handle.remove()
    assert broken.stopped == f"interrupted after step {step - 1}"
    again, resumed = run(network(seed=7), out=tmp_path, resume=tmp_path / "last.pt")
    assert not same_weights(again, network(seed=7))
    assert same_weights(again, model) and steady(resumed) == steady(history)
    a, b = (checkpoints.load(d / "best.pt")["weights"] for d in (tmp_path, whole[0]))
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_weights_alone_do_not_give_the_uninterrupted_run(whole, tmp_path):
    model = network()
    model.register_forward_pre_hook(interrupt_at(6))
    run(model, out=tmp_path)
    fresh = network()
    fresh.load_state_dict(checkpoints.load(tmp_path / "last.pt")["weights"])
    assert not same_weights(run(fresh)[0], whole[1])


@pytest.mark.parametrize("lost", ["weights", "optimiser", "batches", "random"])
def test_each_part_of_a_checkpoint_is_needed_to_go_on_exactly(whole, tmp_path, lost, monkeypatch):
    model = network()
    model.register_forward_pre_hook(interrupt_at(7))
    run(model, out=tmp_path)

    load = Run.load_state_dict

    def load_without(run, state):
        fresh = run.state_dict()
        load(run, state | {lost: fresh[lost]})

    monkeypatch.setattr(Run, "load_state_dict", load_without)
    again, _ = run(network(), out=tmp_path, resume=tmp_path / "last.pt")
    assert not same_weights(again, whole[1])


def test_resuming_a_finished_run_changes_nothing(whole):
    out, model, history = whole
    before = (out / "last.pt").read_bytes()
    again, resumed = run(network(seed=3), out=out, resume=out / "last.pt")
    assert same_weights(again, model) and steady(resumed) == steady(history)
    assert (out / "last.pt").read_bytes() == before


def test_resuming_without_a_folder_writes_nothing(whole, tmp_path):
    out, model, _ = whole
    before = {x: x.stat().st_mtime_ns for x in out.iterdir()}
    again, _ = run(network(seed=3), resume=str(out / "last.pt"))
    assert same_weights(again, model)
    assert {x: x.stat().st_mtime_ns for x in out.iterdir()} == before


def with_accuracies(monkeypatch, *accuracies):
    """Let validations find these accuracies, one after the other."""
    values = iter(accuracies)
    found = lambda *_, **__: Evaluation(accuracy=next(values), loss=1.0, logits=torch.eye(2))  # noqa: E731
    monkeypatch.setattr("inception_edu.training.run.evaluate", found)


@pytest.mark.parametrize("beside", ["best.pt", "nothing"])
def test_a_run_that_goes_on_in_another_folder_has_its_best_epoch_there_too(
    tmp_path, monkeypatch, beside
):
    a, b = tmp_path / "a", tmp_path / "b"
    with_accuracies(monkeypatch, 0.2, 0.9, 0.5)
    run(out=a)
    best, last = (a / "best.pt").read_bytes(), (a / "last.pt").read_bytes()
    assert checkpoints.load(a / "best.pt")["history"]["rows"][-1]["epoch"] == 2
    if beside == "nothing":
        (a / "best.pt").unlink()
    run(network(7), out=b, resume=a / "last.pt")
    assert (b / "last.pt").read_bytes() == last and len(list(b.iterdir())) == 2
    assert (b / "best.pt").read_bytes() == (best if beside == "best.pt" else last)  # or what is


def test_best_moves_on_in_the_other_folder(tmp_path, monkeypatch):
    with_accuracies(monkeypatch, 0.2, 0.9, 0.1, 0.95)  # the third after the interrupt
    model = network()
    model.register_forward_pre_hook(interrupt_at(12))
    run(model, out=tmp_path / "a")
    _, history = run(out=tmp_path / "b", resume=tmp_path / "a/last.pt")
    assert checkpoints.load(tmp_path / "b/best.pt")["history"]["rows"][-1] == history.best
    assert history.best["epoch"] == 3 and history.best["valid_accuracy"] == 0.95


def test_precision_and_memory_format_of_the_checkpoint_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("inception_edu.training.devices.pick_precision", lambda device: "bfloat16")
    told = recipe(precision="auto", epochs=2)
    model = network()
    model.register_forward_pre_hook(interrupt_at(8))
    assert run(model, told=told, out=tmp_path)[1].precision == "bfloat16"
    monkeypatch.setattr("inception_edu.training.devices.pick_precision", lambda device: "float32")
    monkeypatch.setattr(
        "inception_edu.training.devices.pick_memory_format", lambda device: "contiguous"
    )
    _, history = run(told=told, out=tmp_path, resume=tmp_path / "last.pt")
    assert (history.precision, history.memory_format) == ("bfloat16", "channels_last")


# --- what is in it


def test_best_holds_the_epoch_with_the_highest_validation_accuracy_and_builds_the_network(whole):
    out, _, history = whole
    best = checkpoints.load(out / "best.pt")
    model = checkpoints.build(best)
    assert best["history"]["rows"][-1] == history.best
    found = evaluate(model, dataset().valid, device="cpu")
    assert found.accuracy == history.best["valid_accuracy"]
    assert found.loss == pytest.approx(history.best["valid_loss"], abs=1e-5)
    assert evaluate(network(seed=5), dataset().valid, device="cpu").loss != found.loss


def test_a_checkpoint_holds_what_predict_needs(whole):
    saved = checkpoints.load(whole[0] / "last.pt")
    assert saved["format"] == checkpoints.FORMAT
    arguments = dict(variant="small", num_classes=4, in_channels=1, aux=True, width=1 / 16)
    assert saved["model"] == dict(name="GoogLeNet", arguments=arguments)
    data = dict(name="tiny", images=40, size=(SIDE, SIDE), channels=1, classes=tuple("abcd"))
    assert saved["data"] == data | dict(mean=(0.4,), std=(0.2,))
    assert saved["recipe"] == asdict(recipe()) and saved["versions"] == checkpoints.versions()


def test_images_scaled_in_training_are_in_the_checkpoint_at_the_size_that_was_trained(tmp_path):
    run(data=dataset().resized(20), told=recipe(epochs=1), out=tmp_path)
    assert checkpoints.load(tmp_path / "last.pt")["data"]["size"] == (20, 20)


def test_a_network_of_ones_own_is_saved_but_must_be_built_by_its_owner(tmp_path):
    model = nn.Sequential(nn.Flatten(), nn.Linear(SIDE * SIDE, 4))
    run(model, told=recipe(epochs=1), out=tmp_path)
    saved = checkpoints.load(tmp_path / "last.pt")
    refused(ValueError, lambda: checkpoints.build(saved), "one of GoogLeNet", "'Sequential'")


# --- what is refused


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (dict(model=network(width=1 / 8)), ("another model", "arguments")),
        (dict(model=nn.Sequential(nn.Flatten(), nn.Linear(256, 4))), ("another model", "name")),
        (dict(told=recipe(lr=0.1)), ("another recipe", "lr is 0.05 there, 0.1 here")),
        (dict(told=recipe(epochs=4)), ("epochs is 3 there, 4 here", "--weights", "--out ANOTHER")),
        (dict(data=dataset(n=44)), ("another data", "images is 40 there, 44 here")),
    ],
)
def test_a_checkpoint_of_another_model_recipe_or_data_set_is_refused(whole, change, words):
    refused(ValueError, lambda: run(**change, resume=whole[0] / "last.pt"), *words)


def test_a_checkpoint_of_another_format_is_refused(whole, tmp_path):
    saved = torch.load(whole[0] / "last.pt", weights_only=True)
    torch.save(saved | dict(format=99), tmp_path / "new.pt")
    words = ("checkpoint format 99, this version reads 1",)
    refused(ValueError, lambda: checkpoints.load(tmp_path / "new.pt"), *words)


class Evil:
    def __reduce__(self):
        return os.mkdir, ("it_ran",)


def test_files_that_are_no_checkpoints_are_refused_and_no_code_runs(whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    good = (whole[0] / "last.pt").read_bytes()
    (tmp_path / "text.pt").write_text("epoch 3, accuracy 0.9\n")
    (tmp_path / "empty.pt").write_bytes(b"")
    (tmp_path / "cut.pt").write_bytes(good[: len(good) // 2])
    (tmp_path / "pickle.pt").write_bytes(pickle.dumps(Evil()))
    torch.save(dict(format=1, model=Evil()), tmp_path / "evil.pt")
    torch.save(network(), tmp_path / "module.pt")
    torch.save(network().state_dict(), tmp_path / "weights.pt")
    words = {
        "text.pt": "or another file",
        "empty.pt": "damaged, cut off",
        "cut.pt": "damaged, cut off",
        "pickle.pt": "or another file",
        "evil.pt": "would run code",
        "module.pt": "would run code",
        "weights.pt": "maybe only weights",
    }
    for name, said in words.items():
        refused(ValueError, lambda: checkpoints.load(name), name, said)  # noqa: B023
    assert not (tmp_path / "it_ran").exists()
    refused(ValueError, lambda: run(resume=tmp_path), "is a folder", "last.pt")
    refused(FileNotFoundError, lambda: run(resume=tmp_path / "none.pt"), "there is no checkpoint")


def test_a_single_bit_that_flipped_in_a_weight_is_noticed(whole, tmp_path):
    content = bytearray((whole[0] / "last.pt").read_bytes())
    saved = checkpoints.load(whole[0] / "last.pt")
    weight = saved["weights"]["head.linear.weight"]
    at = content.index(weight.numpy().tobytes())
    content[at + 9] ^= 4
    (tmp_path / "flipped.pt").write_bytes(content)
    altered = torch.load(tmp_path / "flipped.pt", weights_only=True)["weights"]
    assert not torch.equal(altered["head.linear.weight"], weight)  # torch itself takes it
    refused(ValueError, lambda: checkpoints.load(tmp_path / "flipped.pt"), "damaged")


def test_a_folder_that_holds_a_run_is_not_overwritten(whole, tmp_path):
    words = ("holds a run already", "--resume", "choose another folder")
    refused(FileExistsError, lambda: run(out=whole[0]), *words)
    other = tmp_path / "other"
    run(told=recipe(epochs=1), out=other)
    refused(
        FileExistsError, lambda: run(out=whole[0], resume=other / "last.pt", told=recipe(epochs=1))
    )


def test_a_network_that_does_not_fit_the_data_leaves_no_folder_behind(tmp_path):
    out = tmp_path / "run"
    refused(ValueError, lambda: run(network(in_channels=3), out=out), "in_channels=")
    refused(ValueError, lambda: run(network(), dataset().resized(12), out=out), "at least 13 x 13")
    assert not out.exists()


# --- disks


def test_a_full_disk_is_named_and_the_checkpoint_before_it_goes_on(whole, tmp_path, monkeypatch):
    fsync, calls = os.fsync, []

    def full(descriptor):
        calls.append(1)
        if len(calls) > 4:  # best and last at the start and after an epoch
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(checkpoints.os, "fsync", full)
    words = ("could not be written (No space left on device)", "what it held before is kept")
    refused(OSError, lambda: run(out=tmp_path), *words)
    monkeypatch.undo()
    assert sorted(x.name for x in tmp_path.iterdir()) == ["best.pt", "last.pt"]
    assert checkpoints.load(tmp_path / "last.pt")["history"]["rows"][-1]["step"] >= 5
    assert same_weights(run(out=tmp_path, resume=tmp_path / "last.pt")[0], whole[1])


def test_a_folder_that_cannot_be_made_or_written_is_named_before_any_step(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("mine")
    refused(OSError, lambda: run(out=tmp_path / "file"), "must be a folder", str(tmp_path / "file"))
    refused(OSError, lambda: run(out=tmp_path / "file" / "deeper"), "must be a folder")
    assert (tmp_path / "file").read_text() == "mine"

    def denied(descriptor):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(files.os, "fsync", denied)
    steps = []
    call = lambda: run(out=tmp_path / "new", watch=lambda *_: steps.append(1))  # noqa: E731
    refused(OSError, call, "could not be written (Permission denied)", "choose a folder")
    assert steps == []


def test_writing_leaves_the_old_file_whole_until_the_new_one_is(tmp_path, monkeypatch):
    path = tmp_path / "a.txt"
    files.write(path, b"old")

    def killed(a, b):
        assert path.read_bytes() == b"old"
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        files.write(path, b"new")
    assert path.read_bytes() == b"old"
    monkeypatch.undo()
    files.write(path, b"newer")
    assert path.read_bytes() == b"newer" and list(tmp_path.iterdir()) == [path]
