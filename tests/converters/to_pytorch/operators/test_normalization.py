"""Normalization, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import values

X = values(2, 6, 5, 4)


@pytest.mark.parametrize("constant", [(1, 2, 3, 4), ()], ids=["weights", "computed"])
@pytest.mark.parametrize("sizes", [(), (5,), (5, 4), (3, 4, 5)])
def test_batch_normalization(agree_on, sizes, constant):
    inputs = [values(2, 6, *sizes), values(6), values(6) + 1, values(6), np.abs(values(6))]
    source = agree_on("BatchNormalization", inputs, {"epsilon": 1e-3}, constant=constant)
    assert ("nn.BatchNorm" in source) == bool(constant)


def test_batch_normalization_without_scale_has_no_weights(agree_on):
    inputs = [X, np.ones(6, np.float32), np.zeros(6, np.float32), values(6), np.abs(values(6))]
    assert "nn.BatchNorm2d(6, affine=False)" in agree_on("BatchNormalization", inputs, constant=(1, 2, 3, 4))


@pytest.mark.parametrize("constant", [(1, 2), ()])
def test_instance_normalization(agree_on, constant):
    agree_on("InstanceNormalization", [X, values(6), values(6) + 1], {"epsilon": 1e-3}, constant=constant)


@pytest.mark.parametrize("constant", [(1, 2), ()])
@pytest.mark.parametrize("axis", [-1, 2])
def test_layer_normalization(agree_on, constant, axis):
    shape = X.shape[axis:]
    agree_on("LayerNormalization", [X, values(*shape), values(*shape)], {"axis": axis}, constant=constant)
    agree_on("LayerNormalization", [X, values(*shape)], {"axis": axis}, constant=constant[:1])


def test_layer_normalization_with_a_computed_bias(agree_on):
    agree_on("LayerNormalization", [values(2, 3, 4), values(4), values(4)], constant=(1,))


@pytest.mark.parametrize("size", [1, 3, 5])
def test_lrn(agree_on, size):
    attributes = {"size": size, "alpha": 0.5, "beta": 0.6, "bias": 1.5}
    assert "nn.LocalResponseNorm(" in agree_on("LRN", [X * 10], attributes)


@pytest.mark.parametrize("size", [2, 4, 6])
def test_lrn_over_an_even_number_of_channels(run_written, size):
    """ONNX Runtime refuses these sizes, so the reference is the formula of the specification."""
    got = run_written("LRN", [X * 10], {"size": size, "alpha": 0.5, "beta": 0.6, "bias": 1.5})[0]
    squares = np.pad((X * 10.0) ** 2, [(0, 0), ((size - 1) // 2, size // 2), (0, 0), (0, 0)])
    sums = sum(squares[:, k : k + 6] for k in range(size))
    np.testing.assert_allclose(got, X * 10 / (1.5 + 0.5 / size * sums) ** 0.6, rtol=1e-5)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [-1, 1])
def test_lp_normalization(agree_on, p, axis):
    agree_on("LpNormalization", [X], {"p": p, "axis": axis})


@pytest.mark.parametrize("attributes", [{}, {"axes": [2, 3]}])
def test_mean_variance_normalization(agree_on, attributes):
    agree_on("MeanVarianceNormalization", [X], attributes)
