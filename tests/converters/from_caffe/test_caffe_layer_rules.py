"""Rules of BVLC's layers that no recorded case shows, against the numbers that follow from their source."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from corpus_cases import run_onnx, run_pytorch
from reference_nets import assert_close, computed, layer, write_net

import converters

X = np.random.default_rng(0).standard_normal((2, 3, 4, 6))


def windows(x: np.ndarray, rows: list[slice], columns: list[slice], reduce: object) -> np.ndarray:
    """Each window of the last two axes reduced by a function of (block, axes)."""
    return np.stack(
        [np.stack([reduce(x[..., r, c], (-2, -1)) for c in columns], -1) for r in rows],  # type: ignore[operator]
        -2,
    )


ROWS = [slice(0, 1), slice(1, 3), slice(3, 4)]

CASES = {
    # Padding on one axis lets Caffe drop a last window on the other, too: columns 6 and 7 do not exist.
    "pooling-drops-on-both-axes": (
        "Pooling",
        "pooling_param { pool: MAX kernel_h: 2 kernel_w: 1 stride_h: 2 stride_w: 4 pad_h: 1 pad_w: 0 }",
        X[..., :4],
        windows(X, ROWS, [slice(0, 1)], np.max),
    ),
    # A kernel of 3 over 2 columns, stride 2: C++ rounds -1 / 2 to 0, so there is one window, zeros beyond.
    "convolution-kernel-beyond-its-input": (
        "Im2col",
        "convolution_param { kernel_h: 1 kernel_w: 3 stride: 2 }",
        X[:, :1, :1, :2],
        np.pad(X[:, 0, 0, :2], ((0, 0), (0, 1)))[:, :, None, None],
    ),
    "im2col-of-another-axis": (
        "Im2col",
        "convolution_param { kernel_size: 4 axis: 2 }",
        X[..., :5].swapaxes(2, 3)[:, :, :2, :],
        X[..., :5].swapaxes(2, 3)[:, :, :2, :].reshape(2, 3, 8, 1),
    ),
    "clip-with-crossed-bounds": ("Clip", "clip_param { min: 0.5 max: 0.2 }", X, np.full(X.shape, 0.5)),
    "lrn-with-negative-beta": (
        "LRN",
        "lrn_param { local_size: 1 alpha: 2 beta: -0.5 k: 3 }",
        X,
        X * np.sqrt(3 + 2 * X**2),
    ),
    "lrn-with-negative-alpha": (
        "LRN",
        "lrn_param { local_size: 5 alpha: -0.01 beta: 1 k: 3 }",
        X,
        X / (3 - 0.002 * (X**2).sum(1, keepdims=True)),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_layer(name: str, tmp_path: Path) -> None:
    kind, parameters, x, wanted = CASES[name]
    assert_close(computed(tmp_path, layer(kind, "x", "y", parameters), {"x": x})["y"], wanted)


@pytest.mark.parametrize("size", [2, 3, 4, 5])
def test_bilinear_filler(size: int, tmp_path: Path) -> None:
    """Every kernel size, also those that no upsampling factor asks for, is symmetric about its centre."""
    parameters = (
        f"convolution_param {{ num_output: 1 kernel_size: {size} bias_term: false "
        'weight_filler { type: "bilinear" } }'
    )
    one = {"x": np.ones((1, 1, 1, 1))}
    got = computed(tmp_path, layer("Deconvolution", "x", "y", parameters), one)["y"]
    centre = (size - 1) / 2
    weight = 1 - np.abs(np.arange(size) - centre) / np.ceil(size / 2)
    assert_close(got[0, 0], np.outer(weight, weight))


def test_a_crop_reference_may_have_more_axes(tmp_path: Path) -> None:
    inputs = {"x": X, "r": np.zeros((2, 3, 2, 3, 5))}
    got = computed(tmp_path, layer("Crop", "x r", "y", "crop_param { offset: 1 }"), inputs)["y"]
    assert_close(got, X[:, :, 1:3, 1:4])


@pytest.mark.parametrize(
    ("sizes", "complaint"),
    [
        ("num: 2 channels: 3 channels: 3 height: 4 width: 6", None),
        ("num: 2 num: 2 num: 2 channels: 3 height: 4 width: 6", "3 shapes or sizes"),
        ("num: 2 channels: 3 height: 4", "0 shapes or sizes"),
        ("num: 2 channels: 3 height: 4 width: 6 shape { dim: 1 }", "both shape and the sizes"),
    ],
)
def test_dummy_data_sizes_are_given_once_or_per_top(
    sizes: str, complaint: str | None, tmp_path: Path
) -> None:
    net = layer("DummyData", "", "a b", f"dummy_data_param {{ data_filler {{ value: 2 }} {sizes} }}", "dummy")
    net += layer("Eltwise", "x a b", "y")
    if complaint is None:
        assert_close(computed(tmp_path, net, {"x": X})["y"], X + 4)
        return
    with pytest.raises(converters.FormatError, match=complaint):
        converters.load(*write_net(tmp_path, net, {"x": X.shape}))


@pytest.mark.parametrize(
    ("net", "complaint"),
    [
        (layer("Dropout", "x", "y", "phase: TRAIN"), "random dropout"),
        (layer("InnerProduct", "x", "x", "inner_product_param { num_output: 3 }"), "in place"),
    ],
)
def test_what_caffe_does_not_compute_the_same_twice_is_refused(
    net: str, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(converters.ConverterError, match=complaint):
        converters.load(*write_net(tmp_path, net, {"x": X.shape}))


@pytest.mark.parametrize(
    ("kind", "bottoms", "shapes"),
    [
        ("ArgMax", "x", {"x": ()}),
        ("Filter", "x s", {"x": (), "s": ()}),
        ("Filter", "x s", {"x": (3, 2), "s": (2,)}),
    ],
)
def test_blobs_of_the_wrong_rank_or_size_are_refused(
    kind: str, bottoms: str, shapes: dict[str, tuple[int, ...]], tmp_path: Path
) -> None:
    with pytest.raises(converters.FormatError, match=r"scalar|selector"):
        converters.load(*write_net(tmp_path, layer(kind, bottoms, "y"), shapes))


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
def test_a_convolution_without_spatial_axes_is_a_product(kind: str, tmp_path: Path) -> None:
    weight = np.random.default_rng(1).standard_normal((4, 3) if kind == "Convolution" else (3, 4))
    net = layer(kind, "x", "y", "convolution_param { num_output: 4 kernel_size: 3 pad: 1 bias_term: false }")
    got = computed(tmp_path, net, {"x": X[:, :, 0, 0]}, {"layer": [weight]})["y"]
    assert_close(got, X[:, :, 0, 0] @ (weight.T if kind == "Convolution" else weight))


def test_a_clipped_weight_has_a_pytorch_form(tmp_path: Path) -> None:
    net = layer("Parameter", "", "w", "parameter_param { shape { dim: 2 } }", "w")
    net += layer("Clip", "w", "clipped", "clip_param { min: 0 max: 6 }", "clip") + layer(
        "Bias", "x clipped", "y", "bias_param { axis: 0 }", "b"
    )
    model = converters.load(*write_net(tmp_path, net, {"x": X.shape}, {"w": [np.array([-1.0, 7.0])]}))
    converters.save(model, tmp_path / "net.py")
    got = run_pytorch(tmp_path / "net.py", {"x": X.astype(np.float32)}, model)["y"]
    assert_close(got, X + np.array([0, 6]).reshape(2, 1, 1, 1))


def test_a_batch_that_a_weight_spans_is_not_symbolic(tmp_path: Path) -> None:
    net = layer("InnerProduct", "x", "y", "inner_product_param { num_output: 2 axis: 0 }")
    blobs = {"layer": [np.ones((2, X.size)), np.zeros(2)]}
    model = converters.load(*write_net(tmp_path, net, {"x": X.shape}, blobs))
    assert model.meta["report"].inputs == {"x": "2x3x4x6"}


LOWEST = float(np.finfo(np.float32).min)


@pytest.mark.parametrize(
    ("parameters", "stride", "edge"),
    [
        ("pool: MAX kernel_size: 1 stride: 2", 2, LOWEST),
        ("pool: AVE kernel_size: 1 stride: 2", 2, np.nan),
        ("pool: MAX kernel_size: 1 stride: 5", 5, LOWEST),
        ("pool: AVE kernel_size: 1 stride: 5", 5, 0),
    ],
)
def test_pooling_windows_outside_the_image(parameters: str, stride: int, edge: float, tmp_path: Path) -> None:
    """One row and one column of windows too many: -FLT_MAX, 0 / 0 or 0 / a negative size."""
    x = X if stride == 2 else X[:, :, :, :4]
    got = computed(tmp_path, layer("Pooling", "x", "y", f"pooling_param {{ {parameters} }}"), {"x": x})["y"]
    inside = x[:, :, ::stride, ::stride]
    assert_close(got[..., :-1, :-1], inside)
    wanted = np.pad(inside, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=edge)
    assert got.shape == wanted.shape
    np.testing.assert_array_equal(got[..., -1, :], wanted[..., -1, :].astype(np.float32))
    np.testing.assert_array_equal(got[..., -1], wanted[..., -1].astype(np.float32))


def test_the_place_of_a_maximum_outside_the_image_is_none(tmp_path: Path) -> None:
    text = layer("Pooling", "x", "y m", "pooling_param { pool: MAX kernel_size: 1 stride: 2 }")
    places = computed(tmp_path, text, {"x": X})["m"]
    inside = np.arange(24).reshape(4, 6)[::2, ::2]
    wanted = np.pad(inside, ((0, 1), (0, 1)), constant_values=-1)
    np.testing.assert_array_equal(places, np.broadcast_to(wanted, (2, 3, 3, 4)))


SELECTED = layer("Filter", "x s", "f", name="filter")
ITEMS = np.random.default_rng(2).standard_normal((7, 2, 3))
SELECTION = np.array([1.0, 0, 2, -1, 0, 0.5, 0])


@pytest.mark.parametrize(
    ("parameters", "parts"),
    [
        ("axis: 0", [2, 2]),
        ("axis: 0 slice_point: 1", [1, 3]),
        ("axis: 0 slice_point: 1 slice_point: 3", [1, 2, 1]),
    ],
)
def test_selected_items_are_sliced(parameters: str, parts: list[int], tmp_path: Path) -> None:
    tops = [f"y{k}" for k in range(len(parts))]
    net = SELECTED + layer("Slice", "f", " ".join(tops), f"slice_param {{ {parameters} }}")
    got = computed(tmp_path, net, {"x": ITEMS, "s": SELECTION})
    wanted = np.split(ITEMS[SELECTION != 0], np.cumsum(parts)[:-1])
    for top, piece in zip(tops, wanted, strict=True):
        assert_close(got[top], piece)


def test_a_slice_point_behind_the_selected_items_ends_the_run(tmp_path: Path) -> None:
    """As it ends Caffe's: fewer items than the slice promises would pass for all of them."""
    net = SELECTED + layer("Slice", "f", "a b", "slice_param { axis: 0 slice_point: 5 }")
    model = converters.load(*write_net(tmp_path, net, {"x": ITEMS.shape, "s": SELECTION.shape}))
    converters.save(model, tmp_path / "net.onnx")
    converters.save(model, tmp_path / "net.py")
    inputs = {"x": ITEMS.astype(np.float32), "s": SELECTION.astype(np.float32)}
    with pytest.raises(Exception, match="'split' input"):
        run_onnx(tmp_path / "net.onnx", inputs)
    with pytest.raises(RuntimeError, match="split_sizes"):
        run_pytorch(tmp_path / "net.py", inputs, model)


