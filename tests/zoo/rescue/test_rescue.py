"""Programs for OpenCV 4 run in OpenCV 5 again, and compute what OpenCV 4.14 recorded."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import numpy as np
import pytest
from command_line import runner
from corpus_cases import CORPUS

import converters
from zoo.bundled import bundled_folder
from zoo.errors import UsageError
from zoo.verification.opencv import OPENCV_4, OpenCV

PROGRAMS = CORPUS / "rescue"
DIGITS = bundled_folder() / "digits"
MODELS = ["caffe/deploy.prototxt", "caffe/dsd.caffemodel", "caffe/sparse.caffemodel", "torch7/dsd.t7"]
# Two implementations of float32 convolutions.
BOUND = 1e-5


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


@pytest.fixture
def models(tmp_path) -> Path:
    (tmp_path / "models").mkdir()
    for name in MODELS:
        shutil.copy(DIGITS / name, tmp_path / "models")
    return tmp_path / "models"


def test_three_programs_compute_in_opencv_5_what_opencv_4_recorded(dsd_zoo, models, tmp_path):
    names = sorted(path.stem for path in PROGRAMS.glob("*.py"))
    assert names == ["classify", "logits", "torch_scores"]
    for name in ("input.npy", *(f"{name}.py" for name in names)):
        shutil.copy(PROGRAMS / name, tmp_path)
    outcome = dsd_zoo("rescue", ".", "--write")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.endswith("3 calls of 3 replaced.\n")
    for name in names:
        subprocess.run([sys.executable, f"{name}.py", "out.npz"], cwd=tmp_path, check=True)
        with np.load("out.npz") as found, np.load(PROGRAMS / f"{name}.npz") as recorded:
            assert set(found.files) == set(recorded.files)
            for key in recorded.files:
                wanted = recorded[key]
                bound = BOUND * np.abs(wanted).max()
                np.testing.assert_allclose(found[key], wanted, rtol=0, atol=bound, err_msg=f"{name} {key}")


def test_without_write_only_the_patch_is_printed(dsd_zoo, models, tmp_path):
    text = 'import cv2\nnet = cv2.dnn.readNetFromCaffe("models/deploy.prototxt", "models/dsd.caffemodel")\n'
    Path("a.py").write_text(text)
    outcome = dsd_zoo("rescue", "a.py")
    assert outcome.code == 0
    assert Path("a.py").read_text() == text
    assert "+net = cv2.dnn.readNetFromONNX('models/dsd.onnx')\n" in outcome.out
    assert "OpenCV 5.0.0 computes what ONNX Runtime" in outcome.out
    Path("the.patch").write_text(outcome.out[outcome.out.index("--- a/") : outcome.out.index("The sources")])
    subprocess.run(["git", "apply", "the.patch"], check=True)
    assert "readNetFromONNX" in Path("a.py").read_text()


def test_json_has_all_of_it(dsd_zoo, models):
    Path("a.py").write_text(
        'import torchfile\nnet = torchfile.load("models/dsd.t7")\nother = torchfile.load(x)\n'
    )
    outcome = dsd_zoo("rescue", "a.py", "--json", "-o", "converted")
    assert outcome.code == 1
    found = json.loads(outcome.out)
    first, second = found["calls"]
    assert (first["function"], first["line"], first["onnx"]) == ("torchfile.load", 2, "converted/dsd.onnx")
    assert first["agreement"]["holds"]
    assert first["replacement"].startswith("session = onnxruntime.InferenceSession('converted/dsd.onnx')\n")
    assert not first["in_patch"]
    assert second["problem"].startswith("x: it is not assigned in this file\nby hand: dsd-zoo convert NET.t7")
    assert found["patches"] == {}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        (
            "a.py",
            'import cv2\ncv2.dnn.readNetFromCaffe("a.prototxt", "b")\n',
            "a.prototxt: no such file beside a.py",
        ),
        ("a.cpp", "auto n = cv::dnn::readNetFromCaffe(proto, model);\n", "C++ is listed, not changed"),
        (
            "a.py",
            "import cv2, sys\ncv2.dnn.readNetFromTorch(sys.argv[1])\n",
            "sys.argv[1]: decided when the program",
        ),
        ("a.py", "print 'Python 2'\n", "a.py:1: this is no Python 3 that can be parsed"),
    ],
)
def test_what_is_left_is_listed_with_its_reason(dsd_zoo, name, text, message):
    Path(name).write_text(text)
    outcome = dsd_zoo("rescue", ".")
    assert outcome.code == 1
    assert message in outcome.out


def test_a_net_that_cannot_be_converted_leaves_no_file(dsd_zoo, models):
    (models / "deploy.prototxt").write_text('layer { name: "x" type: "Nowhere" bottom: "data" top: "x" }')
    Path("a.py").write_text(
        'import cv2\ncv2.dnn.readNetFromCaffe("models/deploy.prototxt", "models/dsd.caffemodel")'
    )
    outcome = dsd_zoo("rescue", "a.py")
    assert outcome.code == 1
    assert "Nowhere" in outcome.out
    assert not list(models.glob("*.onnx"))


def test_models_of_other_formats_are_no_business_of_it(dsd_zoo):
    Path("a.py").write_text('import cv2\nnet = cv2.dnn.readNet("model.pb", "model.pbtxt")\n')
    outcome = dsd_zoo("rescue", "a.py")
    assert (outcome.code, outcome.out) == (0, "no call here reads a Caffe or Torch7 file\n")


def test_an_onnx_of_other_origin_is_not_lost(dsd_zoo, models):
    (models / "dsd.onnx").write_bytes(b"mine")
    Path("a.py").write_text('import torchfile\ntorchfile.load("models/dsd.t7")\n')
    outcome = dsd_zoo("rescue", "a.py")
    assert outcome.code == 2
    assert "dsd.onnx: it exists, and dsd-zoo did not write it; give -o DIR" in outcome.err
    assert (models / "dsd.onnx").read_bytes() == b"mine"


def test_where_there_is_nothing_to_read(dsd_zoo, tmp_path):
    assert "no such file or folder" in dsd_zoo("rescue", "absent").err
    assert "there is no Python or C++ source in this folder" in dsd_zoo("rescue", ".").err
    Path("a.txt").write_text("")
    assert "expected a Python or C++ source" in dsd_zoo("rescue", "a.txt").err


def test_the_old_readers_need_an_old_opencv(dsd_zoo, models):
    Path("a.py").write_text('import torchfile\ntorchfile.load("models/dsd.t7")\n')
    outcome = dsd_zoo("rescue", "a.py", "--opencv4", sys.executable)
    assert outcome.code == 2
    assert "its OpenCV is 5.0.0; expected 4, whose readers 5 no longer has" in outcome.err
    with pytest.raises(UsageError, match="not a Python that can be run"):
        OpenCV.of(Path("absent"))


def test_a_python_without_opencv_is_told_what_to_type(tmp_path):
    """An environment without packages, named by a path with a blank."""
    folder = tmp_path / "an environment"
    venv.create(folder, with_pip=False)
    python = folder / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    with pytest.raises(UsageError) as refused:
        OpenCV.of(python, OPENCV_4)
    command = f'{converters.quoted(str(python))} -m pip install "opencv-python-headless==4.*"'
    assert str(refused.value) == f"{python}: it cannot import cv2, which is OpenCV\n  {command}"
