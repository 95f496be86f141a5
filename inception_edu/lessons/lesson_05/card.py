"""Lesson 05: what `make gpu` measured on one card, where somebody ran it."""

from inception_edu.display import Table
from inception_edu.lessons.studies import ASSETS, made_by, saved


def measured() -> dict:
    """The parts of the asset gpu.json by name, each with what it found, and what made them; an
    empty dict where no card was measured."""
    return saved("gpu") if (ASSETS / "gpu.json").is_file() else {}


def beside_cpu(about: dict) -> Table:
    """The saved card beside the CPU of the same machine: speed, and one pass over MNIST."""
    speeds, mnist = (about["parts"][name] for name in ("images_per_second", "mnist"))
    rows = [("what", "that machine's CPU", "its GPU")]
    for size in (128, 512):
        cells = (speeds.get(f"{device}, batch {size}") for device in ("cpu", "cuda"))
        rows.append((f"images/s, batch {size}", *(f"{n:,}" if n else "" for n in cells)))
    for key, what in (("train_seconds", "seconds"), ("test_accuracy", "test accuracy")):
        if "cpu" in mnist:  # else it did not run
            cells = (f"{mnist[device][key]:g}" for device in ("cpu", "cuda"))
            rows.append((f"MNIST, one pass: {what}", *cells))
    return Table(rows, caption=f"There is no GPU here. Saved: {made_by(about)}")
