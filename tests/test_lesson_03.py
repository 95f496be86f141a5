import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision import models

from authoring.notebook import code, read
from conftest import moved
from inception_edu.cost import layer_table, receptive_field
from inception_edu.figures import on_page, render
from inception_edu.googlenet import TABLE_1, GoogLeNet
from inception_edu.lessons import shared
from inception_edu.lessons.lesson_03 import (
    block_explorer,
    checks as checks,
    plain,
    proof,
    suspects,
    table_detective as detective,
)

BLOCKS = [name for name, row in TABLE_1.items() if row.type == "inception"]


@pytest.fixture(scope="module")
def paper():
    with torch.device("meta"):
        return GoogLeNet(aux=False).eval()


SUSPECTS, COLUMN = ["conv1", "4c", "5a"], 6.96
NOT_YET, RIGHT, OPEN = "not right yet", "right", "not attempted yet"


# --- exercise 4: which rows cannot be right


@pytest.mark.parametrize(
    "names",
    [
        {"5a", "4c", "conv1"},
        ("Conv1", "4C", " 5A "),
        np.array(["conv1", "4c", "5a"]),
        ["conv 1", "inception (4c)", "Inception 5a"],
        ["conv1", "4c", "5a", "5a"],
        [row for name, row in suspects.rows().items() if name in SUSPECTS],
        dict.fromkeys(SUSPECTS),
    ],
)
@pytest.mark.parametrize("column", ["6.96", 6.9608448, np.float32(6.961), torch.tensor(6.96)])
def test_conv1_4c_and_5a_and_7_million_are_right(names, column):
    assert checks.exercise_4.judge(names, column) == (RIGHT, "")


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["conv1", "4a", "4c", "5a"], "of row 4a are 0.8% away from the count at most"),
        (["conv1", "4c", "5a", "4d"], "row 4d are 1.8% away from the count at most, which is with"),
        (["conv1", "4c", "5a", "Linear"], "row linear are 2.3% away"),
        (["conv1", "4c"], "one more is off by more: look at both columns"),
        (["5a", "5A"], "2 more are off by more"),
        (["pool1"], "'pool1' is no row with weights: those are conv1, conv2, 3a"),
        (list(suspects.rows()), "row conv2 are"),
        ("conv1", "ive a list of row names"),
        ([1, 2], "ive a list of row names"),
        (3, "ive a list of row names"),
        ([], "ive a list of row names"),
    ],
)
def test_wrong_suspects_are_told_apart_whatever_the_column_is(names, said):
    state, told = checks.exercise_4.judge(names, COLUMN)
    assert state == NOT_YET and said in told and told.startswith("Right: column. suspects: ")
    assert checks.exercise_4.judge(names, ...)[1].endswith("Not attempted yet: column.")


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (6.7977, "6.7977 million comes out where K is 1000"),
        (6797.7, "6,797.7 is the sum in K"),
        (6_960_844.8, "is the sum in weights"),
        (5, "5 million is what [V3] says"),
        (6.99, "6.99 million is the sum as counted here"),
        (7, "7 million is the network's number of weights, rounded"),
        (6.998552, "is the network's number of weights"),
        (5.94, "the sum without row linear"),
        (6.9, "6.9 million is not what the printed K of all 12 rows add up to"),
        (6.97, "is not what the printed K"),
        (-6.96, "is not what the printed K"),
        ("many", "ive the sum as one number, got 'many'"),
        ([6.96, 7], "ive the sum as one number"),
        (True, "ive the sum as one number, got True"),
    ],
)
def test_wrong_sums_of_the_column_are_told_apart(column, said):
    state, told = checks.exercise_4.judge(SUSPECTS, column)
    assert state == NOT_YET and said in told and told.startswith("Right: suspects. column: ")


def test_rows_off_by_more_than_3_percent_are_the_three_of_facts_and_4a_is_not():
    off = {name: row.off for name, row in suspects.rows().items()}
    assert {name for name, value in off.items() if abs(value) > 0.03} == {"conv1", "4c", "5a"}
    assert max(abs(off[name]) for name in off.keys() - {"conv1", "4c", "5a"}) < 0.025
    assert round(off["4c"], 3) == -0.069 and round(off["4a"], 3) == -0.008


