"""The ReLU that Intel's fork moves into the layer before it, against float64 references."""

from __future__ import annotations

from pathlib import Path

import pytest
import reference_windows as reference
from reference_nets import assert_close, computed, layer, normal


@pytest.mark.parametrize(
    ("switch", "slope"),
    [
        ("relu: true", 0.0),
        ("relu: true negative_slope: 0.25", 0.25),
        ("negative_slope: 0.25", None),
        ("relu: false", None),
    ],
)
def test_a_relu_within_the_layer(tmp_path: Path, switch: str, slope: float | None) -> None:
    x, weight, bias = normal(2, 3, 5, 4), normal(4, 3, 3, 3, seed=1), normal(4, seed=2)
    product_weight, product_bias = normal(6, 4 * 3 * 2, seed=3), normal(6, seed=4)
    net = layer(
        "Convolution", "x", "c", f"convolution_param {{ num_output: 4 kernel_size: 3 {switch} }}", name="conv"
    )
    net += layer(
        "InnerProduct", "c", "p", f"inner_product_param {{ num_output: 6 {switch} }}", name="product"
    )
    net += layer("Power", "c", "copy", name="copy")
    got = computed(
        tmp_path, net, {"x": x}, {"conv": [weight, bias], "product": [product_weight, product_bias]}
    )
    wanted = reference.convolved(x, weight, bias, (1, 1), (0, 0))
    wanted = wanted if slope is None else reference.rectified(wanted, slope)
    assert_close(got["copy"], wanted)
    wanted = wanted.reshape(2, -1) @ product_weight.T + product_bias
    assert_close(got["p"], wanted if slope is None else reference.rectified(wanted, slope))


def test_a_relu_within_the_layer_may_have_its_slope_where_relus_do(tmp_path: Path) -> None:
    x, weight = normal(1, 2, 3, 3), normal(2, 2, 1, 1, seed=1)
    text = "convolution_param { num_output: 2 kernel_size: 1 bias_term: false relu: true }"
    text += "relu_param { negative_slope: 0.5 }"
    got = computed(tmp_path, layer("Convolution", "x", "y", text), {"x": x}, {"layer": [weight]})
    assert_close(got["y"], reference.rectified(reference.convolved(x, weight, None, (1, 1), (0, 0)), 0.5))
