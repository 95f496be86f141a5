import hashlib
import re
import socket
import urllib.error

import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.models import GoogLeNet_Weights

from conftest import apart, randomise, refused
from inception_edu import torchvision_weights
from inception_edu.googlenet import GoogLeNet
from inception_edu.torchvision_weights import from_torchvision, load_torchvision, to_torchvision

pytestmark = pytest.mark.usefixtures("one_thread")


def theirs(**how):
    model = torchvision.models.googlenet(weights=None, init_weights=False, **how)
    return randomise(model)


@pytest.fixture(scope="module")
def oracle():
    return theirs(num_classes=10, aux_logits=True)


@pytest.fixture(scope="module")
def ours(oracle):
    model = GoogLeNet("torchvision", num_classes=10)
    model.load_state_dict(from_torchvision(oracle.state_dict()))
    return model


# --- equal outputs and gradients


@pytest.mark.parametrize("size", [(64, 64), (224, 224), (97, 130), (15, 15)])
def test_logits_equal_torchvisions_with_every_number_randomised(oracle, ours, size):
    generator = torch.Generator().manual_seed(1)
    x, other = torch.randn(2, 2, 3, *size, generator=generator)
    with torch.no_grad():
        expected = oracle.eval()(x)
        assert apart(oracle(other), expected) > 0.01  # another input changes the logits
        assert apart(ours.eval()(x).logits, expected) <= 1e-5


