"""Where PyTorch and ONNX part ways (element types, empty shapes, scalars, -0.0), against ONNX Runtime."""

from __future__ import annotations

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch
from onnx import helper, numpy_helper

from converters import to_pytorch
from converters.errors import UnsupportedError
from converters.graph import Graph, Symbol

FLOAT, INT64 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT64


def values(*shape: int) -> np.ndarray:
    return np.random.default_rng(shape).standard_normal(shape, np.float32)


def ints(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


X = values(2, 3, 4, 5)
SCALAR = np.array(-1.5, np.float32)
NONE = ints()


def net(nodes, inputs, outputs, constants=None, *, infer=True) -> onnx.ModelProto:
    """A model of (operator, inputs, output, attributes); inputs are (element type, shape)."""
    made = [helper.make_node(op, names, [out], name=out, **extra) for op, names, out, extra in nodes]
    infos = [helper.make_tensor_value_info(name, *what) for name, what in inputs.items()]
    graph = helper.make_graph(
        made,
        "edges",
        infos,
        [onnx.ValueInfoProto(name=name) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in (constants or {}).items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, data_prop=True) if infer else model


OPERATORS = [
    ("Gather", [X, ints(2, 0, 1, 1).reshape(2, 2)], {"axis": 1}),
    ("Gather", [values(4, 3), ints(0, 3).reshape(1, 2)], {}),
    ("Gather", [values(4), ints(0, 3, 1, 1).reshape(2, 1, 2)], {"axis": -1}),
    ("Transpose", [SCALAR], {}),
    ("Expand", [SCALAR, NONE], {}),
    ("Tile", [SCALAR, NONE], {}),
    ("Split", [X, ints(3)], {"axis": 1}),
    ("Shape", [SCALAR], {}),
    ("GatherND", [values(4), ints(2)], {}),
    ("SpaceToDepth", [values(0, 1, 4, 4)], {"blocksize": 2}),
    ("DepthToSpace", [values(0, 4, 2, 2)], {"blocksize": 2}),
    # What lies before the beginning of an axis, and ends that mean nothing or everything.
    ("Slice", [X, ints(-9), ints(-99), ints(3), ints(-1)], {}),
    ("Slice", [X, ints(1), ints(-(2**31)), ints(3)], {}),
    ("Slice", [X, ints(2**31), ints(2**63 - 1), ints(3)], {}),
    ("Pad", [values(2, 3, 4), ints(0, 1, 2, 0, 1, 1)], {"mode": "reflect"}),
    # Over no axes a reduction still squares, takes roots and so on.
    *[
        (f"Reduce{name}", [x, *axes], {"noop_with_empty_axes": noop})
        for name in ("L1", "L2", "SumSquare", "LogSum", "LogSumExp", "Sum")
        for x, axes, noop in ((np.array(1.5, np.float32), [], 0), (np.abs(X), [NONE], 1), (np.abs(X), [], 1))
    ],
    # Torch counts sums of small integers in int64.
    ("CumSum", [np.arange(6, dtype=np.int32).reshape(2, 3), np.array(1)], {}),
    ("CumSum", [np.arange(6, dtype=np.int32).reshape(2, 3), np.array(1)], {"exclusive": 1}),
    # SlidingWindow that ceil_mode lets hang over pads which PyTorch cannot say.
    (
        "MaxPool",
        [values(1, 2, 2, 7, 6)],
        {"kernel_shape": [2, 3, 4], "strides": [3, 1, 1], "pads": [1, 0, 3, 1, 0, 3], "ceil_mode": 1},
    ),
    ("PRelu", [np.array([[-2, 3]], np.int32), np.array([4], np.int32)], {}),
]


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes"), OPERATORS, ids=[f"{op[0]}-{k}" for k, op in enumerate(OPERATORS)]
)
def test_operator(agree_on, op_type, inputs, attributes):
    agree_on(op_type, inputs, attributes, constant=range(1, len(inputs)))


@pytest.mark.parametrize("exponent", [-0.5, 0.5])
@pytest.mark.parametrize("shape", [(), (1,)])
def test_powers_are_no_roots(agree_on, run_written, exponent, shape):
    x = np.array([-0.0, 0.0, -np.inf, np.inf, 4.0, np.nan], np.float32)
    inputs = [x, np.full(shape, exponent, np.float32)]
    agree_on("Pow", inputs, constant=(1,))
    assert not np.signbit(run_written("Pow", inputs, {}, constant=(1,))[0]).any()


@pytest.mark.parametrize(
    ("a", "b"),
    [
        (np.arange(4, dtype=np.int32), ints(2)),
        (np.arange(4, dtype=np.float32), np.array([2.0])),
        (np.arange(4), np.array([0.5], np.float32)),
    ],
)
@pytest.mark.parametrize("constant", [(), (1,)])
def test_powers_keep_the_type_of_the_base(agree_on, a, b, constant):
    agree_on("Pow", [a, b], constant=constant)


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


def test_a_computed_reshape_copies_the_sizes_marked_0(agree_on):
    agree_on("Reshape", [X, ints(0, -1, 0)])


@pytest.mark.parametrize("op_type", ["Identity", "Add", "Slice", "Max"])
def test_constants_keep_their_type(agree, op_type):
    """Integers of other types than int64 are no sizes, however small the array is."""
    number = np.array([1, 2], np.int32)
    inputs = {"Identity": ["c"], "Add": ["c", "c"], "Slice": ["c", "end", "end"], "Max": ["c", "c", "x"]}
    nodes = [(op_type, inputs[op_type], "y", {})]
    model = net(nodes, {"x": (onnx.TensorProto.INT32, [2])}, ["y"], {"c": number, "end": ints(1)})
    agree(model, {"x": number})


@pytest.mark.parametrize("op_type", ["Max", "Min"])
def test_numbers_among_the_operands(agree, op_type):
    nodes = [(op_type, ["a", "b", "x"], "y", {})]
    model = net(nodes, {"x": (FLOAT, [2, 3])}, ["y"], {"a": np.float32(0.5), "b": np.float32(-0.5)})
    agree(model, {"x": values(2, 3)})


@pytest.mark.parametrize("stored", ["low", "high"])
def test_one_bound_is_a_number_and_the_other_computed(agree, stored):
    nodes = [("ReduceMax", ["x"], "most", {"keepdims": 0}), ("Clip", ["x", "low", "high"], "y", {})]
    nodes[1][1][1 if stored == "high" else 2] = "most"
    model = net(nodes, {"x": (FLOAT, [2, 3])}, ["y"], {stored: np.float32(0.5)})
    agree(model, {"x": values(2, 3)})


@pytest.mark.parametrize(("start", "limit", "step"), [(3, 0, 1), (0, 3, -1), (2, 2, 1)])
def test_a_range_that_leads_away_is_empty(agree_on, start, limit, step):
    agree_on("Range", [np.array(n, np.float32) for n in (start, limit, step)], constant=(0, 1, 2))


@pytest.mark.parametrize("op_type", ["Conv", "ConvTranspose"])
def test_a_stored_kernel_with_a_computed_bias(agree_on, op_type):
    agree_on(op_type, [values(2, 3, 6), values(3, 3, 2), values(3)], constant=(1,))


def test_layer_normalization_with_a_computed_bias(agree_on):
    agree_on("LayerNormalization", [values(2, 3, 4), values(4), values(4)], constant=(1,))


def test_what_a_file_does_not_record_is_inferred(agree):
    """Integers divide otherwise than floating-point numbers, and reductions ask for the number of axes."""
    nodes = [
        ("Add", ["x", "x"], "twice", {}),
        ("Div", ["twice", "three"], "third", {}),
        ("ReduceSum", ["third"], "y", {}),
    ]
    model = net(nodes, {"x": (INT64, ["N", 3])}, ["y"], {"three": ints(3)}, infer=False)
    agree(model, {"x": np.arange(6).reshape(2, 3) - 2})


REFUSED = [
    ("ReduceMean", [np.arange(3)], {}, "floating-point numbers only"),
    ("MaxPool", [np.zeros((1, 1, 4), np.uint8)], {"kernel_shape": [2]}, "floating-point numbers only"),
    ("Shrink", [np.arange(3)], {}, "floating-point numbers only"),
    ("Pad", [values(1, 2, 3, 4, 5), ints(0, 1, *[0] * 8)], {"mode": "reflect"}, "last three axes"),
    ("InstanceNormalization", [values(2, 3, 1), values(3), values(3)], {}, "a single element"),
]


@pytest.mark.parametrize(
    ("op_type", "inputs", "attributes", "words"), REFUSED, ids=[case[0] for case in REFUSED]
)
def test_what_torch_would_refuse_later_is_refused_now(run_written, op_type, inputs, attributes, words):
    with pytest.raises(UnsupportedError, match=f"ONNX operator {op_type}: .*{words}"):
        run_written(op_type, inputs, attributes, constant=range(1, len(inputs)))


@pytest.mark.parametrize("op_type", ["Unsqueeze", "Squeeze"])
def test_a_choice_that_hangs_on_a_size_is_our_own_error(tmp_path, op_type):
    nodes = [
        ("Shape", ["x"], "shape", {"end": 1}),
        (op_type, ["x", "shape"], "y", {}),
    ]
    model = net(nodes, {"x": (FLOAT, ["N", 2])}, ["y"])
    with pytest.raises(UnsupportedError, match="sizes that are known only at run time"):
        to_pytorch.save(ir.serde.deserialize_model(model), tmp_path / "net.py")


@pytest.fixture
def loaded(tmp_path, import_net):
    def load(outputs: dict[str, ir.Value], graph: Graph) -> torch.nn.Module:
        path, _ = to_pytorch.save(graph.model(outputs), tmp_path / "net.py")
        return import_net(path).load()

    return load


@pytest.mark.parametrize("how", ["whole", "a piece", "for each image"])
def test_what_is_given_out_as_stored_is_not_trained(loaded, how):
    graph = Graph("stored")
    x = graph.input("data", (Symbol("N"), 4))
    with graph.layer("anchors"):
        stored = graph.parameter("table", values(6, 4))
        if how == "a piece":
            stored = graph.node("Slice", stored, ints(1), ints(3), ints(0), shape=(2, 4))
        if how == "for each image":
            batch = graph.node("Shape", x, shape=(1,), dtype=ir.DataType.INT64, start=0, end=1)
            target = graph.node("Concat", batch, ints(6, 4), shape=(3,), axis=0)
            stored = graph.node("Expand", stored, target, shape=(Symbol("N"), 6, 4))
    with graph.layer("scale"):
        y = graph.node("Mul", x, graph.parameter("weight", values(4)))
    model = loaded({"anchors": stored, "y": y}, graph)
    anchors, y = model(torch.ones(2, 4))
    assert not anchors.requires_grad
    assert y.requires_grad
    assert [name for name, _ in model.named_parameters()] == ["scale_weight"]


def test_statistics_of_any_rank_are_not_trained(loaded):
    """Outside no_grad torch refuses to normalise by a parameter."""
    graph = Graph("statistics")
    x = graph.input("data", (Symbol("N"), 3, 1, 2, 1, 2))
    with graph.layer("bn"):
        weights = [graph.parameter(name, np.abs(values(3))) for name in ("weight", "bias", "mean", "var")]
        y = graph.node("BatchNormalization", x, *weights)
    model = loaded({"y": y}, graph)
    model(torch.ones(2, 3, 1, 2, 1, 2)).sum().backward()
    assert [name for name, _ in model.named_parameters()] == ["bn_weight", "bn_bias"]


def test_an_expansion_to_a_size_that_is_1(agree):
    nodes = [
        ("Shape", ["x"], "shape", {"end": 1}),
        ("Concat", ["shape", "one"], "target", {"axis": 0}),
        ("Expand", ["w", "target"], "y", {}),
    ]
    model = net(nodes, {"x": (FLOAT, ["N", 2])}, ["y"], {"w": values(3, 2), "one": ints(1)})
    agree(model, {"x": values(1, 2)})


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_the_lowest_number_is_that_of_the_type_the_net_runs_in(run_written, tmp_path, import_net, dtype):
    """Caffe's maximum of nothing is the lowest float32, which is no number in other types."""
    x, lowest = values(1, 2, 4), np.array(np.finfo(np.float32).min)
    for inputs, attributes in (
        ([x, ints(0, 0, 0, 0, 0, 2), lowest], {}),
        ([x], {"kernel_shape": [2], "pads": [0, 3], "strides": [2]}),
    ):
        run_written("MaxPool" if attributes else "Pad", inputs, attributes, constant=(1, 2))
        padded = import_net(tmp_path / "net.py").load()(torch.from_numpy(x).to(dtype))
        assert padded.dtype is dtype
        assert padded[..., -1].eq(torch.finfo(dtype).min).all()


@pytest.mark.parametrize("opset", [13, 16, 21])
def test_regions_were_not_shifted_before_opset_16(agree_on, opset):
    rois, images = np.array([[0.3, 0.6, 3.2, 2.9], [1, 0, 4, 4]], np.float32), ints(0, 1)
    size = {"output_height": 2, "output_width": 3, "sampling_ratio": 2}
    agree_on("RoiAlign", [X, rois, images], size, constant=(1, 2), opset=opset)
