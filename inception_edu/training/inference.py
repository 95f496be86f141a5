"""A trained network made fast to use: batch norm folded into the convolutions before it."""

import copy
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inception_edu.checks import check_choice, check_kind
from inception_edu.layers import chain
from inception_edu.network import Network
from inception_edu.training.devices import MEMORY_FORMATS, pick_memory_format

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def optimise_for_inference(model: nn.Module, *, precision: str = "float32") -> nn.Module:
    """A copy of any network of Sequential and Concat that puts out the same, faster.

    In evaluation mode, every batch norm that follows a convolution is folded into its weights
    (w' = w gamma / sigma), dropout is gone, and the weights lie channels last. In "bfloat16" the
    outputs agree to two or three digits; they come back in float32. The original stays as it is,
    the copy is a plain network like it: to be saved, copied and exported.
    """
    dtype = DTYPES[check_choice("precision", precision, DTYPES)]
    check_kind("model", model, isinstance(model, nn.Module), "a network (nn.Module)")
    model = copy.deepcopy(model).eval()
    uses = Counter(id(layer) for parent in model.modules() for layer in parent._modules.values())
    for module in model.modules():
        if isinstance(module, nn.Sequential):
            fold(module, shared={layer for layer, n in uses.items() if n > 1})
    device = next(model.parameters(), torch.empty(0)).device
    model.to(dtype=dtype, memory_format=MEMORY_FORMATS[pick_memory_format(device)])
    if dtype != torch.float32:
        first, last = Cast(dtype), Cast(torch.float32)
        if isinstance(model, Network):
            model.stem = chain(cast=first, **model.stem._modules)
            model.head = chain(**model.head._modules, cast=last)
        else:
            model = nn.Sequential(first, model, last)
    return model.requires_grad_(False)


class Cast(nn.Module):
    """The same values in another precision."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, x: Tensor) -> Tensor:
        return x.to(self.dtype)

    def extra_repr(self) -> str:
        return str(self.dtype)


def fold(layers: nn.Sequential, shared: set[int]) -> None:
    """Fold each batch norm of a Sequential into the convolution right before it, in place; one
    that is shared (its id is in `shared`) also serves elsewhere and stays as it is."""
    if type(layers).forward is not nn.Sequential.forward:
        return  # it may run its layers in another order
    before = None
    for name, layer in list(layers._modules.items()):
        if isinstance(layer, nn.Dropout):
            delattr(layers, name)
            continue
        follows = isinstance(before, nn.Conv2d) and id(layer) not in shared
        fixed = isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None
        if fixed and follows and id(before) not in shared:
            fused = fuse_conv_bn_eval(before, layer)
            before.weight, before.bias = fused.weight, fused.bias
            delattr(layers, name)
            continue  # what comes next follows the convolution
        if isinstance(layer, nn.ReLU) and follows:
            layer.inplace = True  # nobody else reads what the convolution put out
        before = layer
