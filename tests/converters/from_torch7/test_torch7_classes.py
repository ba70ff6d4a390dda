"""Module classes and forms of them that the recorded cases leave out, against NumPy and PyTorch.

The nets are written as .t7 files with the fields that Torch's own classes have.
"""

# One row a case: wrapped, the tables could not be read.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F  # noqa: N812
from torch7_cases import sizes, t, values

X2, X3, X4, X5 = values(3, 6), values(4, 5, 6), values(2, 4, 7, 6), values(2, 3, 4, 5, 6)
W = values(6, 4, seed=1)
K = values(4, 3, 3, 2, seed=2)
BIAS = values(4, seed=3)


def softmax(x: np.ndarray, axes: int | tuple[int, ...]) -> np.ndarray:
    e = np.exp(x - x.max(axes, keepdims=True))
    return e / e.sum(axes, keepdims=True)


ELEMENTWISE = [
    ("nn.Abs", {}, np.abs),
    ("nn.LogSigmoid", {}, lambda x: -np.log1p(np.exp(-x))),
    ("nn.SoftSign", {}, lambda x: x / (1 + np.abs(x))),
    ("nn.Power", {"pow": 3}, lambda x: x**3),
    ("nn.HardTanh", {}, lambda x: np.clip(x, -1, 1)),
    ("nn.HardTanh", {"min_val": -0.3, "max_val": 0.6}, lambda x: np.clip(x, -0.3, 0.6)),
    ("nn.LeakyReLU", {"negval": 0.05}, lambda x: np.where(x > 0, x, 0.05 * x)),
    ("nn.ELU", {"alpha": 0.5}, lambda x: np.where(x > 0, x, 0.5 * np.expm1(x))),
    (
        "nn.SoftPlus",
        {"beta": 2, "threshold": 1},
        lambda x: np.where(2 * x > 1, x, np.log1p(np.exp(2 * x)) / 2),
    ),
    ("nn.SoftShrink", {"lambda": 0.2}, lambda x: np.sign(x) * np.maximum(np.abs(x) - 0.2, 0)),
    ("nn.Threshold", {"threshold": 0.1, "val": -2}, lambda x: np.where(x > 0.1, x, -2)),
    ("cudnn.ClippedReLU", {"ceiling": 0.7}, lambda x: np.clip(x, 0, 0.7)),
    ("cudnn.Tanh", {"mode": "CUDNN_ACTIVATION_TANH"}, np.tanh),
    ("cudnn.Dropout", {"p": 0.3}, lambda x: x),
    ("nn.GradientReversal", {"lambda": 1}, lambda x: x),
    ("nn.MulConstant", {"constant_scalar": -3}, lambda x: -3 * x),
    ("nn.WhiteNoise", {"mean": 0.5, "std": 1}, lambda x: x + 0.5),
    ("nn.Mul", {"weight": np.array([1.5], np.float32)}, lambda x: 1.5 * x),
    ("nn.Sum", {"dimension": 1, "squeeze": False}, lambda x: x.sum(0, keepdims=True)),
    ("nn.Add", {"bias": np.array([2.5], np.float32), "scalar": True}, lambda x: x + 2.5),
]


@pytest.mark.parametrize(("name", "fields", "expected"), ELEMENTWISE)
def test_elementwise(run_net, name, fields, expected):
    (got,) = run_net((name, fields), X2)
    np.testing.assert_allclose(got, expected(X2.astype(np.float64)), atol=2e-6)


