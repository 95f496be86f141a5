"""Checkpoints: plain dictionaries of tensors and numbers, written whole or not at all."""

from __future__ import annotations

import io
import os
import pickle
import platform
from collections.abc import Iterable
from dataclasses import asdict
from importlib import metadata
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import torch
from torch import nn

from inception_edu.data import Dataset
from inception_edu.factorised import Widths
from inception_edu.files import write
from inception_edu.googlenet import GoogLeNet, Variant
from inception_edu.inception_v3 import InceptionV2, InceptionV3, Layout, Row
from inception_edu.training.recipe import Recipe

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
    vision = metadata.version("torchvision")  # to import it takes seconds
    return dict(python=platform.python_version(), torch=str(torch.__version__), torchvision=vision)


def identity(model: nn.Module, recipe: Recipe, data: Dataset) -> dict[str, dict]:
    """What a checkpoint must share with the run that goes on from it."""
    facts = dict(
        name=data.name,
        images=len(data.train),
        size=data.train.shape[1:],
        channels=data.train.shape[0],
        classes=tuple(data.classes),
        mean=tuple(data.mean),
        std=tuple(data.std),
    )
    if data.train.resize:  # photos are cut out of their middle
        facts["resize"] = data.train.resize
    return dict(model=describe(model), recipe=asdict(recipe), data=facts)


def save(out: Path, names: Iterable[str], content: dict) -> None:
    """Write one checkpoint under several names into a folder."""
    buffer = io.BytesIO()
    torch.save(dict(format=FORMAT, versions=versions()) | content, buffer)
    for name in names:
        write(out / name, buffer.getvalue())


def load(path: str | os.PathLike, *, device: str | torch.device = "cpu") -> dict:
    """Read a checkpoint, without ever running code from it; ValueError says what is wrong."""
    path = Path(path)
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the checkpoint in it, as in {path / 'last.pt'}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint {path}")
    needed = f"{path} must be a checkpoint that `fit` or `train` wrote, but it"
    try:
        if ZipFile(path).testzip():  # torch reads tensors without looking at their checksums
            raise BadZipFile
        checkpoint = torch.load(path, map_location=device, weights_only=True)
    except pickle.UnpicklingError as error:
        raise ValueError(f"{needed} is a pickled object, whose loading would run code") from error
    except Exception as error:  # torch and zipfile each have their own for a damaged file
        raise ValueError(f"{needed} is damaged, cut off or another file") from error
    if not isinstance(checkpoint, dict) or "format" not in checkpoint:
        raise ValueError(f"{needed} holds something else, maybe only weights")
    if checkpoint["format"] != FORMAT:
        raise ValueError(
            f"{path} has checkpoint format {checkpoint['format']!r}, this version reads {FORMAT}"
        )
    return checkpoint


def load_for(identity: dict[str, dict], path: str | os.PathLike) -> dict:
    """Read a checkpoint that a run of this identity can go on from; ValueError names what
    differs."""
    checkpoint = load(path)
    for part, here in identity.items():
        for key, value in here.items():
            saved = checkpoint[part].get(key)
            if saved == value:
                continue
            way = f"go on with the {part} it was made with, or begin anew in another folder"
            if key in ("epochs", "steps"):
                way = (
                    "its learning rate was scheduled for that end; to train it further, begin a "
                    "new run with its weights in another folder (on the command line --weights "
                    f"{path} --out ANOTHER)"
                )
            raise ValueError(
                f"{path} is of another {part}: {key} is {saved!r} there, {value!r} here; {way}"
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


def prepare(out: Path, resume: str | os.PathLike | None) -> None:
    """Make the folder of a run, with last.pt and best.pt of a run that goes on from another folder;
    FileExistsError if it holds another run already."""
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
    if resume is not None:
        best = Path(resume).with_name("best.pt")
        for name, source in {"best.pt": best, "last.pt": Path(resume)}.items():
            if not (out / name).exists():
                write(out / name, (source if source.exists() else Path(resume)).read_bytes())