@pytest.fixture(scope="module")
def trained(oracle, ours):
    """Outputs and gradients of both, by name: training mode, no dropout, float64."""
    x = torch.randn(4, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    found = []
    for model in (oracle, ours):
        model = model.double().train()
        for layer in model.modules():
            if isinstance(layer, nn.Dropout):
                layer.p = 0.0
        out = model(x)
        if model is oracle:
            out = dict(main=out.logits, aux1=out.aux_logits1, aux2=out.aux_logits2)
        else:
            out = dict(main=out.logits, **out.aux)
        sum(
            w * v.square().sum() for w, v in zip((1, 0.3, 0.7), out.values(), strict=True)
        ).backward()
        grads = {name: p.grad.clone() for name, p in model.named_parameters()}
        found.append((out, grads))
        model.zero_grad()
        model.float()
    return found


def test_logits_and_both_aux_outputs_in_training_equal_torchvisions(trained):
    (expected, _), (got, _) = trained
    assert apart(expected["aux1"], expected["aux2"]) > 0.01  # swapped heads would be seen
    for name in ("main", "aux1", "aux2"):
        assert apart(got[name], expected[name]) <= 1e-9, name


def test_every_gradient_equals_torchvisions(trained, oracle, ours):
    (_, expected), (_, got) = trained
    names = dict(zip(ours.state_dict(), to_torchvision(ours.state_dict()), strict=True))
    assert {names[name] for name in got} == set(expected) and len(expected) == 59 * 3 + 5 * 2
    for name, gradient in got.items():
        assert expected[names[name]].abs().max() > 0
        assert apart(gradient, expected[names[name]]) <= 1e-9, name


def test_running_statistics_after_training_equal_torchvisions(trained, oracle, ours):
    state = oracle.state_dict()
    for name, value in to_torchvision(ours.state_dict()).items():
        torch.testing.assert_close(value, state[name], rtol=1e-5, atol=1e-6)


# --- the map


@pytest.mark.parametrize("aux", [True, False])
def test_weights_go_to_our_names_and_back_unchanged(aux):
    state = theirs(num_classes=7, aux_logits=aux).state_dict()
    ours = from_torchvision(state)
    assert len(ours) == len(state) and not ours.keys() & state.keys()
    GoogLeNet("torchvision", num_classes=7, aux=aux).load_state_dict(ours)
    back = to_torchvision(ours)
    assert list(back) == list(state) and all(back[name] is state[name] for name in state)


def test_our_weights_load_into_torchvisions_network_and_compute_the_same():
    torch.manual_seed(0)
    ours = randomise(GoogLeNet("torchvision", num_classes=5, aux=False), 3).eval()
    theirs_ = torchvision.models.googlenet(
        weights=None, init_weights=False, num_classes=5, aux_logits=False
    ).eval()
    theirs_.load_state_dict(to_torchvision(ours.state_dict()))
    x = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert apart(ours(x).logits, theirs_(x)) <= 1e-5


def test_map_leaves_the_state_dict_it_is_given_alone():
    state = theirs(num_classes=3, aux_logits=False).state_dict()
    before = list(state)
    from_torchvision(state)
    assert list(state) == before


def test_a_file_without_counters_of_batches_loads_too():
    state = theirs(num_classes=3, aux_logits=False).state_dict()
    state = {n: v for n, v in state.items() if not n.endswith("num_batches_tracked")}
    ours = GoogLeNet("torchvision", num_classes=3, aux=False)
    ours.load_state_dict(from_torchvision(state))
    assert torch.equal(ours.stem.conv1.conv.weight, state["conv1.conv.weight"])


STRANGERS = {
    "resnet": lambda: torchvision.models.resnet18(weights=None).state_dict(),
    "our paper variant": lambda: GoogLeNet("paper", width=1 / 8).state_dict(),
    "our small variant": lambda: GoogLeNet("small", width=1 / 8).state_dict(),
    "nothing": dict,
    "one head only": lambda: {
        name: v
        for name, v in GoogLeNet("torchvision", width=1 / 8).state_dict().items()
        if not name.startswith("aux.aux2")
    },
}


@pytest.mark.parametrize("name", STRANGERS)
@pytest.mark.parametrize("translate", [from_torchvision, to_torchvision])
def test_weights_of_another_network_are_refused_in_one_sentence(name, translate):
    words = ("state_dict must be that of", "googlenet", "with all aux heads or none")
    refused(ValueError, lambda: translate(STRANGERS[name]()), *words)


def test_the_refusal_names_the_first_tensor_that_does_not_fit():
    paper = GoogLeNet("paper", width=1 / 8).state_dict()
    refused(ValueError, lambda: to_torchvision(paper), "stem.conv1.conv.bias does not belong there")
    refused(ValueError, lambda: from_torchvision({}), "conv1.conv.weight is missing")


def test_a_model_in_place_of_its_state_dict_is_refused():
    model = GoogLeNet("small", width=1 / 16)
    refused(TypeError, lambda: from_torchvision(model), "model.state_dict()", "got a GoogLeNet")


@pytest.mark.parametrize("variant", ["paper", "small"])
def test_torchvisions_weights_do_not_fit_another_variant_and_the_error_says_so(oracle, variant):
    model = GoogLeNet(variant, num_classes=10)
    state = from_torchvision(oracle.state_dict())
    words = ("do not fit GoogLeNet(variant=", repr(variant), "build the network")
    refused(RuntimeError, lambda: model.load_state_dict(state), *words)


def test_torchvisions_weights_of_1000_classes_do_not_fit_ten(oracle):
    model = GoogLeNet("torchvision")
    state = from_torchvision(oracle.state_dict())
    words = ("size mismatch for head.linear.weight", "build the network")
    refused(RuntimeError, lambda: model.load_state_dict(state), *words)


# --- published weights, through the same download, from a file


@pytest.fixture
def published(tmp_path, monkeypatch, oracle):
    """A published file, named by its SHA-256, that lies at a file:// address; the hub is empty."""
    source, hub = tmp_path / "source", tmp_path / "hub"
    source.mkdir()
    torch.save(oracle.state_dict(), source / "new.pth")
    digest = hashlib.sha256((source / "new.pth").read_bytes()).hexdigest()
    file = (source / "new.pth").rename(source / f"googlenet-{digest[:8]}.pth")
    monkeypatch.setenv("TORCH_HOME", str(hub))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    known = torchvision_weights.KNOWN["googlenet"]._replace(url=file.as_uri())
    monkeypatch.setitem(torchvision_weights.KNOWN, "googlenet", known)
    return file, hub / "hub" / "checkpoints" / file.name


def test_published_weights_load_in_evaluation_mode_and_compute_the_same(published, oracle, capfd):
    model, (_, cached) = load_torchvision("googlenet"), published
    assert not model.training and cached.exists()
    assert (model.arguments["variant"], model.arguments["num_classes"]) == ("torchvision", 10)
    x = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        assert apart(model(x).logits, oracle.float().eval()(x)) <= 1e-5
    load_torchvision()  # the default, and from the hub folder
    assert capfd.readouterr().out.count("Downloading") == 1
    assert list(model.aux) == ["aux1", "aux2"]


def test_published_weights_without_aux_heads_give_a_network_without(published, oracle, monkeypatch):
    bare = {name: v for name, v in oracle.state_dict().items() if not name.startswith("aux")}
    monkeypatch.setattr(torchvision_weights, "_download", lambda *_: bare)
    assert not load_torchvision().aux


def test_the_real_address_ends_in_the_start_of_the_files_hash():
    known = torchvision_weights.KNOWN["googlenet"]
    assert known.url == GoogLeNet_Weights.IMAGENET1K_V1.url
    assert re.fullmatch(r"https://.*/googlenet-[0-9a-f]{8}\.pth", known.url)
    assert len(known.classes) == 1000 and known.classes[0] == "tench"


def test_a_damaged_file_in_the_hub_folder_is_refused(published):
    load_torchvision()
    cached = published[1]
    content = bytearray(cached.read_bytes())
    content[len(content) // 2] ^= 1
    cached.write_bytes(content)
    refused(ValueError, load_torchvision, str(cached), "SHA-256", "delete it")
    cached.write_bytes(content[:1000])
    refused(ValueError, load_torchvision, "truncated or altered")


def test_a_file_damaged_on_its_way_is_refused_and_not_kept(published):
    file, cached = published
    file.write_bytes(file.read_bytes()[:-1])
    refused(ValueError, load_torchvision, "SHA-256", "on its way")
    assert not cached.exists()


@pytest.mark.parametrize(
    "error",
    [urllib.error.URLError(socket.gaierror(-2, "Name or service not known")), TimeoutError()],
)
def test_without_a_network_a_sentence_says_where_to_put_the_file(published, monkeypatch, error):
    def offline(*_, **__):
        raise error

    monkeypatch.setattr("torch.hub.urlopen", offline)
    file, cached = published
    words = ("could not be downloaded", "connect to the network", file.name, str(cached.parent))
    refused(OSError, load_torchvision, *words)
    assert not list(cached.parent.iterdir())


@pytest.mark.parametrize("name", ["resnet18", "GoogLeNet", None])
def test_unknown_network_is_refused(name):
    words = ('name must be one of "googlenet", "inception_v3"', repr(name))
    refused(ValueError, lambda: load_torchvision(name), *words)


# --- the photo's way in


@pytest.mark.parametrize("size", [(300, 400), (500, 333), (256, 256), (100, 90)])
def test_our_transform_is_torchvisions_and_its_secret_normalisation(published, size):
    pixels = torch.randint(0, 256, (*size, 3), dtype=torch.uint8)
    photo = Image.fromarray(pixels.numpy())
    preset = GoogLeNet_Weights.IMAGENET1K_V1.transforms()
    secret = torchvision.models.googlenet(weights=None, init_weights=False, transform_input=True)
    expected = secret._transform_input(preset(photo)[None])[0]
    for given in (photo, pixels.permute(2, 0, 1)):
        got = load_torchvision().transform(given)
        assert type(got) is torch.Tensor and got.shape == (3, 224, 224)
        assert -1 <= got.min() < -0.1 and 0.1 < got.max() <= 1
        assert (got - preset(photo)).abs().max() > 0.1  # one normalisation alone is another
        tolerance = 1e-5 if given is photo else 0.02  # resized by Pillow, by PyTorch
        torch.testing.assert_close(got, expected, rtol=0, atol=tolerance)


def test_transform_is_no_part_of_the_network(published):
    model = load_torchvision()
    assert [name for name, _ in model.named_children()] == ["stem", "body", "head", "aux"]