TENSORS = [
    ("nn.AddConstant", {"constant_scalar": values(6)}, X2, X2 + values(6)),
    ("nn.Add", {"bias": values(6)}, X2, X2 + values(6)),
    ("nn.Add", {"bias": values(3, 6, seed=4)}, X2, X2 + values(3, 6, seed=4)),
    ("nn.CMul", {"weight": values(1, 4, 1, 1)}, X4, X4 * values(1, 4, 1, 1)),
    ("nn.CMul", {"weight": values(4, 7, 6)}, X4, X4 * values(4, 7, 6)),
    ("nn.CMul", {"weight": values(18)}, X2, X2 * values(18).reshape(3, 6)),
    ("nn.CAdd", {"bias": values(6)}, X2, X2 + values(6)),
    ("nn.Constant", {"value": values(5)}, X2, values(5)),
    ("nn.Constant", {"value": values(5), "nInputDim": 1}, X2, np.tile(values(5), (3, 1))),
    ("fbnn.Constant", {"value": values(5)}, X2, np.tile(values(5), (3, 1))),
    ("nn.PReLU", {"nOutputPlane": 4, "weight": BIAS}, X4, np.where(X4 > 0, X4, X4 * BIAS[:, None, None])),
    ("nn.PReLU", {"nOutputPlane": 4, "weight": BIAS}, X3, np.where(X3 > 0, X3, X3 * BIAS[:, None, None])),
    ("nn.PReLU", {"nOutputPlane": 6, "weight": values(6)}, X2, np.where(X2 > 0, X2, X2 * values(6))),
    ("nn.SoftMax", {}, X3, softmax(X3, 0)),
    ("nn.LogSoftMax", {}, X2, np.log(softmax(X2, 1))),
    ("nn.SpatialSoftMax", {}, X4, softmax(X4, 1)),
    ("cudnn.SoftMax", {}, X3, softmax(X3, (0, 1, 2))),
    ("cudnn.LogSoftMax", {}, X4, np.log(softmax(X4, (1, 2, 3)))),
    ("cudnn.SpatialLogSoftMax", {}, X4, np.log(softmax(X4, 1))),
    ("cudnn.VolumetricSoftMax", {}, X5, softmax(X5, 1)),
    ("nn.GatedLinearUnit", {}, X2, X2[:, :3] / (1 + np.exp(-X2[:, 3:]))),
    ("nn.Euclidean", {"weight": W}, X2, np.linalg.norm(X2[:, :, None] - W, axis=1)),
    ("nn.Euclidean", {"weight": W}, X2[0], np.linalg.norm(X2[0][:, None] - W, axis=0)),
    ("nn.Cosine", {"weight": W.T.copy()}, X2[0], W.T @ X2[0] / np.linalg.norm(W, axis=0) / np.linalg.norm(X2[0])),
    ("nn.Normalize", {"p": 3, "eps": 1e-10}, X2, X2 / (np.abs(X2) ** 3).sum(1, keepdims=True) ** (1 / 3)),
    ("nn.Normalize", {"p": 2, "eps": 1e-10}, X2[0], X2[0] / np.linalg.norm(X2[0])),
    ("nn.Linear", {"weight": W.T.copy(), "bias": False}, X2, X2 @ W),
    ("nn.Replicate", {"nfeatures": 2}, X2, np.stack([X2, X2])),
    ("nn.Replicate", {"nfeatures": 2, "dim": 3}, X2, np.stack([X2, X2], 2)),
    ("nn.Unsqueeze", {"pos": 1, "numInputDims": 1}, X2, X2[:, None]),
    ("nn.Squeeze", {"numInputDims": 2}, X2[:1, None], X2[:1]),
    ("nn.Squeeze", {"dim": 1, "numInputDims": 2}, X2[:, None], X2),
    ("nn.Squeeze", {}, X2[:1, :1], X2[0, :1]),
    ("nn.Transpose", {"permutations": [[1, 2]], "numInputDims": 2}, X3, X3.swapaxes(1, 2)),
    ("nn.Select", {"dimension": 2, "index": -1}, X3, X3[:, -1]),
    ("nn.Narrow", {"dimension": 2, "index": -1, "length": 2}, X3, X3[:, :3]),
    ("nn.Collapse", {"nInputDim": 3}, X3, X3.reshape(-1)),
    ("nn.Convert", {"inputShape": "bchw", "outputShape": "bf"}, X4, X4.reshape(2, -1)),
    ("nn.Convert", {"inputShape": "bchw", "outputShape": "bhwc"}, X4[0], X4[0].transpose(1, 2, 0)),
    ("nn.Convert", {"inputShape": "tb", "outputShape": "b"}, X2, X2[0]),
    ("nn.Reshape", {"size": sizes(20, 6), "batchMode": False}, X3, X3.reshape(20, 6)),
    ("nn.Reshape", {"size": sizes(30)}, X3, X3.reshape(4, 30)),
    ("nn.View", {"size": sizes(30)}, X3, X3.reshape(4, 30)),
    ("nn.View", {"size": sizes(-1), "numInputDims": 2}, X3, X3.reshape(4, 30)),
    ("nn.View", {"size": sizes(1, -1)}, X3, X3.reshape(1, 120)),
    ("nn.Padding", {"dim": 1, "pad": -2, "value": 7, "nInputDim": 1}, X2, np.pad(X2, [(0, 0), (2, 0)], constant_values=7)),
    ("nn.Padding", {"dim": 1, "pad": -2, "value": 7, "index": 4}, X2, np.pad(X2, [(0, 2), (0, 0)], constant_values=7)),
    ("nn.Padding", {"dim": 1, "pad": 2, "value": 7, "index": 4}, X2, np.pad(X2, [(2, 0), (0, 0)], constant_values=7)),
    ("nn.SpatialZeroPadding", {"pad_l": -1, "pad_r": 2, "pad_t": 0, "pad_b": -3}, X4, np.pad(X4[:, :, :-3, 1:], [(0, 0)] * 3 + [(0, 2)])),
    ("nn.Max", {"dimension": 1}, X2[0], X2[0].max(keepdims=True)),
    ("nn.Mean", {"dimension": -1}, X3, X3.mean(2)),
    ("nn.Min", {"dimension": 1, "nInputDims": 2}, X3, X3.min(1)),
    ("nn.SpatialBatchNormalization", {"running_mean": BIAS, "running_var": np.abs(BIAS), "eps": 0.1}, X4, (X4 - BIAS[:, None, None]) / np.sqrt(np.abs(BIAS) + 0.1)[:, None, None]),
    ("nn.TemporalMaxPooling", {"kW": 2, "dW": 2}, X3, F.max_pool1d(t(X3).mT, 2, 2).mT.numpy()),
    ("nn.TemporalMaxPooling", {"kW": 3, "dW": 1}, X3[0], F.max_pool1d(t(X3[0]).T, 3, 1).T.numpy()),
    ("nn.PixelShuffle", {"upscaleFactor": 2}, X4, F.pixel_shuffle(t(X4), 2).numpy()),
    ("nn.UpSampling", {"mode": "nearest", "scale_factor": 3}, X4, F.interpolate(t(X4), scale_factor=3).numpy()),
    ("nn.UpSampling", {"mode": "nearest", "scale_factor": 2}, X5, F.interpolate(t(X5), scale_factor=2).numpy()),
    ("nn.UpSampling", {"mode": "linear", "scale_factor": 2}, X5, F.interpolate(t(X5), scale_factor=2, mode="trilinear", align_corners=True).numpy()),
    ("nn.UpSampling", {"mode": "linear", "oheight": 9, "owidth": 4}, X4, F.interpolate(t(X4), (9, 4), mode="bilinear", align_corners=True).numpy()),
    ("nn.SpatialUpSamplingBilinear", {"oheight": 1, "owidth": 9}, X4[0], F.interpolate(t(X4[:1]), (1, 9), mode="bilinear", align_corners=True)[0].numpy()),
    ("nn.SpatialUpSamplingNearest", {"scale_factor": 2}, X4[0], F.interpolate(t(X4[:1]), scale_factor=2)[0].numpy()),
    ("nn.SpatialAdaptiveAveragePooling", {"H": 3, "W": 4}, X4, F.adaptive_avg_pool2d(t(X4), (3, 4)).numpy()),
    ("nn.SpatialAdaptiveMaxPooling", {"H": 3, "W": 4}, X4[0], F.adaptive_max_pool2d(t(X4[0]), (3, 4)).numpy()),
    ("nn.SpatialAdaptiveMaxPooling", {"H": 1, "W": 1}, X4, X4.max((2, 3), keepdims=True)),
    ("nn.FeatureLPPooling", {"width": 3, "stride": 2, "power": 4, "batch_mode": False}, np.abs(X3), (np.stack([(np.abs(X3)[k : k + 3] ** 4).sum(0) for k in (0,)]) ** 0.25)),
    ("nn.InstanceNormalization", {"nOutput": 4, "weight": BIAS, "bias": -BIAS, "eps": 1e-3}, X4, F.instance_norm(t(X4), None, None, t(BIAS), t(-BIAS), eps=1e-3).numpy()),
    ("nn.ShaveImage", {"size": 2}, X4, X4[:, :, 2:-2, 2:-2]),
    ("nn.TotalVariation", {"strength": 1e-5}, X4, X4),
    ("nn.LookupTable", {"weight": W}, np.array([[1, 6], [2, 2]]), W[[[0, 5], [1, 1]]]),
    ("nn.OneHot", {"outputSize": 3}, np.array([[1, 3], [2, 0]]), np.eye(4)[[[1, 3], [2, 0]]][..., 1:]),
    ("nn.SparseLinear", {"weight": W.T.copy(), "bias": BIAS}, np.array([[[1, 2], [3, -1]], [[6, 1], [6, 1]]], np.float32), np.stack([2 * W[0] - W[2], 2 * W[5]]) + BIAS),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), TENSORS)
