"""What only a GPU can show, and what `make gpu` says where there is none."""

import json
import subprocess
import sys

import pytest
import torch

from authoring import gpu
from inception_edu.data import load
from inception_edu.lessons.shared import small_googlenet
from inception_edu.training import Recipe, fit, silent
from inception_edu.training.recipe import ONE_PASS

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")


def run(device="cuda", *, steps=6, **more):
    recipe = dict(steps=steps, batch_size=64, lr=0.05, precision="float32") | ONE_PASS
    options = {name: more.pop(name) for name in ("out", "resume", "watch") if name in more}
    torch.manual_seed(0)
    model = small_googlenet()
    data = load("fashion_mnist", limit=1_000, valid=200)
    options = dict(watch=silent) | options
    return model, fit(model, data, Recipe(**recipe | more), device=device, **options)


@pytest.mark.gpu
@needs_gpu
def test_losses_equal_those_of_the_cpu():
    """At a small rate: at 0.05, weights that differ by one part in ten million differ by 2 % in
    the loss five steps later, on one and the same CPU."""
    same = dict(shares=1, lr=0.0005)
    on_gpu, on_cpu = (run(device, **same)[1].losses["main"] for device in ("cuda", "cpu"))
    assert on_gpu == pytest.approx(on_cpu, rel=2e-3)  # convolutions multiply in TF32 there


@pytest.mark.gpu
@needs_gpu
def test_a_resumed_run_is_bit_identical(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)  # else sums vary by order

    def cut(history, done):
        if history.step >= 20 and not done:
            raise KeyboardInterrupt

    whole, through = run(steps=40, validate_every=10)
    assert "interrupted" in run(steps=40, validate_every=10, out=tmp_path, watch=cut)[1].stopped
    resumed, rest = run(steps=40, validate_every=10, resume=tmp_path / "last.pt")
    assert rest.losses == through.losses
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.gpu
@needs_gpu
def test_a_batch_is_computed_in_one_share_in_bfloat16_where_the_card_has_units():
    half, full = (run(precision=p, steps=30)[1] for p in ("auto", "float32"))
    assert half.shares == 1 and half.one_share == "cuda computes a batch in one piece"
    if torch.cuda.get_device_capability()[0] >= 8:
        assert half.precision == "bfloat16" and half.losses != full.losses
    assert half.losses["main"][-1] == pytest.approx(full.losses["main"][-1], abs=0.3)


@pytest.mark.gpu
@needs_gpu
def test_torchrun_trains_on_the_gpu(tmp_path):
    command = "-m torch.distributed.run --nproc-per-node 1 -m inception_edu train --limit 600"
    command += f" --valid 100 --steps 6 --batch-size 64 --device cuda --out {tmp_path / 'a'}"
    subprocess.run([sys.executable, *command.split()], check=True)
    saved = json.loads((tmp_path / "a" / "history.json").read_text())
    assert saved["device"].startswith("cuda") and len(saved["losses"]["main"]) == 6


# --- without one


def test_without_a_gpu_one_sentence_says_so_and_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(gpu, "ASSETS", tmp_path)
    assert gpu.measure() == gpu.NONE and not list(tmp_path.iterdir())


def test_a_part_that_cannot_run_says_why_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    def fails(*about):
        raise OSError("no network")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(gpu, "hardware", lambda device: "a card")
    monkeypatch.setattr(gpu, "ASSETS", tmp_path)
    monkeypatch.setattr(gpu, "tests", lambda: dict(told="4 passed"))
    monkeypatch.setattr(gpu, "images_per_second", fails), monkeypatch.setattr(gpu, "mnist", fails)
    monkeypatch.setattr(gpu, "cifar10", lambda name: dict(name=name))
    monkeypatch.setattr(gpu.bench, "measure", lambda device: device)
    (tmp_path / "cifar10.npz").touch()
    assert gpu.measure(str(tmp_path)).startswith("saved gpu.json, ")
    saved = json.loads((tmp_path / "gpu.json").read_text())
    assert saved["hardware"] == "a card" and saved["parts"]["tests"]["told"] == "4 passed"
    for part in ("images_per_second", "mnist"):
        assert saved["parts"][part] == dict(not_run="OSError: no network")
    assert saved["parts"]["cifar10"]["name"] == str(tmp_path / "cifar10.npz")
    assert saved["parts"]["bench"]["table"] == "cuda"
    assert "mnist: " in capsys.readouterr().out


def test_no_part_is_begun_after_nine_minutes():
    assert gpu.attempt(lambda: dict(done=1), gpu.SECONDS + 1) == dict(
        not_run="541 s were spent on the parts before it"
    )


def test_each_part_measures_what_it_says_on_a_small_scale(monkeypatch):
    """The GPU's part is played by the CPU, and the data are few."""
    few = load("fashion_mnist", limit=400, valid=64)

    def on_cpu(model, data, recipe, *, device, watch):
        recipe = Recipe(steps=2, batch_size=32, **ONE_PASS)
        return fit(model, data, recipe, device="cpu", watch=watch)

    monkeypatch.setattr(gpu, "fit", on_cpu)
    monkeypatch.setattr(gpu, "load", lambda name: few)
    fixed = type("E", (), dict(accuracy=0.5))
    monkeypatch.setattr(gpu, "evaluate", lambda model, split, device: fixed)
    assert {run["test_accuracy"] for run in gpu.mnist("mnist").values()} == {0.5}
    monkeypatch.setattr(gpu, "GoogLeNet", lambda *a, **k: small_googlenet())
    found = gpu.cifar10("cifar10")
    assert [run["seed"] for run in found["runs"]] == [0, 1, 2] and found["epochs"] == 16
