"""Lesson 10, room 1: mistakes that stop a program."""

from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import pil_to_tensor

from inception_edu.layers import conv
from inception_edu.lessons.shared import ASSETS


def fixed_head(c: int, num_classes: int) -> nn.Sequential:
    """The end of the network, as it was."""
    return nn.Sequential(nn.AvgPool2d(7, stride=1), nn.Flatten(), nn.Linear(c, num_classes))


def halvings(head: nn.Module, c: int = 8) -> nn.Sequential:
    """A network that halves the grid five times, as GoogLeNet does, and ends with this head."""
    widths = [3] + [c] * 5
    halve = (conv(a, b, 3, 2, norm=False) for a, b in zip(widths, widths[1:], strict=False))
    return nn.Sequential(*halve, head)


def cat(mode: str = "RGB", size: tuple[int, int] = (150, 100)) -> Image.Image:
    """The series' photo as files hold photos: "RGB", "L" (grey), "RGBA", "P" (a palette)."""
    with (ASSETS / "photos" / "chelsea.png").open("rb") as file:
        return Image.open(file).convert("RGB").resize(size).convert(mode)


def read(photo: Image.Image) -> Tensor:
    """What PIL opened -> a tensor from 0 to 1, as it was."""
    return pil_to_tensor(photo) / 255
