"""A trained network made fast to use: batch norm folded into the convolutions before it."""

import copy
from collections import Counter

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from inception_edu.network import Outputs
from inception_edu.training.devices import MEMORY_FORMATS, pick_memory_format

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def optimise_for_inference(model: nn.Module, *, precision: str = "float32") -> nn.Module:
    """A copy of any network of Sequential and Concat that puts out the same, faster.

    In evaluation mode, every batch norm that follows a convolution is folded into its weights
    (w' = w gamma / sigma), dropout is gone, and the tensors lie channels last. In "bfloat16" the
    outputs agree to two or three digits; they come back in float32. The original stays as it is.
    """
    if precision not in DTYPES:
        raise ValueError(f"precision must be one of {', '.join(DTYPES)}, got {precision!r}")
    model = copy.deepcopy(model).eval()
    uses = Counter(id(layer) for parent in model.modules() for layer in parent._modules.values())
    for module in model.modules():
        if isinstance(module, nn.Sequential):
            fold(module, shared={layer for layer, n in uses.items() if n > 1})
    dtype, device = DTYPES[precision], next(model.parameters(), torch.empty(0)).device
    layout = MEMORY_FORMATS[pick_memory_format(device)]
    model.to(dtype=dtype, memory_format=layout)
    model.register_forward_pre_hook(lambda _, x: x[0].to(dtype=dtype, memory_format=layout))
    model.register_forward_hook(lambda _, x, outputs: in_float32(outputs))
    return model.requires_grad_(False)


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


def in_float32(outputs: Outputs | Tensor) -> Outputs | Tensor:
    """The same outputs with logits in float32."""
    if isinstance(outputs, Tensor):
        return outputs.float()
    return Outputs(logits=outputs.logits.float(), aux=outputs.aux)
