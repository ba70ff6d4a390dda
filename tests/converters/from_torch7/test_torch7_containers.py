"""Containers, wrappers and modules that know of each other, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F  # noqa: N812
from torch7_cases import run_model, sizes, t, values

import converters

X2, X3, X4 = values(3, 6), values(4, 5, 6), values(2, 4, 7, 6)
W = values(6, 4, seed=1)
BIAS = values(4, seed=3)


def linear(seed: int = 1) -> tuple:
    return "nn.Linear", {"weight": values(4, 6, seed=seed), "bias": BIAS}


def apply_linear(x: np.ndarray, seed: int = 1) -> np.ndarray:
    return x @ values(4, 6, seed=seed).T + BIAS


@pytest.mark.parametrize(
    "wrapper",
    [
        lambda inner: ("nn.GPU", {"modules": [inner], "device": 1}),
        lambda inner: ("nn.DontCast", {"modules": [inner]}),
        lambda inner: ("nn.Inception", {"module": inner, "modules": [inner]}),
        lambda inner: ("nn.DataParallelTable", {"modules": [inner, inner], "dimension": 1}, 1),
        lambda inner: ("nn.MapTable", {"module": inner, "modules": []}),
    ],
)
def test_wrappers(run_net, wrapper):
    (got,) = run_net(wrapper(linear()), X2)
    np.testing.assert_allclose(got, apply_linear(X2), atol=1e-5)


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.int64])
def test_a_copy_in_front_says_what_type_the_net_takes(save_t7, dtype):
    copy = ("nn.Copy", {"gradInput": np.ones(1, dtype), "output": np.ones(1, np.float32)})
    net = ("nn.Sequential", {"modules": [copy, linear()], "_type": "torch.FloatTensor"})
    model = converters.load(save_t7(net))
    assert model.graph.inputs[0].dtype.numpy() == dtype
    assert model.graph.outputs[0].dtype.numpy() == np.float32


def test_map_table_without_clones(run_net):
    got = run_net(("nn.MapTable", {"module": linear(), "modules": [linear()]}), X2, X2[:1], X2[1:])
    for array, given in zip(got, (X2, X2[:1], X2[1:]), strict=True):
        np.testing.assert_allclose(array, apply_linear(given), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "shape", "place"), [("nn.Linear", (4, 6), 1), ("nn.SpatialFullConvolution", (4, 5, 3, 2), 2)]
)
def test_weight_norm_of_any_output_dimension(run_net, name, shape, place):
    weight = values(*shape, seed=9)
    rows = np.moveaxis(weight, place - 1, 0).reshape(shape[place - 1], -1)
    g = np.abs(values(shape[place - 1], seed=3)) + 1
    bias = values(shape[0] if name == "nn.Linear" else shape[1], seed=4)
    scale = g / np.sqrt((rows**2).sum(1) + 1e-4)
    normed = weight * np.expand_dims(scale, [k for k in range(len(shape)) if k != place - 1])
    fields = {"bias": bias, "kH": 3, "kW": 2, "dH": 1, "dW": 1, "nInputPlane": 4, "nOutputPlane": 5}
    front = sizes(shape[place - 1], *shape[: place - 1], *shape[place:])
    norm = {"modules": [(name, fields)], "v": rows, "g": g, "viewOut": front, "outputDim": place}
    given = X2 if name == "nn.Linear" else X4
    (got,) = run_net(("nn.WeightNorm", norm), given)
    wanted = (
        given @ normed.T + bias
        if name == "nn.Linear"
        else F.conv_transpose2d(t(X4), t(normed), t(bias)).numpy()
    )
    np.testing.assert_allclose(got, wanted, atol=2e-5)


@pytest.mark.parametrize(
    ("state", "stored"),
    [
        ({"train": False}, True),
        ({"train": True}, False),
        ({}, False),
        ({"train": False, "dirty": True}, False),
        ({"train": False, "weight": np.zeros(0, np.float32)}, False),
    ],
)
def test_linear_weight_norm_takes_the_stored_weight_only_if_it_is_up_to_date(run_net, state, stored):
    v, stale = values(4, 6, seed=1), values(4, 6, seed=2)
    fields = {"v": v, "g": np.ones((4, 1), np.float32), "weight": stale, "bias": BIAS, "eps": 1e-16}
    (got,) = run_net(("nn.LinearWeightNorm", fields | state), X2)
    weight = stale if stored else v / np.linalg.norm(v, axis=1, keepdims=True)
    np.testing.assert_allclose(got, X2 @ weight.T + BIAS, atol=1e-5)


def test_partial_linear_of_some_outputs(run_net):
    table = (
        "nn.ParallelTable",
        {"modules": [("nn.Identity", {}), ("nn.LookupTable", {"weight": W.T.copy()})]},
    )
    network = ("nn.Sequential", {"modules": [table, ("nn.MM", {"transB": True})]})
    fields = {
        "network": network,
        "partition": np.array([4, 1], np.float32),
        "bias": BIAS[None],
        "inputsize": 6,
    }
    (got,) = run_net(("nn.PartialLinear", fields), X2)
    np.testing.assert_allclose(got, (X2 @ W + BIAS)[:, [3, 0]], atol=1e-5)


def test_bottle_that_drops_a_dimension(run_net):
    inner = ("nn.Max", {"dimension": 2})
    (got,) = run_net(("nn.Bottle", {"modules": [inner], "nInputDim": 2, "nOutputDim": 1}), X3)
    np.testing.assert_array_equal(got, X3.max(2))


def test_crelu_of_a_single_sample(run_net):
    branches = (
        "nn.ConcatTable",
        {"modules": [("nn.Identity", {}), ("nn.MulConstant", {"constant_scalar": -1})]},
    )
    chain = [branches, ("nn.JoinTable", {"dimension": 2}), ("nn.ReLU", {"threshold": 0, "val": 0})]
    (got,) = run_net(("nn.CReLU", {"modules": chain, "nInputDims": 3}), X3)
    np.testing.assert_array_equal(got, np.maximum(np.concatenate([X3, -X3]), 0))


def test_unpooling_needs_its_pooling(run_net):
    pooling = ("nn.SpatialMaxPooling", {"kH": 2, "kW": 2, "dH": 2, "dW": 2})
    unpooling = ("nn.SpatialMaxUnpooling", {"pooling": pooling})
    x = X4[:, :, :6]
    (got,) = run_net(
        ("nn.Sequential", {"modules": [pooling, ("nn.MulConstant", {"constant_scalar": 2}), unpooling]}), x
    )
    pooled, places = F.max_pool2d(t(x.copy()), 2, return_indices=True)
    np.testing.assert_array_equal(got, F.max_unpool2d(2 * pooled, places, 2).numpy())
    with pytest.raises(converters.FormatError, match="the pooling it belongs to does not run before it"):
        run_net(unpooling, X4)


def test_unpooling_of_any_batch(save_t7):
    pooling = ("nn.SpatialMaxPooling", {"kH": 3, "kW": 2, "dH": 3, "dW": 2, "padH": 1, "ceil_mode": True})
    net = ("nn.Sequential", {"modules": [pooling, ("nn.SpatialMaxUnpooling", {"pooling": pooling})]})
    model = converters.load(save_t7(net), input_shapes={"input": ("N", 4, 7, 6)})
    for x in (X4, X4[:1]):
        (got,) = run_model(model, {"input": x}).values()
        pooled, places = F.max_pool2d(
            t(x.copy()), (3, 2), (3, 2), (1, 0), ceil_mode=True, return_indices=True
        )
        wanted = F.max_unpool2d(pooled, places, (3, 2), (3, 2), (1, 0), (7, 6)).numpy()
        np.testing.assert_array_equal(got, wanted)


def test_narrow_table_ends_where_the_table_does(run_net):
    got = run_net(("nn.NarrowTable", {"offset": 2, "length": 5}), X2, X3, X4)
    for array, given in zip(got, (X3, X4), strict=True):
        np.testing.assert_array_equal(array, given)


def test_branches_know_entries_of_a_table_together(run_net):
    second = ("nn.Sequential", {"modules": [("nn.SelectTable", {"index": 2}), ("nn.CAddTable", {})]})
    first = ("nn.Sequential", {"modules": [("nn.SelectTable", {"index": 1}), linear()]})
    net = ("nn.ConcatTable", {"modules": [first, second]})
    got = run_net(net, X2, X3, X3 + 1)
    np.testing.assert_allclose(got[0], apply_linear(X2), atol=1e-5)
    np.testing.assert_allclose(got[1], 2 * X3 + 1, atol=1e-5)


def test_contiguous_shares_the_memory_of_what_is_contiguous(run_net):
    branches = [("nn.Contiguous", {}), ("nn.ReLU", {"inplace": True})]
    got = run_net(("nn.ConcatTable", {"modules": branches}), X2)
    np.testing.assert_array_equal(got, [np.maximum(X2, 0)] * 2)


@pytest.mark.parametrize("container", ["nn.Concat", "nn.DepthConcat"])
def test_a_module_in_two_branches_gives_both_its_last_output(run_net, container):
    shared = ("nn.MulConstant", {"constant_scalar": 2})
    second = ("nn.Sequential", {"modules": [("nn.Abs", {}), shared]})
    (got,) = run_net((container, {"dimension": 1, "modules": [shared, second]}), X2)
    np.testing.assert_array_equal(got, np.concatenate([2 * np.abs(X2)] * 2))


DOUBLE = ("nn.MulConstant", {"constant_scalar": 2})


def twice_the_magnitude(first: tuple) -> tuple:
    """A second branch in which DOUBLE, which the first may have run, runs again on |x|."""
    return "nn.Sequential", {"modules": [first, ("nn.Abs", {}), DOUBLE]}


def test_the_first_clone_of_a_map_table_is_the_module_itself(run_net):
    branches = [
        ("nn.MapTable", {"module": DOUBLE, "modules": [DOUBLE]}),
        twice_the_magnitude(("nn.SelectTable", {"index": 1})),
    ]
    got = run_net(("nn.ConcatTable", {"modules": branches}), X2, X2[0])
    for array, wanted in zip(got, (2 * np.abs(X2), 2 * X2[0], 2 * np.abs(X2)), strict=True):
        np.testing.assert_array_equal(array, wanted)


def test_bottle_shares_the_memory_of_the_module_inside(run_net):
    flat = ("nn.Reshape", {"size": sizes(20, 6), "batchMode": False})
    branches = [("nn.Bottle", {"modules": [DOUBLE], "nInputDim": 2}), twice_the_magnitude(flat)]
    got = run_net(("nn.ConcatTable", {"modules": branches}), X3)
    np.testing.assert_array_equal(got[0], 2 * np.abs(X3))


def test_spatial_divisive_normalization(run_net):
    kernel = np.full((3, 3), 1 / 36, np.float32)
    weight = np.broadcast_to(kernel, (1, 4, 3, 3)).copy()
    conv = (
        "nn.SpatialConvolution",
        {
            "weight": weight,
            "bias": np.zeros(1, np.float32),
            "kH": 3,
            "kW": 3,
            "nInputPlane": 4,
            "nOutputPlane": 1,
            "padH": 0,
            "padW": 0,
        },
    )
    pad = ("nn.SpatialZeroPadding", {f"pad_{side}": 1 for side in "lrtb"})
    replicate = ("nn.Replicate", {"nfeatures": 4, "dim": 1, "ndim": 3})
    means = ("nn.Sequential", {"modules": [pad, conv, replicate]})
    deviations = ("nn.Sequential", {"modules": [("nn.Square", {}), pad, conv, replicate, ("nn.Sqrt", {})]})
    thresholder = ("nn.Threshold", {"threshold": 0.9, "val": 0.5})
    fields = {
        "nInputPlane": 4,
        "meanestimator": means,
        "stdestimator": deviations,
        "thresholder": thresholder,
    }
    (got,) = run_net(("nn.SpatialDivisiveNormalization", fields), X4)

    def smooth(x: np.ndarray) -> np.ndarray:
        return F.conv2d(t(x), t(weight), padding=1).numpy()

    local = np.sqrt(smooth(X4**2)) / smooth(np.ones_like(X4))
    np.testing.assert_allclose(got, X4 / np.where(local > 0.9, local, 0.5), atol=1e-5)
