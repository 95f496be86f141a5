"""What all networks of the family share: how their parts run, and what they return and refuse."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor, nn


class AuxLogits(dict):
    """The aux heads' logits by name; a head that is not there is a KeyError with a sentence."""

    def __missing__(self, name: str) -> Tensor:
        there = ", ".join(self) or "none"
        raise KeyError(
            f"there is no aux head {name!r} in these outputs (heads there: {there}); heads run "
            "only while training, in a network built with aux=True"
        )


@dataclass(frozen=True, kw_only=True)
class Outputs:
    """What a network returns: logits (n, classes), and each aux head's logits by name."""

    logits: Tensor
    aux: dict[str, Tensor] = field(default_factory=AuxLogits)

    def __post_init__(self) -> None:
        object.__setattr__(self, "aux", AuxLogits(self.aux))


class Network(nn.Module):
    """Stem, body and head: (n, in_channels, h, w) -> Outputs; aux heads run only in training.

    A network sets `stem`, `body` (named blocks), `head` and `aux` (a ModuleDict), and says in
    `reads` which block each aux head reads, in `min_sizes` its smallest image without and with
    aux heads at work, in `advice` what to do with a smaller one.
    """

    reads: dict[str, str] = {}
    min_sizes: tuple[int, int] = (1, 1)
    advice: str = "enlarge them first"

    def __init__(self, **arguments: object) -> None:
        super().__init__()
        self.arguments = arguments  # type(self)(**arguments) builds the same network again

    @property
    def min_size(self) -> int:
        """The smallest height and width taken now; heads at work (in training) want more."""
        return self.min_sizes[bool(self.training and self.aux)]

    def forward(self, x: Tensor) -> Outputs:
        self.check_input(x)
        x = self.stem(x)
        if not (self.training and self.aux):
            return Outputs(logits=self.head(self.body(x)))
        aux = {}
        for name, block in self.body.named_children():
            x = block(x)
            aux |= {head: self.aux[head](x) for head in self.aux if self.reads[head] == name}
        return Outputs(logits=self.head(x), aux=aux)

    def check_input(self, x: Tensor) -> None:
        """Raise ValueError, saying what is wrong, for an x that this network cannot take now."""
        channels = self.arguments["in_channels"]
        if x.ndim != 4 or x.shape[1] != channels:
            raise ValueError(
                f"x must have shape (n, {channels}, h, w), got {tuple(x.shape)}; "
                "in_channels= sets the number of channels when the network is built"
            )
        small, (without, least) = min(x.shape[2:]), (self.min_sizes[0], self.min_size)
        if small < least:
            heads = f" while aux heads train ({without} with aux=False)" if least > without else ""
            raise ValueError(
                f"images must be at least {least} x {least} pixels{heads}, "
                f"got {x.shape[2]} x {x.shape[3]}; {self.advice}"
            )

    def load_state_dict(
        self, state_dict: Mapping[str, Tensor], strict: bool = True, assign: bool = False
    ) -> object:
        """As in torch; weights that do not fit are a RuntimeError that names the first misfit."""
        try:
            return super().load_state_dict(state_dict, strict, assign)
        except RuntimeError as error:
            arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments.items())
            raise RuntimeError(
                f"the weights do not fit {type(self).__name__}({arguments}): "
                f"{self._misfit(state_dict, strict)}; build the network with the arguments it was "
                "saved with, or translate torchvision's weights by weights.from_torchvision"
            ) from error

    def _misfit(self, given: Mapping[str, Tensor], strict: bool) -> str:
        mine = self.state_dict()
        for name, value in mine.items():
            if strict and name not in given:
                return f"{name} is missing"
            if name in given and given[name].shape != value.shape:
                theirs, ours = tuple(given[name].shape), tuple(value.shape)
                return f"{name} is {theirs} there and {ours} here"
        return f"{next(name for name in given if name not in mine)} is too many"