# --- exercise 2: two heads


def by_layers(side, channels, classes):
    """Counted in built layers, in numbers of torch."""
    with torch.device("meta"):
        layers = nn.Linear(side**2 * channels, classes), nn.Linear(channels, classes)
    return [torch.tensor(layer.weight.numel()) for layer in layers]


@pytest.mark.parametrize(
    "heads",
    [
        by_layers,
        lambda s, c, k: np.array([s * s, 1]) * c * k,
        lambda grid, c, n: (float(grid**2 * c * n), f"{c * n:,}"),
    ],
)
def test_weights_of_both_heads_are_right_in_any_kind_of_number(heads):
    assert checks.exercise_2.judge(heads) == (RIGHT, "")


@pytest.mark.parametrize(
    ("heads", "said"),
    [
        (lambda s, c, k: (s * c * k, c * k), "the grid has side x side places"),
        (lambda s, c, k: (c * k, c * k), "every place of the grid has weights of its own"),
        (lambda s, c, k: (c * k, s * s * c * k), "the fully connected layer comes first"),
        (lambda s, c, k: (s * s * c * k + k, c * k + k), "biases are left out"),
        (lambda s, c, k: (s * s * c, c * k), "every value that enters has one for each class"),
        (lambda s, c, k: (s * s * c * k, c), "the connected count is right; after the mean"),
        (lambda s, c, k: (50_176_000, 1_024_000), "for side=5, channels=96, classes=10 you say"),
        (lambda s, c, k: (50_176_000, 1_024_000), "your answer is the same for every grid"),
        (lambda s, c, k: (s * c, c * k), "you say 7,168 and 1,024,000, expected 50,176,000 and"),
        (lambda s, c, k: (49 * c * k, c * k), "for side=5"),
        (lambda s, c, k: s * s * c * k, "return two numbers, (connected, pooled), got"),
        (lambda s, c, k: None or print(end=""), "got None"),
        (lambda s: (1, 1), "it raised TypeError"),
    ],
)
def test_wrong_heads_are_told_apart(heads, said):
    state, told = checks.exercise_2.judge(heads)
    assert state == NOT_YET and said.lower() in told.lower(), told


def test_every_argument_of_head_weights_is_drawn_at_least_three_times():
    assert all(len(set(drawn)) >= 3 for drawn in zip(*checks.GRIDS, strict=True))


# --- exercise 3: the same network


def network(theirs, **changes):
    return plain.GoogLeNet(len(theirs.fc.bias), **dict(norm=True, k5=3, pool4=2) | changes)


def copied(ours, theirs, strict=True):
    values = theirs.state_dict().values()
    ours.load_state_dict(dict(zip(ours.state_dict(), values, strict=True)), strict=strict)
    return ours


@torch.no_grad()
def value_by_value(theirs):
    ours = network(theirs)
    for mine, other in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        mine.copy_(other)
    ours.train(False)
    return ours


@torch.no_grad()
def module_by_module(theirs):
    """Pairs the layers, wraps the network in another one and works on copies."""
    ours, kinds = network(theirs), (nn.Conv2d, nn.BatchNorm2d, nn.Linear)
    layers = ([m for m in n.modules() if isinstance(m, kinds)] for n in (ours, theirs))
    for mine, other in zip(*layers, strict=True):
        mine.load_state_dict(other.state_dict())
    return nn.Sequential(nn.Identity(), ours).eval()


@pytest.mark.parametrize("answer", [proof.same_network, value_by_value, module_by_module])
def test_torchvisions_weights_in_ones_own_network_are_right_in_any_make(answer):
    assert checks.exercise_3.judge(answer) == (RIGHT if answer != proof.same_network else OPEN, "")
    torch.manual_seed(0)
    assert checks.check_same_network(answer) is None


@torch.no_grad()
def parameters_alone(theirs):
    ours = network(theirs)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        mine.copy_(other)
    return ours.eval()


def another_epsilon(theirs):
    ours = copied(network(theirs), theirs).eval()
    for module in ours.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eps = 1e-5
    return ours


