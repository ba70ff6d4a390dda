"""Sampling, regions of interest and non-maximum suppression, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest
from arrays import ints, values

X = values(2, 6, 5, 4)


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_grid_sample(agree_on, mode, padding, align):
    grid = (np.random.default_rng(1).random((2, 3, 4, 2), np.float32) * 2.4 - 1.2).astype(np.float32)
    attributes = {"mode": mode, "padding_mode": padding, "align_corners": align}
    agree_on("GridSample", [X, grid], attributes)


ROIS = np.array(
    [[0, 0, 6, 6], [1.4, 2.5, 8.1, 9.6], [-2, -3, 4, 5], [5, 5, 4.9, 4.9], [7, 7, 20, 20]], np.float32
)


def test_max_roi_pool(agree_on):
    rois = np.concatenate([np.array([[0], [1], [0], [1], [0]], np.float32), ROIS], 1)
    inputs = [values(2, 3, 9, 8), rois]
    agree_on("MaxRoiPool", inputs, {"pooled_shape": [3, 2]})
    agree_on("MaxRoiPool", inputs, {"pooled_shape": [2, 4], "spatial_scale": 0.5})


@pytest.mark.parametrize("samples", [0, 1, 3])
@pytest.mark.parametrize("coordinates", ["half_pixel", "output_half_pixel"])
def test_roi_align(agree_on, samples, coordinates):
    attributes = {
        "output_height": 3,
        "output_width": 2,
        "sampling_ratio": samples,
        "spatial_scale": 0.7,
        "coordinate_transformation_mode": coordinates,
    }
    agree_on("RoiAlign", [values(2, 3, 9, 8), ROIS, np.array([0, 1, 0, 1, 0])], attributes)


@pytest.mark.parametrize("opset", [13, 16, 21])
def test_regions_were_not_shifted_before_opset_16(agree_on, opset):
    rois, images = np.array([[0.3, 0.6, 3.2, 2.9], [1, 0, 4, 4]], np.float32), ints(0, 1)
    size = {"output_height": 2, "output_width": 3, "sampling_ratio": 2}
    agree_on("RoiAlign", [values(2, 3, 4, 5), rois, images], size, constant=(1, 2), opset=opset)


@pytest.mark.parametrize("centred", [0, 1])
@pytest.mark.parametrize("limit", [0, 2, 100])
@pytest.mark.parametrize(("overlap", "least"), [(0.3, None), (0.5, 0.4), (0.0, 0.1)])
def test_non_max_suppression(agree_on, centred, limit, overlap, least):
    rng = np.random.default_rng(3)
    boxes = rng.random((2, 30, 4), np.float32)
    scores = (rng.random((2, 3, 30), np.float32) * 20).round() / 20
    thresholds = [np.array([overlap], np.float32)] + (
        [] if least is None else [np.array([least], np.float32)]
    )
    inputs = [boxes, scores.astype(np.float32), np.array([limit]), *thresholds]
    agree_on("NonMaxSuppression", inputs, {"center_point_box": centred}, constant=(2, 3, 4))
