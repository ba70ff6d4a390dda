"""Pooling with unusual parameters, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from arrays import ints, values

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


def test_max_pool_whose_ceil_mode_reaches_beyond_the_pads(agree_on):
    """nn.MaxPool3d cannot pad like this."""
    attributes = {"kernel_shape": [2, 3, 4], "strides": [3, 1, 1], "pads": [1, 0, 3, 1, 0, 3], "ceil_mode": 1}
    agree_on("MaxPool", [values(1, 2, 2, 7, 6)], attributes)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_lowest_number_is_that_of_the_type_the_net_runs_in(run_written, tmp_path, import_net, dtype):
    """Caffe's maximum over an empty window is the lowest float32, which float16 cannot represent."""
    x, lowest = values(1, 2, 4), np.array(np.finfo(np.float32).min)
    for inputs, attributes in (
        ([x, ints(0, 0, 0, 0, 0, 2), lowest], {}),
        ([x], {"kernel_shape": [2], "pads": [0, 3], "strides": [2]}),
    ):
        run_written("MaxPool" if attributes else "Pad", inputs, attributes, constant=(1, 2))
        padded = import_net(tmp_path / "net.py").load()(torch.from_numpy(x).to(dtype))
        assert padded.dtype is dtype
        assert padded[..., -1].eq(torch.finfo(dtype).min).all()


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
