"""Count parameters and multiply-adds of a network for one image, block by block."""

import argparse

from inception_edu.checks import check_whole

EXAMPLE = "googlenet --size 224"
SIDE = 4096  # pixels of an image's side that a command takes at most


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help="googlenet, inception-v3, ...")
    parser.add_argument("--size", type=int, help="pixels of a side (what the network is made for)")
    network_options(parser)


def network_options(parser: argparse.ArgumentParser) -> None:
    """The options that shape a network; None leaves the model's own choice."""
    add, flag = parser.add_argument, argparse.BooleanOptionalAction
    add("--width", type=float, help="factor on every channel count")
    add("--aux", action=flag, help="auxiliary heads")
    add("--resolution", type=int, help="stem of inception-v2 and -v3: for 299, 151 or 79 pixels")


def run(args: argparse.Namespace) -> int:
    """Print the table for an image of the size that the network is made for, or of --size."""
    if args.size is not None:
        check_whole("size", args.size, 1, SIDE)
    from inception_edu.commands.networks import build
    from inception_edu.cost import layer_table

    network, model = build(args.model, args)
    size = args.size or args.resolution or model.size
    print(layer_table(network, (network.arguments["in_channels"], size, size), depth=2))
    return 0
