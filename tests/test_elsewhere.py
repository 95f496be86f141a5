"""Networks in the hands of PyTorch's own tools: export, tracing, compiling, features, summaries."""

import copy
import io
import pickle
import re
import warnings
from pathlib import Path

import pytest
import torch
import torchinfo
from torch import nn
from torch.export import Dim
from torch.nn.parallel import scatter_gather
from torchvision.models.feature_extraction import create_feature_extractor

from conftest import randomise
from inception_edu.googlenet import GoogLeNet
from inception_edu.inception_v3 import LAYOUTS, InceptionV2, InceptionV3
from inception_edu.layers import channels, classifier
from inception_edu.losses import loss_with_aux
from inception_edu.network import Outputs
from inception_edu.training.inference import optimise_for_inference

pytestmark = pytest.mark.usefixtures("one_thread")
BATCH = {"x": {0: Dim("n")}}  # any number of images
HOW = dict(num_classes=5, width=1 / 16)
NETWORKS = {  # name -> network, pixels of a side at which its aux heads work, too
    "googlenet": (lambda: GoogLeNet("paper", **HOW), 64),
    "googlenet, torchvision": (lambda: GoogLeNet("torchvision", **HOW), 64),
    "googlenet, small": (lambda: GoogLeNet("small", **HOW), 28),
    "inception v2": (lambda: InceptionV2(**HOW), 107),
    "inception v3": (lambda: InceptionV3("paper", **HOW), 107),
    "inception v3, torchvision": (lambda: InceptionV3("torchvision", **HOW), 107),
    "inception v3, small": (lambda: InceptionV3("small", **HOW), 28),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


@pytest.fixture(scope="module")
def built():
    """Each network, drawn anew so that its output depends on the image, and two images."""
    found = {}
    for name, (build, side) in NETWORKS.items():
        draw = torch.Generator().manual_seed(0)
        found[name] = randomise(build()).eval(), torch.randn(2, 3, side, side, generator=draw)
    return found


def short(model):
    """The network with each of its kinds of blocks once, for tools that take long."""
    if isinstance(model, InceptionV3):
        layout = model.arguments.get("variant", "paper")
        widths = LAYOUTS[layout].widths
        kept = ("grid35a", "reduce35to17", "grid17d", "reduce17to8", "grid8b")
        few = {name: widths[name] for name in kept}
        model = InceptionV3(LAYOUTS[layout]._replace(widths=few), **HOW)
    else:
        model = copy.deepcopy(model)
        model.body = model.body[:4]  # 3a, 3b, pool3, 4a
        del model.aux["aux2"]
        model.head = classifier(channels(model.body, 0), HOW["num_classes"])
    return randomise(model).eval()


def equal(found, model, x):
    """Whether a tool's outputs are those of the network, for images that matter."""
    with torch.no_grad():
        expected = model(x).logits
    assert (expected[0] - expected[1]).abs().max() > 1e-3 * expected.abs().max()
    assert len(found) == 2 and not len(found[1])
    torch.testing.assert_close(found[0].float(), expected.float(), rtol=1e-3, atol=1e-3)


@pytest.fixture(scope="module")
def shortened(built):
    return {name: (short(model), x) for name, (model, x) in built.items()}


@every_network
def test_torch_export_keeps_outputs_takes_any_number_of_images_and_can_be_saved(name, shortened):
    model, x = shortened[name]
    program, buffer = torch.export.export(model, (x,), dynamic_shapes=BATCH), io.BytesIO()
    torch.export.save(program, buffer)
    buffer.seek(0)
    again = torch.export.load(buffer).module()
    more = torch.cat([x, x.flip(0), x])
    outputs = again(more)
    assert type(outputs) is Outputs and outputs.aux == {}
    equal(outputs, model, more)
    with pytest.raises(Exception, match="[Gg]uard|size|shape"):  # as the network itself would
        again(x[..., 1:])


@every_network
@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_jit_trace_warns_of_nothing_and_takes_any_number_of_images(name, shortened, tmp_path):
    model, x = shortened[name]
    torch.jit.trace(model, x, check_trace=False).save(tmp_path / "network.ts")
    traced = torch.jit.load(tmp_path / "network.ts")
    more = torch.cat([x, x.flip(0), x])
    equal(traced(more), model, more)


@pytest.mark.parametrize("name", ["googlenet", "inception v3, small"])
def test_torch_compile_takes_the_whole_network_and_its_loss_in_training(name, shortened):
    model, x = shortened[name]
    compiled = torch.compile(model, fullgraph=True, backend="eager")
    outputs = compiled(x)
    assert type(outputs) is Outputs and outputs.aux == {}
    equal(outputs, model, x)
    learning, labels = copy.deepcopy(model).train(), torch.tensor([0, 1])
    for layer in learning.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0

    def loss():
        return loss_with_aux(learning(x), labels, aux_weight=0.5, label_smoothing=0.1)

    torch.testing.assert_close(torch.compile(loss, fullgraph=True, backend="eager")(), loss())


@every_network
@pytest.mark.filterwarnings("ignore:NOTE. The nodes")  # with aux heads there are more in training
def test_features_of_any_block_can_be_taken_in_evaluation_and_in_training(name, shortened):
    model, x = copy.deepcopy(shortened[name][0]), shortened[name][1]
    last = [block for block, _ in model.body.named_children()][-1]
    first = [layer for layer, _ in model.stem.named_children()][-1]
    nodes = {f"stem.{first}": "first", f"body.{last}": "grid", "head.linear": "logits"}
    extractor = create_feature_extractor(model, nodes)
    found = extractor(x)
    equal((found["logits"], ()), model, x)
    assert torch.equal(found["grid"], model.body(model.stem(x)))
    assert torch.equal(found["first"], model.stem(x))
    assert list(extractor.train()(x)) == list(found)
    assert pickle.loads(pickle.dumps(extractor)).eval()(x)["grid"].shape == found["grid"].shape


def test_a_network_that_was_traced_symbolically_still_refuses_what_the_network_does(shortened):
    model, x = shortened["googlenet, small"]
    traced = torch.fx.symbolic_trace(model)
    equal(traced(x), model, x)
    with pytest.raises(ValueError, match="x must have shape"):
        traced(x[:, :1])


@every_network
def test_torchinfo_counts_every_parameter(name, built):
    model, x = built[name]
    found = torchinfo.summary(model, input_size=tuple(x.shape), verbose=0)
    assert found.total_params == sum(p.numel() for p in model.parameters())
    assert type(model).__name__ in str(found)


@pytest.mark.parametrize("dynamo", [True, False])
@pytest.mark.parametrize("name", ["googlenet", "inception v2"])
def test_onnx_has_the_logits_as_its_one_output(name, dynamo, shortened, tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxscript" if dynamo else "onnx")
    model, x = shortened[name]
    how = dict(dynamic_shapes=BATCH) if dynamo else dict(dynamic_axes={"x": {0: "n"}})
    how |= dict(input_names=["x"], output_names=["logits"], dynamo=dynamo)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporters' own, of deprecations and folding
        torch.onnx.export(model, (x,), tmp_path / "network.onnx", verbose=False, **how)
    graph = onnx.load(tmp_path / "network.onnx").graph
    assert [value.name for value in graph.output] == ["logits"]
    assert graph.input[0].type.tensor_type.shape.dim[0].dim_param  # a name: any number of images
    session = pytest.importorskip("onnxruntime").InferenceSession(tmp_path / "network.onnx")
    more = torch.cat([x, x.flip(0), x])
    equal((torch.tensor(session.run(None, {"x": more.numpy()})[0]), ()), model, more)


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_tensorboard_draws_the_graph(shortened, tmp_path):
    pytest.importorskip("tensorboard")
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(tmp_path) as writer:
        writer.add_graph(*shortened["googlenet, small"])
    (file,) = tmp_path.iterdir()
    assert file.stat().st_size > 10_000


class Joined:
    """Stands in for torch's gathering, which takes tensors on GPUs only."""

    @staticmethod
    def apply(device, dim, *tensors):
        return torch.cat(tensors, dim)


@pytest.mark.parametrize("training", [False, True])
def test_outputs_of_several_devices_are_gathered_as_data_parallel_does(
    training, built, monkeypatch
):
    monkeypatch.setattr(scatter_gather, "Gather", Joined)
    model, x = built["googlenet, small"]
    model = copy.deepcopy(model).train(training)
    both = scatter_gather.gather([model(x), model(x)], "cpu")
    assert type(both) is Outputs and both.logits.shape == (4, 5)
    assert {name: aux.shape for name, aux in both.aux.items()} == {
        name: (4, 5) for name in model.aux if training
    }


@every_network
def test_networks_and_outputs_are_pickled_and_copied(name, built):
    model, x = built[name]
    for again in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        outputs = pickle.loads(pickle.dumps(again(x)))
        assert type(outputs) is Outputs and torch.equal(outputs.logits, model(x).logits)
        assert copy.deepcopy(again.train())(x).aux.keys() == model.aux.keys()


@every_network
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_runs_on_the_cpu_and_agrees(name, dtype, built):
    model, x = built[name]
    expected = model(x).logits
    found = copy.deepcopy(model).to(dtype)(x.to(dtype)).logits
    assert found.dtype == dtype
    assert (found.float() - expected).abs().max() < 0.1 * expected.abs().max()


# --- a network made fast


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", ["googlenet", "inception v3, small"])
@pytest.mark.filterwarnings("ignore:NOTE. The nodes", "ignore:`torch.jit:FutureWarning")
def test_a_network_made_fast_is_saved_copied_and_exported_like_any_other(
    name, precision, shortened
):
    model, x = shortened[name]
    fast = optimise_for_inference(model, precision=precision)
    assert type(fast) is type(model) and fast(x).logits.dtype == torch.float32
    assert not fast._forward_hooks and not fast._forward_pre_hooks
    other = optimise_for_inference(randomise(copy.deepcopy(model), 1), precision=precision)
    assert not torch.equal(other(x).logits, fast(x).logits)
    other.load_state_dict(fast.state_dict())
    for again in (other, pickle.loads(pickle.dumps(fast)), copy.deepcopy(fast)):
        assert torch.equal(again(x).logits, fast(x).logits)
    equal(torch.jit.trace(fast, x, check_trace=False)(x), fast, x)
    equal(torch.export.export(fast, (x,), dynamic_shapes=BATCH).module()(x), fast, x)
    assert create_feature_extractor(fast, ["head.linear"])(x)["head.linear"].shape == (2, 5)


def test_any_other_network_made_fast_in_bfloat16_is_plain_too():
    model = randomise(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten())).eval()
    x = torch.randn(2, 3, 8, 8)
    fast = pickle.loads(pickle.dumps(optimise_for_inference(model, precision="bfloat16")))
    assert fast(x).dtype == torch.float32
    torch.testing.assert_close(fast(x), model(x), rtol=0.05, atol=0.05)


# --- PACKAGE.md


def test_the_pages_snippet_runs_as_far_as_packages_are_there(tmp_path, monkeypatch, shortened):
    page = (Path(__file__).parents[1] / "PACKAGE.md").read_text(encoding="utf-8")
    code = next(c for c in re.findall(r"```python\n(.*?)```", page, re.S) if "torch.export" in c)
    first, *lines = [line for line in code.splitlines() if line]
    start = next(i for i, line in enumerate(lines) if line.startswith("network = "))
    names = {}
    exec("\n".join([first, *lines[: start + 1]]), names)
    assert isinstance(names["network"], GoogLeNet) and not names["network"].training
    monkeypatch.chdir(tmp_path)
    names["network"] = copy.deepcopy(shortened["googlenet, small"][0])
    names["network"].aux.clear()
    for line in lines[start + 1 :]:
        if "onnx" in line:
            try:
                import onnxscript as onnxscript
            except ImportError:
                continue
        exec(line, names)
    assert {path.suffix for path in tmp_path.iterdir()} - {".onnx", ".data"} == {".pt2"}
    assert names["grid"].shape == (2, 30, 14, 14)
