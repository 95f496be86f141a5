"""Where data sets come from: the repository, torchvision's downloads, a .npz file of one's own.

Every reader returns images (n, c, h, w) uint8 and labels (n,) int64 of the training split, the
same of the test split, and the class names. Nothing damaged is read: the error names the file.
"""

import hashlib
import os
import re
import tempfile
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from inception_edu.data.dataset import balanced_order
from inception_edu.data.photos import read_photo

EUROSAT_IMAGES, EUROSAT_TEST = 27_000, 5_400  # it comes without a test split; this fifth is ours


def data_folder() -> Path:
    """INCEPTION_EDU_DATA, else the repository's data/, else a cache folder in the user's home."""
    if chosen := os.environ.get("INCEPTION_EDU_DATA"):
        return Path(chosen).expanduser()
    shipped = Path(__file__).resolve().parents[2] / "data"
    # Installed without the repository, the package has strangers beside it, maybe called data.
    return shipped if (shipped / "FashionMNIST").is_dir() else Path.home() / ".cache/inception_edu"


def is_folder(name: str) -> bool:
    """Whether a data set's name is that of a folder; "mnist" is not, whatever lies here."""
    return bool(name) and name not in NAMES and Path(name).expanduser().is_dir()


def read_source(name: str) -> tuple:
    """What the reader of a data set of SOURCES returns, downloaded if need be."""
    from torchvision import datasets  # takes seconds, and who reads photos needs none of it

    source, read = SOURCES[name]
    return read(getattr(datasets, source), data_folder())


def _fetch(source: type, root: Path, files: dict[str, str]) -> list[bytes]:
    """What the files (name: MD5) hold, downloaded if missing; half a file never gets its name."""
    if missing := [file for file in files if not (root / file).exists()]:
        try:
            root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix="download-", dir=root) as temporary:
                source(temporary, download=True)
                for file in missing:
                    (root / file).parent.mkdir(parents=True, exist_ok=True)
                    os.replace(Path(temporary, file), root / file)
        except Exception as error:  # torchvision's downloads fail in many ways
            raise FileNotFoundError(
                f"{', '.join(missing)} not found in {root} and not downloaded there "
                f"({type(error).__name__}); connect to the network and let INCEPTION_EDU_DATA be a "
                "writable folder, or use what needs no download: fashion_mnist in the repository, "
                "a .npz of your own"
            ) from error
    contents = []
    for path, md5 in ((root / file, md5) for file, md5 in files.items() if md5):
        contents.append(path.read_bytes())
        found = hashlib.md5(contents[-1], usedforsecurity=False).hexdigest()
        if found != md5:
            raise ValueError(
                f"{path} must have the MD5 {md5}, got {found}, so it is truncated or altered; "
                "delete it and load again (in the repository: git checkout -- data)"
            )
    return contents


def _read_mnist(source: type, root: Path) -> tuple:
    """The .gz files unpacked in memory: unpacked files beside them may be half written."""
    files = {f"{source.__name__}/raw/{name}": md5 for name, md5 in source.resources}
    unpacked = [bytearray(zlib.decompress(gz, wbits=31)) for gz in _fetch(source, root, files)]
    x, y, x_test, y_test = (
        torch.frombuffer(content, dtype=torch.uint8, offset=header)
        for content, header in zip(unpacked, (16, 8, 16, 8), strict=True)
    )
    x, x_test = (pixels.view(-1, 1, 28, 28) for pixels in (x, x_test))
    return x, y.long(), x_test, y_test.long(), source.classes


def _read_cifar(source: type, root: Path) -> tuple:
    files = dict([*source.train_list, *source.test_list])
    files[source.meta["filename"]] = source.meta["md5"]
    _fetch(source, root, {f"{source.base_folder}/{name}": md5 for name, md5 in files.items()})
    train, test = source(root, train=True), source(root, train=False)
    x, x_test = (_channels_first(part.data) for part in (train, test))
    return x, torch.tensor(train.targets), x_test, torch.tensor(test.targets), train.classes


def _read_eurosat(source: type, root: Path) -> tuple:
    folder = root / "eurosat/2750"
    _fetch(source, root, {"eurosat/2750": ""})  # its zip's MD5 is checked by torchvision
    if (found := len(list(folder.glob("*/*.jpg")))) != EUROSAT_IMAGES:
        raise ValueError(
            f"{folder} must hold {EUROSAT_IMAGES} images, got {found}; delete it and load again"
        )
    photos = source(root)
    images, labels = torch.empty(found, 3, 64, 64, dtype=torch.uint8), torch.tensor(photos.targets)
    for i, (path, _) in enumerate(photos.samples):
        images[i] = torch.from_numpy(np.array(read_photo(path))).permute(2, 0, 1)
    order = balanced_order(labels, seed=0)
    test, rest = order[:EUROSAT_TEST], order[EUROSAT_TEST:]
    names = [re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).capitalize() for name in photos.classes]
    return images[rest], labels[rest], images[test], labels[test], names


def read_npz(path: Path) -> tuple:
    if not path.is_file():
        raise ValueError(f"there is no file {path.absolute()}; give the path of a .npz file")
    keys = ("x_train", "y_train", "x_test", "y_test")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            arrays = {key: np.asarray(file[key]) for key in keys if key in file}
    except Exception as error:  # zip, zlib and numpy each have their own for a damaged file
        raise ValueError(f"{path} must be a whole .npz file of plain arrays") from error

    def require(holds: bool, what: str, allowed: str, seen) -> None:
        if not holds:
            raise ValueError(f"{what} in {path} must be {allowed}, got {seen}")

    require(len(arrays) == 4, "the arrays", ", ".join(keys), ", ".join(arrays) or "none of these")
    k, size = len(np.unique(arrays["y_train"])), arrays["x_train"].shape[1:]
    tensors = []
    for part in ("train", "test"):
        x, y = arrays[f"x_{part}"], arrays[f"y_{part}"]
        shaped = x.size > 0 and (x.ndim == 3 or (x.ndim == 4 and x.shape[3] in (1, 3)))
        require(shaped, f"x_{part}'s shape", "(n, h, w) or (n, h, w, 1 or 3), n > 0", x.shape)
        require(x.shape[1:] == size, f"each of x_{part}", f"{size} as in x_train", x.shape[1:])
        require(x.dtype == np.uint8, f"x_{part}", "uint8 (black 0, white 255)", x.dtype)
        require(y.shape in ((len(x),), (len(x), 1)), f"y_{part}'s shape", f"({len(x)},)", y.shape)
        require(y.dtype.kind in "iu", f"y_{part}", "integers", y.dtype)
        allowed, seen = f"0 to {k - 1} (y_train has {k} classes)", f"{y.min()} to {y.max()}"
        require(0 <= y.min() and y.max() < k, f"y_{part}", allowed, seen)
        tensors += [_channels_first(x), torch.from_numpy(y.astype(np.int64).ravel())]
    return *tensors, [str(label) for label in range(k)]


def _channels_first(images: np.ndarray) -> Tensor:
    images = images.reshape(*images.shape[:3], -1)  # (n, h, w) has one channel
    return torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()


SOURCES = {  # name -> torchvision's class, and what reads it
    "fashion_mnist": ("FashionMNIST", _read_mnist),
    "mnist": ("MNIST", _read_mnist),
    "cifar10": ("CIFAR10", _read_cifar),
    "eurosat": ("EuroSAT", _read_eurosat),
}
NAMES = (*SOURCES, "stamps")  # what `load` takes beside files and folders
