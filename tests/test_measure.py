"""Measuring: every entry of a study trained once per seed, and saved with what made it."""

import json

import numpy
import pytest
import torch
from torch import nn

from authoring import measure as tool
from authoring.__main__ import main
from inception_edu.data import Dataset, Split
from inception_edu.lessons import shared, studies
from inception_edu.lessons.lesson_09 import runs
from inception_edu.training import Recipe


@pytest.fixture
def study(monkeypatch, tmp_path):
    """A study of one tiny network, saved into a temporary folder; the data sets asked for."""
    labels = torch.arange(20) % 4
    images = (60 * labels).view(-1, 1, 1, 1).expand(-1, 1, 28, 28).to(torch.uint8)
    part = Split(images, labels, (0.1,), (0.2,))
    tiny = Dataset("tiny", part, part, part, tuple("abcd"), (0.1,), (0.2,))
    recipe = Recipe(steps=250, batch_size=4, lr=0.001, precision="float32", shift=0, flip=False)
    build = lambda: nn.Sequential(nn.Flatten(), nn.Linear(784, 4))  # noqa: E731
    asked = []
    monkeypatch.setattr(shared, "NETWORKS", {"linear": shared.Entry("00", build, recipe)})
    monkeypatch.setattr(tool, "load", lambda name: asked.append(name) or tiny)
    monkeypatch.setattr(tool, "ASSETS", tmp_path)
    monkeypatch.setattr(tool, "BEGUN", tmp_path / "begun")
    monkeypatch.setattr(studies, "ASSETS", tmp_path)
    return asked


def test_every_entry_is_trained_once_per_seed_and_saved_with_what_made_it(study):
    assert main(["measure", "networks", "--seeds", "3", "4"]) == 0
    saved = shared.saved("networks")
    runs = saved["runs"]["linear"]
    assert [run["seed"] for run in runs] == [3, 4] and study == ["fashion_mnist"]
    assert runs[0]["losses"] != runs[1]["losses"]
    assert saved["command"] == "python -m authoring measure networks --seeds 3 4"
    assert saved["recipes"]["linear"]["steps"] == 250 and runs[0]["cpu_seconds"] > 0
    assert saved["versions"]["torch"] == torch.__version__ and "cpu" in saved["hardware"]
    assert shared.reached("00")[0].n == 2


def test_saved_curves_are_thinned_and_rounded(study):
    tool.measure("networks", (0,))
    run = shared.saved("networks")["runs"]["linear"][0]
    assert run["loss_every"] == 2 and len(run["losses"]["main"]) == 125
    assert run["losses"]["main"][-1] < run["losses"]["main"][0]
    assert run["rows"][-1]["step"] == 250 and run["stopped"] == ""
    assert all(len(f"{value:g}") <= 11 for value in run["losses"]["main"])


def test_other_data_stand_in_the_command(study, tmp_path):
    tool.measure("networks", (0,), data=str(tmp_path / "pictures.npz"))
    assert study == [str(tmp_path / "pictures.npz")]
    assert shared.saved("networks")["command"].endswith("--seeds 0 --data pictures.npz")
    assert str(tmp_path) not in json.dumps(shared.saved("networks"))


def test_what_an_entry_looks_at_is_saved_with_its_run(study):
    look = lambda tested, labels: dict(rows_seen=[len(tested.logits), len(labels)])  # noqa: E731
    shared.NETWORKS["linear"] = shared.NETWORKS["linear"]._replace(look=look)
    tool.measure("networks", (0,))
    assert shared.saved("networks")["runs"]["linear"][0]["rows_seen"] == [20, 20]


def test_an_entry_may_draw_a_split_of_its_own_with_every_seed(study, monkeypatch):
    load, seeds = tool.load, []
    monkeypatch.setattr(tool, "load", lambda name, **split: seeds.append(split) or load(name))
    tool.measure("networks", (3, 4))
    assert seeds == [{}]  # one split, loaded once
    shared.NETWORKS["linear"] = shared.NETWORKS["linear"]._replace(split_anew=True)
    tool.measure("networks", (3, 4))
    assert seeds[1:] == [dict(seed=3), dict(seed=4)]
    assert all(entry.split_anew for entry in runs.RUNS.values())


