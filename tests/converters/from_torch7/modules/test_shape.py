"""Views, copies and reorderings, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, X3, X4, sizes

CASES = [
    ("nn.Replicate", {"nfeatures": 2}, X2, np.stack([X2, X2])),
    ("nn.Replicate", {"nfeatures": 2, "dim": 3}, X2, np.stack([X2, X2], 2)),
    ("nn.Unsqueeze", {"pos": 1, "numInputDims": 1}, X2, X2[:, None]),
    ("nn.Squeeze", {"numInputDims": 2}, X2[:1, None], X2[:1]),
    ("nn.Squeeze", {"dim": 1, "numInputDims": 2}, X2[:, None], X2),
    ("nn.Squeeze", {}, X2[:1, :1], X2[0, :1]),
    ("nn.Transpose", {"permutations": [[1, 2]], "numInputDims": 2}, X3, X3.swapaxes(1, 2)),
    ("nn.Select", {"dimension": 2, "index": -1}, X3, X3[:, -1]),
    ("nn.Narrow", {"dimension": 2, "index": -1, "length": 2}, X3, X3[:, :3]),
    ("nn.Collapse", {"nInputDim": 3}, X3, X3.reshape(-1)),
    ("nn.Convert", {"inputShape": "bchw", "outputShape": "bf"}, X4, X4.reshape(2, -1)),
    ("nn.Convert", {"inputShape": "bchw", "outputShape": "bhwc"}, X4[0], X4[0].transpose(1, 2, 0)),
    ("nn.Convert", {"inputShape": "tb", "outputShape": "b"}, X2, X2[0]),
    ("nn.Reshape", {"size": sizes(20, 6), "batchMode": False}, X3, X3.reshape(20, 6)),
    ("nn.Reshape", {"size": sizes(30)}, X3, X3.reshape(4, 30)),
    ("nn.View", {"size": sizes(30)}, X3, X3.reshape(4, 30)),
    ("nn.View", {"size": sizes(-1), "numInputDims": 2}, X3, X3.reshape(4, 30)),
    ("nn.View", {"size": sizes(1, -1)}, X3, X3.reshape(1, 120)),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)
