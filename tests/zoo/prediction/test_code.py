"""The printed programs, each run: they give the scores and boxes that predict gives."""

from __future__ import annotations

import ast
import contextlib
import importlib
import io
import json
import shlex
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from colour_net import save_net
from command_line import runner
from detector import grid_image, write_detector

import converters
from zoo.prediction import image_lines
from zoo.preprocessing.preparation import image_preparation, settings_of
from zoo.preprocessing.settings import Preprocessing

CAFFE = ["--mean", "104,117,123", "--scale", "0.017"]
UNIT = ["--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"]
# Name: net, options. The net of colours takes 8x8.
CASES: dict[str, list[str]] = {
    "warp and crop": ["--flavour", "caffe-warp11", "--crop", "8", *CAFFE],
    "warp alone": ["--flavour", "caffe-warp8", "--crop", "8", *CAFFE],
    "one mean": ["--flavour", "caffe-warp9", "--crop", "8", "--mean", "127"],
    "short": ["--flavour", "caffe-short11", "--crop", "8", *CAFFE],
    "stored": ["--flavour", "caffe-stored", "--crop", "8", *CAFFE],
    "pillow": ["--flavour", "pil-bicubic-short10", "--crop", "8", *UNIT],
    "torch7": ["--flavour", "torch7-bicubic10", "--crop", "8", *UNIT],
    "caffe's net, torch7's images": [
        "--flavour", "torch7-bicubic10", "--crop", "8", *CAFFE, "--meant-for", "caffe-warp10",
    ],
    "torch7's net, caffe's images": [
        "--flavour", "caffe-warp11", "--crop", "8", *UNIT, "--meant-for", "torch7-bicubic11",
    ],
    "torch7's net, caffe's images alone": [
        "--flavour", "caffe-warp8", "--crop", "8", *UNIT, "--meant-for", "torch7-bicubic8",
    ],
}  # fmt: skip


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    return runner(monkeypatch, capsys)


