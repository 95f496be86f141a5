"""Where variants of a network differ: read off the built modules, so it cannot go out of date."""

from collections import Counter
from collections.abc import Iterable, Iterator

from torch import nn

from inception_edu.layers import AuxPool, Concat, pair
from inception_edu.network import Network


def deviations(networks: dict[str, Network]) -> list[tuple[str, ...]]:
    """Heading, then a row for each fact in which the networks differ; for `cost.text_table`."""
    found = [facts(network) for network in networks.values()]
    names = dict.fromkeys(name for each in found for name in each)
    rows = [(name, *(each.get(name, "none") for each in found)) for name in names]
    return [("", *networks), *(row for row in rows if len(set(row[1:])) > 1)]


def facts(network: Network) -> dict[str, str]:
    """What a built network is made of, each fact in words: counted or read, never known."""
    stem, body, head, aux = network.stem, network.body, network.head, network.aux
    convolutions, linears = ([*_all(kind, network)] for kind in (nn.Conv2d, nn.Linear))
    size = {part: sum(p.numel() for p in part.parameters()) for part in (network, aux)}
    return {
        "convolutions of the stem": ", ".join(map(_window, _all(nn.Conv2d, stem))),
        "layers with weights": str(len(convolutions) + len(linears)),
        "normalisation": _counted(_norms(network)),
        "convolutions with a bias": str(sum(c.bias is not None for c in convolutions)),
        **_kernels(body),
        **_max_pools(network),
        "dropout of the head": _distinct(f"{d.p:g}" for d in _all(nn.Dropout, head)),
        "dropout of the aux heads": _distinct(f"{d.p:g}" for d in _all(nn.Dropout, aux)),
        "pool of the aux heads": _distinct(p.extra_repr() for p in _all(AuxPool, aux)),
        "smallest image, without and with aux heads": " and ".join(map(str, network.min_sizes)),
        "parameters": f"{size[network]:,}",
        "parameters without aux heads": f"{size[network] - size[aux]:,}",
    }


def _all(kind: type, part: nn.Module) -> Iterator[nn.Module]:
    return (module for module in part.modules() if isinstance(module, kind))


def _counted(words: Iterable[str]) -> str:
    return ", ".join(f"{n} {word}" for word, n in Counter(words).items()) or "none"


def _distinct(words: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(words)) or "none"


def _window(layer: nn.Conv2d | nn.MaxPool2d) -> str:
    """Kernel and stride as Table 1 prints them, and a pool's treatment of the grid's edge."""
    words = ["{}x{}".format(*pair(layer.kernel_size)) + f"/{pair(layer.stride)[0]}"]
    if isinstance(layer, nn.MaxPool2d):
        words += [f"padding {layer.padding}"] * bool(layer.padding)
        words += ["rounding up"] * layer.ceil_mode
    return " ".join(words)


def _max_pools(network: Network) -> dict[str, str]:
    """The pools that shrink the grid, by name."""
    named = ((name, m) for name, m in network.named_modules() if isinstance(m, nn.MaxPool2d))
    return {f"max pool {name}": _window(m) for name, m in named if pair(m.stride) != (1, 1)}


def _norms(network: Network) -> Iterator[str]:
    for norm in _all((nn.BatchNorm2d, nn.LocalResponseNorm), network):
        if isinstance(norm, nn.BatchNorm2d):
            yield f"x batch norm (eps {norm.eps:g})"
        else:
            yield f"x local response norm ({norm.size} channels)"


def _kernels(body: nn.Module) -> dict[str, str]:
    """For each branch name of the body's blocks, the kernels found in it."""
    found: dict[str, set[str]] = {}
    for block in _all(Concat, body):
        for name, branch in block.items():
            kernels = {_window(c).partition("/")[0] for c in _all(nn.Conv2d, branch)}
            found.setdefault(f"kernels in {name}", set()).update(kernels)
    return {name: ", ".join(sorted(kernels)) for name, kernels in found.items()}
