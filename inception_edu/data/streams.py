"""Photos decoded by worker processes, in an order that does not depend on how many there are."""

import multiprocessing
import os
import signal
from collections.abc import Iterable, Iterator
from functools import partial
from hashlib import sha256
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils import data
from torchvision.transforms import v2

from inception_edu.data.photos import PhotoError, in_threads, middle, no_warnings, read, read_photo
from inception_edu.files import shown

if TYPE_CHECKING:
    from inception_edu.data.folders import PhotoSplit

GONE = "the photos cannot be read any more: none of a batch was there, {} first; put them back"
ENDED = """a process that reads photos ended, maybe for want of memory
(a script of your own must do its work below `if __name__ == "__main__":`)"""
TRIES = 100  # photos asked for in place of one that cannot be read any more
# "fork" would copy a process in the middle of what its threads do, and may hang.
START = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"


class Reader(data.Dataset):
    """Photos by (epoch, place): pixels uint8 (3, size, size), label, {path: why} of the unreadable.
    Without an epoch the middle; with one as drawn for it, and another photo for an unreadable."""

    def __init__(
        self, split: "PhotoSplit", seed: int = 0, *, crop: bool = False, flip: bool = False
    ) -> None:
        self.paths, self.labels = split.paths, split.labels.numpy()
        self.size, self.resize, self.seed = split.size, split.resize, seed
        steps = [v2.RandomResizedCrop(self.size, antialias=True)] if crop else []
        self.augment = v2.Compose([*steps, v2.RandomHorizontalFlip(0.5 if flip else 0.0)])
        self.crop, self.lock = crop, None

    def __getitem__(self, key: tuple[int | None, int]) -> tuple:
        (epoch, place), failed = key, {}
        least = self.resize * (1 + self.crop)  # a crop has only some of the pixels
        for again in range(1 if epoch is None else TRIES):
            try:
                photo = read_photo(self.paths[place], at_least=least, lock=self.lock)
            except PhotoError as error:
                failed[self.paths[place]] = error.why
                place = drawn(self.seed, epoch, key[1], again) % len(self.paths)
                continue
            pixels = np.asarray(self._cut(photo, epoch, key[1]))
            return pixels.transpose(2, 0, 1), self.labels[place], failed
        return None, None, failed

    def _cut(self, photo: Image.Image, epoch: int | None, place: int) -> Image.Image:
        if epoch is None or not self.crop:
            photo = middle(photo, self.size, self.resize)
        if epoch is None:
            return photo
        with torch.random.fork_rng(devices=[]):  # the transforms draw from the global generator
            torch.default_generator.manual_seed(drawn(self.seed, epoch, place))
            return self.augment(photo)


class PhotoBatches:
    """Endless whole batches of a part, shuffled anew when too few photos are left; a random crop
    of each ([G] section 6: area 8 % to 100 %, aspect 3/4 to 4/3), or its middle with shift=0.

    What is drawn depends on the seed, the epoch and the photo alone, so not on the number of
    processes: together they see what one alone would. `state_dict` is where it stands.
    """

    def __init__(
        self,
        split: "PhotoSplit",
        size: int,
        *,
        seed: int,
        shift: int,
        flip: bool,
        rank: int,
        world: int,
    ) -> None:
        self.split, self.done, self.items = split, 0, None
        self.reader = Reader(split, seed, crop=shift > 0, flip=flip)
        self.keys = partial(endless_keys, len(split), size, seed=seed, rank=rank, world=world)

    def draw(self) -> tuple[Tensor, Tensor]:
        """The next photos (n, 3, size, size), on the split's device, and their labels (n,)."""
        if self.items is None:
            self.items = stream(self.reader, self.keys(self.done), self.split.workers)
        x, labels = self.split.take(next(self.items), self.split.device)
        if not len(labels):
            raise OSError(GONE.format(shown(self.split.paths[0])))
        self.done += 1
        return x, labels

    def state_dict(self) -> dict[str, int]:
        """What decides all further batches."""
        return dict(done=self.done)

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Continue where `state` was taken."""
        self.done, self.items = state["done"], None


def endless_keys(
    n: int, size: int, done: int, *, seed: int, rank: int, world: int
) -> Iterator[list[tuple[int, int]]]:
    """(epoch, place) of every photo of this process's share of a batch, after `done` batches."""
    shuffled, generator = None, torch.Generator()
    while True:
        epoch, k = divmod(done, n // size)
        if shuffled != epoch:
            generator.manual_seed(drawn(seed, epoch))
            order, shuffled = torch.randperm(n, generator=generator).tolist(), epoch
        whole = order[k * size : (k + 1) * size]
        yield [(epoch, place) for place in whole[rank::world]]
        done += 1


def drawn(*what: object) -> int:
    """A number below 2^63 that looks random and is always the same for the same things."""
    return int.from_bytes(sha256(repr(what).encode()).digest()[:8], "big") >> 1


def worker_count(photos: int) -> int:
    """Half of the cores, at most 8, shared by the processes that train together; none for a part
    so small that starting one takes longer than it saves."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(cores // 2 // int(os.environ.get("LOCAL_WORLD_SIZE", 1)), 8, photos // 64)


def stream(
    reader: Reader, batches: Iterable[list[tuple]], workers: int | None
) -> Iterator[tuple[np.ndarray, np.ndarray, dict[str, str]]]:
    """Pixels (n, 3, size, size), labels (n,) and failures of each batch of keys, in order."""
    workers = worker_count(len(reader.paths)) if workers is None else workers
    how = {}
    if workers:
        context = multiprocessing.get_context(START)
        if START == "forkserver":  # torch is imported once, not by every worker
            context.set_forkserver_preload([__name__])
        reader.lock = context.Lock()
        how = dict(multiprocessing_context=context, worker_init_fn=_leave_interrupts_to_the_run)
    loader = data.DataLoader(
        reader,
        batch_sampler=batches,
        num_workers=workers,
        collate_fn=_join,
        generator=torch.Generator(),  # the global one would be drawn from, and dropout differ
        **how,
    )
    try:
        yield from loader
    except RuntimeError as error:
        raise OSError(" ".join(f"{ENDED}: {error}".split())) from error


def _leave_interrupts_to_the_run(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _join(items: list[tuple]) -> tuple[np.ndarray, np.ndarray, dict[str, str]]:
    """numpy's arrays, which go through a pipe: shared memory is scarce in many containers."""
    failed = {path: why for _, _, some in items for path, why in some.items()}
    good = [(pixels, label) for pixels, label, _ in items if pixels is not None]
    if not good:
        return np.empty((0, 3, 1, 1), np.uint8), np.empty(0, np.int64), failed
    pixels, labels = zip(*good, strict=True)
    return np.stack(pixels), np.array(labels), failed


def look_at(split: "PhotoSplit") -> tuple[Tensor, dict[str, str]]:
    """How often each value occurs in what is cut out of a part's photos, by channel (3, 256), and
    path -> why of those that cannot be read."""
    count = partial(_count, size=split.size, resize=split.resize, lock=Lock())
    counts, why = np.zeros(768, np.int64), {}
    with no_warnings():
        for path, found in zip(split.paths, in_threads(count, split.paths), strict=True):
            if isinstance(found, str):
                why[path] = found
            else:
                counts += found
    return torch.from_numpy(counts.reshape(3, 256)), why


def _count(path: str, size: int, resize: int, lock: Lock) -> np.ndarray | str:
    try:
        return np.array(middle(read(path, resize, lock), size, resize).histogram())
    except PhotoError as error:
        return error.why
