"""GoogLeNet and Inception v2/v3, taught by doing: networks, cost, training, lessons."""

__version__ = "0.1.0"
