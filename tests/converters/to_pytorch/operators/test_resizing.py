"""Resize, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir
import pytest
from arrays import ints, values
from onnx_models import FLOAT, net

from converters import to_pytorch
from converters.errors import UnsupportedError

X = values(2, 3, 4, 5)

RESIZES = [
    # sizes or scales, attributes, expected code
    (
        "scales",
        (1, 1, 2, 2),
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        "scale_factor=2",
    ),
    (
        "scales",
        (1, 1, 3, 2),
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        "F.interpolate",
    ),
    (
        "scales",
        (1, 1, 2, 1),
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        "F.interpolate",
    ),
    (
        "scales",
        (1, 1, 1.5, 1.7),
        {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
        "resize_nearest",
    ),
    ("scales", (1, 1, 2, 2), {"nearest_mode": "round_prefer_ceil"}, "nearest-exact"),
    ("scales", (1, 1, 2, 2), {}, "resize_nearest"),
    ("scales", (1, 1, 1.3, 0.7), {"nearest_mode": "ceil"}, "resize_nearest"),
    ("sizes", (2, 3, 7, 4), {"coordinate_transformation_mode": "align_corners"}, "resize_nearest"),
    ("sizes", (2, 3, 7, 9), {"mode": "linear"}, "bilinear"),
    ("sizes", (2, 3, 3, 2), {"mode": "linear"}, "bilinear"),
    (
        "sizes",
        (2, 3, 7, 9),
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        "align_corners=True",
    ),
    (
        "sizes",
        (2, 3, 1, 9),
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        "align_corners=True",
    ),
    (
        "sizes",
        (2, 3, 7, 9),
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
        "resize_linear",
    ),
    (
        "sizes",
        (2, 3, 1, 9),
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
        "resize_linear",
    ),
    (
        "sizes",
        (2, 3, 7, 9),
        {"mode": "linear", "coordinate_transformation_mode": "pytorch_half_pixel"},
        "bilinear",
    ),
    ("scales", (1, 1, 1.7, 0.6), {"mode": "linear"}, "resize_linear"),
    (
        "scales",
        (1, 1, 1.7, 0.6),
        {"mode": "linear", "coordinate_transformation_mode": "asymmetric"},
        "resize_linear",
    ),
    ("sizes", (2, 3, 7, 9), {"mode": "cubic"}, "bicubic"),
    ("sizes", (2, 3, 7, 9), {"mode": "cubic", "coordinate_transformation_mode": "align_corners"}, "bicubic"),
    (
        "sizes",
        (2, 3, 7, 9),
        {"mode": "cubic", "coordinate_transformation_mode": "asymmetric"},
        "resize_cubic",
    ),
    ("scales", (1, 1, 1.7, 0.6), {"mode": "cubic"}, "resize_cubic"),
]


@pytest.mark.parametrize(("by", "numbers", "attributes", "code"), RESIZES)
def test_resize(agree_on, by, numbers, attributes, code):
    given = np.array(numbers, np.float32 if by == "scales" else np.int64)
    inputs = [values(2, 3, 5, 4), None, given] if by == "scales" else [values(2, 3, 5, 4), None, None, given]
    assert code in agree_on("Resize", inputs, attributes, constant=(2, 3), batch=by == "scales")


def test_resize_of_chosen_axes(agree_on):
    inputs = [values(2, 3, 5, 4), None, None, np.array([10, 8])]
    attributes = {"axes": [2, 3], "mode": "linear"}
    assert "scale_factor=2" in agree_on("Resize", inputs, attributes, constant=(3,))


def test_a_resize_to_computed_sizes(agree):
    def resized(**how):
        nodes = [
            ("Shape", ["x"], "shape", {}),
            ("Slice", ["shape", "zero", "two"], "batch", {}),
            ("Slice", ["shape", "two", "four"], "image", {}),
            ("Mul", ["image", "factors"], "larger", {}),
            ("Concat", ["batch", "larger"], "sizes", {"axis": 0}),
            ("Resize", ["x", "", "", "sizes"], "y", how),
        ]
        constants = {"zero": ints(0), "two": ints(2), "four": ints(4), "factors": ints(3, 2)}
        model = net(nodes, {"x": (FLOAT, ["N", 3, "H", "W"])}, ["y"], constants)
        return agree(model, {"x": X})

    linear = resized(mode="linear")
    assert 'F.interpolate(x, size=(x.shape[2] * 3, x.shape[3] * 2), mode="bilinear")' in linear
    resized(mode="linear", coordinate_transformation_mode="align_corners")
    resized(mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
    resized(mode="cubic", coordinate_transformation_mode="asymmetric")


@pytest.mark.parametrize("factors", [(2, 2), (1, 3)])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_an_open_image_is_enlarged_by_whole_factors(agree, mode, factors):
    scales = np.array([1, 1, *factors], np.float32)
    how = {
        "mode": mode,
        "coordinate_transformation_mode": "asymmetric" if mode == "nearest" else "half_pixel",
    }
    how |= {"nearest_mode": "floor"} if mode == "nearest" else {}
    nodes = [("Resize", ["x", "", "scales"], "y", how)]
    source = agree(net(nodes, {"x": (FLOAT, ["N", 3, "H", "W"])}, ["y"], {"scales": scales}), {"x": X})
    assert f"scale_factor={2 if factors == (2, 2) else (1, 3)}" in source


def test_an_open_image_is_not_enlarged_by_a_fraction(tmp_path):
    nodes = [("Resize", ["x", "", "scales"], "y", {"mode": "linear"})]
    scales = np.array([1, 1, 1.5, 1], np.float32)
    model = net(nodes, {"x": (FLOAT, ["N", 3, "H", "W"])}, ["y"], {"scales": scales})
    with pytest.raises(
        UnsupportedError, match=r"size of axis 2 must be known beforehand to be scaled by 1\.5"
    ):
        to_pytorch.save(ir.serde.deserialize_model(model), tmp_path / "net.py")
