"""Convolutions with unusual parameters, against ONNX Runtime."""

from __future__ import annotations

import pytest
from arrays import values

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


@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose"])
def test_a_stored_kernel_with_a_computed_bias(agree_on, op_type):
    agree_on(op_type, [values(2, 3, 6), values(3, 3, 2), values(3)], constant=(1,))


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
