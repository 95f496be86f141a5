"""Measuring: every entry of a study trained once per seed, and saved with what made it."""

import json

import pytest
import torch
from torch import nn

from authoring import measure as tool
from authoring.__main__ import main
from inception_edu.data import Dataset, Split
from inception_edu.lessons import shared
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
    monkeypatch.setattr(shared, "ASSETS", tmp_path)
    return asked


def test_every_entry_is_trained_once_per_seed_and_saved_with_what_made_it(study):
    assert main(["measure", "networks", "--seeds", "3", "4"]) == 0
    saved = shared.saved("networks")
    runs = saved["runs"]["linear"]
    assert [run["seed"] for run in runs] == [3, 4] and study == ["fashion_mnist"]
    assert runs[0]["losses"] != runs[1]["losses"]
    assert saved["command"] == "python -m authoring measure networks"
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
    assert shared.saved("networks")["command"].endswith("measure networks --data pictures.npz")
    assert str(tmp_path) not in json.dumps(shared.saved("networks"))


def test_what_an_entry_looks_at_is_saved_with_its_run(study):
    look = lambda tested, labels: dict(rows_seen=[len(tested.logits), len(labels)])  # noqa: E731
    shared.NETWORKS["linear"] = shared.NETWORKS["linear"]._replace(look=look)
    tool.measure("networks", (0,))
    assert shared.saved("networks")["runs"]["linear"][0]["rows_seen"] == [20, 20]


def test_unknown_study_lists_what_there_is():
    with pytest.raises(ValueError, match="a study must be one of networks, .*, got 'cats'"):
        tool.measure("cats")


def test_a_run_that_was_interrupted_or_broke_ends_the_study_and_nothing_is_saved(study, tmp_path):
    entry = shared.NETWORKS["linear"]
    shared.NETWORKS["linear"] = entry._replace(recipe=Recipe(steps=30, batch_size=4, lr=1e30))
    with pytest.raises(RuntimeError, match="linear, seed 0: the loss became"):
        tool.measure("networks", (0,))
    assert not list(tmp_path.iterdir())
