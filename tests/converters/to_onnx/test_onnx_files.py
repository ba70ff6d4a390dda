"""ONNX files: self-contained, external, linked, folded, and under other opsets; all compute the same."""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx

import converters
from converters.to_onnx.opset import MAX_OPSET, MIN_OPSET

CAFFE = CORPUS / "caffe"
# Nets that between them use most operators.
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
FOLDED = {
    "fold-conv-bn": 3,
    "fold-dw-bn": 3,
    "fold-scale-nobias": 2,
    "fold-conv-output": 1,
    "share-scale-bn": 6,
}


def case_in(folder: Path, name: str) -> Case:
    """A copy of a case, so that links into its files lie beside the model."""
    shutil.copytree(CAFFE / name, folder / name)
    return Case.load(folder / name)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("form", ["self-contained", "external", "link"])
def test_every_form_passes_the_checker_and_computes_the_same(tmp_path: Path, name: str, form: str) -> None:
    case = case_in(tmp_path, name)
    out = case.folder / "out.onnx"
    options = {} if form == "self-contained" else {form: True}
    report = converters.convert(case.sources, out, **case.options, **options)
    assert report.files == [out, out.with_suffix(".safetensors")] if form == "external" else [out]
    onnx.checker.check_model(out, full_check=True)
    assert_agrees(run_onnx(out, case.inputs), case.outputs, DEFAULT_TOLERANCE)


def test_the_self_contained_file_is_what_onnx_itself_reads(tmp_path: Path) -> None:
    """The hand-written message, parsed by protobuf: names, types and every byte of the weights."""
    model = converters.load(*Case.load(CAFFE / "arch-alexnet").sources)
    converters.save(model, tmp_path / "net.onnx")
    read = onnx.load(tmp_path / "net.onnx")
    stored = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in read.graph.initializer}
    wanted = {name: value.const_value.numpy() for name, value in model.graph.initializers.items()}
    assert stored.keys() == wanted.keys()
    assert all(np.array_equal(stored[name], wanted[name]) for name in wanted)
    assert [node.name for node in read.graph.node] == [node.name for node in model.graph]
    metadata = {entry.key: entry.value for entry in read.metadata_props}
    sources = json.loads(metadata["dsd-zoo.sources"])
    assert [source["name"] for source in sources] == ["net.prototxt", "net.caffemodel"]
    assert sources[0]["bytes"] == (CAFFE / "arch-alexnet" / "net.prototxt").stat().st_size


def test_layer_and_blob_names_survive(tmp_path: Path) -> None:
    model = converters.load(*Case.load(CAFFE / "arch-vgg").sources)
    assert [(node.name, node.outputs[0].name) for node in model.graph] == [
        ("c11", "c11/Conv"),  # its blob is changed in place by relu_c11, which makes the final c11
        ("relu_c11", "c11"),
        ("c12", "c12/Conv"),
        ("relu_c12", "c12"),
        ("p1", "p1"),
        ("c21", "c21/Conv"),
        ("relu_c21", "c21"),
        ("p2", "p2"),
        ("fc/Flatten", "fc/Flatten"),
        ("fc", "fc/Gemm"),
        ("relu_fc", "fc"),
        ("out", "out"),
    ]


def test_a_link_stays_in_the_folder_of_the_model(tmp_path: Path) -> None:
    case = case_in(tmp_path, "arch-alexnet")
    elsewhere = tmp_path / "elsewhere" / "net.onnx"
    with pytest.raises(converters.UsageError, match="ONNX only allows files in or below the folder"):
        converters.convert(case.sources, elsewhere, link=True)
    assert not elsewhere.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_a_link_needs_a_name_in_utf8(tmp_path: Path) -> None:
    definition, weights = case_in(tmp_path, "arch-alexnet").sources
    odd = weights.rename(weights.with_name(os.fsdecode(b"w\xff.caffemodel")))
    with pytest.raises(
        converters.UsageError, match=r"ONNX names files in UTF-8, which w.*\.caffemodel is not"
    ):
        converters.convert([definition, odd], odd.with_name("net.onnx"), link=True)
    assert not odd.with_name("net.onnx").exists()


def test_a_link_is_small_and_reads_the_caffemodel_itself(tmp_path: Path) -> None:
    case = case_in(tmp_path, "arch-alexnet")
    converters.convert(case.sources, case.folder / "net.onnx", link=True)
    read = onnx.load(case.folder / "net.onnx", load_external_data=False)
    external = [t for t in read.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    locations = {
        entry.value for tensor in external for entry in tensor.external_data if entry.key == "location"
    }
    assert locations == {"net.caffemodel"}
    (case.folder / "net.caffemodel").unlink()
    with pytest.raises(Exception, match=r"net\.caffemodel"):
        run_onnx(case.folder / "net.onnx", case.inputs)


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
    """A model of one operator, all of whose inputs but the first are stored."""
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
    """Bit for bit; its revisions added attributes and one more coordinate transformation."""
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


@pytest.mark.parametrize("name", sorted(FOLDED))
def test_folding_keeps_the_function(tmp_path: Path, name: str) -> None:
    case = Case.load(CAFFE / name)
    plain = converters.load(*case.sources)
    report = converters.convert(case.sources, tmp_path / "net.onnx", fold=True)
    assert report.nodes == len(plain.graph) - FOLDED[name]
    assert f"folded {FOLDED[name]} scaling" in report.notes[-1]
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    assert_agrees(run_onnx(tmp_path / "net.onnx", case.inputs), case.outputs, DEFAULT_TOLERANCE)


def test_nothing_is_written_when_writing_fails(tmp_path: Path) -> None:
    out = tmp_path / "a-file" / "net.onnx"
    out.parent.write_text("in the way")
    with pytest.raises(converters.UsageError, match="cannot be written"):
        converters.convert(Case.load(CAFFE / "relu-slope").sources, out)
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]
