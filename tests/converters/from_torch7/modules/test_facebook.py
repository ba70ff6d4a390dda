"""Classes of fbnn and fbcunn, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F  # noqa: N812
from torch7_cases import X2, X3, X4, t, values

import converters

BIAS = values(5, seed=3)
KERNEL = values(5, 4, 3, 2)


@pytest.mark.parametrize(
    ("name", "fields", "pad"),
    [
        ("nn.SpatialConvolutionCuFFT", {"nInputPlane": 4, "nOutputPlane": 5}, (0, 0)),
        ("nn.SpatialConvolutionFBFFT", {"nInputPlane": 4, "nOutputPlane": 5}, (2, 1)),
        ("fbnn.SpatialConvolution", {"inputPlanes": 4, "outputPlanes": 5}, (1, 2)),
    ],
)
def test_convolutions_by_fourier_transforms(run_net, name, fields, pad):
    fields = {"kW": 2, "kH": 3, "weight": KERNEL, "bias": BIAS, **fields}
    if any(pad):
        fields |= {"padUp": pad[0], "padLeft": pad[1]}
    (got,) = run_net((name, fields), X4)
    np.testing.assert_allclose(got, F.conv2d(t(X4), t(KERNEL), t(BIAS), padding=pad).numpy(), atol=1e-4)


@pytest.mark.parametrize("x", [X3, X3[0]])
@pytest.mark.parametrize(
    ("name", "pad"), [("nn.TemporalConvolutionFB", 0), ("nn.UnfoldedTemporalConvolution", 2)]
)
def test_convolutions_over_time(run_net, name, pad, x):
    weight = values(5, 3, 6)
    stored = weight if name.endswith("FB") else weight.reshape(5, 18)
    fields = {"inputFrameSize": 6, "outputFrameSize": 5, "kW": 3, "dW": 1, "pad": pad}
    (got,) = run_net((name, {"weight": stored, "bias": BIAS, **fields}), x)
    kernel = weight.swapaxes(1, 2)
    wanted = F.conv1d(t(x.swapaxes(-1, -2)), t(kernel), t(BIAS), padding=pad).numpy().swapaxes(-1, -2)
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_convolution_of_time_before_batch(run_net):
    weight = values(3, 6, 5)
    fields = {"kw": 3, "pad": 1, "nIn": 6, "nOut": 5, "weight": weight, "bias": BIAS}
    (got,) = run_net(("nn.TemporalConvolutionTBC", fields), X3)
    padded = np.pad(X3, [(1, 1), (0, 0), (0, 0)])
    wanted = sum(padded[k : k + 4] @ weight[k] for k in range(3)) + BIAS
    np.testing.assert_allclose(got, wanted, atol=1e-4)


def test_time_comes_before_the_batch(save_t7):
    fields = {"kw": 1, "nIn": 6, "nOut": 5, "weight": values(1, 6, 5), "bias": values(5)}
    net = save_t7(("nn.TemporalConvolutionTBC", fields))
    assert [str(size) for size in converters.load(net).graph.inputs[0].shape] == ["T", "N", "6"]
    assert list(converters.load(net, static_batch=4).graph.inputs[0].shape)[1:] == [4, 6]


@pytest.mark.parametrize("x", [X2, X2[0]])
def test_vectors_of_length_one(run_net, x):
    (got,) = run_net(("fbnn.L2Normalize", {}), x)
    np.testing.assert_allclose(got, x / np.sqrt((x**2).sum(-1, keepdims=True)), atol=1e-6)


@pytest.mark.parametrize("columns", [True, False])
@pytest.mark.parametrize("x", [np.array([[1, 3, 4], [4, 2, 1]]), np.array([2, 4])])
def test_lookup_table_with_features_second(run_net, columns, x):
    table = values(4, 6)
    (got,) = run_net(("nn.LookupTableGPU", {"weight": table, "featuresInDim2": columns}), x)
    rows = table[x - 1]
    np.testing.assert_array_equal(got, rows.swapaxes(1, 2) if columns and x.ndim == 2 else rows)


def test_lookup_table_with_unknown_words_is_refused(run_net):
    with pytest.raises(converters.UnsupportedError, match="unk_index"):
        run_net(("nn.LookupTableGPU", {"weight": X2, "unk_index": 1}), np.array([1, 2]))


@pytest.mark.parametrize("gpus", [[1, 1, 1], [1, 2, 1]])
def test_branches_on_several_gpus(run_net, gpus):
    # The first branch works in place, which only branches on the same GPU see.
    branches = [("nn.ReLU", {"inplace": True}), ("nn.Identity", {}), ("nn.Identity", {})]
    fields = {"modules": branches, "dimension": 2, "gpu_assignments": gpus}
    (got,) = run_net(("nn.ModelParallel", fields), X2)
    wanted = [np.maximum(X2, 0) if gpu == 1 else X2 for gpu in gpus]
    np.testing.assert_array_equal(got, np.concatenate(wanted, 1))
