"""The command line, run in this process: exit codes, sentences, and what each command leaves."""

import argparse
import io
import itertools
import json
import os
import shlex
import shutil
import subprocess
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from matplotlib.image import imread
from PIL import Image

from conftest import tiny_npz
from inception_edu import __main__ as command_line
from inception_edu.__main__ import COMMANDS, main
from inception_edu.commands import networks, train
from inception_edu.data import Batches
from inception_edu.predict import load_classifier
from inception_edu.training import checkpoints
from inception_edu.training.history import History
from inception_edu.training.recipe import NOT_NEGATIVE, setting
from inception_edu.training.run import Run

ROOT = Path(__file__).parents[1]
ENV = os.environ | dict(OMP_NUM_THREADS="1", INCEPTION_EDU_DEVICE="cpu", PYTHONPATH=str(ROOT))
PYTHON = [sys.executable, "-u", "-m"]
pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    return tiny_npz(tmp_path_factory.mktemp("data"), train=120)


def words(npz, out, more=""):
    """Arguments of `train` that take a second; dropout and aux heads included."""
    small = "--width 0.0625 --aux --valid 24 --batch-size 8 --epochs 3 --lr 0.05 --device cpu"
    return ["train", "--data", str(npz), "--out", str(out), *shlex.split(f"{small} {more}")]


def steady(path):
    """A history's JSON without what may vary from run to run."""
    names = ("images_per_second", "command")
    history = json.loads(path.read_text())
    rows = [{k: v for k, v in row.items() if k[-8:] != "_seconds"} for row in history.pop("rows")]
    kept = {k: v for k, v in history.items() if k not in names and k[-8:] != "_seconds"}
    return kept | dict(rows=rows)


def same_run(a, b):
    """Whether two folders hold the same weights and the same history."""
    one, two = (checkpoints.load(out / "last.pt")["weights"] for out in (a, b))
    equal = all(torch.equal(one[name], two[name]) for name in one)
    return equal and steady(a / "history.json") == steady(b / "history.json")


def printed(argv, code=0):
    """What a command that ends with `code` prints, by lines."""
    with redirect_stdout(io.StringIO()) as out:
        assert main(argv) == code
    return out.getvalue().splitlines()


