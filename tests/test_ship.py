import json
import re
from pathlib import Path

import pytest
import torch

from authoring import ship as authoring_ship
from authoring.ship import CLASSES, ship
from inception_edu.__main__ import main
from inception_edu.lessons.shared import ASSETS
from inception_edu.predict import load_classifier


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "a"
    told = "train --limit 600 --valid 100 --steps 8 --batch-size 64 --width 0.125 --device cpu"
    assert main([*told.split(), "--out", str(out)]) == 0
    return out


def test_a_run_is_shipped_with_all_that_made_it_and_answers_as_before(
    folder, tmp_path, monkeypatch
):
    monkeypatch.setattr(authoring_ship, "ASSETS", tmp_path)
    assert "GoogLeNet" in ship(folder)
    shipped, best = (
        load_classifier(p) for p in (tmp_path / "cifar10_small.pt", folder / "best.pt")
    )
    x = torch.randn(3, 1, 28, 28)
    assert torch.equal(shipped.model(x).logits, best.model(x).logits)
    assert (tmp_path / "cifar10_small.pt").stat().st_size < (folder / "best.pt").stat().st_size
    saved, history = (
        json.loads(p.read_text()) for p in (tmp_path / "cifar10.json", folder / "history.json")
    )
    assert saved["rows"][-1]["step"] == 8 and saved["test"] == history["test"]
    assert saved["command"].startswith("python -m inception_edu train --limit 600")
    assert str(folder) in history["command"] and "--out" not in saved["command"]
    words = (tmp_path / "cifar10_small.txt").read_text()
    assert saved["command"] in words and f"{history['test']['accuracy']:.2%}" in words
    assert f"{saved['parameters']:,} parameters" in words


def test_the_shipped_network_names_the_classes_of_cifar10():
    shipped = load_classifier(Path(str(ASSETS)) / "cifar10_small.pt")
    assert list(shipped.classes) == CLASSES and len(shipped.mean) == 3
    words = (ASSETS / "cifar10_small.txt").read_text()
    assert float(re.search(r"test images: ([\d.]+)%", words)[1]) >= 90
    assert sum(p.numel() for p in shipped.model.parameters()) == 670_783


def test_a_run_that_was_cut_short_is_not_shipped(folder, tmp_path):
    history = json.loads((folder / "history.json").read_text())
    for changed in (dict(stopped="interrupted after step 4"), dict(test={})):
        (tmp_path / "history.json").write_text(json.dumps(history | changed))
        with pytest.raises(ValueError, match="must hold a finished run that was tested"):
            ship(tmp_path)
