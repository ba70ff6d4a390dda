"""Real public networks, and the DSD definitions with seeded weights, against what the real Caffe gave."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from caffemodel_writer import write_caffemodel
from corpus_cases import DEFAULT_TOLERANCE, assert_agrees, run_onnx, run_pytorch

import converters

REAL = ["lenet-real", "mtcnn-det1", "mtcnn-det2", "mtcnn-det3", "squeezenet-deep-compression"]
SEEDED = ["dsd-squeezenet", "squeezenet-residual", "dsd-googlenet", "dsd-alexnet"]


def io_of(path: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    with np.load(path) as io:
        inputs = {key[3:]: io[key] for key in io.files if key.startswith("in:")}
        return inputs, {key.split(":", 1)[1]: io[key] for key in io.files if not key.startswith("in:")}


@pytest.mark.parametrize("name", REAL)
def test_real_weights(shared: Path, tmp_path: Path, name: str) -> None:
    folder = shared / "models" / name
    if name == "squeezenet-deep-compression":
        sources = [folder / "SqueezeNet_deploy.prototxt", folder / "compressed_SqueezeNet.net"]
    else:
        sources = [folder / "net.prototxt", folder / "net.caffemodel"]
    for io in json.loads((folder / "case.json").read_text())["io"]:
        inputs, outputs = io_of(folder / io["file"])
        # The definition states one image size; where another one was recorded, give it as a user would.
        shapes = {blob: array.shape for blob, array in inputs.items()} if "pixels" in io["what"] else None
        model = converters.load(*sources, input_shapes=shapes)
        converters.save(model, tmp_path / "net.onnx")
        converters.save(model, tmp_path / "net.py")
        assert_agrees(run_onnx(tmp_path / "net.onnx", inputs), outputs, DEFAULT_TOLERANCE)
        assert_agrees(run_pytorch(tmp_path / "net.py", inputs, model), outputs, DEFAULT_TOLERANCE)


@pytest.mark.parametrize("name", SEEDED)
def test_dsd_definitions_with_seeded_weights(shared: Path, tmp_path: Path, name: str) -> None:
    folder = shared / "models" / name
    case = json.loads((folder / "case.json").read_text())
    weights = seeded_weights(json.loads((folder / "params.json").read_text()))
    inputs = {
        blob: np.random.RandomState(k).uniform(-128, 128, shape).astype(np.float32)
        for k, (blob, shape) in enumerate(case["inputs"].items())
    }
    _, outputs = io_of(folder / "io.npz")
    sources = [folder / "net.prototxt", write_caffemodel(tmp_path / "net.caffemodel", weights)]
    report = converters.convert(sources, tmp_path / "net.onnx")
    assert list(report.outputs) == [key[4:] for key in case["outputs"] if key.startswith("out:")]
    assert report.parameters == case["params"]
    assert not report.unused_weights
    assert [f"dropped {d.name} ({d.type})" for d in report.dropped[1:]] == case["changes"]
    own = run_onnx(tmp_path / "net.onnx", inputs)

    # With seeded weights the scores reach hundreds, and a softmax turns their absolute rounding error into
    # the relative error of its probabilities, which therefore agree no better than the scores.
    model = converters.load(*sources, outputs=case["logits"])
    converters.save(model, tmp_path / "scores.onnx")
    converters.save(model, tmp_path / "scores.py")
    scores = run_onnx(tmp_path / "scores.onnx", inputs)
    torch_scores = run_pytorch(tmp_path / "scores.py", inputs, model)
    assert_agrees(torch_scores, {blob: outputs[blob] for blob in case["logits"]}, DEFAULT_TOLERANCE)
    assert_agrees(scores, {blob: outputs[blob] for blob in case["logits"]}, DEFAULT_TOLERANCE)
    rounding = max(float(np.abs(scores[blob] - outputs[blob]).max()) for blob in case["logits"])
    for blob in report.outputs:
        bound = DEFAULT_TOLERANCE + (rounding if blob == "prob" else 0)
        assert_agrees(own, {blob: outputs[blob]}, bound)


def seeded_weights(params: dict[str, list[tuple[list[int], str]]]) -> dict[str, list[np.ndarray]]:
    """The weights that the recipe in each case.json makes, checked against the checksums there."""
    layers: dict[str, list[np.ndarray]] = {}
    for name, blobs in params.items():
        for k, (shape, checksum) in enumerate(blobs):
            random = np.random.RandomState(zlib.crc32(f"{name}/{k}".encode()) & 0x7FFFFFFF)
            if len(shape) >= 2:
                array = random.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
            else:
                array = random.uniform(-0.1, 0.1, shape)
            values = array.astype(np.float32)
            assert f"{zlib.crc32(values.tobytes()):08x}" == checksum
            layers.setdefault(name, []).append(values)
    return layers