@pytest.fixture(scope="module")
def whole(npz, tmp_path_factory):
    """The folder of an uninterrupted run, and what it printed."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    return out, printed(words(npz, out))


def refused(argv, capsys, *said, code=2):
    """The command ends with `code` and one sentence on stderr that holds all the words."""
    with pytest.raises(SystemExit) as stopped:
        main(argv)
    out = capsys.readouterr()
    assert stopped.value.code == code
    assert out.err.count("\n") == 1 and all(word in out.err for word in said), out.err


class Killed(BaseException):
    """Ends a run as a power cut would: nothing in the package catches it."""


def stop_at(monkeypatch, step, reason):
    """Let `reason` happen in the middle of a training run."""
    begin_step = Run.begin_step

    def begin(self):
        if self.step == step:
            raise reason
        return begin_step(self)

    monkeypatch.setattr(Run, "begin_step", begin)


# --- the command line as such


def test_every_command_has_a_file_and_help_with_an_example(capsys):
    files = {path.stem for path in (ROOT / "inception_edu/commands").glob("[a-z]*.py")}
    assert files - {"networks"} == set(COMMANDS)
    for name in COMMANDS:
        with pytest.raises(SystemExit) as stopped:
            main([name, "--help"])
        out = capsys.readouterr().out
        assert stopped.value.code == 0 and f"example: python -m inception_edu {name} " in out


def test_help_and_wrong_arguments_are_answered_at_once_for_torch_is_not_imported():
    script = """if True:
        import runpy, sys
        for argv in "--help", "cost --help", "predict", "split --valid half", "lab -h", "cots":
            sys.argv[1:] = argv.split()
            try:
                runpy.run_module("inception_edu", run_name="__main__")
            except SystemExit as done:
                print(done.code, "torch" in sys.modules)
    """
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    ends = [line for line in done.stdout.splitlines() if line[1:] in (" True", " False")]
    assert ends == ["0 False", "0 False", "2 False", "2 False", "0 False", "2 False"], done.stderr


def read(*argv):
    """The arguments as `train` gets them, and the recipe that they make."""
    args = command_line.parser("train").parse_args(["train", *argv])
    return networks.recipe_for(args, None, tuned=False)


def test_every_field_of_a_recipe_is_an_option_of_train():
    other = dict(optimiser="rmsprop", schedule="cosine", precision="float32", batch_size=9)
    for one in fields(train.Recipe):
        option = "--" + one.name.replace("_", "-")
        if isinstance(one.default, bool):
            assert getattr(read(option), one.name) is True
            assert getattr(read(option.replace("--", "--no-")), one.name) is False
            continue
        value = other.get(one.name, 0.5 if isinstance(one.default, float) else 3)
        value = 1.5 if one.name == "clip" else value
        assert getattr(read(option, str(value)), one.name) == value != one.default
    assert read("--steps", "7").epochs is None and read().epochs == 2  # as the model's recipe says


def test_a_new_field_of_a_recipe_is_on_the_command_line_by_itself(monkeypatch, capsys):
    @dataclass(frozen=True, kw_only=True)
    class Longer(train.Recipe):
        mix_up: float | None = setting(None, "100% of pairs of images", **NOT_NEGATIVE)

    monkeypatch.setattr(train, "Recipe", Longer)
    monkeypatch.setattr(networks, "Recipe", Longer)
    assert read("--mix-up", "0.7").mix_up == 0.7 and read().mix_up is None
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    assert "--mix-up X" in (out := capsys.readouterr().out) and "100% of pairs" in out


@pytest.mark.parametrize("set_before", [None, "ACTIVE"])
def test_threads_that_wait_leave_the_cores_to_others(set_before, monkeypatch):
    monkeypatch.setattr(train, "run", lambda args: 0)
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    if set_before:
        monkeypatch.setenv("OMP_WAIT_POLICY", set_before)
    main(["train"])
    assert os.environ["OMP_WAIT_POLICY"] == (set_before or "PASSIVE")
    monkeypatch.setenv("OMP_WAIT_POLICY", "")  # so that it is put back


def test_an_error_deep_inside_fit_keeps_its_traceback(npz, tmp_path, monkeypatch):
    def draw(self):
        raise mistake

    monkeypatch.setattr(Batches, "draw", draw)
    for mistake in TypeError("a bug"), ValueError("one of torch's"), RuntimeError("of its core"):
        with pytest.raises(type(mistake), match=str(mistake)):
            main(words(npz, tmp_path / type(mistake).__name__))
    monkeypatch.setattr(Batches, "draw", lambda self: [])  # unpacked, Python says ValueError
    with pytest.raises(ValueError, match="not enough values to unpack"):
        main(words(npz, tmp_path / "run"))


HUGE = {int: str(10**30), float: "1e300"}
TAKEN = {  # what a number that seems wrong may well mean; `train` goes on to train with it
    *("--valid 0", "--warm-up 0", "--momentum 0", "--average 0", "--weight-decay 0"),
    *("--label-smoothing 0", "--aux-weight 0", "--shift 0", "--seed 0"),
}
VALUES = ("0", "-1", "huge", "nan", "letters")


def numbers(command):
    """The numeric options of a command and their types."""
    (group,) = (a for a in command_line.parser(command)._actions if a.dest == "command")
    options = group.choices[command]._actions
    return {a.option_strings[0]: a.type for a in options if a.type in HUGE}


def test_no_number_makes_train_fail_in_the_middle(npz, tmp_path, capsys, monkeypatch):
    stop_at(monkeypatch, 0, KeyboardInterrupt())
    monkeypatch.setattr(train, "leave", lambda *_: None)
    out = tmp_path / "run"
    for option, value in itertools.product(options := numbers("train"), VALUES):
        number = HUGE[options[option]] if value == "huge" else value
        argv = words(npz, out, f"{option}={number}")
        if option == "--steps":
            argv = [x for x in argv if x not in ("--epochs", "3")]
        if f"{option} {value}" in TAKEN:
            assert main(argv) == 1 and out.exists(), (option, value)
            shutil.rmtree(out)
        else:
            refused(argv, capsys, option.strip("-").split("-")[0])
            assert not out.exists(), (option, value)
    assert len(options) >= 20


@pytest.mark.parametrize(
    ("argv", "wrong"),
    [
        (
            "cost inception-v3",
            {option: VALUES for option in ("--size", "--width", "--resolution")},
        ),
        (
            "split {0} {0}-out",
            {"--valid": VALUES, "--test": VALUES[1:], "--seed": ("nan", "letters")},
        ),
        ("predict a.jpg --checkpoint none.pt", {"--top": ("0", "-1", "nan", "letters")}),
    ],
)
def test_no_number_makes_another_command_fail_in_the_middle(argv, wrong, tmp_path, capsys):
    for name in "ab":
        (tmp_path / name).mkdir()
        Image.new("RGB", (8, 8)).save(tmp_path / name / "1.png")
    argv = argv.format(tmp_path).split()
    assert set(options := numbers(argv[0])) == set(wrong)
    for option, values in wrong.items():
        for value in values:
            number = HUGE[options[option]] if value == "huge" else value
            refused([*argv, f"{option}={number}"], capsys, option.strip("-"))
    assert not Path(f"{tmp_path}-out").exists()


# --- cost


def test_cost_prints_the_papers_numbers(capsys):
    assert main(["cost", "googlenet"]) == 0
    out = capsys.readouterr().out
    assert "1,582,671,872" in out and "6,998,552" in out and "body.3a" in out
    refused(["cost", "vgg"], capsys, "model must be one of", "'vgg'")
    refused(["cost", "googlenet", "--size", "8"], capsys, "images must be at least")


@pytest.mark.parametrize(
    ("argv", "macs"),
    [
        ("inception-v3-torchvision", "5,713,216,096"),
        ("inception-v3-torchvision --size 224", "2,837,921,120"),
        ("inception-v2", "5,576,975,456"),
        ("inception-v3 --resolution 79", "5,218,016,864"),
        ("inception-v3 --size 79 --resolution 79", "5,218,016,864"),
    ],
)
def test_cost_counts_an_image_of_the_size_that_the_network_is_made_for(argv, macs, capsys):
    assert main(["cost", *argv.split()]) == 0
    assert macs in capsys.readouterr().out.splitlines()[-1]


def test_wrong_sizes_and_stems_of_inception_are_refused(capsys):
    small = ["cost", "inception-v3", "--size", "74"]
    refused(small, capsys, "at least 75 x 75", "resolution=151")
    refused(["cost", "googlenet", "--resolution", "79"], capsys, "googlenet has one stem")
    refused(["cost", "inception-v3", "--resolution", "80"], capsys, "299, 151, 79, got 80")


# --- train


def test_train_leaves_four_files_and_tells_every_epoch_and_the_test(npz, whole):
    out, lines = whole
    files = ["best.pt", "curves.png", "history.json", "last.pt"]
    assert sorted(x.name for x in out.iterdir()) == files
    assert lines[0].startswith("36 steps of 8 images on cpu, ") and "channels_last" in lines[0]
    assert [line.split(",")[0] for line in lines[1:4]] == [f"epoch {i}" for i in range(1, 4)]
    assert all(head in lines[1] for head in ("main", "aux1", "aux2", "valid", " s"))
    assert lines[4].startswith("test: ") and len(lines) == 6
    history = History.load(out / "history.json")
    assert history.command == "python -m inception_edu " + shlex.join(words(npz, out))
    assert f"{history.test['accuracy']:.2%}" in lines[4]
    assert history.test["epoch"] == history.best["epoch"]
    picture = imread(out / "curves.png")
    assert picture.shape[:2] == (1176, 1848) and picture[..., :3].std() > 0.05


def test_the_same_command_gives_the_same_run_and_another_seed_another(npz, whole, tmp_path):
    assert main(words(npz, tmp_path / "again", "--resume")) == 0  # there is nothing to resume yet
    main(words(npz, tmp_path / "other", "--seed 1"))
    assert same_run(whole[0], tmp_path / "again") and not same_run(whole[0], tmp_path / "other")


@pytest.mark.parametrize("reason", [KeyboardInterrupt, Killed])
def test_a_run_stopped_in_the_middle_of_an_epoch_and_resumed_is_the_uninterrupted_one(
    npz, whole, tmp_path, monkeypatch, reason
):
    out = tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, 30, reason())
        if reason is Killed:
            with pytest.raises(Killed):
                main(words(npz, out))
            assert not (out / "history.json").exists()
        else:
            said = printed(words(npz, out), code=1)
            assert any("interrupted after step 30" in x and "--resume" in x for x in said)
    assert checkpoints.load(out / "last.pt")["history"]["rows"][-1]["step"] == 24
    assert main(words(npz, out, "--resume")) == 0
    assert same_run(whole[0], out)


def test_a_run_whose_loss_is_not_finite_is_not_to_be_resumed(npz, tmp_path):
    *_, told, _ = printed(words(npz, tmp_path / "run", "--lr 1e30"), code=1)
    assert "try an lr below 1e+30; go on with another --out" in told and "--resume" not in told


def test_a_used_folder_needs_resume_and_resume_needs_the_same_run(npz, whole, tmp_path, capsys):
    used, _ = whole
    refused(words(npz, used), capsys, "holds a run already", "--resume")
    refused(words(npz, used, "--resume --lr 0.1"), capsys, "lr is 0.05 there, 0.1 here")
    refused(words(npz, used, "--resume --width 0.125"), capsys, "another model")
    (tmp_path / "last.pt").write_bytes((used / "last.pt").read_bytes()[:1000])
    refused(words(npz, tmp_path, "--resume"), capsys, "damaged, cut off")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("--batch-size 4000", "batch_size must be at most the 96 images"),
        ("--model resnet", 'model must be one of "googlenet-small", "googlenet"'),
        ("--schedule step", 'schedule must be one of "linear", "cosine"'),
        ("--epochs 2 --steps 3", "give epochs or steps"),
        ("--device gpu", "device must be"),
        ("--speed 9", "unknown argument '--speed'"),
        ("--data none.npz", "none.npz; give the path of a .npz file"),
        ("--data cats", "name must be one of fashion_mnist"),
        ("--weights none.pt", "there is no checkpoint none.pt"),
        ("--weights torchvision", "torchvision has weights for googlenet-torchvision and"),
        ("--model googlenet", "images must be at least 63 x 63 pixels"),
    ],
)
def test_wrong_arguments_are_one_sentence_and_leave_no_folder(npz, tmp_path, capsys, more, said):
    refused(words(npz, tmp_path / "run", more), capsys, said)
    assert not (tmp_path / "run").exists()


def test_what_is_wrong_in_a_recipe_is_told_before_the_data_are_read(capsys, monkeypatch):
    monkeypatch.setattr(train, "load", lambda *_, **__: pytest.fail("the data were read"))
    refused(["train", "--lr", "-1"], capsys, "lr must be above 0 and below 1e38, got -1.0")


def test_images_can_be_scaled_up_for_a_network_that_needs_it(npz, tmp_path):
    more = "--model googlenet --size 64 --epochs 1 --limit 40 --valid 8"
    assert main(words(npz, tmp_path / "run", more)) == 0
    assert checkpoints.load(tmp_path / "run/best.pt")["data"]["size"] == (64, 64)


def test_a_folder_that_cannot_be_made_is_a_failed_run(npz, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    refused(words(npz, tmp_path / "file/run"), capsys, "must be a folder", code=1)


def test_small_inception_trains_with_the_papers_recipe_from_the_command_line(npz, tmp_path):
    more = "--model inception-v3-small --epochs 1 --optimiser rmsprop --schedule exponential "
    more += "--clip 2 --average 0.99 --label-smoothing 0.1 --momentum 0.8 --limit 60 --size 20"
    assert main(words(npz, tmp_path / "run", more)) == 0
    recipe = History.load(tmp_path / "run/history.json").recipe
    assert (recipe.optimiser, recipe.clip, recipe.average) == ("rmsprop", 2.0, 0.99)
    model = checkpoints.build(checkpoints.load(tmp_path / "run/best.pt"))
    assert type(model).__name__ == "InceptionV3" and list(model.aux) == ["aux"]


# --- photos


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """A folder of 2 classes, 40 photos each, a broken one among them."""
    root, draw = tmp_path_factory.mktemp("photos") / "all", np.random.default_rng(0)
    for k, name in enumerate(("dark", "light")):
        (root / name).mkdir(parents=True)
        for i in range(40):
            noise = draw.integers(0, 90, (20, 24, 3), dtype=np.uint8) + 90 * k
            Image.fromarray(noise.astype(np.uint8)).save(root / name / f"{i}.png")
    (root / "dark/broken.jpg").write_bytes(b"\xff\xd8\xff")
    return root


@pytest.fixture(scope="module")
def parts(photos, tmp_path_factory):
    """The same photos split, one of them broken since."""
    out = tmp_path_factory.mktemp("split") / "parts"
    assert main(["split", str(photos), str(out), "--valid", "0.2"]) == 0
    next((out / "train/light").iterdir()).write_bytes(b"")
    return out


def photo_words(parts, out, more=""):
    """Arguments of `train` for a folder, that take a second."""
    small = f"--width 0.0625 --size 16 --epochs 3 --batch-size 16 --lr 0.05 --device cpu {more}"
    return ["train", "--data", str(parts), "--out", str(out), *shlex.split(small)]


@pytest.fixture(scope="module")
def trained(parts, tmp_path_factory):
    """The folder of a run on photos."""
    out = tmp_path_factory.mktemp("runs") / "photos"
    assert main(photo_words(parts, out)) == 0
    return out


def test_split_prints_a_table_and_names_what_it_left_out(photos, tmp_path, capsys):
    assert main(["split", str(photos), str(tmp_path / "out"), "--test", "0.1", "--seed", "3"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[1].split() == ["dark", "32", "4", "4"] and lines[3].split()[0] == "together"
    assert lines[4].startswith("left out: ") and "broken.jpg" in lines[4] and not err
    assert "train --data" in lines[5] and len(lines) == 6
    refused(["split", str(photos), str(tmp_path / "out")], capsys, "holds something already")
    refused(["split", str(photos), str(tmp_path / "b"), "--valid", "1.2"], capsys, "got 1.2")
    refused(["split", str(photos / "dark"), str(tmp_path / "b")], capsys, "one folder per class")
    assert os.listdir(tmp_path) == ["out"]


def test_train_on_a_folder_tells_its_parts_and_what_was_skipped(parts, tmp_path, capsys):
    out = tmp_path / "run"
    assert main(photo_words(parts, out)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "reading the photos" in lines[0] and "16 pixels" in lines[0]
    assert lines[1] == "photos of 2 classes: 63 train, 16 valid, 0 test"
    assert lines[2].startswith("left out: ") and lines[2].endswith(" is empty")
    assert lines[3].startswith("9 steps of 16 images") and "no test images" in lines[7]
    assert lines[8].startswith("1 of the photos") and "skipped.txt" in lines[8]
    assert (out / "skipped.txt").read_text().count("is empty") == 1
    assert len(list(out.iterdir())) == 5


def test_a_run_on_photos_that_stopped_and_resumed_is_the_uninterrupted_one(
    parts, trained, tmp_path, monkeypatch
):
    with monkeypatch.context() as patch:
        stop_at(patch, 5, KeyboardInterrupt())
        assert main(photo_words(parts, tmp_path / "run")) == 1
    assert main(photo_words(parts, tmp_path / "run", "--resume")) == 0
    assert same_run(trained, tmp_path / "run")


def test_size_follows_from_the_model_and_batches_from_the_folder(parts, tmp_path):
    argv = ["train", "--data", str(parts), "--out", str(tmp_path), "--epochs", "1"]
    assert main([*argv, "--width", "0.0625", "--device", "cpu", "--limit", "30"]) == 0
    saved = checkpoints.load(tmp_path / "last.pt")
    assert saved["data"]["size"] == (64, 64) and saved["data"]["resize"] == 73
    told = saved["recipe"]
    assert (told["batch_size"], told["shift"], told["flip"], told["lr"]) == (8, 2, True, 0.0125)


def test_a_folder_that_is_not_split_is_trained_on_and_what_is_held_out_is_told(
    photos, tmp_path, capsys
):
    assert main(photo_words(photos, tmp_path / "run", "--epochs 1 --no-aux")) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "photos of 2 classes: 72 train, 8 valid, 0 test"
    assert lines[2] == "no validation split: 8 photos are held out of the others"
    assert lines[3].startswith("left out: ") and "broken.jpg" in lines[3]


def test_wrong_arguments_of_photos_are_one_sentence(photos, parts, tmp_path, capsys):
    refused(photo_words(photos / "dark", tmp_path / "a"), capsys, "one folder per class")
    refused(photo_words(parts, tmp_path / "a", "--valid 5"), capsys, "valid is a folder in")
    refused(photo_words(parts, tmp_path / "a", "--size 0"), capsys, "size must be", "got 0")
    refused(photo_words(parts, tmp_path / "a", "--batch-size 99"), capsys, "at most the 63 images")
    assert not (tmp_path / "a").exists()


def test_a_run_begins_with_weights_and_head_of_another(parts, trained, npz, tmp_path, capsys):
    best = str(trained / "best.pt")
    more = f"--weights {best} --epochs 1 --no-aux"
    assert main([*photo_words(parts, tmp_path / "a", more), "--lr", "1e-12"]) == 0
    old, new = (checkpoints.load(x / "best.pt")["weights"] for x in (trained, tmp_path / "a"))
    same = [torch.allclose(old[name], new[name]) for name in old if name.endswith("weight")]
    assert len(same) > 100 and all(same)
    plain = f"--weights {best} --width 0.0625 --no-aux --epochs 1 --device cpu"
    out = str(tmp_path / "b")
    assert main(["train", "--data", str(parts), "--out", out, *shlex.split(plain)]) == 0
    saved = checkpoints.load(tmp_path / "b/last.pt")
    first = checkpoints.load(best)
    assert saved["recipe"]["lr"] == pytest.approx(0.02) and saved["data"]["size"] == (16, 16)
    assert saved["data"]["mean"] == first["data"]["mean"]
    capsys.readouterr()
    wide = photo_words(parts, tmp_path / "c", f"--weights {best} --width 0.125")
    refused(wide, capsys, "width=0.0625", "choose the same network")
    other = photo_words(parts, tmp_path / "c", f"--weights {best} --model inception-v3-small")
    refused(other, capsys, "weights are of GoogLeNet", "InceptionV3")
    grey = words(npz, tmp_path / "c", f"--weights {best} --no-aux")
    refused(grey, capsys, "in_channels=3", "in_channels=1")
    assert not (tmp_path / "c").exists()


def test_weights_learned_on_images_that_are_not_square_go_on_with_square_photos(parts, trained):
    start = replace(load_classifier(trained / "best.pt"), size=(20, 14))
    given = dict(data=str(parts), model="googlenet-small", size=None, resolution=None)
    args = argparse.Namespace(**given, limit=None, valid=None, seed=0)
    assert train.find_data(args, start).train.shape == (3, 20, 20)


def test_other_classes_get_a_new_head_and_keep_the_rest(photos, trained, tmp_path):
    for name in ("train", "valid"):
        for cls, part in (("a", "dark"), ("b", "light"), ("c", "light")):
            (tmp_path / "parts" / name / cls).mkdir(parents=True)
            for i in range(12):
                source = photos / part / f"{i}.png"
                (tmp_path / "parts" / name / cls / f"{i}.png").write_bytes(source.read_bytes())
    more = f"--weights {trained / 'best.pt'} --lr 1e-12 --epochs 1 --batch-size 12"
    assert main(photo_words(tmp_path / "parts", tmp_path / "run", more)) == 0
    old, new = (checkpoints.load(x / "best.pt") for x in (trained, tmp_path / "run"))
    assert new["weights"]["head.linear.weight"].shape == (3, 64)
    name = "stem.conv1.conv.weight"
    torch.testing.assert_close(new["weights"][name], old["weights"][name])
    assert new["data"]["std"] == old["data"]["std"]


def test_predict_tells_names_and_goes_on(photos, trained, tmp_path, capsys):
    good, bad = str(photos / "dark/3.png"), str(photos / "dark/broken.jpg")
    best = ["--checkpoint", str(trained / "best.pt")]
    assert main(["predict", good, *best]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split() == ["photo", "probability", "class"] and not err
    assert out.splitlines()[1].split()[0] == good and len(out.splitlines()) == 3
    more = ["--csv", str(tmp_path / "a.csv"), "--top", "1"]
    assert main(["predict", bad, good, "gone.jpg", *best, *more]) == 1
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in err.splitlines()] == [bad, "gone.jpg"]
    assert out.splitlines()[1].startswith(good) and len(out.splitlines()) == 2
    table = (tmp_path / "a.csv").read_text().splitlines()
    assert table[0] == "photo,rank,class,probability" and table[1].startswith(f"{good},1,")
    assert len(table) == 2 and 0.5 <= float(table[1].split(",")[3]) <= 1
    assert main(["predict", bad, *best]) == 1


def test_predict_takes_folders_and_writes_json_and_a_figure(photos, trained, tmp_path, capsys):
    argv = ["predict", str(photos / "light"), str(photos / "light/0.png"), "--checkpoint"]
    more = ["--json", str(tmp_path / "a.json"), "--figure", str(tmp_path / "a.png")]
    assert main([*argv, str(trained / "best.pt"), *more]) == 0
    rows = json.loads((tmp_path / "a.json").read_text())
    assert len(rows) == 80 and rows[0]["photo"] == str(photos / "light/0.png")
    assert {row["class"] for row in rows[:2]} == {"dark", "light"}
    assert sum(row["probability"] for row in rows[:2]) == pytest.approx(1, abs=1e-5)
    assert [row["rank"] for row in rows[:3]] == [1, 2, 1]
    assert imread(tmp_path / "a.png").shape[:2] == (int(12 * 3.4 * 168), 1848)


def test_predict_finds_what_is_in_folders_and_what_wildcards_stand_for(trained, tmp_path, capsys):
    names = ["a.png", "b.png", "[c].png", "c.png", "deep/er/d.png"]
    for i, name in enumerate(names):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (24, 20), (40 * i, 0, 0)).save(tmp_path / name)
    (tmp_path / "empty").mkdir()

    def told(*photos, code=0):
        command = ["predict", *(str(tmp_path / photo) for photo in photos), "--top", "1"]
        assert main([*command, "--checkpoint", str(trained / "best.pt"), "--device", "cpu"]) == code
        out, err = capsys.readouterr()
        paths = [line.split(".png")[0] + ".png" for line in out.splitlines()[1:]]
        return [os.path.relpath(path, tmp_path).replace(os.sep, "/") for path in paths], err

    assert told("*.png") == (["[c].png", "a.png", "b.png", "c.png"], "")
    assert told("?.png", "a.png") == (["a.png", "b.png", "c.png"], "")
    assert told("[c].png") == (["[c].png"], "")  # a name that is there, not a pattern
    assert sorted(told(".")[0]) == sorted(names)
    if os.name == "posix":
        for name in ("why?.png", "whys.png"):
            Image.new("RGB", (24, 20)).save(tmp_path / name)
        assert told("why?.png") == (["why?.png"], "")
    assert told("dee*") == (["deep/er/d.png"], "")
    assert told("a.png", "empty", "x*.png", "[ab].png", code=1)[0] == ["a.png"]
    err = told("empty", "x*.png", "[ab].png", code=1)[1].splitlines()
    assert err[0].endswith(os.path.join("empty", "*") + " is not there")
    assert err[1].endswith("x*.png is not there") and err[2].endswith("[ab].png is not there")


def test_classes_and_names_of_any_script_are_told_and_written(trained, tmp_path, monkeypatch):
    saved = checkpoints.load(trained / "best.pt")
    saved["data"]["classes"] = ("кошка_$^", "犬")
    torch.save(saved, tmp_path / "best.pt")
    photo = tmp_path / "日本.png"
    Image.new("RGB", (24, 20)).save(photo)
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    argv = ["predict", str(photo), "--checkpoint", str(tmp_path / "best.pt")]
    for more in ("--csv", str(tmp_path / "a.csv")), ("--json", str(tmp_path / "a.json")):
        assert main([*argv, *more]) == 0
    sys.stdout.flush()
    told = raw.getvalue().decode("ascii").splitlines()
    assert told[1].split()[0].endswith("??.png") and {x.split()[-1] for x in told[1:3]} == {
        "?????_$^",
        "?",
    }
    table = (tmp_path / "a.csv").read_bytes().decode("utf-8")
    assert "日本.png" in table and "кошка_$^" in table
    rows = json.loads((tmp_path / "a.json").read_bytes().decode("utf-8"))
    assert {row["class"] for row in rows} == {"кошка_$^", "犬"}


def test_wrong_arguments_of_predict_are_one_sentence(photos, trained, tmp_path, capsys):
    argv, best = ["predict", str(photos / "dark/3.png"), "--checkpoint"], str(trained / "best.pt")
    refused([*argv, "none.pt"], capsys, "there is no checkpoint none.pt")
    refused([*argv, str(photos / "dark/3.png")], capsys, "damaged, cut off or another file")
    refused([*argv, best, "--top", "0"], capsys, "top must be", "got 0")
    refused([*argv, best, "--figure", "a.pdf"], capsys, "figure must be a .png", "a.pdf")
    refused([*argv, best, "--csv", "a", "--json", "b"], capsys, "not allowed with")
    refused([*argv, best, "--device", "gpu"], capsys, "device must be")
    nowhere = str(tmp_path / "none/a.csv")
    refused([*argv, best, "--csv", nowhere], capsys, "could not be written", code=1)


# --- several processes


def torchrun(*argv):
    command = [*PYTHON, "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *argv]
    return subprocess.run(command, env=ENV, capture_output=True, text=True, timeout=120)


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch came without it")
def test_two_processes_train_on_a_folder_and_tell_once_what_could_not_be_read(parts, tmp_path):
    more = "--no-aux --batch-size 20 --weight-decay 0"
    done = torchrun("-m", "inception_edu", *photo_words(parts, tmp_path / "run", more))
    assert done.returncode == 0, done.stderr
    for once in ("left out: ", "\nepoch 3,", "no test images", "best.pt, last.pt"):
        assert done.stdout.count(once) == 1, done.stdout
    assert History.load(tmp_path / "run/history.json").step == 9
    assert (tmp_path / "run/skipped.txt").read_text().count("is empty") == 1
