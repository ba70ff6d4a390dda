"""Answers for images: classes as Caffe and Torch7 ranked them, boxes where they were put, errors."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
from colour_net import save_net
from command_line import runner
from detector import grid_image, score, write_detector
from onnx import helper

from zoo.bundled import bundled_folder

GREEN, BLUE, PALE = (0, 255, 0), (255, 0, 0), (60, 255, 60)
# Of green-cells: as a manifest states it.
MANIFEST = """
schema_version = 1
name = "cells"
title = "Green cells"
summary = "Finds cells."
architecture = "cells"
recipe = "none"
framework = "caffe"
task = "object-detection"
citation = "none"
[license]
name = "unrestricted"
[[inputs]]
shape = [3, 32, 32]
layout = "CHW"
channels = "BGR"
range = [0.0, 255.0]
mean = [127.0, 127.0, 127.0]
scale = 0.007874015748031496
[[outputs]]
name = "detection_out"
description = "boxes"
[[files]]
name = "net.prototxt"
role = "definition"
path = "net.prototxt"
[[files]]
name = "net.caffemodel"
role = "weights"
path = "net.caffemodel"
"""
OPTIONS = ["--flavour", "caffe-warp32", "--crop", "32", "--mean", "127", "--scale", str(1 / 127)]


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


@pytest.fixture
def digit(tmp_path: Path) -> Path:
    """A test image of the digits, under a name of its own."""
    import tarfile

    with tarfile.open(bundled_folder() / "digits" / "images" / "test_images.tar") as tar:
        member = next(name for name in tar.getnames() if name.endswith("test_00003.png"))
        file = tar.extractfile(member)
        assert file is not None
        (tmp_path / "digit.png").write_bytes(file.read())
    return tmp_path / "digit.png"


def answer(dsd_zoo, *arguments: object) -> dict:
    done = dsd_zoo("predict", *arguments, "--json")
    assert done.code == 0, done.err
    return json.loads(done.out)


@pytest.mark.parametrize("runtime", ["onnx", "pytorch", "openvino"])
@pytest.mark.parametrize("model", ["digits-caffe-dsd", "digits-torch7-dsd"])
def test_the_scores_are_those_that_the_original_framework_recorded(dsd_zoo, digit, model, runtime):
    found = answer(dsd_zoo, model, digit, "--runtime", runtime)
    framework = model.split("-")[1]
    with np.load(bundled_folder() / "digits" / framework / "dsd_golden.npz") as recorded:
        truth = recorded["out:prob" if framework == "caffe" else "logits"][3]
    classes = found["predictions"][0]["classes"]
    assert [row["index"] for row in classes] == np.argsort(-truth, kind="stable")[:5].tolist()
    np.testing.assert_allclose([row["score"] for row in classes], np.sort(truth)[::-1][:5], atol=1e-5)
    assert [row["name"] for row in classes] == [str(row["index"]) for row in classes]


def test_what_is_printed(dsd_zoo, digit):
    done = dsd_zoo("predict", "digits-caffe-dsd", "digit.png", "-o", "seen.png")
    assert done.code == 0
    assert "digit.png  32x32 pixels, to digits-caffe-dsd\n" in done.out
    assert "prepared  caffe-warp36, crop 32, mean 127 127 127, scale 0.0078125\n" in done.out
    assert "3x32x32, values from " in done.out
    for name in ("ONNX Runtime", "OpenCV", "PyTorch"):
        assert f"The same in {name}:\n" in done.out
    # The window that the net saw, by OpenCV alone.
    pixels = cv2.resize(cv2.imread("digit.png"), (36, 36))[2:34, 2:34]
    np.testing.assert_array_equal(cv2.imread("seen.png"), pixels)


def test_one_program_is_all_that_is_printed(dsd_zoo, digit):
    done = dsd_zoo("predict", "digits-caffe-dsd", digit, "--code", "opencv")
    assert done.out.startswith("# dsd-zoo convert digits-caffe-dsd -o net.onnx\nimport cv2\n")
    compile(done.out, "program", "exec")
    assert "import" not in dsd_zoo("predict", "digits-caffe-dsd", digit, "--code", "none").out


@pytest.mark.parametrize(
    ("height", "width", "said"),
    [
        (300, 500, "images are cropped to squares. If its layers allow that, dsd-zoo convert --input-shape"),
        (64, 64, "give the right --crop"),
        ("H", 500, "give the right --crop"),
    ],
)
@pytest.mark.parametrize("runtime", ["onnx", "openvino"])
def test_a_net_of_another_size_is_refused_in_plain_words(
    dsd_zoo, digit, tmp_path, height, width, said, runtime
):
    model = onnx.load(save_net(tmp_path / "net.onnx"))
    for dim, size in zip(model.graph.input[0].type.tensor_type.shape.dim[2:], (height, width), strict=True):
        dim.CopyFrom(onnx.TensorShapeProto.Dimension(**{"dim_param" if size == "H" else "dim_value": size}))
    onnx.save(model, tmp_path / "net.onnx")
    done = dsd_zoo("predict", "net.onnx", digit, *OPTIONS, "--runtime", runtime)
    shape = f"3 x {'any' if height == 'H' else height} x {width}"
    assert (done.code, done.out) == (2, "")
    assert f"net: it takes {shape}, the preprocessing makes 3 x 32 x 32: {said}" in done.err


@pytest.mark.parametrize("cell", [(16, 24), (8, 8), (5, 7)])
def test_boxes_are_in_pixels_of_the_image(dsd_zoo, tmp_path, cell):
    net = write_detector(tmp_path)
    height, width = cell
    cv2.imwrite("cells.png", grid_image(cell, {(1, 2): GREEN, (3, 0): BLUE}))
    found = answer(dsd_zoo, *net, "cells.png", *OPTIONS)["predictions"][0]
    assert found["classes"] == []
    boxes = [box for box in found["boxes"] if box["score"] > 0.5]
    expected = {1: (2 * width, height, 3 * width, 2 * height), 2: (0, 3 * height, width, 4 * height)}
    assert sorted(box["index"] for box in boxes) == [1, 2]
    for box in boxes:
        corners = [box[side] for side in ("left", "top", "right", "bottom")]
        np.testing.assert_allclose(corners, expected[box["index"]], atol=1e-3)
        if cell == (8, 8):  # no pixel is interpolated
            colour = {1: GREEN, 2: BLUE}[box["index"]]
            assert box["score"] == pytest.approx(score(colour, box["index"]), abs=1e-5)


def test_a_model_of_the_catalog_brings_what_its_inputs_state(dsd_zoo, tmp_path):
    write_detector(tmp_path)
    (tmp_path / "cells.toml").write_text(MANIFEST, encoding="utf-8")
    cv2.imwrite("cells.png", grid_image((8, 8), {(1, 2): GREEN}))
    found = answer(dsd_zoo, "cells", "cells.png", "--manifests", ".")
    assert found["preprocessing"]["flavour"] == "caffe-warp32"
    (box,) = [box for box in found["predictions"][0]["boxes"] if box["score"] > 0.5]
    assert box["score"] == pytest.approx(score(GREEN, 1), abs=1e-5)
    # The ONNX that is converted from it knows as much.
    assert dsd_zoo("convert", "cells", "-o", "cells.onnx", "--manifests", ".").code == 0
    again = answer(dsd_zoo, "cells.onnx", "cells.png")["predictions"][0]
    assert again["boxes"][0] == pytest.approx(box)


def test_boxes_are_drawn_on_a_copy(dsd_zoo, tmp_path):
    net = write_detector(tmp_path)
    (tmp_path / "names.txt").write_text("background\ngreen\nblue\n", encoding="utf-8")
    image = grid_image((40, 60), {(1, 2): GREEN, (3, 0): BLUE})
    cv2.imwrite("cells.png", image)
    done = dsd_zoo(
        "predict", *net, "cells.png", *OPTIONS, "--classes", "names.txt", "-o", "out.png", "--code", "none"
    )
    assert done.code == 0, done.err
    assert "green" in done.out
    np.testing.assert_array_equal(cv2.imread("cells.png"), image)
    changed = (cv2.imread("out.png") != image).any(2)
    # The frames are there, the middles of the cells and far corners are as they were.
    for row, column in ((1, 2), (3, 0)):
        assert changed[40 * row + 20, 60 * column]
        assert changed[40 * row + 39 : 40 * row + 42, 60 * column + 30].any()
        assert not changed[40 * row + 32, 60 * column + 30]
    assert not changed[100:, 200:].any()


def test_boxes_in_a_window_that_is_cut_out(dsd_zoo, tmp_path):
    """caffe-short: a square from the centre of a wide image, whose cells lie there."""
    net = write_detector(tmp_path)
    wide = np.zeros((32, 100, 3), np.uint8)
    wide[:, 34:66] = grid_image((8, 8), {(1, 2): GREEN})
    cv2.imwrite("wide.png", wide)
    options = ["--flavour", "caffe-short32", *OPTIONS[2:]]
    boxes = answer(dsd_zoo, *net, "wide.png", *options)["predictions"][0]["boxes"]
    corners = [boxes[0][side] for side in ("left", "top", "right", "bottom")]
    np.testing.assert_allclose(corners, (34 + 16, 8, 34 + 24, 16), atol=1e-3)


def test_several_images_go_into_a_folder(dsd_zoo, tmp_path):
    net = write_detector(tmp_path)
    for name, colour in (("a.png", GREEN), ("b.bmp", BLUE)):
        cv2.imwrite(name, grid_image((8, 8), {(0, 0): colour}))
    found = answer(dsd_zoo, *net, "a.png", "b.bmp", *OPTIONS, "-o", "shown")
    assert [p["written"] for p in found["predictions"]] == ["shown/a.png", "shown/b.png"]
    assert [p["boxes"][0]["index"] for p in found["predictions"]] == [1, 2]
    assert all(cv2.imread(p["written"]).shape == (32, 32, 3) for p in found["predictions"])


def test_names_travel_in_the_metadata_of_an_onnx(dsd_zoo, tmp_path):
    path = save_net(tmp_path / "net.onnx")
    model = onnx.load(path)
    names = ["blue", "green", "red", "no blue", "no green", "no red"]
    helper.set_model_props(model, {"dsd-zoo.labels": json.dumps(names)})
    onnx.save(model, path)
    cv2.imwrite("red.png", np.full((8, 8, 3), (0, 10, 200), np.uint8))
    classes = answer(dsd_zoo, path, "red.png", "--flavour", "caffe-warp8", "--crop", "8", "--mean", "none")[
        "predictions"
    ][0]["classes"]
    assert [row["name"] for row in classes[:2]] == ["red", "green"]
    helper.set_model_props(model, {"dsd-zoo.labels": "3"})
    onnx.save(model, path)
    done = dsd_zoo("predict", path, "red.png", "--flavour", "caffe-warp8", "--crop", "8", "--mean", "none")
    assert (done.code, "dsd-zoo.labels is no list of names" in done.err) == (2, True)


def test_a_net_with_a_fixed_batch(dsd_zoo, tmp_path):
    path = save_net(tmp_path / "net.onnx", batch=3)
    cv2.imwrite("red.png", np.full((8, 8, 3), (0, 10, 200), np.uint8))
    classes = answer(dsd_zoo, path, "red.png", "--flavour", "caffe-warp8", "--crop", "8", "--mean", "none")[
        "predictions"
    ][0]["classes"]
    assert [(row["index"], row["score"]) for row in classes[:2]] == [(2, 200.0), (1, 10.0)]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.png"], "expected a model's name or the files of a net before the images"),
        (["digits-caffe-dsd"], "digits-caffe-dsd: expected images after the net"),
        (["digits-caffe-dsd", "nothing.png"], "nothing.png: no such file"),
        (["digits-caffe-dsd", "a.png", "net.caffemodel"], "net.caffemodel: not an image"),
        (["digits-caffe-dsd", "bad.png"], "bad.png: cannot decode a truncated or damaged PNG"),
        (["digits-caffe-dsd", "a.gif"], "a.gif: cannot decode"),
        (["digits-caffe-dsd", "a.png", "-o", "out.txt"], "--out out.txt: expected a name that ends in"),
        (["digits-caffe-dsd", "a.png", "-o", "a.png"], "this is one of the images"),
        (["digits-caffe-dsd", "a.png", "b.png", "-o", "c.png"], "give a folder"),
        (["digits-caffe-dsd", "a.png", "a.jpg", "-o", "x"], "several images have the same name"),
        (["digits-caffe-dsd", "a.png", "--classes", "three.txt"], "has 10 classes, and there are 3 names"),
        (["digits-caffe-dsd", "a.png", "-o", "c.png", "--code", "torch"], "give one"),
        (["net.onnx", "a.png"], "give --flavour and --crop"),
    ],
)
def test_errors_name_what_was_expected(dsd_zoo, tmp_path, arguments, message):
    save_net(tmp_path / "net.onnx")
    for name in ("a.png", "b.png", "a.jpg"):
        cv2.imwrite(name, np.zeros((9, 9, 3), np.uint8))
    before = Path("a.png").read_bytes()
    Path("bad.png").write_bytes(before[:40])
    Path("a.gif").write_bytes(b"GIF89a" + bytes(30))
    Path("net.caffemodel").write_bytes(b"\x0a\x03net")
    Path("three.txt").write_text("a\nb\nc\n", encoding="utf-8")
    done = dsd_zoo("predict", *arguments)
    assert done.code == 2
    assert message in done.err
    assert Path("a.png").read_bytes() == before


def test_a_net_that_neither_ranks_nor_finds_is_refused(dsd_zoo, tmp_path):
    values = [helper.make_tensor_value_info(n, 1, ["N", 3, 8, 8]) for n in ("data", "out")]
    graph = helper.make_graph([helper.make_node("Relu", ["data"], ["out"])], "net", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), "net.onnx")
    cv2.imwrite("a.png", np.zeros((9, 9, 3), np.uint8))
    done = dsd_zoo(
        "predict", "net.onnx", "a.png", "--flavour", "caffe-warp8", "--crop", "8", "--mean", "none"
    )
    assert done.code == 2
    assert "the output is 1 x 3 x 8 x 8" in done.err
    assert "predict shows the classes of classifiers, and the boxes of the layers" in done.err