def swapped(theirs):
    ours = copied(network(theirs), theirs).eval()
    state = ours.state_dict()
    same = [n for n, v in state.items() if v.shape == (128, 256, 1, 1)]
    state[same[0]], state[same[1]] = state[same[1]].clone(), state[same[0]].clone()
    ours.load_state_dict(state)
    return ours


def spoilt(theirs):
    theirs.fc.bias.data += 1
    return copied(network(theirs), theirs).eval()


def once(theirs):
    return copied(plain.GoogLeNet(10, norm=True, k5=3, pool4=2), theirs).eval()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda t: copied(network(t, k5=5), t).eval(), "do not fit: size mismatch for"),
        (lambda t: copied(network(t, k5=5), t).eval(), "k5 is the kernel of that branch"),
        (lambda t: copied(network(t, pool4=3), t).eval(), "the window of the fourth pool"),
        (lambda t: copied(network(t), t), "it is in training mode"),
        (lambda t: network(t).eval(), "its weights are not torchvision's"),
        (lambda t: t, "that is torchvision's own network"),
        (lambda t: nn.Sequential(t).eval(), "that is torchvision's own network"),
        (parameters_alone, "running means and variances are its own"),
        (another_epsilon, "torchvision's batch norms have eps=1e-3"),
        (swapped, "some stand in another one's place"),
        (once, "the weights do not fit"),
        (spoilt, "it has changed torchvision's network"),
        (lambda t: nn.Sequential(copied(network(t), t), nn.Softmax(1)).eval(), "differ by"),
        (lambda t: copied(network(t), t).eval().network, "it returns Outputs"),
        (lambda t: t.state_dict(), "return the network, got"),
        (lambda t: copied(network(t, norm=False), t), "different numbers of tensors"),
        (once, "pair the tensors by their names"),
        (lambda t: network(t, norm=False).missing, "it raised AttributeError"),
    ],
)
def test_wrong_copies_are_told_apart(answer, said):
    checks.theirs.cache_clear()
    state, told = checks.exercise_3.judge(answer)
    checks.theirs.cache_clear()
    assert state == NOT_YET and said.lower() in told.lower(), told


def test_another_image_moves_the_logits_far_more_than_the_tolerance():
    torch.manual_seed(0)
    with torch.no_grad():
        a, b = checks.theirs(10, 0)(torch.randn(2, 3, 80, 64))
    assert (a - b).abs().max() / a.abs().max() > 100 * 1e-4


def test_stubs_are_not_attempted_yet():
    def stub(theirs):
        """a docstring"""
        ...

    assert checks.exercise_2.judge(stub)[0] == checks.exercise_3.judge(stub)[0] == OPEN
    assert checks.exercise_4.judge([...], ...)[0] == OPEN


# --- the proof


def test_only_both_deviations_together_give_torchvisions_logits():
    theirs = checks.theirs(10, 0)
    torch.manual_seed(0)
    _, paper, kernel, both = proof.tries(theirs, torch.randn(1, 3, 224, 224)).rows
    assert paper == ("5x5", "3x3", "335 of 344", "")
    assert kernel[:3] == ("3x3", "3x3", "344 of 344") and float(kernel[3].rstrip("%")) > 1
    assert both == ("3x3", "2x2", "344 of 344", "0.0%")


def test_photos_are_answered_by_the_shipped_checkpoint():
    classifier = proof.small()
    words = proof.show_answers(classifier, "cat", "rocket").words
    for line, name in zip(words.splitlines(), ("cat: ", "rocket: "), strict=False):
        assert line.startswith(name) and line.count("%") == proof.TOP
        assert any(label in line for label in classifier.classes)


def test_the_cell_that_downloads_works_once_it_is_allowed_to(monkeypatch):
    """Its own text, with a network of random weights for the download."""
    (path,) = Path(__file__).parents[1].glob("notebooks/03_*.ipynb")
    (source,) = (c.source for c in code(read(path)) if c.source.startswith("download = False"))
    asked, shown, google = [], [], models.googlenet

    def download(weights):
        asked.append(weights)
        network = google(weights=None, init_weights=False, aux_logits=False, transform_input=True)
        return shared.randomise(network).eval()

    space = dict(models=models, proof=proof, same_network=proof.same_network, display=shown.append)
    monkeypatch.setattr(models, "googlenet", download)
    exec(source, space)
    assert (asked, shown) == ([], [])
    exec(source.replace("download = False", "download = True"), space)
    assert asked == ["DEFAULT"] and "cat: " in shown[0].words
    known = models.GoogLeNet_Weights.IMAGENET1K_V1.meta["categories"]
    assert any(name in shown[0].words for name in known)


