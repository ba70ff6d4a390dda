"""Classes of inn, dpnn and others outside torch/nn, against NumPy and PyTorch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F  # noqa: N812
from torch7_cases import X2, X3, X4, softmax, t, values

import converters

W = values(3, 4, 3, 2, seed=7)
CHANNELS = values(4, seed=1)
BIAS = values(4, seed=3)


def channels(array: np.ndarray) -> np.ndarray:
    return array[:, None, None]


CASES = [
    ("nn.InstanceNormalization", {"nOutput": 4, "weight": BIAS, "bias": -BIAS, "eps": 1e-3}, X4, F.instance_norm(t(X4), None, None, t(BIAS), t(-BIAS), eps=1e-3).numpy()),
    ("nn.ShaveImage", {"size": 2}, X4, X4[:, :, 2:-2, 2:-2]),
    ("nn.TotalVariation", {"strength": 1e-5}, X4, X4),
    ("nn.TVLoss", {"strength": 1e-5}, X4, X4),
    ("nn.StyleLoss", {"strength": 1e-5}, X4, X4),
    ("w2nn.LeakyReLU", {"negative_scale": 0.1}, X2, np.where(X2 > 0, X2, 0.1 * X2)),
    ("w2nn.RandomBinaryConvolution", {"nInputPlane": 4, "nOutputPlane": 3, "kW": 2, "kH": 3, "dW": 1, "dH": 1, "weight": W.swapaxes(2, 3).reshape(W.shape[0], 4, 2, 3)}, X4, F.conv2d(t(X4), t(W.swapaxes(2, 3).reshape(W.shape))).numpy()),
    ("nn.SpatialCircularPadding", {"pad_l": 2, "pad_r": 1, "pad_t": 3, "pad_b": 0}, X4, np.pad(X4, [(0, 0), (0, 0), (3, 0), (2, 1)], "wrap")),
    ("nn.Upsample", {"factor": 2}, X4[0], X4[0].repeat(2, 1).repeat(2, 2)),
    ("nn.TotalDropout", {"p": 0.3}, X4, X4),
    ("nn.SpatialRegionDropout", {"p": 0.3}, X4, X4),
    ("nn.SimpleColorTransform", {"inputChannels": 4, "range": CHANNELS}, X4, X4),
    ("nn.PCAColorTransform", {"inputChannels": 4, "eigenValues": CHANNELS}, X4, X4),
    ("nn.CategoricalEntropy", {"scale": 1}, X2, X2),
    ("nn.ReinforceNormal", {"stdev": 2}, X2, X2),
    ("nn.ReinforceCategorical", {}, X2, X2),
    ("nn.ReinforceBernoulli", {}, X2, X2),
    ("nn.ReinforceGamma", {"scale": 3}, X2, 3 * X2),
    ("nn.SpatialBinaryConvolution", {"nInputPlane": 4, "nOutputPlane": 3, "kW": 2, "kH": 3, "dW": 1, "dH": 1, "weight": W}, X4, F.conv2d(t(X4), t(np.where(W >= 0, 1, -1).astype(np.float32))).numpy() * np.abs(W).mean((1, 2, 3))[:, None, None]),
    ("inn.SpatialConstAffine", {"a": CHANNELS.reshape(1, 4, 1, 1), "b": -CHANNELS.reshape(1, 4, 1, 1)}, X4, X4 * channels(CHANNELS) - channels(CHANNELS)),
    ("inn.MeanSubtraction", {"mean": values(4, 7, 6, seed=2)}, X4, X4 - values(4, 7, 6, seed=2)),
    ("inn.MeanSubtraction", {"mean": values(1, 4, 7, 6, seed=2)}, X4, X4 - values(1, 4, 7, 6, seed=2)),
    ("nn.SpatialFeatNormalization", {"mean": CHANNELS, "std": np.abs(CHANNELS)}, X3, (X3 - channels(CHANNELS)) / channels(np.abs(CHANNELS))),
    ("nn.ArgMax", {"dim": 1, "nInputDim": 1, "asLong": True}, X2, X2.argmax(1) + 1),
    ("nn.ArgMax", {"dim": 1}, X2[0], X2[:1].argmax(1) + 1),
    ("w2nn.GradWeight", {"constant_scalar": 0.1}, X2, X2),
    ("nn.InstanceNormalization", {"nOutput": 4, "eps": 1e-5, "running_mean": CHANNELS, "running_var": CHANNELS**2}, X4, F.instance_norm(torch.from_numpy(X4)).numpy()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)


def test_instance_normalization_stopped_at_its_statistics_is_refused(run_net):
    batch_norm = ("nn.SpatialBatchNormalization", {"train": False})
    fields = {"nOutput": 4, "running_mean": CHANNELS, "bn": batch_norm}
    with pytest.raises(converters.UnsupportedError, match="normalises by running statistics"):
        run_net(("nn.InstanceNormalization", fields), X4)


@pytest.mark.parametrize("x", [X4, X4[0]])
def test_spatial_pyramid_pooling(run_net, x):
    levels = [
        ("nn.Sequential", {"modules": [
            ("nn.SpatialAdaptiveMaxPooling", {"W": w, "H": h}),
            ("nn.View", {"size": ("storage", np.array([-1])), "numInputDims": 3}),
        ]})
        for w, h in ((2, 3), (1, 1))
    ]  # fmt: skip
    (got,) = run_net(("inn.SpatialPyramidPooling", {"modules": levels, "dimension": 1}), x)
    pooled = [F.adaptive_max_pool2d(torch.from_numpy(x), size) for size in ((3, 2), (1, 1))]
    wanted = torch.cat([part.flatten(-3) for part in pooled], -1).numpy()
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("fields", "end"), [({"spatial_scale": 0.5}, 0), ({"spatial_scale": 0.5, "v2": True}, -2)]
)
def test_roi_pooling(run_net, fields, end):
    # Regions of image, left, top, right and bottom, all from 1; version 2 leaves their last row and column out.
    regions = np.array([[1, 1, 1, 11 - end, 13 - end], [2, 5, 3, 7 - end, 9 - end]], np.float32)
    (got,) = run_net(("inn.ROIPooling", {"W": 2, "H": 2, **fields}), X4, regions)
    wanted = [
        F.adaptive_max_pool2d(torch.from_numpy(X4[0]), 2).numpy(),
        F.adaptive_max_pool2d(torch.from_numpy(X4[1, :, 1:5, 2:4].copy()), 2).numpy(),
    ]
    np.testing.assert_array_equal(got, wanted)


def test_regions_are_not_as_many_as_images(save_t7):
    model = converters.load(save_t7(("inn.ROIPooling", {"W": 2, "H": 2})))
    assert [str(value.shape[0]) for value in model.graph.inputs] == ["N", "R"]
    assert str(model.graph.outputs[0].shape[0]) == "R"


def test_clipping_in_place_is_seen_by_siblings(run_net):
    branches = [("nn.Identity", {}), ("w2nn.InplaceClip01", {})]
    got = run_net(("nn.ConcatTable", {"modules": branches}), X2)
    np.testing.assert_array_equal(got, [X2.clip(0, 1)] * 2)


def test_scale_table(run_net):
    (got,) = run_net(("w2nn.ScaleTable", {}), X4, X4[:, :, :1, :1])
    np.testing.assert_allclose(got, X4 * X4[:, :, :1, :1], atol=1e-6)
    with pytest.raises(converters.FormatError, match="cannot scale 2x4x7x6 by 2x4"):
        run_net(("w2nn.ScaleTable", {}), X4, X4[:, :, 0, 0])


def test_auxiliary_loss_table(run_net):
    (got,) = run_net(("w2nn.AuxiliaryLossTable", {"i": 2}), X2, X3)
    np.testing.assert_array_equal(got, X3)


def test_tables_of_which_torch_uses_the_first_two(run_net):
    np.testing.assert_allclose(run_net(("w2nn.ShakeShakeTable", {}), X2, -2 * X2), [-X2], atol=1e-6)
    np.testing.assert_array_equal(run_net(("nn.ReinforceNormal", {}), X2, np.abs(X2)), [X2])
    np.testing.assert_allclose(run_net(("nn.ReinforceGamma", {}), X2, -2 * X2), [-2 * X2 * X2], atol=1e-6)


@pytest.mark.parametrize("logarithm", [False, True])
def test_noise_contrast_estimation(run_net, logarithm):
    weight, bias = values(5, 6), values(5)
    fields = {"weight": weight, "bias": bias, "normalized": True, "logsoftmax": logarithm}
    (got,) = run_net(("nn.NCEModule", fields), X2, np.ones(3, np.float32))
    wanted = softmax(X2 @ weight.T + bias, 1)
    np.testing.assert_allclose(got, np.log(wanted) if logarithm else wanted, atol=1e-5)
    with pytest.raises(converters.UnsupportedError, match="compares with random samples"):
        run_net(("nn.NCEModule", {**fields, "normalized": False}), X2, np.ones(3, np.float32))


def test_random_samples_in_evaluation_are_refused(run_net):
    with pytest.raises(converters.UnsupportedError, match="draws random samples in evaluation too"):
        run_net(("nn.ReinforceBernoulli", {"stochastic": True}), X2)


def test_circular_padding_beyond_the_image_is_refused(run_net):
    with pytest.raises(converters.FormatError, match="6 entries cannot be continued by 7"):
        run_net(("nn.SpatialCircularPadding", {"pad_l": 7, "pad_r": 0, "pad_t": 0, "pad_b": 0}), X4)


def test_dense_connect_layers(run_net):
    def layer(factor: float) -> tuple:
        first = ("nn.Sequential", {"modules": [("nn.MulConstant", {"constant_scalar": factor})]})
        second = ("nn.Sequential", {"modules": [("nn.Narrow", {"dimension": 2, "index": 1, "length": 1})]})
        return "nn.DenseConnectLayerCustom", {"modules": [first, second]}

    net = ("nn.Sequential", {"modules": [layer(2), layer(3), ("nn.JoinTable", {"dimension": 2})]})
    (got,) = run_net(net, X4)
    np.testing.assert_allclose(got, np.concatenate([X4, 2 * X4[:, :1], 3 * X4[:, :1]], 1), rtol=1e-6)