def test_tensor_in_tensor_out(run_net, name, fields, given, expected):
    (got,) = run_net((name, fields), given)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-5)


def conv_fields(weight: np.ndarray, sides: str, stride: int = 1, pad: int = 0, **more: object) -> dict:
    """The fields of a convolution class; nInputPlane and nOutputPlane are given by keyword."""
    kernel = dict(zip([f"k{side}" for side in sides], weight.shape[-len(sides) :], strict=True))
    steps = {f"{name}{side}": n for side in sides for name, n in (("d", stride), ("pad", pad))}
    return {"weight": weight, "bias": BIAS, **kernel, **steps, **more}


K4, K5 = values(4, 4, 3, 2, seed=5), values(3, 4, 2, 3, 2, seed=6)
CONVOLUTIONS = [
    ("cudnn.SpatialConvolution", conv_fields(K4[:, :2], "HW", 2, 1, nInputPlane=4, nOutputPlane=4, groups=2), X4,
     lambda: F.conv2d(t(X4), t(K4[:, :2].copy()), t(BIAS), 2, 1, groups=2)),
    ("nn.SpatialDilatedConvolution", conv_fields(K4, "HW", 1, 1, nInputPlane=4, nOutputPlane=4, dilationH=2, dilationW=3), X4[0],
     lambda: F.conv2d(t(X4[:1]), t(K4), t(BIAS), 1, 1, (2, 3))[0]),
    ("nn.SpatialFullConvolution", conv_fields(K4, "HW", 2, 1, nInputPlane=4, nOutputPlane=4, adjH=1, adjW=0), X4[0],
     lambda: F.conv_transpose2d(t(X4[:1]), t(K4), t(BIAS), 2, 1, (1, 0))[0]),
    ("cudnn.SpatialFullConvolution", conv_fields(K4[:, :2], "HW", 2, nInputPlane=4, nOutputPlane=4, groups=2), X4,
     lambda: F.conv_transpose2d(t(X4), t(K4[:, :2].copy()), t(BIAS), 2, groups=2)),
    ("nn.VolumetricConvolution", conv_fields(K5.swapaxes(0, 1).copy(), "THW", 1, 1, nInputPlane=3, nOutputPlane=4), X5,
     lambda: F.conv3d(t(X5), t(K5.swapaxes(0, 1).copy()), t(BIAS), 1, 1)),
    ("nn.VolumetricDilatedConvolution", conv_fields(K5.swapaxes(0, 1).copy(), "THW", 1, 1, nInputPlane=3, nOutputPlane=4, dilationT=1, dilationH=2, dilationW=2), X5,
     lambda: F.conv3d(t(X5), t(K5.swapaxes(0, 1).copy()), t(BIAS), 1, 1, (1, 2, 2))),
    ("nn.VolumetricFullConvolution", conv_fields(K5, "THW", 2, 1, nInputPlane=3, nOutputPlane=4, adjT=1, adjH=0, adjW=1), X5[0],
     lambda: F.conv_transpose3d(t(X5[:1]), t(K5), t(BIAS), 2, 1, (1, 0, 1))[0]),
    ("nn.VolumetricFullConvolution", {"weight": K5.swapaxes(0, 1).copy(), "bias": BIAS, "kT": 2, "kH": 3, "kW": 2, "dT": 1, "dH": 2, "dW": 1, "pT": 1, "pH": 0, "pW": 1, "nInputPlane": 3, "nOutputPlane": 4}, X5,
     lambda: F.conv_transpose3d(t(X5), t(K5), t(BIAS), (1, 2, 1), (1, 0, 1))),
    ("nn.VolumetricMaxPooling", {"kT": 2, "kH": 2, "kW": 3, "dT": 2, "dH": 2, "dW": 2, "padT": 0, "padH": 0, "padW": 1, "ceil_mode": True}, X5,
     lambda: F.max_pool3d(t(X5), (2, 2, 3), 2, (0, 0, 1), ceil_mode=True)),
    ("nn.SpatialDilatedMaxPooling", {"kH": 2, "kW": 3, "dH": 1, "dW": 4, "padH": 0, "padW": 1, "dilationH": 1, "dilationW": 2, "ceil_mode": True}, X4[..., :4].copy(),
     lambda: F.max_pool2d(t(X4[..., :4].copy()), (2, 3), (1, 4), (0, 1), (1, 2), ceil_mode=True)),
    ("inn.SpatialMaxPooling", {"kH": 3, "kW": 3, "dH": 2, "dW": 2}, X4, lambda: F.max_pool2d(t(X4), 3, 2, ceil_mode=True)),
    ("inn.SpatialAveragePooling", {"kH": 2, "kW": 2, "dH": 2, "dW": 2}, X4, lambda: F.avg_pool2d(t(X4), 2, 2, ceil_mode=True)),
    ("nn.SpatialSubSampling", {"nInputPlane": 4, "kH": 2, "kW": 3, "dH": 2, "dW": 1, "weight": BIAS, "bias": -BIAS}, X4,
     lambda: F.avg_pool2d(t(X4), (2, 3), (2, 1)) * 6 * t(BIAS)[:, None, None] - t(BIAS)[:, None, None]),
    ("cudnn.SpatialCrossMapLRN", {"size": 3, "alpha": 0.3, "beta": 0.5, "K": 2}, X4, lambda: F.local_response_norm(t(X4), 3, 0.3, 0.5, 2)),
    ("cudnn.TemporalConvolution", {"inputFrameSize": 6, "outputFrameSize": 4, "nInputPlane": 1, "nOutputPlane": 4, "kW": 6, "kH": 2, "dW": 1, "dH": 1, "padW": 0, "padH": 1, "weight": values(4, 12), "bias": BIAS}, X3,
     lambda: F.conv1d(t(X3).mT, t(values(4, 12)).reshape(4, 2, 6).mT, t(BIAS), padding=1).mT),
    ("nn.SpatialDepthWiseConvolution", {"nInputPlane": 4, "nOutputPlane": 2, "kH": 2, "kW": 2, "dH": 1, "dW": 1, "padH": 0, "padW": 0, "weight": values(2, 4, 2, 2), "bias": values(2, 4)}, X4,
     lambda: F.conv2d(t(X4), t(values(2, 4, 2, 2).swapaxes(0, 1).reshape(8, 1, 2, 2)), t(values(2, 4).T.reshape(8)), groups=4)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CONVOLUTIONS)
def test_windows(run_net, name, fields, given, expected):
    (got,) = run_net((name, fields), given)
    reference = expected().numpy()
    assert got.shape == reference.shape
    np.testing.assert_allclose(got, reference, atol=2e-5)


GATES = softmax(values(3, 2), 1)
TABLES = [
    ("nn.CMulTable", {}, [X2, X2 + 1, X2 - 1], X2 * (X2 + 1) * (X2 - 1)),
    ("nn.CSubTable", {}, [X2[0], X2[1].reshape(6, 1)], X2[0] - X2[1]),
    ("nn.MM", {"transA": True, "transB": False}, [X3, X3], X3.swapaxes(1, 2) @ X3),
    ("nn.MM", {"transA": False, "transB": True}, [X2, X2], X2 @ X2.T),
    ("nn.MV", {"trans": True}, [X3, X3[:, :, 0].copy()], np.einsum("nij,ni->nj", X3, X3[:, :, 0])),
    ("nn.MV", {}, [X2, X2[0]], X2 @ X2[0]),
    ("nn.DotProduct", {}, [X2[0], X2[1]], np.array([X2[0] @ X2[1]])),
    ("nn.DotProduct", {}, [X2[0], X2[1:2]], np.array([X2[0] @ X2[1]])),
    ("nn.DotProduct", {}, [X2[:1], X2[1:2].T.copy()], np.array([X2[0] @ X2[1]])),
    ("nn.PairwiseDistance", {"norm": 3}, [X2, X2[::-1].copy()], (np.abs(X2 - X2[::-1]) ** 3).sum(1) ** (1 / 3)),
    ("nn.CosineDistance", {}, [X2[0], X2[1]], np.array([X2[0] @ X2[1] / np.linalg.norm(X2[0]) / np.linalg.norm(X2[1])])),
    ("nn.MixtureTable", {}, [GATES, X2, -2 * X2], GATES[:, :1] * X2 - 2 * GATES[:, 1:] * X2),
    ("nn.MixtureTable", {"dim": 2}, [GATES, np.stack([X2, -2 * X2], 1)], GATES[:, :1] * X2 - 2 * GATES[:, 1:] * X2),
    ("nn.MixtureTable", {"dim": 2}, [GATES[0], np.stack([X2, -2 * X2], 1)], GATES[0, 0] * X2 - 2 * GATES[0, 1] * X2),
    ("nn.JoinTable", {"dimension": 1}, [X2, X2.reshape(3, 3, 2)], np.concatenate([X2, X2])),
    ("nn.Index", {"dimension": 2}, [X2, np.array([6, 1])], X2[:, [5, 0]]),
    ("nn.IndexLinear", {"weight": W, "bias": BIAS}, [np.array([1, 3, 2]), np.array([1, 2, 3], np.float32), np.array([2, 1])], np.stack([W[0] + 2 * W[2], 3 * W[1]]) + BIAS),
    ("nn.SparseLinear", {"weight": W.T.copy()}, [np.array([[2, 3]], np.float32), np.array([[1, 1], [4, 2]], np.float32)], np.stack([3 * W[1], W[0] + 2 * W[3]])),
    ("nn.IndexLinear", {"weight": W, "bias": BIAS, "offset": -1, "normalize": 0}, [np.array([1, 3]), np.array([2]), np.array([1, 2], np.float32), np.array([3], np.float32)], np.stack([W[0] + 2 * W[2], 3 * W[1]]) + BIAS),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), TABLES)
def test_table_in_tensor_out(run_net, name, fields, given, expected):
    (got,) = run_net((name, fields), *given)
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_index_linear_normalises_by_the_largest_value_seen(run_net):
    largest = np.array([2, 0.5, 1, 1, 1, 1], np.float32)
    extra = np.stack([largest, 1 / largest, np.zeros(6, np.float32), np.full(6, 0.25, np.float32)], 1)
    fields = {"weight": np.concatenate([extra, W], 1), "bias": BIAS, "offset": -1, "normalize": 4}
    (got,) = run_net(("nn.IndexLinear", fields), np.array([1, 2]), np.array([1, -3], np.float32))
    np.testing.assert_allclose(got, (0.5 + 0.25) * W[0] + (-1 + 0.25) * W[1] + BIAS, atol=1e-5)
