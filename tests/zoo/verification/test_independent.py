"""`compare --with`: A runs in something else, and what that cannot judge is refused."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from corpus_cases import CORPUS
from onnx import TensorProto, helper, numpy_helper

import converters
from zoo.bundled import bundled_folder
from zoo.errors import UsageError
from zoo.verification.compare import compare_nets

DIGITS = bundled_folder() / "digits" / "caffe"
SOURCES = [DIGITS / "deploy.prototxt", DIGITS / "dsd.caffemodel"]
SMALL = [CORPUS / "caffe" / "conv-k3" / name for name in ("net.prototxt", "net.caffemodel")]
# Where another Python has OpenCV 4, the real one is tried too.
OPENCV4 = os.environ.get("OPENCV4_PYTHON")

STAND_IN_CV2 = """
import onnxruntime
__version__ = "4.14.0"
class dnn:
    class readNetFromCaffe:
        def __init__(self, definition, weights):
            assert definition.endswith(".prototxt") and weights.endswith(".caffemodel")
            self.session = onnxruntime.InferenceSession({net!r})
        def setInput(self, values):
            self.values = values
        def getUnconnectedOutLayersNames(self):
            return [output.name for output in self.session.get_outputs()]
        def forward(self):
            return self.session.run(None, {{self.session.get_inputs()[0].name: self.values}})[0]
"""
STAND_IN_CAFFE = """
import numpy as np, onnxruntime
TEST = 1
def set_mode_cpu(): pass
class Blob:
    def __init__(self): self.data = np.zeros(())
    def reshape(self, *shape): self.data = np.zeros(shape, np.float32)
class Net:
    def __init__(self, definition, weights, phase):
        assert definition.endswith(".prototxt") and weights.endswith(".caffemodel") and phase == TEST
        self.session = onnxruntime.InferenceSession({net!r})
        self.inputs = [given.name for given in self.session.get_inputs()]
        self.names = [output.name for output in self.session.get_outputs()]
        self.blobs = {{name: Blob() for name in self.inputs + self.names}}
    def reshape(self): pass
    def forward(self):
        found = self.session.run(None, {{name: self.blobs[name].data for name in self.inputs}})
        for name, values in zip(self.names, found): self.blobs[name].data = values
"""


def python_with(folder: Path, module: str, text: str, net: Path) -> Path:
    """A Python that has a stand-in for a module, which computes what `net` does."""
    folder.mkdir()
    (folder / f"{module}.py").write_text(text.format(net=str(net)))
    python = folder / "python"
    python.write_text(
        f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(folder))} exec {shlex.quote(sys.executable)} "$@"\n'
    )
    python.chmod(0o755)
    return python


@pytest.mark.parametrize(
    ("name", "module", "text"),
    [
        ("opencv4", "cv2", STAND_IN_CV2),
        ("caffe", "caffe", STAND_IN_CAFFE),
    ],
)
def test_another_reader_tells_what_the_same_reader_cannot(tmp_path: Path, name, module, text) -> None:
    """The stand-in computes another net, as if our reader were wrong on both sides."""
    right, wrong = tmp_path / "right.onnx", tmp_path / "wrong.onnx"
    converters.convert(SOURCES, right)
    converters.convert([SOURCES[0], DIGITS / "baseline.caffemodel"], wrong)
    agreeing = python_with(tmp_path / "a", module, text, right)
    found = compare_nets(SOURCES, [right], independent=name, python=agreeing)
    assert (found.agrees, [row.name for row in found.rows]) == (True, ["prob"])
    other = python_with(tmp_path / "b", module, text, wrong)
    assert not compare_nets(SOURCES[::-1], [right], independent=name, python=other).agrees
    assert compare_nets(SOURCES, [right]).agrees


@pytest.mark.skipif(OPENCV4 is None, reason="OPENCV4_PYTHON names no Python with OpenCV 4")
def test_opencv_4_itself_agrees(tmp_path: Path) -> None:
    converters.convert(SOURCES, tmp_path / "net.onnx")
    found = compare_nets(
        SOURCES, [tmp_path / "net.onnx"], independent="opencv4", python=Path(str(OPENCV4)), bound=1e-4
    )
    assert found.agrees


@pytest.mark.parametrize("name", ["pytorch", "reference"])
def test_every_value_is_compared_with_another_runtime(tmp_path: Path, name: str) -> None:
    converters.convert(SMALL, tmp_path / "net.onnx")
    found = compare_nets(SMALL, [tmp_path / "net.onnx"], independent=name)
    assert found.agrees
    assert found.rows[-1].is_output
    assert found.only_first == []
    assert compare_nets([tmp_path / "net.onnx"], SMALL, independent=name).agrees


def written(path: Path, node: onnx.NodeProto, weights: dict[str, np.ndarray]) -> Path:
    graph = helper.make_graph(
        [node],
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 4, 5, 5))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


@pytest.mark.parametrize(
    ("node", "weights", "why"),
    [
        (
            helper.make_node("LRN", ["x"], ["y"], "norm", size=5),
            {},
            r"norm \(LRN\): it normalises only as many",
        ),
        (
            helper.make_node("ConvTranspose", ["x", "w"], ["y"], "up", group=4),
            {"w": np.ones((4, 1, 2, 2), np.float32)},
            r"up \(ConvTranspose\): it refuses grouped",
        ),
        (
            helper.make_node("Gemm", ["x", "w"], ["y"], "ip"),
            {"w": np.zeros((5, 1_000_001), np.float32)},
            "the net has 5,000,005 parameters; .* up to 5,000,000",
        ),
    ],
)
def test_what_the_reference_cannot_judge_is_refused(tmp_path: Path, node, weights, why: str) -> None:
    net = written(tmp_path / "net.onnx", node, weights)
    with pytest.raises(UsageError, match=why):
        compare_nets([net], [net], independent="reference")


@pytest.mark.parametrize(
    ("sources", "name", "python", "says"),
    [
        (["net.onnx"], "opencv4", None, "A is a net.onnx: name those files"),
        (["net.py"], "pytorch", None, "A is a net.py; expected the source files"),
        (SMALL, "pytorch", Path(sys.executable), "--with-python is for --with opencv4 and --with caffe"),
        (SMALL, "opencv4", Path(sys.executable), "expected 4, whose readers 5 no longer has"),
        (SMALL, "opencv4", Path("absent"), "not a Python that can be run"),
        (SMALL, "caffe", Path(sys.executable), "a Python that can import caffe: --with-python PYTHON"),
        ([CORPUS / "torch7" / "ReLU" / "net.t7"], "caffe", None, "A is not of Caffe"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path: Path, sources, name, python, says: str) -> None:
    converters.convert(SMALL, tmp_path / "net.onnx")
    shapes = {"input": (2, 3)} if sources[0] not in (*SMALL, "net.onnx", "net.py") else None
    with pytest.raises(UsageError, match=says):
        compare_nets(
            [tmp_path / part for part in sources],
            [tmp_path / "net.onnx"],
            input_shapes=shapes,
            independent=name,
            python=python,
        )
