"""What I wrote in the Inception lessons; every definition has passed its check."""

import torch
from torch import nn
from torch.nn import functional as F


# Lesson 09

def cam(grid, linear, label):
    """(c, h, w), nn.Linear(c, classes), class number -> (h, w), whose mean is the logit"""
    weights = linear.weight[label]
    return (weights[:, None, None] * grid).sum(0) + linear.bias[label]