@pytest.fixture
def photograph(tmp_path: Path) -> str:
    """A made-up picture with gradients, stripes and noise, as a JPEG of 45 x 31 pixels turned by EXIF."""
    rows, columns = np.mgrid[:31, :45]
    noise = np.random.default_rng(0).integers(0, 60, (31, 45))
    planes = [rows * 6 + noise, columns * 4 + noise, 90 + 80 * (columns // 5 % 2) + noise]
    image = np.stack(planes, 2).clip(0, 255).astype(np.uint8)
    data = cv2.imencode(".jpg", image)[1].tobytes()
    # An orientation of 90 degrees, which the zoo ignores as Caffe and Torch7 did.
    tiff = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
    segment = b"Exif\0\0" + tiff
    exif = b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment
    (tmp_path / "photo.jpg").write_bytes(data[:2] + exif + data[2:])
    return "photo.jpg"


def answer(dsd_zoo, *arguments: object) -> tuple[dict, dict[str, str]]:
    done = dsd_zoo("predict", *arguments, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    return found["predictions"][0], found["code"]


def rows_of(dsd_zoo, program: str) -> np.ndarray:
    """The numbers that a program prints, after the command in its first line."""
    first = program.splitlines()[0]
    if first.startswith("# dsd-zoo "):
        assert dsd_zoo(*shlex.split(first)[2:]).code == 0
    # In this process: a Python of its own would load PyTorch each time.
    for module in ("net", "own"):
        sys.modules.pop(module, None)
    importlib.invalidate_caches()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(compile(program, "program.py", "exec"), {"__name__": "__main__"})  # noqa: S102
    return np.array([[float(word) for word in line.split()] for line in printed.getvalue().splitlines()])


def scores_hold(dsd_zoo, prediction: dict, code: dict[str, str]) -> None:
    expected = [(row["index"], row["score"]) for row in prediction["classes"]]
    for name, program in code.items():
        found = rows_of(dsd_zoo, program)
        largest = max(abs(score) for _, score in expected)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * largest, err_msg=f"{name}\n{program}")


@pytest.mark.parametrize("case", CASES)
def test_the_programs_give_the_scores(dsd_zoo, tmp_path, photograph, case):
    save_net(tmp_path / "colours.onnx")
    prediction, code = answer(dsd_zoo, "colours.onnx", photograph, *CASES[case])
    assert list(code) == ["onnxruntime", "opencv", "torch"]
    scores_hold(dsd_zoo, prediction, code)
    # Only where blobFromImage resizes by itself there is nothing to say about it.
    assert ("its own resize is not that of" in code["opencv"]) == (not case.endswith("alone"))
    assert "blobFromImage" in code["opencv"]


@pytest.mark.parametrize("model", ["digits-caffe-dsd", "digits-torch7-dsd"])
def test_a_model_of_the_zoo_prepares_in_net_py(dsd_zoo, photograph, model):
    prediction, code = answer(dsd_zoo, model, photograph)
    assert "from net import load, preprocess" in code["torch"]
    scores_hold(dsd_zoo, prediction, code)


def test_a_definition_with_weights(dsd_zoo, tmp_path, photograph):
    """Its blob is named, and of a net with several outputs the one that was chosen."""
    from zoo.bundled import bundled_folder

    files = [bundled_folder() / "digits" / "caffe" / name for name in ("deploy.prototxt", "dsd.caffemodel")]
    options = ["--flavour", "caffe-warp36", "--crop", "32", "--mean", "127", "--scale", "0.0078125"]
    prediction, code = answer(dsd_zoo, *files, photograph, *options, "--scores", "ip2")
    assert "--output ip2" in code["opencv"]
    # The weights are those of a model of the catalog, which names the classes.
    assert [row["name"] for row in prediction["classes"]] == [
        str(row["index"]) for row in prediction["classes"]
    ]
    scores_hold(dsd_zoo, prediction, code)


@pytest.mark.parametrize("ending", [".npy", ".binaryproto"])
def test_a_mean_image(dsd_zoo, tmp_path, photograph, ending):
    save_net(tmp_path / "colours.onnx")
    mean = np.random.default_rng(1).uniform(90, 130, (3, 11, 11))
    np.save("mean.npy", mean)
    if ending == ".binaryproto":
        from caffemodel_writer import field, varint

        sizes = b"".join(
            varint(number << 3) + varint(size) for number, size in ((1, 1), (2, 3), (3, 11), (4, 11))
        )
        Path("mean.binaryproto").write_bytes(sizes + field(5, mean.astype("<f4").tobytes()))
    options = ["--flavour", "caffe-warp11", "--crop", "8", "--mean", f"mean{ending}", "--scale", "0.02"]
    prediction, code = answer(dsd_zoo, "colours.onnx", photograph, *options)
    scores_hold(dsd_zoo, prediction, code)


def test_a_net_py_has_only_the_program_of_pytorch(dsd_zoo, tmp_path, photograph):
    save_net(tmp_path / "colours.onnx")
    converters.convert(["colours.onnx"], "own.py")
    prediction, code = answer(dsd_zoo, "own.py", photograph, "--runtime", "pytorch", *CASES["short"])
    assert list(code) == ["torch"]
    assert "from own import load" in code["torch"]
    scores_hold(dsd_zoo, prediction, code)
    done = dsd_zoo(
        "predict", "own.py", photograph, "--runtime", "pytorch", *CASES["short"], "--code", "opencv"
    )
    assert (done.code, "use --code torch" in done.err) == (2, True)


@pytest.mark.parametrize("size", [32, 40])
def test_the_programs_give_the_boxes(dsd_zoo, tmp_path, size):
    net = write_detector(tmp_path)
    cv2.imwrite("cells.png", grid_image((16, 24), {(1, 2): (0, 255, 0), (2, 1): (255, 0, 0)}))
    options = ["--flavour", f"caffe-warp{size}", "--crop", "32", "--mean", "127", "--scale", str(1 / 127)]
    prediction, code = answer(dsd_zoo, *net, "cells.png", *options)
    boxes = sorted((b["index"], b["score"]) for b in prediction["boxes"] if b["score"] >= 0.5)
    assert boxes
    for name, program in code.items():
        found = rows_of(dsd_zoo, program)
        np.testing.assert_allclose(sorted(map(tuple, found[:, :2])), boxes, atol=1e-5, err_msg=name)
        if size == 32:
            corners = [
                [box[side] for side in ("left", "top", "right", "bottom")] for box in prediction["boxes"]
            ]
            for row in found:
                assert np.abs(np.array(corners) - row[2:]).max(1).min() < 1e-3


def test_what_opencvs_own_resize_would_change_is_measured(dsd_zoo, tmp_path, photograph):
    """By hand: the same net, with blobFromImage resizing the whole image to 8x8."""
    save_net(tmp_path / "colours.onnx")
    options = ["--flavour", "caffe-warp11", "--crop", "8", "--mean", "none"]
    _, code = answer(dsd_zoo, "colours.onnx", photograph, *options)
    image = cv2.imread(photograph, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    ours = cv2.resize(image, (11, 11))[1:9, 1:9].astype(np.float32)
    alone = cv2.dnn.blobFromImage(image, 1.0, (8, 8))[0].transpose(1, 2, 0)
    scores = np.abs(ours.mean((0, 1)) - alone.mean((0, 1))).max()
    text = " ".join(code["opencv"].split()).replace("# ", "")
    assert (
        f"differ by up to {np.abs(ours - alone).max():.0f} of 255, the scores by up to {scores:.2g}" in text
    )


@pytest.mark.parametrize(
    "flavour", ["caffe-warp9", "caffe-short9", "caffe-stored", "pil-bicubic-short9", "torch7-bicubic9"]
)
def test_a_preparation_leads_back_to_its_settings(flavour):
    given = Preprocessing(flavour=flavour, crop=8, mean=[0.5], scale=1.0)
    preparation = image_preparation(given)
    assert preparation is not None
    found = settings_of(preparation)
    assert found is not None
    assert Preprocessing(**found) == given


def test_names_of_files_never_become_code():
    for name in ('a".jpg', "a\\.jpg", "a\nimport os", "a'.jpg", "a\"'.jpg"):
        assert ast.literal_eval(image_lines.quoted(Path(name))) == name