def test_torchvisions_published_input_is_what_the_downloaded_network_gets():
    photo = Image.new("RGB", (300, 260), (255, 0, 128))
    x = proof.imagenet(nn.Sequential(nn.Linear(1, 1))).prepare(photo)
    assert x.shape == (1, 3, 224, 224) and x.amax().item() == 1 and x.amin().item() == -1


# --- the explorer of blocks


@pytest.mark.parametrize("name", BLOCKS)
def test_a_blocks_numbers_equal_those_of_layer_table_and_receptive_field(paper, name):
    block = block_explorer.look(paper, name, 224)
    h, w, c = TABLE_1[name].output
    assert block.leaves == (c, h, w)
    rows = {row.name: row for row in layer_table(paper, depth=3).rows}
    row = TABLE_1[name]
    widths = [row.n1x1, row.n3x3, row.n5x5, row.pool_proj]
    assert [b.channels for b in block.branches.values()] == widths
    for branch, found in block.branches.items():
        assert found.macs == rows[f"body.{name}.{branch}"].macs
        modules = paper.body.get_submodule(name)[branch].modules()
        assert found.weights == sum(m.weight.numel() for m in modules if isinstance(m, nn.Conv2d))


WINDOWS = {  # by hand: the window of what enters, then (k - 1) steps more
    "3a": [27, 43, 59, 43],
    "3b": [59, 75, 91, 75],
    "4b": [171, 203, 235, 203],
    "5b": [587, 651, 715, 651],
}


@pytest.mark.parametrize("name", WINDOWS)
def test_windows_grow_by_k_minus_1_steps_of_the_grid(paper, name):
    branches = block_explorer.look(paper, name, 224).branches
    assert [branch.field for branch in branches.values()] == WINDOWS[name]
    step = {"3": 8, "4": 16, "5": 32}[name[0]]
    first = WINDOWS[name][0]
    assert WINDOWS[name] == [first, first + 2 * step, first + 4 * step, first + 2 * step]


def test_the_stems_window_is_27_pixels(paper):
    assert receptive_field(paper.stem).size == (27, 27)  # 7, +2x2, +2x4, +2x4


def test_4b_looks_past_224_pixels_first_and_3b_has_the_largest_5x5_share(paper):
    blocks = {name: block_explorer.look(paper, name, 224).branches for name in BLOCKS}
    assert next(n for n in BLOCKS if blocks[n]["branch5x5"].field > 224) == "4b"
    share = {
        n: b["branch5x5"].macs / sum(branch.macs for branch in b.values())
        for n, b in blocks.items()
    }
    assert max(share, key=share.get) == "3b" and round(share["3b"], 2) == 0.22
    assert {max(b, key=lambda name: b[name].macs) for b in blocks.values()} == {"branch3x3"}


def test_moving_the_explorers_controls_changes_picture_and_words(paper):
    explorer = block_explorer.explorer(paper)
    assert list(explorer.controls["name"].options) == BLOCKS
    assert explorer.values == dict(name="3a", side=224)
    for name, value in (("name", "3b"), ("side", 320), ("name", "5b"), ("side", 96)):
        moved(explorer, **{name: value})
        pixels = tuple(2 * n for n in on_page((10, 3.8)))
        assert struct.unpack(">II", explorer.picture.value[16:24]) == pixels


def test_the_explorers_words_tell_shapes_costs_and_windows(paper):
    explorer = block_explorer.explorer(paper)
    assert "block 3a: 28x28x192 -> 28x28x256, 128,049,152 MACs" in explorer.words
    row = next(line for line in explorer.words.splitlines() if line.startswith("5x5"))
    assert row.split() == ["5x5", "32", "15,872", "12,443,648", "9.7%", "59", "px"]
    explorer.controls["side"].value = 320
    assert "block 3a: 40x40x192 -> 40x40x256" in explorer.words
    assert "15,872" in explorer.words and "12,443,648" not in explorer.words


