"""Containers, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, X3, sizes, values

BIAS = values(4, seed=3)


def linear(seed: int = 1) -> tuple:
    return "nn.Linear", {"weight": values(4, 6, seed=seed), "bias": BIAS}


def apply_linear(x: np.ndarray, seed: int = 1) -> np.ndarray:
    return x @ values(4, 6, seed=seed).T + BIAS


def test_map_table_without_clones(run_net):
    got = run_net(("nn.MapTable", {"module": linear(), "modules": [linear()]}), X2, X2[:1], X2[1:])
    for array, given in zip(got, (X2, X2[:1], X2[1:]), strict=True):
        np.testing.assert_allclose(array, apply_linear(given), atol=1e-5)


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


def test_branches_know_entries_of_a_table_together(run_net):
    second = ("nn.Sequential", {"modules": [("nn.SelectTable", {"index": 2}), ("nn.CAddTable", {})]})
    first = ("nn.Sequential", {"modules": [("nn.SelectTable", {"index": 1}), linear()]})
    net = ("nn.ConcatTable", {"modules": [first, second]})
    got = run_net(net, X2, X3, X3 + 1)
    np.testing.assert_allclose(got[0], apply_linear(X2), atol=1e-5)
    np.testing.assert_allclose(got[1], 2 * X3 + 1, atol=1e-5)


@pytest.mark.parametrize("container", ["nn.Concat", "nn.DepthConcat"])
def test_a_module_in_two_branches_gives_both_its_last_output(run_net, container):
    shared = ("nn.MulConstant", {"constant_scalar": 2})
    second = ("nn.Sequential", {"modules": [("nn.Abs", {}), shared]})
    (got,) = run_net((container, {"dimension": 1, "modules": [shared, second]}), X2)
    np.testing.assert_array_equal(got, np.concatenate([2 * np.abs(X2)] * 2))


DOUBLE = ("nn.MulConstant", {"constant_scalar": 2})


def twice_the_magnitude(first: tuple) -> tuple:
    """A second branch, which runs DOUBLE again, on |x|."""
    return "nn.Sequential", {"modules": [first, ("nn.Abs", {}), DOUBLE]}


def test_the_first_clone_of_a_map_table_is_the_module_itself(run_net):
    branches = [
        ("nn.MapTable", {"module": DOUBLE, "modules": [DOUBLE]}),
        twice_the_magnitude(("nn.SelectTable", {"index": 1})),
    ]
    got = run_net(("nn.ConcatTable", {"modules": branches}), X2, X2[0])
    for array, wanted in zip(got, (2 * np.abs(X2), 2 * X2[0], 2 * np.abs(X2)), strict=True):
        np.testing.assert_array_equal(array, wanted)


def test_bottle_shares_the_storage_of_the_module_inside(run_net):
    flat = ("nn.Reshape", {"size": sizes(20, 6), "batchMode": False})
    branches = [("nn.Bottle", {"modules": [DOUBLE], "nInputDim": 2}), twice_the_magnitude(flat)]
    got = run_net(("nn.ConcatTable", {"modules": branches}), X3)
    np.testing.assert_array_equal(got[0], 2 * np.abs(X3))
