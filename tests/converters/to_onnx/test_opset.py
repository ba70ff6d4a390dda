"""The same net in other opsets: it computes the same, or is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx

import converters
from converters.to_onnx.opset import MAX_OPSET, MIN_OPSET

CAFFE = CORPUS / "caffe"

# Together, these nets use most operators.
NETS = [
    "arch-alexnet",
    "arch-caption",
    "arch-densenet",
    "arch-inception",
    "arch-rpn",
    "dag-00",
    "dag-04",
    "dag-17",
]


@pytest.mark.parametrize("opset", [MIN_OPSET, 15, 17, 18, 19, 20, 21, 22, 23, MAX_OPSET])
@pytest.mark.parametrize("name", NETS)
def test_other_opsets_compute_the_same(tmp_path: Path, name: str, opset: int) -> None:
    case = Case.load(CAFFE / name)
    out = tmp_path / "net.onnx"
    converters.convert(case.sources, out, opset=opset, **case.options)
    assert onnx.load(out).opset_import[0].version == opset
    onnx.checker.check_model(out, full_check=True)
    assert_agrees(run_onnx(out, case.inputs), case.outputs, DEFAULT_TOLERANCE)


def one_node(path: Path, op_type: str, opset: int, inputs: list[np.ndarray], **attributes: object) -> None:
    """A model of one operator; all its inputs except the first are initializers."""
    names = [f"in{k}" for k in range(len(inputs))]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op_type, names, ["out"], "layer", **attributes)],
        op_type,
        [onnx.helper.make_tensor_value_info("in0", onnx.TensorProto.FLOAT, list(inputs[0].shape))],
        [onnx.ValueInfoProto(name="out")],
        [onnx.numpy_helper.from_array(*pair) for pair in zip(inputs[1:], names[1:], strict=True)],
    )
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8, producer_name="test"
    )
    onnx.save(onnx.shape_inference.infer_shapes(model), path)


@pytest.mark.parametrize("opset", [MIN_OPSET, 16, 19, 21])
@pytest.mark.parametrize(
    "attributes",
    [
        {"mode": "linear", "coordinate_transformation_mode": "align_corners"},
        {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"},
    ],
    ids=["linear", "nearest"],
)
def test_a_resize_is_the_same_in_every_opset(tmp_path: Path, attributes: dict[str, str], opset: int) -> None:
    """Bit for bit: revisions of Resize only added attributes and a coordinate transformation."""
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 5), np.float32)
    scales = np.array([1, 1, 2.5, 3], np.float32)
    one_node(tmp_path / "18.onnx", "Resize", 18, [x, np.zeros(0, np.float32), scales], **attributes)
    converters.convert([tmp_path / "18.onnx"], tmp_path / "other.onnx", opset=opset)
    wanted, got = (run_onnx(tmp_path / name, {"in0": x})["out"] for name in ("18.onnx", "other.onnx"))
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("op_type", "opset", "inputs", "attributes", "to"),
    [
        ("ScatterElements", 18, [np.ones(3), np.array([0]), np.ones(1)], {"reduction": "max"}, 17),
        ("GridSample", 18, [np.ones((1, 1, 2, 2)), np.ones((1, 2, 2, 2))], {"mode": "bilinear"}, 20),
        ("Pad", 19, [np.ones((2, 2)), np.array([1, 0, 0, 0])], {"mode": "wrap"}, 18),
        ("RoiAlign", 18, [np.ones((1, 1, 4, 4)), np.ones((1, 4)), np.array([0])], {}, 15),
    ],
    ids=["ScatterElements", "GridSample", "Pad", "RoiAlign"],
)
def test_what_another_opset_does_not_know_is_refused(
    tmp_path: Path, op_type: str, opset: int, inputs: list[np.ndarray], attributes: dict[str, str], to: int
) -> None:
    given = [array.astype(np.float32) if array.dtype == np.float64 else array for array in inputs]
    one_node(tmp_path / "net.onnx", op_type, opset, given, **attributes)
    with pytest.raises(converters.UnsupportedError, match=f"{op_type} means something else in opset {to}"):
        converters.convert([tmp_path / "net.onnx"], tmp_path / "other.onnx", opset=to)
    assert not (tmp_path / "other.onnx").exists()


@pytest.mark.parametrize("opset", [0, MIN_OPSET - 1, MAX_OPSET + 1])
def test_an_opset_out_of_range_is_refused(tmp_path: Path, opset: int) -> None:
    with pytest.raises(converters.UsageError, match=f"supported are {MIN_OPSET} to {MAX_OPSET}"):
        converters.convert(Case.load(CAFFE / "relu-slope").sources, tmp_path / "net.onnx", opset=opset)
