"""A generated net.py trains as its source would: dropout, and batch normalisation with its scale.

What is computed in evaluation is held against recordings elsewhere; here the same file is put into training.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import onnx
import pytest
import torch
from corpus_cases import CORPUS, Case
from torch import nn

import converters

DATA = 'input: "data" input_shape { dim: 6 dim: 3 dim: 5 dim: 5 } '
BATCH_NORM = 'layer {{ name: "bn" type: "BatchNorm" bottom: "{}" top: "bn" {} }} '
SCALE = 'layer {{ name: "sc" type: "Scale" bottom: "bn" top: "{}" scale_param {{ {} }} }} '


def model_of(tmp_path, text: str, **options):
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return converters.load(path, init=0, **options)


def net_of(model, tmp_path) -> nn.Module:
    converters.save(model, tmp_path / "trained.py")
    spec = importlib.util.spec_from_file_location("trained", tmp_path / "trained.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def modules(net: nn.Module) -> dict[str, str]:
    return {name: repr(module) for name, module in net.named_children()}


def operators(model) -> list[str]:
    return [node.op_type for node in model.graph]


def dropout(top: str, more: str = "dropout_ratio: 0.3", kind: str = "Dropout", param: str = "dropout") -> str:
    return (
        f'layer {{ name: "drop" type: "{kind}" bottom: "data" top: "{top}" {param}_param {{ {more} }} }} '
        f'layer {{ name: "relu" type: "ReLU" bottom: "{top}" top: "out" }}'
    )


@pytest.mark.parametrize("top", ["data", "dropped"])
def test_dropout_is_a_module_in_pytorch_and_nothing_in_onnx(tmp_path, top):
    model = model_of(tmp_path, DATA + dropout(top))
    assert operators(model) == ["Relu"]
    converters.save(model, tmp_path / "net.onnx")
    assert [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node] == ["Relu"]
    net = net_of(model, tmp_path)
    assert modules(net)["drop"] == "Dropout(p=0.3, inplace=False)"
    x = torch.rand(6, 3, 50, 50) + 1
    assert torch.equal(net(x), x)
    y = net.train()(x)
    kept = y != 0
    assert torch.allclose(y[kept], x[kept] / 0.7)
    assert abs(kept.float().mean().item() - 0.7) < 0.02


def test_one_dropout_that_two_layers_read_drops_the_same_values_for_both(tmp_path):
    text = DATA + dropout("d") + ' layer { name: "abs" type: "AbsVal" bottom: "d" top: "abs" }'
    net = net_of(model_of(tmp_path, text), tmp_path).train()
    assert sum(isinstance(module, nn.Dropout) for module in net.modules()) == 1
    first, second = net(torch.rand(6, 3, 20, 20) + 1)
    assert torch.equal(first, second)


def test_a_layer_that_reads_the_blob_before_the_dropout_gets_all_values(tmp_path):
    text = DATA + dropout("d") + ' layer { name: "abs" type: "AbsVal" bottom: "data" top: "abs" }'
    x = torch.rand(6, 3, 20, 20) + 1
    dropped, whole = net_of(model_of(tmp_path, text), tmp_path).train()(x)
    assert torch.equal(whole, x)
    assert (dropped == 0).any()


def test_dropout_at_the_end_of_a_net(tmp_path):
    text = DATA + 'layer { name: "d" type: "Dropout" bottom: "data" top: "out" }'
    model = model_of(tmp_path, text)
    net = net_of(model, tmp_path)
    x = torch.rand(6, 3, 20, 20) + 1
    assert torch.equal(net(x), x)
    assert (net.train()(x) == 0).any()
    assert [str(value.name) for value in model.graph.outputs] == ["out"]


def test_a_fork_that_scales_at_inference_does_not_scale_in_training(tmp_path):
    net = net_of(model_of(tmp_path, DATA + dropout("d", "dropout_ratio: 0.25 scale_train: false")), tmp_path)
    x = torch.rand(6, 3, 20, 20) + 1
    torch.testing.assert_close(net(x), 0.75 * x)
    y = net.train()(x)
    torch.testing.assert_close(y[y != 0], x[y != 0])


def test_spatial_dropout_drops_whole_channels(tmp_path):
    text = DATA + dropout("d", "dropout_ratio: 0.5", "SpatialDropout", "spatial_dropout")
    net = net_of(model_of(tmp_path, text), tmp_path)
    assert modules(net)["drop"] == "Dropout2d(p=0.5, inplace=False)"
    zero = net.train()(torch.rand(6, 30, 4, 4) + 1) == 0
    assert set(zero.float().mean(dim=(2, 3)).ravel().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize(
    ("name", "module", "scales_in_eval"),
    [
        ("dropout_v2_inplace", nn.Dropout, False),
        ("Dropout_v1", nn.Dropout, True),
        ("SpatialDropout", nn.Dropout2d, True),
        ("VolumetricDropout", nn.Dropout3d, True),
    ],
)
def test_dropout_of_torch7(tmp_path, name, module, scales_in_eval):
    """In training, nn.Dropout of version 2 divides by 1 - p; the others multiply by 1 - p in evaluation."""
    case = Case.load(CORPUS / "torch7" / name)
    shapes = {"input": next(iter(case.inputs.values())).shape}
    net = net_of(converters.load(case.folder / "net.t7", input_shapes=shapes), tmp_path)
    found = [part for part in net.modules() if type(part) is module]
    assert len(found) == 1
    (x,) = (torch.from_numpy(array) for array in case.inputs.values())
    torch.manual_seed(0)
    trained, dropped = net.train()(x), found[0](torch.ones(1, 2000, *[1] * (max(x.ndim, 3) - 2)))
    assert (dropped == 0).any()
    assert trained.shape == net.eval()(x).shape
    if scales_in_eval:
        # One nn.Dropout2d module and the product with 1 - p: what is kept is unchanged in training.
        assert torch.allclose(dropped[dropped != 0] * (1 - found[0].p), torch.ones(1))


def test_batch_norm_and_scale_are_one_module_that_trains_as_in_caffe(tmp_path):
    text = (
        DATA
        + BATCH_NORM.format("data", "batch_norm_param { eps: 0.01 moving_average_fraction: 0.95 }")
        + SCALE.format("sc", "bias_term: true filler { value: 2 } bias_filler { value: 0.5 }")
    )
    model = model_of(tmp_path, text)
    assert operators(model) == ["BatchNormalization"]
    net = net_of(model, tmp_path)
    assert [name for name, _ in net.named_children()] == ["bn"]
    assert (type(net.bn), net.bn.eps, net.bn.momentum) == (nn.BatchNorm2d, 0.01, 0.05)
    net.bn.running_mean.fill_(0.25)
    net.bn.running_var.fill_(4.0)
    x = np.random.default_rng(0).standard_normal((6, 3, 5, 5)) * 3 + 1
    got = net.train()(torch.from_numpy(x.astype(np.float32))).detach().numpy()
    mean, variance, count = x.mean((0, 2, 3)), x.var((0, 2, 3)), x.size / 3
    wanted = 2 * (x - mean[:, None, None]) / np.sqrt(variance + 0.01)[:, None, None] + 0.5
    np.testing.assert_allclose(got, wanted, atol=1e-5)
    # BatchNormLayer: the moving sums keep 0.95 of themselves; the variance is the unbiased one.
    np.testing.assert_allclose(net.bn.running_mean, 0.95 * 0.25 + 0.05 * mean, rtol=1e-5)
    unbiased = variance * count / (count - 1)
    np.testing.assert_allclose(net.bn.running_var, 0.95 * 4 + 0.05 * unbiased, rtol=1e-5)


def test_a_scale_without_bias_does_not_learn_one(tmp_path):
    text = DATA + BATCH_NORM.format("data", "") + SCALE.format("sc", "")
    model = model_of(tmp_path, text)
    assert operators(model) == ["BatchNormalization"]
    net = net_of(model, tmp_path)
    assert [name for name, _ in net.named_parameters()] == ["sc_scale"]
    assert not net.bn.affine


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (BATCH_NORM.format("data", ""), ["BatchNormalization"]),
        # The blob between the two is read by another layer too.
        (
            BATCH_NORM.format("data", "")
            + SCALE.format("sc", "bias_term: true")
            + 'layer { name: "e" type: "Eltwise" bottom: "bn" bottom: "sc" top: "e" }',
            ["BatchNormalization", "Mul", "Add", "Add"],
        ),
        # The scale spans other axes than the channels.
        (
            BATCH_NORM.format("data", "") + SCALE.format("sc", "axis: 2 num_axes: 1"),
            ["BatchNormalization", "Mul"],
        ),
        (
            BATCH_NORM.format("data", "")
            + 'layer { name: "d" type: "Dropout" bottom: "bn" top: "bn" } '
            + SCALE.format("sc", "bias_term: true"),
            ["BatchNormalization", "Mul", "Add"],
        ),
    ],
)
def test_layers_that_are_no_pair_stay_apart(tmp_path, text, wanted):
    model = model_of(tmp_path, DATA + text)
    assert operators(model) == wanted
    assert net_of(model, tmp_path)(torch.zeros(6, 3, 5, 5)) is not None


def test_a_blob_between_the_two_can_be_an_output(tmp_path):
    text = DATA + BATCH_NORM.format("data", "") + SCALE.format("sc", "bias_term: true")
    assert operators(model_of(tmp_path, text, outputs=["bn", "sc"])) == ["BatchNormalization", "Mul", "Add"]


def test_batch_normalisation_of_torch7_learns_what_the_module_learns(tmp_path):
    learns = converters.load(CORPUS / "torch7" / "SpatialBatchNormalization" / "net.t7")
    (module,) = [part for part in net_of(learns, tmp_path).modules() if isinstance(part, nn.BatchNorm2d)]
    assert module.affine
    assert module.momentum == pytest.approx(0.1)
    nothing = Case.load(CORPUS / "torch7" / "bn_noaffine")
    net = net_of(converters.load(nothing.folder / "net.t7", **nothing.options), tmp_path)
    assert not [part for part in net.modules() if isinstance(part, nn.BatchNorm1d) and part.affine]


def test_initial_scales_of_one_are_trained(tmp_path):
    """A scale of 1 and a bias of 0 have no effect yet, and are weights all the same."""
    text = DATA + BATCH_NORM.format("data", "") + SCALE.format("sc", "bias_term: true")
    net = net_of(model_of(tmp_path, text), tmp_path)
    assert sorted(name for name, _ in net.named_parameters()) == ["bn.bias", "bn.weight"]


def test_several_dropouts_at_the_end_of_a_net(tmp_path):
    """All of one blob that is an input: each output needs a node of its own, and each node a name."""
    layer = 'layer {{ name: "{0}" type: "Dropout" bottom: "data" top: "{0}" }} '
    text = DATA + "".join(layer.format(name) for name in ("a", "b", "c"))
    model = model_of(tmp_path, text)
    assert operators(model) == ["Identity"] * 3
    assert len({node.name for node in model.graph}) == 3
    net = net_of(model, tmp_path)
    x = torch.rand(6, 3, 20, 20) + 1
    assert all(torch.equal(y, x) for y in net(x))
    first, second, third = net.train()(x)
    assert not torch.equal(first, second)
    assert (third == 0).any()
