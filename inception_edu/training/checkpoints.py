"""Checkpoints: plain dictionaries of tensors and numbers, written whole or not at all."""

from __future__ import annotations

import io
import os
import pickle
import platform
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

import torch
from torch import nn

from inception_edu.factorised import Widths
from inception_edu.googlenet import GoogLeNet, Variant
from inception_edu.inception_v3 import InceptionV2, InceptionV3, Layout, Row
from inception_edu.training import devices

if TYPE_CHECKING:
    from inception_edu.training.run import Run

FORMAT = 1
NETWORKS = {  # what `build` can make again from its arguments
    network.__name__: network for network in (GoogLeNet, InceptionV2, InceptionV3)
}
torch.serialization.add_safe_globals([Variant, Layout, Row, Widths])  # arguments, plain tuples


def describe(model: nn.Module) -> dict:
    """The network's class and the arguments that build it (none for a network of one's own)."""
    return dict(name=type(model).__name__, arguments=getattr(model, "arguments", {}))


def versions() -> dict[str, str]:
    """Versions of what a result depends on."""
    import torchvision  # takes seconds, and who predicts needs none of it

    found = dict(torch=str(torch.__version__), torchvision=str(torchvision.__version__))
    return dict(python=platform.python_version()) | found


def identity(run: Run) -> dict[str, dict]:
    """What a checkpoint must share with the run that goes on from it."""
    data, train = run.dataset, run.dataset.train
    facts = dict(
        name=data.name,
        images=len(train),
        size=train.shape[1:],
        channels=train.shape[0],
        classes=tuple(data.classes),
        mean=tuple(data.mean),
        std=tuple(data.std),
    )
    if resize := getattr(train, "resize", None):  # photos are cut out of their middle
        facts["resize"] = resize
    return dict(model=describe(run.model), recipe=asdict(run.recipe), data=facts)


def dumps(run: Run) -> bytes:
    """All that decides how a run goes on, and all that `predict` needs, as a file's bytes."""
    state = dict(
        weights=run.evaluated.state_dict(),
        optimiser=run.optimiser.state_dict(),
        batches=run.batches.state_dict(),
        random=devices.random_state(run.device),
        history=asdict(run.history),
        versions=versions(),
    )
    if run.average:  # then `weights` is the average, and training goes on from its own
        state |= dict(training=run.model.state_dict(), averaged=run.average.n_averaged)
    buffer = io.BytesIO()
    torch.save(dict(format=FORMAT) | identity(run) | state, buffer)
    return buffer.getvalue()


def restore(run: Run, checkpoint: dict) -> None:
    """Put a run's parts into the state of the checkpoint; its history is put back beforehand."""
    run.evaluated.load_state_dict(checkpoint["weights"])
    if run.average:
        run.model.load_state_dict(checkpoint["training"])
        run.average.n_averaged.copy_(checkpoint["averaged"])
    run.optimiser.load_state_dict(checkpoint["optimiser"])
    run.batches.load_state_dict(checkpoint["batches"])
    devices.set_random_state(checkpoint["random"], run.device)


def load(path: str | os.PathLike, *, device: str | torch.device = "cpu") -> dict:
    """Read a checkpoint, without ever running code from it; ValueError says what is wrong."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the checkpoint in it, as in {path / 'last.pt'}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    what = "must be a checkpoint that `fit` or `train` wrote"
    pickled = f"{path} {what}, but it is a pickled object, whose loading would run code; refused"
    with path.open("rb") as file:
        start = file.read(1)
    if start == b"\x80":
        raise ValueError(pickled)
    try:
        if ZipFile(path).testzip():  # torch reads tensors without looking at their checksums
            raise BadZipFile
        checkpoint = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(pickled) from error
    except Exception as error:  # torch and zipfile each have their own for a damaged file
        raise ValueError(f"{path} {what}, but it is damaged, cut off or another file") from error
    if not isinstance(checkpoint, dict) or "format" not in checkpoint:
        raise ValueError(f"{path} {what}, but it holds something else, maybe only weights")
    if checkpoint["format"] != FORMAT:
        found = checkpoint["format"]
        raise ValueError(f"{path} has checkpoint format {found!r}, this version reads {FORMAT}")
    return checkpoint


def load_for(run: Run, path: str | os.PathLike) -> dict:
    """Read a checkpoint that `run` can go on from; ValueError names what differs."""
    checkpoint = load(path)
    for part, here in identity(run).items():
        for key, value in here.items():
            saved = checkpoint[part].get(key)
            if saved != value:
                raise ValueError(
                    f"{path} is of another {part}: {key} is {saved!r} there, {value!r} here; "
                    f"go on with the {part} it was made with, or begin anew in another folder"
                )
    return checkpoint


def build(checkpoint: dict) -> nn.Module:
    """The network of a checkpoint with its weights; ValueError for a network of one's own."""
    name, arguments = checkpoint["model"]["name"], checkpoint["model"]["arguments"]
    if name not in NETWORKS:
        raise ValueError(
            f"the checkpoint's network must be one of {', '.join(NETWORKS)} to be built from it, "
            f'got {name!r}; build it yourself and load checkpoint["weights"]'
        )
    model = NETWORKS[name](**arguments)
    model.load_state_dict(checkpoint["weights"])
    return model


def prepare(out: str | os.PathLike, resume: str | os.PathLike | None) -> Path:
    """The folder of a run, made if need be; FileExistsError if it holds another run already."""
    out = Path(out)
    last = out / "last.pt"
    if last.exists() and (resume is None or Path(resume).resolve() != last.resolve()):
        raise FileExistsError(
            f"{out} holds a run already; go on with it (resume={str(last)!r}, on the command line "
            "--resume), or choose another folder"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OSError(
            f"out must be a folder that can be made, got {out} ({error.strerror})"
        ) from error
    return out
