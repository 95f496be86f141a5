"""Inception-v3 against torchvision's: equal outputs and gradients, weights there and back."""

import hashlib

import pytest
import torch
import torchvision
from torchvision.models import Inception_V3_Weights

from conftest import apart, randomise, refused
from inception_edu import torchvision_weights
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV2, InceptionV3
from inception_edu.torchvision_weights import from_torchvision, load_torchvision, to_torchvision

pytestmark = pytest.mark.usefixtures("one_thread")


def bare(**how):
    return torchvision.models.inception_v3(weights=None, init_weights=False, **how)


@pytest.fixture(scope="module")
def oracle():
    return randomise(bare(num_classes=10, aux_logits=True))


@pytest.fixture(scope="module")
def ours(oracle):
    model = InceptionV3("torchvision", num_classes=10)
    model.load_state_dict(from_torchvision(oracle.state_dict()))
    return model


@pytest.mark.parametrize("size", [(299, 299), (75, 75), (97, 130)])
def test_logits_equal_torchvisions_with_every_number_randomised(oracle, ours, size):
    generator = torch.Generator().manual_seed(1)
    x, other = torch.randn(2, 1, 3, *size, generator=generator)
    with torch.no_grad():
        expected = oracle.eval()(x)
        assert apart(oracle(other), expected) > 0.01  # another input changes the logits
        assert apart(ours.eval()(x).logits, expected) <= 1e-5


@pytest.fixture(scope="module")
def trained(oracle, ours):
    """Logits, aux logits and gradients of both: training mode, no dropout, float64, 299 pixels."""
    x = torch.randn(2, 3, 299, 299, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    oracle.dropout.p = ours.head.dropout.p = 0.0
    found = []
    for model in (oracle, ours):
        out = model.double().train()(x)
        aux = out.aux_logits if model is oracle else out.aux["aux"]
        (out.logits.square().sum() + 0.3 * aux.square().sum()).backward()
        grads = {name: p.grad.clone() for name, p in model.named_parameters()}
        found.append((out.logits.detach(), aux.detach(), grads))
        model.zero_grad()
        model.float()
    return found


def test_logits_and_aux_in_training_equal_torchvisions(trained):
    (logits, aux, _), (got, got_aux, _) = trained
    assert apart(logits, aux) > 0.01
    assert apart(got, logits) <= 1e-9 and apart(got_aux, aux) <= 1e-9


def test_every_gradient_equals_torchvisions(trained, ours):
    (*_, expected), (*_, got) = trained
    names = dict(zip(ours.state_dict(), to_torchvision(ours.state_dict()), strict=True))
    assert {names[name] for name in got} == set(expected) and len(expected) == 96 * 3 + 2 * 2
    for name, gradient in got.items():
        assert expected[names[name]].abs().max() > 0
        assert apart(gradient, expected[names[name]]) <= 1e-9, name


def test_a_larger_images_aux_logits_equal_torchvisions_too(oracle, ours):
    x = torch.randn(2, 3, 363, 330, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        torch.testing.assert_close(
            ours.train()(x).aux["aux"], oracle.train()(x).aux_logits, rtol=1e-4, atol=1e-4
        )


@pytest.mark.parametrize("aux", [True, False])
def test_weights_go_to_our_names_and_back_unchanged(aux):
    state = bare(num_classes=7, aux_logits=aux).state_dict()
    ours = from_torchvision(state)
    assert len(ours) == len(state) and not ours.keys() & state.keys()
    InceptionV3("torchvision", num_classes=7, aux=aux).load_state_dict(ours)
    back = to_torchvision(ours)
    assert back.keys() == state.keys() and all(back[name] is state[name] for name in state)


def test_our_weights_load_into_torchvisions_network_and_compute_the_same():
    ours = randomise(InceptionV3("torchvision", num_classes=5, aux=False), 3).eval()
    theirs = bare(num_classes=5, aux_logits=False).eval()
    theirs.load_state_dict(to_torchvision(ours.state_dict()))
    x = torch.randn(1, 3, 80, 80)
    with torch.no_grad():
        assert apart(ours(x).logits, theirs(x)) <= 1e-5


def test_weights_of_the_other_network_are_told_apart_and_do_not_fit():
    googlenet = torchvision.models.googlenet(weights=None, init_weights=False, num_classes=10)
    state = from_torchvision(googlenet.state_dict())
    assert "body.3a.branch1x1.conv.weight" in state
    model = InceptionV3("torchvision", num_classes=10)
    words = ("do not fit InceptionV3(variant='torchvision'", "Missing key(s)")
    refused(RuntimeError, lambda: model.load_state_dict(state), *words)
    words = ("do not fit GoogLeNet(variant='torchvision'", "build the network")
    v3 = from_torchvision(bare(num_classes=10).state_dict())
    googlenet = GoogLeNet("torchvision", num_classes=10)
    refused(RuntimeError, lambda: googlenet.load_state_dict(v3), *words)


@pytest.mark.parametrize("build", [InceptionV2, lambda **how: InceptionV3("paper", **how)])
def test_only_the_torchvision_variant_can_be_translated(build):
    state = build(width=1 / 16).state_dict()
    refused(ValueError, lambda: to_torchvision(state), "state_dict must be that of", "inception_v3")


def test_published_weights_load_with_their_transform_and_classes(tmp_path, monkeypatch, oracle):
    torch.save(oracle.state_dict(), tmp_path / "new.pth")
    digest = hashlib.sha256((tmp_path / "new.pth").read_bytes()).hexdigest()
    file = (tmp_path / "new.pth").rename(tmp_path / f"inception_v3_google-{digest[:8]}.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    known = torchvision_weights.KNOWN["inception_v3"]
    assert known.url == Inception_V3_Weights.IMAGENET1K_V1.url
    monkeypatch.setitem(
        torchvision_weights.KNOWN, "inception_v3", known._replace(url=file.as_uri())
    )
    model = load_torchvision("inception_v3")
    assert not model.training and model.arguments["variant"] == "torchvision"
    assert len(model.classes) == 1000 and list(model.aux) == ["aux"]
    photo = torch.randint(0, 256, (3, 400, 500), dtype=torch.uint8)
    x = model.transform(photo)[None]
    preset = Inception_V3_Weights.IMAGENET1K_V1.transforms()
    secret = bare(transform_input=True)._transform_input(preset(photo)[None])
    torch.testing.assert_close(x, secret, rtol=0, atol=0.02)
    with torch.no_grad():
        assert apart(model(x).logits, oracle.eval()(x)) <= 1e-5
