"""Pooling over regions (Fast R-CNN, R-FCN), against float64 references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_regions as reference
from reference_nets import assert_close, computed, layer, write_net

import converters


def regions(count: int, images: int, height: int, width: int, seed: int = 0) -> np.ndarray:
    """Regions of every size and place, some outside the image, some with corners in the wrong order."""
    generator = np.random.default_rng(seed)
    ends = generator.uniform(-0.3, 1.3, (count, 2, 2)) * [width, height]
    ends[: count * 3 // 4].sort(axis=1)
    image = generator.integers(0, images, count)
    rows = np.column_stack([image, ends.reshape(count, 4)])
    # Coordinates halfway between two pixels: rules of rounding differ there.
    rows[::3, 1:] = np.floor(rows[::3, 1:]) + 0.5
    return rows.astype(np.float32).astype(float)


@pytest.mark.parametrize(
    ("shape", "size", "scale"),
    [
        ((1, 3, 9, 12), (2, 2), 1.0),
        ((3, 2, 14, 10), (7, 7), 0.0625),
        ((2, 1, 5, 7), (3, 1), 0.125),
        ((2, 2, 20, 4), (6, 3), 0.5),
        ((1, 1, 1, 1), (2, 3), 0.25),
        ((1, 2, 30, 30), (7, 5), 0.3),
    ],
)
def test_roi_pooling(tmp_path: Path, shape: tuple[int, ...], size: tuple[int, int], scale: float) -> None:
    x = np.random.default_rng(1).normal(size=shape)
    rois = regions(40, shape[0], int(shape[2] / scale), int(shape[3] / scale))
    text = f"roi_pooling_param {{ pooled_h: {size[0]} pooled_w: {size[1]} spatial_scale: {scale} }}"
    declared = {"x": (1, *shape[1:]), "rois": (300, 5)}
    got = computed(
        tmp_path, layer("ROIPooling", "x rois", "y", text), {"x": x, "rois": rois}, declared=declared
    )
    assert_close(got["y"], reference.roi_pool(x, rois, size, scale))


@pytest.mark.parametrize(
    ("outputs", "group", "shape", "scale"),
    [
        (1, 1, (1, 1, 6, 9), 1.0),
        (3, 3, (2, 27, 14, 10), 0.0625),
        (2, 7, (1, 98, 20, 30), 0.125),
        (5, 2, (3, 20, 4, 5), 0.5),
        (2, 4, (2, 32, 1, 1), 0.25),
        (1, 3, (1, 9, 17, 23), 0.3),
    ],
)
def test_psroi_pooling(
    tmp_path: Path, outputs: int, group: int, shape: tuple[int, ...], scale: float
) -> None:
    x = np.random.default_rng(2).normal(size=shape)
    rois = regions(40, shape[0], int(shape[2] / scale), int(shape[3] / scale))
    text = f"psroi_pooling_param {{ output_dim: {outputs} group_size: {group} spatial_scale: {scale} }}"
    got = computed(
        tmp_path,
        layer("PSROIPooling", "x rois", "y", text),
        {"x": x, "rois": rois.reshape(-1, 5, 1, 1)},
        declared={"x": (1, *shape[1:]), "rois": (1, 5, 1, 1)},
    )
    assert_close(got["y"], reference.position_sensitive_pool(x, rois, outputs, group, scale))


def test_psroi_pooling_of_large_values_keeps_small_ones(tmp_path: Path) -> None:
    """The sum over a whole plane must not absorb the small values of one bin."""
    x = np.full((1, 4, 40, 40), 1e-3)
    x[:, :, :30] = 1e4
    rois = np.array([[0, 2, 31, 35, 39]])
    text = "psroi_pooling_param { output_dim: 1 group_size: 2 spatial_scale: 1 }"
    got = computed(tmp_path, layer("PSROIPooling", "x rois", "y", text), {"x": x, "rois": rois})
    assert np.allclose(got["y"], 1e-3, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (layer("ROIPooling", "x rois", "y", "roi_pooling_param { pooled_h: 2 }"), "must be positive"),
        (layer("ROIPooling", "x x", "y", "roi_pooling_param { pooled_h: 2 pooled_w: 2 }"), "rows of 5"),
        (
            layer(
                "PSROIPooling",
                "x rois",
                "y",
                "psroi_pooling_param { output_dim: 2 group_size: 3 spatial_scale: 1 }",
            ),
            "need 18 channels",
        ),
    ],
)
def test_regions_refused(tmp_path: Path, net: str, message: str) -> None:
    with pytest.raises(converters.FormatError, match=message):
        converters.load(*write_net(tmp_path, net, {"x": (1, 8, 5, 5), "rois": (3, 5)}))