@pytest.mark.parametrize("side", [96, 320])
def test_the_explorer_draws_a_box_for_each_branch_inside_its_axes(paper, side):
    block = block_explorer.look(paper, "4c", side)
    fig = render(block_explorer._draw, block, (10, 3.8))
    boxes, (photo,) = fig.axes[1].patches, fig.axes[1].images
    assert photo.get_extent() == [0, side, 0, side] and photo.get_array().shape == (side, side, 3)
    assert [box.get_width() for box in boxes] == [b.field for b in block.branches.values()]
    low, high = fig.axes[1].get_xlim()
    assert all(low < box.get_x() and box.get_x() + box.get_width() < high for box in boxes)


# --- the detective's tables


def test_the_formula_row_by_row_gives_the_papers_network():
    assert detective.by_formula() == (6_998_552, 1_582_671_872)


def test_no_widths_give_both_prints_of_4c_and_those_of_conv1_and_5a_belong_together():
    rows = {name: cells for name, *cells in detective.printed_per_place().rows[1:]}
    assert rows["4c"] == ["196", "209.6", "212.2", "7.0%"]
    assert rows["5a"] == ["49", "48.7", "49.7", "0"] and rows["conv1"][-1] == "0"
    assert {name for name, cells in rows.items() if cells[-1] != "0"} == {
        "3b",
        *"4c 4d 4e 5b".split(),
    }


def test_5a_with_48_in_its_5x5_reduce_is_the_reading_nearest_to_the_print():
    rows = detective.readings_of("5a", 832).rows
    assert rows[1] == ("5a as its row says", "", "1018.0", "51.1")
    assert rows[2] == ("#5x5 reduce", "48 instead of 32", "1081.0", "54.2")
    assert rows[-1] == ("printed in Table 1", "", "1072", "54")


def test_costs_beside_the_papers_are_those_of_facts(paper):
    rows = {name: [*cells] for name, *cells in detective.beside_the_paper(paper).rows}
    assert rows["conv1"] == ["9.2", "2.7", "118.0", "34"]
    assert rows["4c"] == ["497.5", "463", "99.9", "100"]
    assert rows["5a"] == ["1018.0", "1072", "51.1", "54"]
    assert rows["linear"] == ["1000.0", "1000", "1.0", "1"]
    assert list(rows) == ["row", "conv1", "conv2", *BLOCKS, "linear"]
    counted = detective.costs(paper)
    assert round(sum(row.printed_weights for row in counted), 1) == 6797.7
    assert sum(row.printed_ops for row in counted) == 1502
    assert sum(row.weights for row in counted) * 1024 == 6_990_272
    assert round(sum(row.ops for row in counted) * 1e6) == 1_582_671_872


def test_readings_of_the_first_row_are_those_of_facts():
    found = {name: numbers for name, _, *numbers in detective.readings().rows}
    assert found["7x7 on RGB, the row itself"] == ["9.19", "118.0"]  # 9,408 and 118,013,952
    assert found["7x7 separable, 8 a channel"] == ["2.65", "34.0"]  # 2,712 and 34.02 M
    assert found["7x1 beside 1x7"] == ["2.62", "33.7"]  # 2,688 and 33.7 M
    assert found["7x1, then 1x7"][0] == "29.31"  # 30,016
    assert found["printed in Table 1"] == ["2.7", "34"]


def test_networks_side_by_side_tell_and_draw_what_was_counted(paper):
    with torch.device("meta"):
        networks = {"AlexNet": torchvision.models.alexnet(), "GoogLeNet": paper}
    tables = {name: layer_table(network) for name, network in networks.items()}
    picture = detective.show_networks(tables)
    assert "AlexNet    61,100,840    714,188,480" in picture.words
    assert "GoogLeNet   6,998,552  1,582,671,872" in picture.words
    assert (
        '"GoogLeNet has the fewest"' in picture.words
        and '"AlexNet has the fewest"' in picture.words
    )
    fig = render(detective._draw_networks, tables, (11, 3.2))
    assert [bar.get_width() for bar in fig.axes[0].patches] == [61.10084, 6.998552]
    assert [text.get_text().strip() for text in fig.axes[1].texts] == ["0.7", "1.6"]
