"""Modules that enlarge maps, against NumPy and PyTorch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import pytest
import torch.nn.functional as F  # noqa: N812
from torch7_cases import X4, X5, t

CASES = [
    ("nn.PixelShuffle", {"upscaleFactor": 2}, X4, F.pixel_shuffle(t(X4), 2).numpy()),
    ("nn.UpSampling", {"mode": "nearest", "scale_factor": 3}, X4, F.interpolate(t(X4), scale_factor=3).numpy()),
    ("nn.UpSampling", {"mode": "nearest", "scale_factor": 2}, X5, F.interpolate(t(X5), scale_factor=2).numpy()),
    ("nn.UpSampling", {"mode": "linear", "scale_factor": 2}, X5, F.interpolate(t(X5), scale_factor=2, mode="trilinear", align_corners=True).numpy()),
    ("nn.UpSampling", {"mode": "linear", "oheight": 9, "owidth": 4}, X4, F.interpolate(t(X4), (9, 4), mode="bilinear", align_corners=True).numpy()),
    ("nn.SpatialUpSamplingBilinear", {"oheight": 1, "owidth": 9}, X4[0], F.interpolate(t(X4[:1]), (1, 9), mode="bilinear", align_corners=True)[0].numpy()),
    ("nn.SpatialUpSamplingNearest", {"scale_factor": 2}, X4[0], F.interpolate(t(X4[:1]), scale_factor=2)[0].numpy()),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)
