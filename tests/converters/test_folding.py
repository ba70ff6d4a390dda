"""Folding keeps the function, and leaves what it would change."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx
from onnx import helper, numpy_helper

import converters


def gemm_and_shift(dtype, **attributes) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    arrays = {"w": rng.standard_normal((4, 3)), "b": rng.standard_normal(4), "shift": rng.standard_normal(4)}
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    graph = helper.make_graph(
        [
            helper.make_node("Gemm", ["x", "w", "b"], ["product"], "fc", transB=1, **attributes),
            helper.make_node("Add", ["product", "shift"], ["y"], "shift"),
        ],
        "gemm",
        [helper.make_tensor_value_info("x", kind, ["N", 3])],
        [helper.make_tensor_value_info("y", kind, ["N", 4])],
        [numpy_helper.from_array(array.astype(dtype), name) for name, array in arrays.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model)


def outputs(path, x):
    return ort.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


@pytest.mark.parametrize(
    ("dtype", "attributes", "nodes"),
    [
        (np.float32, {}, 1),
        (np.float32, {"alpha": 0.5}, 1),
        (np.float32, {"beta": 2.0}, 2),  # would scale what is added to the bias, too
        (np.float64, {}, 2),  # folded parameters are float32
    ],
)
def test_what_would_change_is_not_folded(tmp_path, dtype, attributes, nodes):
    onnx.save(gemm_and_shift(dtype, **attributes), tmp_path / "net.onnx")
    model = converters.load(tmp_path / "net.onnx", fold=True)
    assert len(model.graph) == nodes
    converters.save(model, tmp_path / "folded.onnx")
    x = np.random.default_rng(1).standard_normal((2, 3)).astype(dtype)
    wanted = outputs(tmp_path / "net.onnx", x)
    np.testing.assert_allclose(outputs(tmp_path / "folded.onnx", x), wanted, rtol=1e-5, atol=1e-6)


CAFFE = CORPUS / "caffe"
FOLDED = {
    # The scaling steps that are folded, and the nodes that are left.
    "fold-conv-bn": (3, 1),
    "fold-dw-bn": (3, 1),
    "fold-scale-nobias": (2, 1),
    "fold-conv-output": (1, 3),
    "share-scale-bn": (6, 3),
}


@pytest.mark.parametrize("name", sorted(FOLDED))
def test_folding_keeps_the_function(tmp_path, name):
    case = Case.load(CAFFE / name)
    steps, nodes = FOLDED[name]
    report = converters.convert(case.sources, tmp_path / "net.onnx", fold=True)
    assert report.nodes == nodes
    assert f"folded {steps} scaling" in report.notes[-1]
    onnx.checker.check_model(tmp_path / "net.onnx", full_check=True)
    assert_agrees(run_onnx(tmp_path / "net.onnx", case.inputs), case.outputs, DEFAULT_TOLERANCE)
