"""What I wrote in the Inception lessons; every definition has passed its check."""

import torch
from torch import nn
from torch.nn import functional as F
from torch.nn.functional import Tensor


# Lesson 09

def cam(grid: Tensor, linear: nn.Linear, label: int) -> Tensor:
    """The package's answer: (c, h, w) -> (h, w), whose mean is the logit."""
    return torch.einsum("chw,c->hw", grid, linear.weight[label]) + linear.bias[label]
