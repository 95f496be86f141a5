"""What a wrong kind of argument is answered with: one sentence that names it and what is wanted."""

import pytest
import torch

from conftest import refused
from inception_edu import figures, predict
from inception_edu.cost import layer_table
from inception_edu.data import load
from inception_edu.googlenet import TABLE_1, GoogLeNet, Inception
from inception_edu.inception_v3 import InceptionV3
from inception_edu.layers import classifier, conv
from inception_edu.losses import head_logits, smoothed_targets
from inception_edu.training import Recipe, evaluate, fit, optimise_for_inference

ROW = TABLE_1["3a"]
NET = GoogLeNet("small", num_classes=10, in_channels=1, aux=False, width=1 / 8)
FASHION = load("fashion_mnist", limit=20, valid=5000)
LABELS = torch.tensor([0, 1])
CALLS = {  # what is called -> words of the answer
    lambda: Inception("192", ROW): ("c_in must be a whole number of at least 1, got '192'",),
    lambda: conv(3, 4, "3"): ("k (height) must be a whole number of at least 1, got '3'",),
    lambda: classifier(8, "10"): ("num_classes must be a whole number of at least 1, got '10'",),
    lambda: InceptionV3("small", width="1"): ("width must be a number above 0", "got '1'"),
    lambda: NET([1, 2]): ("x must be a tensor (n, 1, h, w), got [1, 2]",),
    lambda: layer_table(GoogLeNet): ("model must be a network", "got the class GoogLeNet"),
    lambda: layer_table(NET, 224): ("input_size must be (channels, height, width)", "got 224"),
    lambda: layer_table(NET, (1, 28, 28), depth="2"): ("depth must be a whole number", "got '2'"),
    lambda: smoothed_targets(LABELS, "10"): ("the number of classes must be a whole", "got '10'"),
    lambda: head_logits((LABELS, LABELS)): ("what a network returns must be logits", "(tensor"),
    lambda: evaluate(GoogLeNet, FASHION.valid): ("model must be a network", "class GoogLeNet"),
    lambda: evaluate(NET, FASHION): (
        "split must be train, valid or test of a data set",
        "Dataset(",
    ),
    lambda: fit("googlenet", FASHION, Recipe()): ("model must be a network", "'googlenet'"),
    lambda: fit(NET, FASHION.train, Recipe()): ('as load("mnist") returns', "got Split("),
    lambda: fit(NET, FASHION, dict(lr=0.1)): ("recipe must be a Recipe", "got {'lr': 0.1}"),
    lambda: optimise_for_inference(GoogLeNet): ("model must be a network", "class GoogLeNet"),
    lambda: figures.diagram(NET.stem, (1, 28, 28)): ("blocks must be blocks by their titles",),
    lambda: predict.shipped().cut("cat.jpg"): ("photo must be an image of PIL", "'cat.jpg'"),
}


@pytest.mark.parametrize(("call", "words"), CALLS.items())
def test_a_wrong_kind_is_named_beside_what_is_wanted(call, words):
    refused(TypeError, call, *words)


def test_a_photo_that_is_not_shipped_and_no_classes_at_all_are_refused():
    refused(ValueError, lambda: predict.shipped_photo("dog"), '"astronaut", "cat"', "got 'dog'")
    shipped, photo = predict.shipped(), predict.shipped_photo("cat")
    refused(ValueError, lambda: shipped.most_probable(photo, 0), "top must be a whole number")


def test_a_block_that_does_not_take_the_image_is_not_drawn_and_nothing_else_is_printed(capsys):
    call = lambda: figures.diagram({"3a": Inception(192, ROW)}, (3, 28, 28))  # noqa: E731
    refused(ValueError, call, "3a cannot be drawn: Invalid channel dimensions")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("training", [False, True])
def test_a_whole_googlenet_is_drawn_up_to_its_main_head(training):
    network = GoogLeNet("small", num_classes=10, in_channels=1, width=1 / 8).train(training)
    words = figures.whole("small", network, (1, 28, 28)).words
    assert "linear" in words.splitlines()[-2] and "9 blocks" in words
    assert "small: 28x28x1 -> 10" in figures.diagram({"small": network}, (1, 28, 28)).words
