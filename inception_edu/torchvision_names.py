"""What torchvision calls the layers of its googlenet and inception_v3: our names -> its names."""

from inception_edu import googlenet, layouts


def googlenet_layers() -> dict[str, str]:
    """Our name of each layer of GoogLeNet -> torchvision's."""
    layers = {
        "stem.conv1": "conv1",
        "stem.conv2_reduce": "conv2",
        "stem.conv2": "conv3",
        "head.linear": "fc",
    }
    branches = {
        "branch1x1": "branch1",
        "branch3x3": "branch2",
        "branch5x5": "branch3",
        "branch_pool": "branch4",
    }
    for block in (name for name, row in googlenet.TABLE_1.items() if row.type == "inception"):
        for ours, theirs in branches.items():
            layers[f"body.{block}.{ours}"] = f"inception{block}.{theirs}"
    for head in googlenet.AUX:
        for ours, theirs in {"conv": "conv", "hidden": "fc1", "linear": "fc2"}.items():
            layers[f"aux.{head}.{ours}"] = f"{head}.{theirs}"
    return layers


# kind of block -> its layers: ours -> theirs
_V3_BLOCKS = {
    "grid35": {
        "branch1x1": "branch1x1",
        **{f"branch3x3.{i}": f"branch5x5_{i + 1}" for i in range(2)},
        **{f"branch3x3dbl.{i}": f"branch3x3dbl_{i + 1}" for i in range(3)},
        "branch_pool.1": "branch_pool",
    },
    "reduce35to17": {
        "branch3x3": "branch3x3",
        **{f"branch3x3dbl.{i}": f"branch3x3dbl_{i + 1}" for i in range(3)},
    },
    "grid17": {
        "branch1x1": "branch1x1",
        **{f"branch7x7.{i}": f"branch7x7_{i + 1}" for i in range(3)},
        **{f"branch7x7dbl.{i}": f"branch7x7dbl_{i + 1}" for i in range(5)},
        "branch_pool.1": "branch_pool",
    },
    "reduce17to8": {
        **{f"branch3x3.{i}": f"branch3x3_{i + 1}" for i in range(2)},
        **{f"branch7x7.{i}": f"branch7x7x3_{i + 1}" for i in range(4)},
    },
    "grid8": {
        "branch1x1": "branch1x1",
        "branch3x3.0": "branch3x3_1",
        "branch3x3.1.branch1x3": "branch3x3_2a",
        "branch3x3.1.branch3x1": "branch3x3_2b",
        **{f"branch3x3dbl.{i}": f"branch3x3dbl_{i + 1}" for i in range(2)},
        "branch3x3dbl.2.branch1x3": "branch3x3dbl_3a",
        "branch3x3dbl.2.branch3x1": "branch3x3dbl_3b",
        "branch_pool.1": "branch_pool",
    },
}
_V3_STEM = {
    "conv1": "Conv2d_1a_3x3",
    "conv2": "Conv2d_2a_3x3",
    "conv3": "Conv2d_2b_3x3",
    "conv4": "Conv2d_3b_1x1",
    "conv5": "Conv2d_4a_3x3",
}
_V3_MIXED = ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c")


def inception_v3_layers() -> dict[str, str]:
    """Our name of each layer of InceptionV3 -> torchvision's."""
    layers = {f"stem.{ours}": theirs for ours, theirs in _V3_STEM.items()}
    for block, mixed in zip(layouts.LAYOUTS["torchvision"].widths, _V3_MIXED, strict=True):
        for ours, theirs in _V3_BLOCKS[block.rstrip("abcd")].items():
            layers[f"body.{block}.{ours}"] = f"Mixed_{mixed}.{theirs}"
    aux = {"conv": "conv0", "hidden": "conv1", "linear": "fc"}
    layers |= {f"aux.aux.{ours}": f"AuxLogits.{theirs}" for ours, theirs in aux.items()}
    return layers | {"head.linear": "fc"}
