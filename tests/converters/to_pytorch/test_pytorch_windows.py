"""Convolutions and poolings with odd parameters, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape, np.float32)


CONVOLUTIONS = [
    # spatial sizes, weights, attributes
    ((9,), (4, 3, 3), {}),
    ((9,), (4, 3, 3), {"strides": [2], "pads": [1, 1], "dilations": [2]}),
    ((9, 8), (4, 3, 3, 3), {}),
    ((9, 8), (4, 3, 3, 2), {"strides": [2, 1], "pads": [1, 0, 1, 0]}),
    ((9, 8), (4, 3, 3, 3), {"pads": [0, 1, 2, 0]}),
    ((9, 8), (4, 3, 3, 3), {"pads": [1, 1, 2, 2], "strides": [2, 2]}),
    ((9, 8), (6, 1, 3, 3), {"group": 3, "dilations": [2, 3]}),
    ((9, 8), (4, 3, 3, 4), {"auto_pad": "SAME_UPPER", "strides": [2, 3]}),
    ((9, 8), (4, 3, 4, 4), {"auto_pad": "SAME_LOWER"}),
    ((9, 8), (4, 3, 4, 4), {"auto_pad": "VALID", "strides": [3, 3]}),
    ((5, 6, 7), (4, 3, 2, 3, 3), {"pads": [1, 1, 1, 1, 1, 1]}),
    ((5, 6, 7), (4, 3, 2, 3, 3), {"pads": [0, 0, 1, 1, 0, 0], "strides": [1, 2, 2]}),
]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("sizes", "weights", "attributes"), CONVOLUTIONS)
def test_conv(agree_on, sizes, weights, attributes, bias):
    inputs = [values(2, 3, *sizes), values(*weights)] + [values(weights[0])] * bias
    source = agree_on("Conv", inputs, attributes, constant=(1, 2))
    assert f"nn.Conv{len(sizes)}d(" in source


def test_conv_with_computed_weights(agree_on):
    inputs = [values(2, 3, 7, 7), values(4, 3, 3, 3), values(4)]
    assert "F.conv2d(" in agree_on("Conv", inputs, {"pads": [1, 1, 1, 1]})


TRANSPOSED = [
    ((5,), (3, 4, 3), {"strides": [2]}),
    ((5, 6), (3, 4, 3, 3), {}),
    ((5, 6), (3, 4, 4, 4), {"strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ((5, 6), (3, 4, 3, 3), {"strides": [2, 2], "pads": [1, 1, 1, 1], "output_padding": [1, 1]}),
    ((5, 6), (3, 4, 3, 3), {"strides": [2, 2], "pads": [1, 1, 0, 0]}),
    ((5, 6), (3, 4, 4, 4), {"strides": [2, 2], "pads": [0, 0, 2, 1]}),
    ((5, 6), (3, 4, 3, 3), {"strides": [3, 2], "dilations": [2, 2], "pads": [3, 0, 0, 1]}),
    ((5, 6), (3, 2, 3, 3), {"strides": [2, 2], "group": 3}),
    ((5, 6), (3, 4, 3, 3), {"strides": [2, 2], "output_shape": [10, 12]}),
    ((5, 6), (3, 4, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ((5, 6), (3, 4, 3, 3), {"strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    ((3, 4, 5), (3, 4, 2, 2, 2), {"strides": [2, 2, 2], "output_padding": [1, 0, 1]}),
]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("sizes", "weights", "attributes"), TRANSPOSED)
def test_conv_transpose(agree_on, sizes, weights, attributes, bias):
    channels = weights[1] * attributes.get("group", 1)
    inputs = [values(2, 3, *sizes), values(*weights)] + [values(channels)] * bias
    source = agree_on("ConvTranspose", inputs, attributes, constant=(1, 2))
    assert f"nn.ConvTranspose{len(sizes)}d(" in source


POOLINGS = [
    ((9,), {"kernel_shape": [3], "strides": [2]}),
    ((9, 8), {"kernel_shape": [3, 3], "strides": [2, 2]}),
    ((9, 8), {"kernel_shape": [3, 2], "strides": [1, 3]}),
    ((9, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}),
    ((8, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [0, 0, 1, 1]}),
    ((8, 7), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 2, 1]}),
    ((8, 7), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 0, 0, 1]}),
    ((8, 7), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [2, 2, 2, 2]}),
    ((8, 7), {"kernel_shape": [5, 4], "strides": [3, 3], "pads": [2, 1, 0, 0]}),
    ((8, 7), {"kernel_shape": [3, 3], "strides": [2, 2], "ceil_mode": 1}),
    ((8, 7), {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    ((8, 7), {"kernel_shape": [2, 2], "strides": [3, 3], "pads": [1, 1, 1, 1], "ceil_mode": 1}),
    ((9, 8), {"kernel_shape": [3, 3], "strides": [2, 2], "auto_pad": "SAME_UPPER"}),
    ((9, 8), {"kernel_shape": [2, 2], "strides": [2, 2], "auto_pad": "SAME_LOWER"}),
    ((5, 6, 7), {"kernel_shape": [2, 3, 3], "strides": [2, 2, 2], "pads": [0, 0, 0, 1, 1, 0]}),
]


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize(("sizes", "attributes"), POOLINGS)
def test_max_pool(agree_on, sizes, attributes, dilation):
    dilated = {"dilations": [dilation] * len(sizes)} if dilation > 1 and "auto_pad" not in attributes else {}
    agree_on("MaxPool", [values(2, 3, *sizes)], attributes | dilated)


@pytest.mark.parametrize(("sizes", "attributes"), POOLINGS)
def test_max_pool_with_positions(agree_on, sizes, attributes):
    agree_on("MaxPool", [values(2, 3, *sizes)], attributes, outputs=2)


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize(("sizes", "attributes"), POOLINGS)
def test_average_pool(agree_on, sizes, attributes, include):
    agree_on("AveragePool", [values(2, 3, *sizes)], attributes | {"count_include_pad": include})


@pytest.mark.parametrize(("sizes", "attributes"), [case for case in POOLINGS if "ceil_mode" not in case[1]])
@pytest.mark.parametrize("p", [1, 2, 3])
def test_lp_pool(agree_on, sizes, attributes, p):
    agree_on("LpPool", [values(2, 3, *sizes)], attributes | {"p": p})


@pytest.mark.parametrize("op_type", ["GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"])
@pytest.mark.parametrize("sizes", [(7,), (7, 6), (3, 4, 5)])
def test_global_pools(agree_on, op_type, sizes):
    agree_on(op_type, [values(2, 3, *sizes)])


@pytest.mark.parametrize("strides", [[2, 2], [1, 1]])
def test_max_unpool(agree_on, strides):
    positions = np.random.default_rng(0).permutation(2 * 3 * 6 * 8)[: 2 * 3 * 3 * 4]
    inputs = [values(2, 3, 3, 4), positions.reshape(2, 3, 3, 4)]
    sizes = np.array([2, 3, 6, 8])
    if strides == [2, 2]:
        agree_on("MaxUnpool", inputs, {"kernel_shape": [2, 2], "strides": strides})
    agree_on(
        "MaxUnpool",
        [*inputs, sizes],
        {"kernel_shape": [2, 2], "strides": strides},
        constant=(2,),
        batch=False,
    )
