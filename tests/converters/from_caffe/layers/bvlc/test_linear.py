"""Matrix products: rules of BVLC that no recorded case shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference_nets import assert_close, computed, layer, normal, write_net

import converters

X = np.random.default_rng(0).standard_normal((2, 3, 4, 6))


def test_inner_product_in_place_is_refused(tmp_path: Path) -> None:
    net = layer("InnerProduct", "x", "x", "inner_product_param { num_output: 3 }")
    with pytest.raises(converters.FormatError, match="in place"):
        converters.load(*write_net(tmp_path, net, {"x": X.shape}))


def test_a_batch_that_a_weight_spans_is_not_symbolic(tmp_path: Path) -> None:
    net = layer("InnerProduct", "x", "y", "inner_product_param { num_output: 2 axis: 0 }")
    blobs = {"layer": [np.ones((2, X.size)), np.zeros(2)]}
    model = converters.load(*write_net(tmp_path, net, {"x": X.shape}, blobs))
    assert model.meta["report"].inputs == {"x": "2x3x4x6"}


def test_inner_product_with_weights_of_length_one(tmp_path: Path) -> None:
    x, weight = normal(3, 5), normal(4, 5, seed=1) * [[10], [1], [1e-3], [0]]
    text = "inner_product_param { num_output: 4 bias_term: false normalize: true }"
    got = computed(tmp_path, layer("InnerProduct", "x", "y", text), {"x": x}, {"layer": [weight]})
    assert_close(got["y"], x @ (weight / np.sqrt((weight**2).sum(1, keepdims=True) + 1e-6)).T)


def test_normalised_weights_cannot_be_transposed(tmp_path: Path) -> None:
    text = "inner_product_param { num_output: 2 normalize: true transpose: true }"
    with pytest.raises(converters.FormatError, match="transposed"):
        converters.load(*write_net(tmp_path, layer("InnerProduct", "x", "y", text), {"x": (1, 2, 3, 4)}))