def test_unknown_study_lists_what_there_is():
    with pytest.raises(ValueError, match="a study must be one of networks, .*, got 'cats'"):
        tool.measure("cats")


def test_a_run_that_was_interrupted_or_broke_ends_the_study_and_nothing_is_saved(study, tmp_path):
    entry = shared.NETWORKS["linear"]
    shared.NETWORKS["linear"] = entry._replace(recipe=Recipe(steps=30, batch_size=4, lr=1e30))
    with pytest.raises(RuntimeError, match="linear, seed 0: the loss became"):
        tool.measure("networks", (0,))
    assert not list(tmp_path.rglob("*.json"))


def test_a_study_that_was_stopped_goes_on_with_the_runs_that_are_left(study, tmp_path, monkeypatch):
    trained, train = [], tool.train

    def until_seed_5(study, name, seed, data, device):
        if seed == 5 and len(trained) == 2:
            raise KeyboardInterrupt
        trained.append(seed)
        return train(study, name, seed, data, device)

    monkeypatch.setattr(tool, "train", until_seed_5)
    with pytest.raises(KeyboardInterrupt):
        tool.measure("networks", (3, 4, 5))
    assert not (tmp_path / "networks.json").exists()
    trained.append("again")
    tool.measure("networks", (3, 4, 5))
    assert trained == [3, 4, "again", 5]
    assert [run["seed"] for run in shared.saved("networks")["runs"]["linear"]] == [3, 4, 5]
    assert not list((tmp_path / "begun").iterdir())  # once whole, the next call begins anew


def test_a_study_says_on_which_device_it_ran(study, monkeypatch):
    def on(study, name, seed, data, device):
        return dict(seed=seed, test_accuracy=0.5, train_seconds=1.0, device=device)

    monkeypatch.setattr(tool, "train", on)
    monkeypatch.setattr(tool, "pick_device", lambda name: torch.device(name))
    monkeypatch.setattr(tool, "hardware", lambda device: f"a {device.type}")
    for device, end in (("cpu", "--seeds 7"), ("cuda", "--seeds 7 --device cuda")):
        tool.measure("networks", (7,), device=device)
        saved = shared.saved("networks")
        assert saved["command"].endswith(end) and saved["hardware"] == f"a {device}"
        assert saved["runs"]["linear"][0]["device"] == device


def test_another_recipe_begins_a_stopped_study_anew(study, tmp_path, monkeypatch):
    (tmp_path / "begun").mkdir()
    old = dict(command="python -m authoring measure networks --seeds 3", runs=dict(linear=[1]))
    (tmp_path / "begun" / "networks.json").write_text(json.dumps(old))
    tool.measure("networks", (3,))
    assert [run["seed"] for run in shared.saved("networks")["runs"]["linear"]] == [3]


def test_runs_side_by_side_are_the_same_runs(tmp_path):
    draw, labels = numpy.random.default_rng(0), numpy.arange(6000) % 10
    images = draw.integers(0, 255, (6000, 28, 28), dtype=numpy.uint8)
    parts = dict(x_train=images, y_train=labels, x_test=images[:50], y_test=labels[:50])
    numpy.savez(tmp_path / "few.npz", **parts)
    todo = [("linear classifier", 0), ("linear classifier", 1)]
    one, two = (dict(tool._each("networks", todo, str(tmp_path / "few.npz"), n)) for n in (1, 2))
    assert one.keys() == two.keys() == {*todo} and one[todo[0]]["losses"] != one[todo[1]]["losses"]
    for run in todo:
        assert one[run]["losses"] == two[run]["losses"]
        assert one[run]["test_accuracy"] == two[run]["test_accuracy"]
