"""`--embed-preprocessing` on the command line: what is written, and what other commands make of the net."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
from colour_net import save_net
from command_line import runner

from zoo.bundled import bundled_folder
from zoo.cli.command import with_values

DIGITS = bundled_folder() / "digits"
IMAGES = DIGITS / "images" / "test_images.tar"
CAFFE = [DIGITS / "caffe" / "train_val.prototxt", DIGITS / "caffe" / "dsd.caffemodel"]
FULL = ["--embed-preprocessing", "full"]


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


@pytest.fixture
def digits(tmp_path) -> list[Path]:
    """Three test images of the digits."""
    found = []
    with tarfile.open(IMAGES) as tar:
        for name in [name for name in tar.getnames() if name.endswith(".png")][:3]:
            file = tar.extractfile(name)
            assert file is not None
            found.append(tmp_path / Path(name).name)
            found[-1].write_bytes(file.read())
    return found


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--x"], ["--x=one"]),
        (["--x", "two", "a"], ["--x=two", "a"]),
        (["--x", "net.prototxt"], ["--x=one", "net.prototxt"]),
        (["--x", "-o", "a"], ["--x=one", "-o", "a"]),
        (["--x=two", "--", "--x", "two"], ["--x=two", "--", "--x", "two"]),
        (["two", "--y", "two"], ["two", "--y", "two"]),
    ],
)
def test_an_option_may_stand_alone(arguments, expected):
    assert with_values(arguments, {"--x": ("one", "two")}) == expected


@pytest.mark.parametrize("model", ["digits-caffe-dsd", "digits-torch7-dsd"])
@pytest.mark.parametrize("order", [None, "BGR", "RGB"])
def test_whole_images_give_what_the_framework_recorded(dsd_zoo, digits, model, order):
    """The recorded scores are of images that Caffe's and Torch7's own tools prepared."""
    chosen = [] if order is None else ["--channel-order", order]
    done = dsd_zoo("convert", model, "-o", "full.onnx", *FULL, *chosen)
    assert done.code == 0, done.err
    order = order or ("BGR" if "caffe" in model else "RGB")
    assert f"takes uint8 images N x H x W x 3, {order}, all of a batch of one size" in done.out
    session = onnxruntime.InferenceSession("full.onnx", providers=["CPUExecutionProvider"])
    batch = np.stack([cv2.imread(str(file)) for file in digits])
    batch = batch if order == "BGR" else np.ascontiguousarray(batch[..., ::-1])
    (found,) = session.run(None, {session.get_inputs()[0].name: batch})
    with np.load(DIGITS / model.split("-")[1] / "dsd_golden.npz") as recorded:
        truth = recorded["out:prob" if "caffe" in model else "logits"][:3]
    np.testing.assert_allclose(found, truth, rtol=0, atol=1e-5 * np.abs(truth).max())


def test_files_take_the_options_that_say_their_preparation(dsd_zoo):
    line = ["convert", CAFFE[0].with_name("deploy.prototxt"), "--init", "1", "-o", "x.onnx", *FULL]
    assert "give --flavour and --crop" in dsd_zoo(*line).err
    line += ["--flavour", "caffe-short36", "--crop", "32"]
    asked = dsd_zoo(*line)
    assert asked.code == 2
    assert "do not say which mean" in asked.err
    assert "--mean none says that the net subtracts none" in asked.err
    assert not Path("x.onnx").exists()
    done = dsd_zoo(*line, "--mean", "none", "--scale", "0.5", "--json")
    assert done.code == 0, done.err
    stated = json.loads(done.out)["preprocessing"]
    assert (stated["flavour"], stated["crop"], stated["mean"], stated["scale"]) == (
        "caffe-short36",
        32,
        None,
        0.5,
    )
    assert stated["channel_order"] == "BGR"
    assert json.loads(done.out)["inputs"] == {"data": "NxHxWx3"}


def test_what_a_definition_states_is_used(dsd_zoo):
    """Crop, mean and scale of the training definition; only how images are resized is not in it."""
    weights = Path("other.caffemodel")
    done = dsd_zoo(
        "convert", CAFFE[0], "--init", "1", "-o", "x.onnx", *FULL, "--flavour", "caffe-warp40", "--json"
    )
    assert done.code == 0, done.err
    stated = json.loads(done.out)["preprocessing"]
    assert (stated["flavour"], stated["crop"], stated["mean"]) == ("caffe-warp40", 32, [127.0] * 3)
    assert not weights.exists()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--flavour", "caffe-warp36"], "--flavour: about the images of a net that prepares them itself"),
        (["--mean", "1"], "give --embed-preprocessing, too, or leave it out"),
        (
            ["--embed-preprocessing", "--crop", "3"],
            "--crop: about the images of a net that prepares them itself",
        ),
        (["--channel-order", "RGB"], "--channel-order"),
        ([*FULL, "--flavour", "caffe-warp31"], "does not fit into an image resized by caffe-warp31"),
        ([*FULL, "--crop", "30"], "the preparation makes N x 3 x 30 x 30"),
        ([*FULL, "--mean-image", "mean.npy"], "a mean image would be the second mean"),
        ([*FULL, "--std", "2"], "divides by no std"),
    ],
)
def test_options_that_would_be_ignored_or_do_not_fit_are_refused(dsd_zoo, options, says):
    np.save("mean.npy", np.zeros((3, 36, 36), np.float32))
    refused = dsd_zoo("convert", "digits-caffe-dsd", "-o", "x.onnx", *options)
    assert refused.code == 2
    assert says in refused.err
    assert not Path("x.onnx").exists()


def test_numbers_may_be_given_for_the_plain_form(dsd_zoo):
    line = ["convert", CAFFE[0].with_name("deploy.prototxt"), "--init", "1", "-o"]
    assert dsd_zoo(*line, "plain.onnx").code == 0
    done = dsd_zoo(*line, "pixels.onnx", "--embed-preprocessing", "--mean", "9,8,7", "--scale", "0.5")
    assert done.code == 0, done.err
    pixels = np.random.default_rng(0).integers(0, 256, (2, 3, 32, 32)).astype(np.float32)
    ready = (pixels - np.float32([9, 8, 7]).reshape(3, 1, 1)) * np.float32(0.5)
    (plain,), (embedded,) = (
        onnxruntime.InferenceSession(name, providers=["CPUExecutionProvider"]).run(None, {"data": x})
        for name, x in (("plain.onnx", ready), ("pixels.onnx", pixels))
    )
    np.testing.assert_array_equal(embedded, plain)


@pytest.mark.parametrize("mode", [["--embed-preprocessing"], FULL])
@pytest.mark.parametrize("subject", [CAFFE, ["digits-torch7-dsd"]])
def test_the_suggested_comparison_agrees(dsd_zoo, subject, mode):
    done = dsd_zoo("convert", *subject, "-o", "net.onnx", *mode)
    assert done.code == 0, done.err
    (line,) = [line for line in done.out.splitlines() if "dsd-zoo compare" in line]
    arguments = line.split("dsd-zoo ")[1].split()
    compared = dsd_zoo(*arguments)
    assert compared.code == 0, compared.out
    assert "B prepares its images in its first nodes: they were left out" in compared.out
    assert dsd_zoo(*arguments, "--with", "pytorch").code == 0
    facts = json.loads(dsd_zoo(*arguments, "--json").out)
    assert facts["without_preparation"] == ["B"]
    assert len(facts["values"]) > 10


def test_a_comparison_still_finds_other_weights(dsd_zoo):
    assert dsd_zoo("convert", *CAFFE, "-o", "net.onnx", *FULL).code == 0
    assert dsd_zoo("compare", "digits-caffe-baseline", "net.onnx").code == 1


def test_a_net_py_that_takes_pixels_is_compared_with_what_takes_them_too(dsd_zoo):
    done = dsd_zoo("convert", *CAFFE, "-o", "both", "--embed-preprocessing")
    assert "dsd-zoo compare both/net.onnx both/net.py" in done.out
    assert dsd_zoo("compare", "both/net.onnx", "both/net.py").code == 0
    done = dsd_zoo("convert", *CAFFE, "-o", "net.py", "--embed-preprocessing")
    assert "dsd-zoo compare" not in done.out
    assert "compare what is written without --embed-preprocessing" in done.out


def test_inspect_says_what_it_takes(dsd_zoo):
    assert dsd_zoo("convert", *CAFFE, "-o", "net.onnx", *FULL).code == 0
    shown = dsd_zoo("inspect", "net.onnx")
    assert shown.code == 0
    assert "flavour caffe-warp36, crop 32, mean [127.0, 127.0, 127.0], scale 0.0078125" in shown.out
    assert "it takes uint8 images N x height x width x 3, BGR" in shown.out


@pytest.mark.parametrize("model", ["digits-caffe-dsd", "digits-torch7-dsd"])
def test_predict_gives_it_the_image(dsd_zoo, digits, model):
    assert dsd_zoo("convert", model, "-o", "net.onnx", *FULL, "--static-batch", "2").code == 0
    plain = json.loads(dsd_zoo("predict", model, digits[0], "--json").out)
    found = json.loads(dsd_zoo("predict", "net.onnx", digits[0], "--json", "-o", "seen.png").out)
    assert found["predictions"][0]["classes"] == [
        {**row, "score": pytest.approx(row["score"], rel=1e-5, abs=1e-4)}
        for row in plain["predictions"][0]["classes"]
    ]
    assert found["preprocessing"] == plain["preprocessing"]
    # The program that is printed gives the same.
    assert list(found["code"]) == ["onnxruntime"]
    assert "net.onnx" in found["code"]["onnxruntime"]
    refused = dsd_zoo("predict", "net.onnx", digits[0], "--code", "opencv")
    assert "a net that prepares its images runs in ONNX Runtime only" in refused.err


def test_the_printed_program_runs(dsd_zoo, digits):
    assert dsd_zoo("convert", "digits-caffe-dsd", "-o", "net.onnx", *FULL, "--channel-order", "RGB").code == 0
    found = json.loads(dsd_zoo("predict", "net.onnx", digits[1], "--json").out)
    program = [sys.executable, "-c", found["code"]["onnxruntime"]]
    printed = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in printed.splitlines()]
    expected = [[row["index"], row["score"]] for row in found["predictions"][0]["classes"]]
    np.testing.assert_allclose(np.array(rows, np.float64), expected, rtol=1e-5)


@pytest.mark.parametrize("model", ["digits-caffe-dsd", "digits-torch7-dsd"])
def test_validate_counts_what_the_model_itself_gets_right(dsd_zoo, model):
    assert dsd_zoo("convert", model, "-o", "net.onnx", *FULL).code == 0
    options = ["--data", IMAGES, "--limit", "60"]
    done = dsd_zoo("validate", "net.onnx", *options, "--out", "whole")
    assert done.code == 0, done.err
    assert dsd_zoo("validate", model, *options, "--out", "plain").code == 0
    whole, plain = (json.loads(Path(name, "result.json").read_text()) for name in ("whole", "plain"))
    for name in ("top1_correct", "top5_correct", "preprocessing"):
        assert whole[name] == plain[name]
    assert dsd_zoo("bench", "net.onnx", *options[:2], "--seconds", "0.1").code == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--flavour", "caffe-warp40"], "prepares its images itself .*leave out --flavour"),
        (["--mean", "none"], "leave out --mean"),
        (["--runtime", "openvino"], "which only --runtime onnx gives it"),
        (["--runtime", "pytorch"], "prepares its images in its first nodes"),
        (["--sensitivity"], "in one way; convert the net without"),
    ],
)
def test_what_cannot_be_changed_any_more_is_refused(dsd_zoo, options, says):
    assert dsd_zoo("convert", "digits-caffe-dsd", "-o", "net.onnx", *FULL).code == 0
    refused = dsd_zoo("validate", "net.onnx", "--data", IMAGES, "--limit", "5", *options)
    assert refused.code == 2
    assert re.search(says, refused.err, re.DOTALL), refused.err


def test_images_of_another_kind_are_named(dsd_zoo):
    save_net("net.onnx")
    chosen = ["--flavour", "torch7-bicubic9", "--crop", "8", "--mean", "none"]
    assert dsd_zoo("convert", "net.onnx", "-o", "full.onnx", *FULL, *chosen).code == 0
    cv2.imwrite("deep.png", np.zeros((20, 30, 3), np.uint16))
    refused = dsd_zoo("predict", "full.onnx", "deep.png")
    assert refused.code == 2
    assert "deep.png: 20 x 30 x 3 of uint16; a net that prepares its images takes" in refused.err


def test_layouts_of_a_later_version_are_refused(dsd_zoo, digits):
    assert dsd_zoo("convert", "digits-caffe-dsd", "-o", "net.onnx", *FULL).code == 0
    model = onnx.load("net.onnx")
    for entry in model.metadata_props:
        if entry.key == "dsd-zoo.embedded_preprocessing":
            entry.value = entry.value.replace("NHWC", "NCHW")
    onnx.save(model, "net.onnx")
    refused = dsd_zoo("predict", "net.onnx", digits[0])
    assert refused.code == 2
    assert "takes images as 'NCHW' in 'BGR'" in refused.err
