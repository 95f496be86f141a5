"""What all networks of the family share: how their parts run, and what they return and refuse."""

from collections.abc import Mapping
from textwrap import shorten
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import _register_namedtuple

from inception_edu.checks import check_count, check_kind, check_number, plain


class AuxLogits(dict):
    """The aux heads' logits by name; a head that is not there is a KeyError with a sentence."""

    def __missing__(self, name: str) -> Tensor:
        raise KeyError(
            f"there is no aux head {name!r} in these outputs ({', '.join(self) or 'none'}); heads "
            "run only while training, in a network built with aux=True"
        )


class Outputs(NamedTuple):
    """What a network returns: logits (n, classes), and each aux head's logits by name.

    A tuple with a plain dictionary in it, for those are what PyTorch's tools can take apart.
    """

    logits: Tensor
    aux: dict[str, Tensor] = {}


Outputs.aux = property(lambda outputs: AuxLogits(outputs[1]), doc="Logits by the head's name.")
_register_namedtuple(Outputs, serialized_type_name="inception_edu.Outputs")  # torch.export.save


class Network(nn.Module):
    """Stem, body (named blocks) and head: (n, in_channels, h, w) -> Outputs; in training the aux
    heads run, too. A network sets all four of them, and the facts below."""

    reads: dict[str, str]  # aux head -> the block whose output it reads
    size: int  # pixels of a side, of the images that it is made for
    min_sizes: tuple[int, int]  # smallest image taken, without and with aux heads at work
    advice: str  # what to do with a smaller one

    def __init__(self, **arguments: object) -> None:
        super().__init__()
        check_count(num_classes=arguments["num_classes"], in_channels=arguments["in_channels"])
        check_number("width", arguments["width"], "above 0 and at most 4", lambda w: 0 < w <= 4)
        self.arguments = {name: plain(value) for name, value in arguments.items()}

    @property
    def call(self) -> str:
        """The call that builds the same network again, type(self)(**self.arguments), in words."""
        words = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
        return f"{type(self).__name__}({words})"

    @property
    def min_size(self) -> int:
        """The smallest height and width taken now; heads at work (in training) want more."""
        return self.min_sizes[bool(self.training and self.aux)]

    def forward(self, x: Tensor) -> Outputs:
        self.check_input(x)
        x = self.stem(x)
        if not (self.training and self.aux):
            none = () if torch.jit.is_tracing() else {}  # a trace can hold no empty dictionary
            return Outputs(self.head(self.body(x)), none)
        aux = {}
        for name, block in self.body.named_children():
            x = block(x)
            aux |= {head: self.aux[head](x) for head in self.aux if self.reads[head] == name}
        return Outputs(self.head(x), aux)

    def check_input(self, x: Tensor) -> None:
        """Raise ValueError, saying what is wrong, for an x that this network cannot take now."""
        without, least = self.min_sizes[0], self.min_size
        heads = f" while aux heads train ({without} with aux=False)" if least > without else ""
        _check_images(x, self.arguments["in_channels"], least, heads, self.advice)

    def load_state_dict(
        self, state_dict: Mapping[str, Tensor], strict: bool = True, assign: bool = False
    ) -> object:
        """As in torch; weights that do not fit are a RuntimeError with the first of its reasons."""
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            heading, *reasons = str(error).split("\n")
            reason = shorten((reasons or [heading])[0].strip(" \t."), 200)
            raise RuntimeError(
                f"the weights do not fit {self.call}: {reason}; build the network with the "
                "arguments it was saved with, or translate torchvision's by from_torchvision"
            ) from error


@torch.fx.wrap  # a function that tracers record or leave out, and never look into
def _check_images(x: Tensor, channels: int, least: int, heads: str, advice: str) -> None:
    if torch.jit.is_tracing():
        return  # a trace is of one size, and to ask for it there is to be warned
    check_kind("x", x, isinstance(x, Tensor), f"a tensor (n, {channels}, h, w)")
    if x.ndim != 4 or x.shape[1] != channels:
        raise ValueError(
            f"x must have shape (n, {channels}, h, w), got {tuple(x.shape)}; "
            "in_channels= sets the number of channels when the network is built"
        )
    if min(x.shape[2:]) < least:
        raise ValueError(
            f"images must be at least {least} x {least} pixels{heads}, "
            f"got {x.shape[2]} x {x.shape[3]}; {advice}"
        )


def initialise(model: nn.Module, nonlinearity: str = "linear", bias: float = 0.2) -> None:
    """Caffe's Xavier start: weights uniform, variance 1 / inputs; biases 0.2, classifiers' 0.

    [G] is silent; from PyTorch's own start this net without batch norm stays at chance. With
    "relu" the variance is 2 / inputs.
    """
    for name, layer in model.named_modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.kaiming_uniform_(layer.weight, nonlinearity=nonlinearity)
            if layer.bias is not None:
                nn.init.constant_(layer.bias, 0.0 if name.endswith("linear") else bias)
