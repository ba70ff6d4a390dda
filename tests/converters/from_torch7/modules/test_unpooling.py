"""Max unpooling, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch.nn.functional as F  # noqa: N812
from torch7_cases import X4, run_model, t

import converters


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
