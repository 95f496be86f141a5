"""Training in processes of its own: interrupted, and several together under torchrun."""

import json
import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from conftest import tiny_npz
from inception_edu.__main__ import main
from inception_edu.data import load
from inception_edu.googlenet import GoogLeNet
from inception_edu.training import History, Recipe, checkpoints, fit, silent

ROOT = Path(__file__).parents[1]
ENV = os.environ | dict(OMP_NUM_THREADS="1", INCEPTION_EDU_DEVICE="cpu", PYTHONPATH=str(ROOT))
TORCHRUN = [sys.executable, "-u", "-m", "torch.distributed.run", "--standalone"]
TORCHRUN += ["--nproc-per-node", "2"]

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals"),
]
together = pytest.mark.skipif(not torch.distributed.is_available(), reason="torch has no groups")


@pytest.fixture(scope="module")
def npz(tmp_path_factory):
    return tiny_npz(tmp_path_factory.mktemp("data"), train=184)


def words(npz, out):
    """Arguments of `train`, of 4 epochs with 5 steps each; batch norm, dropout, aux heads."""
    small = "--width 0.03125 --aux --valid 24 --batch-size 32 --epochs 4 --lr 0.05 --device cpu"
    return ["train", "--data", str(npz), "--out", str(out), *shlex.split(small)]


@pytest.fixture(scope="module")
def whole(npz, tmp_path_factory):
    """The folder of an uninterrupted run, in one process with two shares."""
    out = tmp_path_factory.mktemp("runs") / "whole"
    assert main(words(npz, out)) == 0
    assert History.load(out / "history.json").shares == 2
    return out


def same_run(a, b):
    """Whether two folders hold the same weights, losses and accuracies."""
    one, two = (checkpoints.load(out / "last.pt")["weights"] for out in (a, b))
    told = [json.loads((out / "history.json").read_text()) for out in (a, b)]
    rows = [[row["valid_loss"] for row in history["rows"]] for history in told]
    equal = all(told[0][name] == told[1][name] for name in ("losses", "accuracies", "test"))
    return equal and rows[0] == rows[1] and all(torch.equal(one[name], two[name]) for name in one)


# `train`, which comes to a halt within the third epoch, until a file exists
HALTED = """
import os, signal, sys, time
from pathlib import Path
from inception_edu.__main__ import main
from inception_edu.data import Batches

draw, drawn = Batches.draw, []

def draw_or_halt(self):
    drawn.append(1)
    if len(drawn) == 13:
        os.write(1, f"halted {os.getpid()}\\n".encode())
        while not Path(sys.argv[1]).exists():
            time.sleep(0.01)
    return draw(self)

Batches.draw = draw_or_halt
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
sys.exit(main(sys.argv[2:]))
"""


def halted(process):
    """Wait for a process to halt; the id that it told."""
    while line := process.stdout.readline():
        if line.startswith("halted"):
            return int(line.split()[1])
    raise AssertionError("it ended without having been stopped")


def test_a_run_interrupted_in_the_middle_of_an_epoch_and_resumed_is_the_uninterrupted_one(
    npz, whole, tmp_path
):
    out = tmp_path / "run"
    command = [sys.executable, "-c", HALTED, str(tmp_path / "go on"), *words(npz, out)]
    with subprocess.Popen(command, env=ENV, stdout=subprocess.PIPE, text=True) as process:
        assert halted(process) == process.pid
        process.send_signal(signal.SIGINT)
        rest, code = process.stdout.read(), process.wait()
    assert code == 1 and "interrupted after step 12" in rest and "--resume" in rest
    assert checkpoints.load(out / "last.pt")["history"]["rows"][-1]["step"] == 10
    assert main([*words(npz, out), "--resume"]) == 0
    assert same_run(whole, out)


@together
def test_an_interrupt_of_one_process_ends_both_and_one_alone_goes_on_to_the_same_end(
    npz, whole, tmp_path
):
    out, script, go_on = tmp_path / "run", tmp_path / "script.py", tmp_path / "go on"
    script.write_text(HALTED)
    command = [*TORCHRUN, str(script), str(go_on), *words(npz, out)]
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    with subprocess.Popen(command, env=ENV, **pipes) as process:
        one, other = halted(process), halted(process)
        assert one != other
        os.kill(other, signal.SIGINT)
        go_on.touch()
        rest, code = process.stdout.read(), process.wait()
    assert code == 1 and rest.count("interrupted after step 13; go on with") == 1
    assert History.load(out / "history.json").stopped == "interrupted after step 13"
    assert checkpoints.load(out / "last.pt")["history"]["rows"][-1]["step"] == 10
    assert main([*words(npz, out), "--resume"]) == 0
    assert same_run(whole, out)


SCRIPT = """
import sys
import torch
from torch import distributed
from inception_edu.data import load
from inception_edu.googlenet import GoogLeNet
from inception_edu.training import Recipe, fit, silent

distributed.init_process_group("gloo")
torch.manual_seed(distributed.get_rank())  # the first one's weights are everyone's
network = GoogLeNet("small", num_classes=4, in_channels=1, width=1 / 32)
told = Recipe(epochs=2, batch_size=32, lr=0.1, precision="float32")  # shifted and mirrored
history = fit(network, load(sys.argv[1], valid=24), told, device="cpu", watch=silent)
if distributed.get_rank() == 0:
    history.save(sys.argv[2])
    torch.save(network.state_dict(), sys.argv[3])
distributed.destroy_process_group()
"""


@together
def test_two_processes_compute_what_one_computes_in_two_shares(npz, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    files = [npz, tmp_path / "together.json", tmp_path / "together.pt"]
    command = [*TORCHRUN, tmp_path / "script.py", *files]
    done = subprocess.run([str(word) for word in command], env=ENV, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    torch.manual_seed(0)
    network = GoogLeNet("small", num_classes=4, in_channels=1, width=1 / 32)
    told = Recipe(epochs=2, batch_size=32, lr=0.1, precision="float32")
    alone = fit(network, load(npz, valid=24), told, device="cpu", watch=silent)
    both = History.load(files[1])
    assert alone.shares == both.shares == 2 and both.step == 10
    assert alone.losses == both.losses and alone.accuracies == both.accuracies
    weights = torch.load(files[2], weights_only=True)
    assert all(torch.equal(weights[name], value) for name, value in network.state_dict().items())