def test_slice_points_behind_a_filter_must_still_ascend(tmp_path: Path) -> None:
    net = SELECTED + layer("Slice", "f", "a b c", "slice_param { axis: 0 slice_point: 2 slice_point: 2 }")
    with pytest.raises(converters.FormatError, match="ascend"):
        converters.load(*write_net(tmp_path, net, {"x": ITEMS.shape, "s": SELECTION.shape}))


def test_a_crop_to_as_many_items_as_were_selected(tmp_path: Path) -> None:
    inputs = {"x": ITEMS, "s": SELECTION, "r": np.zeros((3, 1, 2))}
    crops = layer("Crop", "x f", "first", "crop_param { axis: 0 }", "c1")
    crops += layer("Crop", "f r", "second", "crop_param { axis: 0 offset: 1 offset: 1 offset: 0 }", "c2")
    got = computed(tmp_path, SELECTED + crops, inputs)
    assert_close(got["first"], ITEMS[:4])
    assert_close(got["second"], ITEMS[SELECTION != 0][1:4, 1:2, :2])


@pytest.mark.parametrize("crop", ["f r", "x f"])
def test_a_crop_of_too_few_items_ends_the_run(crop: str, tmp_path: Path) -> None:
    """Of 4 selected items 4 are wanted behind an offset of 1; of 7 items as many as are selected, all 7."""
    net = SELECTED + layer("Crop", crop, "y", "crop_param { axis: 0 offset: 1 offset: 0 offset: 0 }")
    shapes = {"x": ITEMS.shape, "s": SELECTION.shape} | ({"r": (4, 2, 3)} if "r" in crop else {})
    model = converters.load(*write_net(tmp_path, net, shapes))
    converters.save(model, tmp_path / "net.onnx")
    converters.save(model, tmp_path / "net.py")
    selection = SELECTION if "r" in crop else np.ones(7)
    inputs = {name: np.zeros(shape, np.float32) for name, shape in shapes.items()}
    inputs["s"] = selection.astype(np.float32)
    with pytest.raises(Exception, match="'split' input"):
        run_onnx(tmp_path / "net.onnx", inputs)
    with pytest.raises(RuntimeError, match="split_sizes"):
        run_pytorch(tmp_path / "net.py", inputs, model)


def test_a_crop_cannot_leave_the_selected_items(tmp_path: Path) -> None:
    net = (
        SELECTED
        + layer("Power", "f", "g", name="power")
        + layer("Crop", "f g", "y", "crop_param { axis: 0 offset: 1 offset: 0 offset: 0 }")
    )
    with pytest.raises(converters.FormatError, match="axis 0: offset 1"):
        converters.load(*write_net(tmp_path, net, {"x": ITEMS.shape, "s": SELECTION.shape}))
