"""From a checkpoint and a photo to probabilities and a class activation map; a fresh head."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from conftest import randomise, refused
from inception_edu import predict
from inception_edu.commands import networks
from inception_edu.data import Dataset, Split
from inception_edu.figures import photos, png, render
from inception_edu.files import shown
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import InceptionV2, InceptionV3
from inception_edu.losses import logits_of
from inception_edu.predict import class_activation_map, load_classifier, new_head, pretrained
from inception_edu.training import Recipe, checkpoints, fit, silent
from inception_edu.training.inference import optimise_for_inference

ROOT = Path(__file__).parents[1]
pytestmark = pytest.mark.usefixtures("one_thread")

NETWORKS = {  # name -> network of 5 classes, pixels of a side
    "googlenet": lambda **how: (GoogLeNet("paper", **how), 64),
    "googlenet, torchvision": lambda **how: (GoogLeNet("torchvision", **how), 64),
    "googlenet, small": lambda **how: (GoogLeNet("small", **how), 32),
    "inception v2": lambda **how: (InceptionV2(**how), 107),
    "inception v3": lambda **how: (InceptionV3("paper", resolution=79, **how), 79),
    "inception v3, torchvision": lambda **how: (InceptionV3("torchvision", **how), 107),
    "inception v3, small": lambda **how: (InceptionV3("small", **how), 32),
}


def network(name, **how):
    model, side = NETWORKS[name](**dict(num_classes=5, width=1 / 4) | how)
    return randomise(model), side


def photo(w=60, h=45, seed=0):
    noise = np.random.default_rng(seed).integers(0, 256, (h // 3, w // 3, 3), dtype=np.uint8)
    return Image.fromarray(noise).resize((w, h))


def images(side, n=3):
    return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))


def checkpoint(folder, c=3, side=(20, 20), model=None, classes=4):
    """The best.pt of one step of training on noise."""
    draw = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (16, c, *side), generator=draw, dtype=torch.uint8)
    part = Split(pixels, torch.arange(16) % classes, (0.4,) * c, (0.2,) * c)
    names = tuple("abcdefgh"[:classes])
    dataset = Dataset("noise", part, part, None, names, part.mean, part.std)
    torch.manual_seed(0)
    how = dict(num_classes=classes, in_channels=c, aux=False, width=1 / 4)
    fit(
        model or GoogLeNet("small", **how),
        dataset,
        Recipe(steps=1, precision="float32"),
        out=folder,
        device="cpu",
        watch=silent,
    )
    return folder / "best.pt"


# --- class activation maps


@pytest.mark.parametrize("name", NETWORKS)
def test_the_mean_of_a_class_activation_map_is_the_logit(name):
    model, side = network(name)
    x = images(side)
    with torch.no_grad():
        logits = model.eval()(x).logits
    assert logits.std(0).max() > 0.01  # the image decides, not the bias alone
    for label in range(5):
        maps = class_activation_map(model, x, label)
        assert maps.ndim == 3 and len(maps) == 3
        torch.testing.assert_close(maps.mean((1, 2)), logits[:, label], rtol=1e-4, atol=1e-4)


def test_a_map_has_the_grid_of_the_last_block_and_differs_from_place_to_place():
    model, side = network("googlenet, small")
    maps = class_activation_map(model, images(side))
    assert maps.shape == (3, 4, 4) and (maps.flatten(1).std(1) > 0).all()


def test_without_a_label_each_image_gets_the_map_of_its_most_probable_class():
    model, side = network("googlenet, small")
    x = images(side, 24)
    with torch.no_grad():
        model.head.linear.bias -= model.eval()(x).logits.mean(0)
        best = model(x).logits.argmax(1)
    assert len(set(best.tolist())) > 1
    for i, label in enumerate(best.tolist()):
        one = class_activation_map(model, x[i : i + 1], label)
        both = class_activation_map(model, x)[i], one[0]
        torch.testing.assert_close(*both, rtol=1e-4, atol=1e-4)


def test_a_map_leaves_the_network_as_it_was_frozen_parts_too():
    model, side = network("googlenet, small")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    model.train().stem.eval()
    class_activation_map(model, images(side))
    assert model.training and not model.stem.conv1.training and model.body.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_map_of_a_network_made_fast_is_the_same():
    model, side = network("googlenet, small")
    maps = (
        class_activation_map(m, images(side), 1) for m in (model, optimise_for_inference(model))
    )
    torch.testing.assert_close(*maps, rtol=1e-3, atol=1e-4)


def test_other_networks_and_wrong_labels_and_images_are_refused():
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.LazyLinear(5))
    x = images(32)
    refused(ValueError, lambda: class_activation_map(plain, x), "mean over the grid", "Sequential")
    other, _ = network("googlenet, small")
    other.head = nn.Sequential(nn.Flatten(), nn.LazyLinear(5))
    refused(ValueError, lambda: class_activation_map(other, x), "mean over the grid")
    model, _ = network("googlenet, small")
    refused(ValueError, lambda: class_activation_map(model, x, 5), "label", "from 0 to 4, got 5")
    refused(ValueError, lambda: class_activation_map(model, x[:, :1]), "must have shape")


# --- the classifier


def test_a_classifier_needs_nothing_but_the_checkpoint(tmp_path):
    path = checkpoint(tmp_path)
    found = load_classifier(path)
    assert found.classes == tuple("abcd") and (found.size, found.resize) == (20, 20)
    assert found.mean == (0.4,) * 3 and found.std == (0.2,) * 3 and not found.model.training
    saved = checkpoints.load(path)["weights"]
    assert all(torch.equal(value, saved[name]) for name, value in found.model.state_dict().items())


def test_a_photo_is_prepared_as_torchvision_would(tmp_path):
    found = load_classifier(checkpoint(tmp_path))
    steps = [v2.Resize(20, antialias=True), v2.CenterCrop(20), v2.ToImage()]
    steps += [v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.4] * 3, [0.2] * 3)]
    x = found.prepare(photo())
    assert x.shape == (1, 3, 20, 20) and x.std() > 0.3
    torch.testing.assert_close(x[0], torch.as_tensor(v2.Compose(steps)(photo())))


def test_probabilities_sum_to_one_and_follow_the_photo(tmp_path):
    found = load_classifier(checkpoint(tmp_path))
    randomise(found.model)
    a, b = found.probabilities(photo()), found.probabilities(photo(seed=1))
    assert a.shape == (4,) and a.sum() == pytest.approx(1) and (a - b).abs().max() > 1e-3
    with torch.no_grad():
        logits = logits_of(found.model(found.prepare(photo())))
    torch.testing.assert_close(a, logits.softmax(1)[0])


def test_grey_photos_are_taken_by_colour_networks_and_colour_photos_by_grey_ones(tmp_path):
    colour = load_classifier(checkpoint(tmp_path / "c"))
    x = colour.prepare(photo().convert("L"))
    assert torch.equal(x[:, 0], x[:, 1]) and torch.equal(x[:, 1], x[:, 2])
    grey = load_classifier(checkpoint(tmp_path / "g", c=1))
    assert grey.prepare(photo()).shape == (1, 1, 20, 20)
    both = grey.prepare(photo()), grey.prepare(photo().convert("L"))
    torch.testing.assert_close(*both, rtol=0, atol=1.01 / 255 / 0.2)  # a rounding
    assert len(grey.probabilities(photo())) == 4


def test_images_that_are_not_square_are_cut_to_their_shape(tmp_path):
    found = load_classifier(checkpoint(tmp_path, side=(24, 18)))
    assert found.size == (24, 18) and found.prepare(photo()).shape == (1, 3, 24, 18)
    small, large = found.cut(photo()), found.cut(photo(), 10)
    assert small.size == (18, 24) and large.size == (180, 240)  # Pillow says width first
    shrunk = np.asarray(large.resize(small.size, Image.Resampling.BOX), dtype=float)
    assert np.abs(shrunk - np.asarray(small)).mean() < 12 < np.asarray(small).std()  # the same part


def test_the_figure_of_a_network_for_images_that_are_not_square_shows_what_it_saw(tmp_path):
    found = load_classifier(checkpoint(tmp_path, side=(24, 18)))
    randomise(found.model)
    one = photos.look(found, photo(), "a.jpg", 2)
    assert one.photo.shape == (448, 336, 3) and one.map.shape == (3, 3)
    fig = render(photos.draw_predictions, [one], photos.size_of([one]))
    over = fig.axes[1]
    assert {tuple(image.get_extent()) for image in over.images} == {(0, 336, 0, 448)}
    assert over.get_xlim() == (0, 336) and over.get_ylim() == (0, 448)


def test_files_that_are_no_whole_checkpoint_are_refused(tmp_path):
    path = checkpoint(tmp_path / "run")
    refused(ValueError, lambda: load_classifier(tmp_path / "none.pt"), "no checkpoint", "none.pt")
    for name, change in {
        "no data": dict(data={}),
        "other weights": dict(weights={}),
        "other arguments": dict(model=dict(name="GoogLeNet", arguments=dict(depth=3))),
    }.items():
        torch.save(checkpoints.load(path) | change, tmp_path / name)
        refused(ValueError, lambda name=name: load_classifier(tmp_path / name), "whole checkpoint")
    own = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(12, 4))
    refused(
        ValueError, lambda: load_classifier(checkpoint(tmp_path / "own", model=own)), "GoogLeNet"
    )
    refused(ValueError, lambda: load_classifier(checkpoint(tmp_path / "2", c=2)), "1 or 3 channels")


def test_torchvisions_weights_make_a_classifier_of_1000_classes(monkeypatch):
    from inception_edu import torchvision_weights

    model = randomise(GoogLeNet("torchvision", aux=False, width=1 / 16))
    monkeypatch.setattr(torchvision_weights, "load_torchvision", lambda name: model)
    found = pretrained("googlenet")
    theirs = torchvision_weights.input_transform(256, 224)(photo(300, 280))
    torch.testing.assert_close(found.prepare(photo(300, 280))[0], theirs, atol=1e-5, rtol=1e-5)
    assert len(found.classes) == len(found.probabilities(photo())) == 1000


# --- a fresh head


@pytest.mark.parametrize("name", NETWORKS)
def test_a_new_head_keeps_everything_but_the_last_layers(name):
    model, side = network(name)
    fresh = new_head(model, 3)
    assert fresh.arguments == model.arguments | dict(num_classes=3)
    old, new = model.state_dict(), fresh.state_dict()
    changed = {
        key for key in new if old[key].shape != new[key].shape or (old[key] != new[key]).any()
    }
    heads = ["head.linear", *(f"aux.{aux}.linear" for aux in model.aux)]
    assert changed == {f"{head}.{kind}" for head in heads for kind in ("weight", "bias")}
    assert list(fresh.train()(images(side)).logits.shape) == [3, 3]


def test_a_new_head_is_fresh_with_as_many_classes_too_and_the_old_network_stays():
    model, side = network("googlenet, small", aux=False)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    fresh = new_head(model, 5)
    assert not torch.equal(fresh.head.linear.weight, model.head.linear.weight)
    with torch.no_grad():
        next(fresh.parameters()).zero_()
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_a_new_head_is_only_for_the_networks_of_the_package():
    refused(ValueError, lambda: new_head(nn.Linear(2, 2), 3), "GoogLeNet", "got Linear")
    model, _ = network("googlenet, small")
    refused(ValueError, lambda: new_head(model, 0), "num_classes", "got 0")


# --- the figure


def test_a_figure_shows_the_photo_its_map_and_bars_and_says_so_in_words(tmp_path):
    found = load_classifier(checkpoint(tmp_path))
    randomise(found.model)
    best, one = found.most_probable(photo(), 3), photos.look(found, photo(), "a\nb.jpg", 3)
    assert [name for name, _ in one.best] == [name for name, _ in best]
    assert [p for _, p in one.best] == pytest.approx([p for _, p in best], rel=1e-4)
    assert one.name == "a�b.jpg" and one.photo.shape == (448, 448, 3)
    with torch.no_grad():  # each place as a grid of its own
        grid = found.model.body(found.model.stem(found.prepare(photo())))[0]
        places = grid.flatten(1).T[:, :, None, None]
        alone = (
            found.model.head(places)
            .softmax(1)[:, found.classes.index(best[0][0])]
            .view(grid.shape[1:])
        )
    torch.testing.assert_close(torch.from_numpy(one.map).float(), alone)
    fig = render(photos.draw_predictions, [one, one], photos.size_of([one, one]))
    assert len(fig.axes) == 8 and len(fig.axes[1].images) == 2 and len(fig.axes[2].patches) == 3
    assert fig.axes[2].patches[0].get_width() == pytest.approx(100 * best[0][1])
    assert f"{best[0][0]} {best[0][1]:.0%}" in photos.words([one])


def test_all_maps_of_photos_have_one_scale_of_colours():
    best = [("cat", 0.75), ("dog", 0.25)]
    seen = [photos.Seen("a", np.zeros((4, 4, 3)), top * np.eye(4), best) for top in (0.2, 1)]
    fig = render(photos.draw_predictions, seen, photos.size_of(seen))
    maps = [ax.images[1] for ax in fig.axes if len(ax.images) == 2]
    assert [image.get_clim() for image in maps] == [(0, 100)] * 2
    assert [image.get_array().max() for image in maps] == pytest.approx([20, 100])


@pytest.mark.parametrize("name", ["cost_$^$ \\frac{", "$", "ещё 猫 קפה قطة", "a\nb\udcff"])
def test_names_of_any_script_and_with_signs_of_formulas_are_drawn_as_they_are(name):
    best = [(name, 0.75), ("dog", 0.25)]
    one = photos.Seen(name, np.zeros((4, 4, 3)), np.eye(4), best)
    fig = render(photos.draw_predictions, [one], photos.size_of([one]))  # a warning is an error
    drawn = [text.get_text() for text in fig.axes[2].get_yticklabels()]
    assert drawn == [shown(name), "dog"] and fig.axes[0].get_title("left") == shown(name)
    assert png(fig).startswith(b"\x89PNG")


def test_the_words_say_where_a_map_is_highest():
    map = np.zeros((4, 4))
    map[0, 3] = 1
    one = photos.Seen("a.jpg", np.zeros((4, 4, 3)), map, [("cat", 0.75), ("dog", 0.25)])
    assert photos.words([one]) == (
        "a.jpg: cat 75%, dog 25%; highest at 88% from the left, 12% from the top"
    )


# --- beginning with weights


def test_weights_are_torchvisions_or_a_checkpoints(monkeypatch, tmp_path):
    monkeypatch.setattr(networks, "pretrained", lambda name: f"torchvision's {name}")
    found = [networks.starting_point("torchvision", name) for name in networks.TORCHVISION]
    assert found == ["torchvision's googlenet", "torchvision's inception_v3"]
    call = lambda: networks.starting_point("torchvision", "googlenet-small")  # noqa: E731
    refused(ValueError, call, "googlenet-torchvision and", "got model googlenet-small")
    path = checkpoint(tmp_path)
    assert networks.starting_point(path, "googlenet-small").classes == tuple("abcd")


def test_weights_of_a_network_that_was_changed_are_not_half_taken():
    model, _ = network("googlenet, small")
    refused(ValueError, lambda: new_head(optimise_for_inference(model), 3), "changed after")


def test_aux_heads_may_be_missing_on_either_side():
    with_aux, without = (network("googlenet, small", aux=aux)[0] for aux in (True, False))
    with torch.no_grad():
        without.stem.conv1.conv.weight.zero_()
    before = with_aux.aux.aux1.linear.weight.clone()
    taken = predict.adopt(with_aux, without, head=True)
    assert taken.stem.conv1.conv.weight.abs().max() == 0
    assert torch.equal(taken.head.linear.weight, without.head.linear.weight)
    assert torch.equal(taken.aux.aux1.linear.weight, before)
    other, _ = network("googlenet, small", width=1 / 8)
    refused(ValueError, lambda: predict.adopt(other, without), "width=0.25", "width=0.125")


def test_predicting_needs_no_torchvision():
    """It takes seconds to import, and a prediction should take a few in all."""
    code = "import sys, inception_edu.predict; sys.exit('torchvision' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0
