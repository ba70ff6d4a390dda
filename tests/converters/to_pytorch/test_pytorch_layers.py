"""Normalizations, products, resizing, regions and recurrent layers, against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import pytest

from converters.errors import MismatchError, UnsupportedError


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape, np.float32)


X = values(2, 6, 5, 4)


@pytest.mark.parametrize("constant", [(1, 2, 3, 4), ()], ids=["weights", "computed"])
@pytest.mark.parametrize("sizes", [(), (5,), (5, 4), (3, 4, 5)])
def test_batch_normalization(agree_on, sizes, constant):
    inputs = [values(2, 6, *sizes), values(6), values(6) + 1, values(6), np.abs(values(6))]
    source = agree_on("BatchNormalization", inputs, {"epsilon": 1e-3}, constant=constant)
    assert ("nn.BatchNorm" in source) == bool(constant)


def test_batch_normalization_without_scale_has_no_weights(agree_on):
    inputs = [X, np.ones(6, np.float32), np.zeros(6, np.float32), values(6), np.abs(values(6))]
    assert "nn.BatchNorm2d(6, affine=False)" in agree_on("BatchNormalization", inputs, constant=(1, 2, 3, 4))


@pytest.mark.parametrize("constant", [(1, 2), ()])
def test_instance_normalization(agree_on, constant):
    agree_on("InstanceNormalization", [X, values(6), values(6) + 1], {"epsilon": 1e-3}, constant=constant)


@pytest.mark.parametrize("constant", [(1, 2), ()])
@pytest.mark.parametrize("axis", [-1, 2])
def test_layer_normalization(agree_on, constant, axis):
    shape = X.shape[axis:]
    agree_on("LayerNormalization", [X, values(*shape), values(*shape)], {"axis": axis}, constant=constant)
    agree_on("LayerNormalization", [X, values(*shape)], {"axis": axis}, constant=constant[:1])


@pytest.mark.parametrize("size", [1, 3, 5])
def test_lrn(agree_on, size):
    attributes = {"size": size, "alpha": 0.5, "beta": 0.6, "bias": 1.5}
    assert "nn.LocalResponseNorm(" in agree_on("LRN", [X * 10], attributes)


@pytest.mark.parametrize("size", [2, 4, 6])
def test_lrn_over_an_even_number_of_channels(run_written, size):
    """ONNX Runtime refuses these, so by the formula of the specification."""
    got = run_written("LRN", [X * 10], {"size": size, "alpha": 0.5, "beta": 0.6, "bias": 1.5})[0]
    squares = np.pad((X * 10.0) ** 2, [(0, 0), ((size - 1) // 2, size // 2), (0, 0), (0, 0)])
    sums = sum(squares[:, k : k + 6] for k in range(size))
    np.testing.assert_allclose(got, X * 10 / (1.5 + 0.5 / size * sums) ** 0.6, rtol=1e-5)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("axis", [-1, 1])
def test_lp_normalization(agree_on, p, axis):
    agree_on("LpNormalization", [X], {"p": p, "axis": axis})


@pytest.mark.parametrize("attributes", [{}, {"axes": [2, 3]}])
def test_mean_variance_normalization(agree_on, attributes):
    agree_on("MeanVarianceNormalization", [X], attributes)


@pytest.mark.parametrize("constant", [(1, 2), (1,), ()])
@pytest.mark.parametrize(
    "attributes",
    [{"transB": 1}, {}, {"transA": 1}, {"alpha": 0.5, "beta": 2.0}, {"beta": 0.25, "transB": 1}],
)
@pytest.mark.parametrize("bias", [(7,), (1, 7), (1,), (4, 7), None])
def test_gemm(agree_on, attributes, constant, bias):
    a = values(3, 4) if attributes.get("transA") else values(4, 3)
    b = values(7, 3) if attributes.get("transB") else values(3, 7)
    agree_on("Gemm", [a, b] if bias is None else [a, b, values(*bias)], attributes, constant=constant)


RESIZES = [
    # sizes or scales, attributes, what the code says
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


GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


@pytest.mark.parametrize("initial", [True, False])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("op_type", list(GATES))
def test_recurrent(agree_on, op_type, direction, bias, initial):
    directions, hidden, features = (2 if direction == "bidirectional" else 1), 4, 3
    rows = GATES[op_type] * hidden
    inputs = [
        values(6, 2, features),
        values(directions, rows, features),
        values(directions, rows, hidden),
        values(directions, 2 * rows) if bias else None,
        None,
        *([values(directions, 2, hidden)] * initial * (2 if op_type == "LSTM" else 1)),
    ]
    attributes = {"direction": direction, "hidden_size": hidden}
    if op_type == "GRU":
        agree_on(op_type, inputs, attributes, constant=(1, 2, 3), outputs=2, batch=False)
        attributes["linear_before_reset"] = 1
    source = agree_on(
        op_type, inputs, attributes, constant=(1, 2, 3), outputs=3 if op_type == "LSTM" else 2, batch=False
    )
    assert f"nn.{op_type}(3, 4" in source


def test_recurrent_with_relu(agree_on):
    inputs = [values(6, 2, 3), values(1, 4, 3), values(1, 4, 4)]
    agree_on("RNN", inputs, {"hidden_size": 4, "activations": ["Relu"]}, constant=(1, 2), outputs=2)


REFUSED = [
    ("AveragePool", [X], {"kernel_shape": [1, 2, 3, 1][:2], "dilations": [2, 2]}, (), "dilated"),
    ("MaxPool", [X], {"kernel_shape": [2, 2], "storage_order": 1}, (), "storage_order"),
    (
        "Resize",
        [X, None, np.array([1, 1, 2, 2], np.float32)],
        {"antialias": 1, "mode": "linear"},
        (2,),
        "antialias",
    ),
    ("RoiAlign", [X, ROIS, np.zeros(5, np.int64)], {"mode": "max"}, (), "max"),
    ("Det", [values(2, 3, 3)], {}, (), "no PyTorch form of this operator"),
    ("Tile", [X, np.array([1, 2, 1, 1])], {}, (), "'repeats' must be a constant"),
    ("BatchNormalization", [X, *[values(6)] * 4], {"training_mode": 1}, (1, 2, 3, 4), "training_mode"),
]


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "constant", "words"),
    REFUSED,
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_cannot_be_said_is_an_error(run_written, op_type, inputs, attributes, constant, words):
    opset = 19 if "dilations" in attributes else 18
    outputs = 2 if op_type == "MaxPool" else 1
    with pytest.raises(UnsupportedError, match=f"layer 'layer', ONNX operator {op_type}: .*{words}"):
        run_written(op_type, inputs, attributes, constant=constant, opset=opset, outputs=outputs)


def test_contradictory_weights_are_an_error(tmp_path):
    from converters import to_pytorch
    from converters.graph import Graph, Symbol

    graph = Graph("net")
    x = graph.input("data", (Symbol("N"), 3, 8, 8))
    with graph.layer("conv1"):
        weight, bias = graph.parameter("weight", values(4, 3, 3, 3)), graph.parameter("bias", values(5))
        y = graph.node("Conv", x, weight, bias, shape=(Symbol("N"), 4, 6, 6), kernel_shape=[3, 3])
    with pytest.raises(MismatchError, match="layer 'conv1', ONNX operator Conv: Conv2d expects"):
        to_pytorch.save(graph.model({"y": y}), tmp_path / "net.py")
    assert not list(tmp_path.iterdir())
