"""`dsd-zoo validate` as a user meets it: on the embedded digits, without network or other people's files."""

from __future__ import annotations

import json
import shutil
import tarfile
from functools import partial

import cv2
import numpy as np
import pytest
from command_line import runner

from zoo.bundled import bundled_folder
from zoo.evidence.run import read_run

DIGITS = bundled_folder() / "digits"
FILES = [DIGITS / "caffe" / "train_val.prototxt", DIGITS / "caffe" / "dsd.caffemodel"]
IMAGES = DIGITS / "images" / "test_images.tar"


@pytest.fixture
def validate(monkeypatch, capsys, tmp_path):
    """Runs the command in this process, in an empty folder and with an empty cache."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    return partial(runner(monkeypatch, capsys), "validate")


@pytest.mark.parametrize(
    ("model", "top1"),
    [("digits-caffe-baseline", 493), ("digits-caffe-sparse", 490), ("digits-caffe-dsd", 492)],
)
def test_an_embedded_model_gives_the_count_that_caffe_reported(validate, tmp_path, model, top1):
    outcome = validate(model)
    assert outcome.code == 0
    assert outcome.err == ""
    assert f"{model} on digits-test: 500 images" in outcome.out
    assert "agrees" in outcome.out
    folder = tmp_path / "work" / "results" / model / "onnx"
    assert f"evidence       {folder.relative_to(tmp_path / 'work')}" in outcome.out
    run = read_run(folder)
    result, rows = run.result, run.rows
    assert (result.n, result.top1_correct, result.top5_correct) == (500, top1, 500)
    assert [row.image for row in rows[:2]] == ["test_00000.png", "test_00001.png"]
    assert result.command == f"dsd-zoo validate {model}"
    assert {"net.onnx", f"{model.rpartition('-')[2]}.caffemodel"} <= set(result.files)


def test_json_holds_result_folder_and_audit(validate):
    outcome = validate("digits-caffe-dsd", "--json")
    printed = json.loads(outcome.out)
    assert printed["result"]["top1_correct"] == 492
    assert printed["out"] == "results/digits-caffe-dsd/onnx"
    assert [claim["verdict"] for claim in printed["audit"]["claims"]] == ["agrees", "agrees"]
    assert outcome.code == 0


def test_own_files_need_only_the_settings_that_the_definition_lacks(validate, tmp_path):
    outcome = validate(*FILES, "--data", IMAGES, "--flavour", "caffe-warp36", "--out", "mine", "--json")
    printed = json.loads(outcome.out)
    assert (printed["result"]["top1_correct"], printed["audit"]) == (492, None)
    assert printed["result"]["preprocessing"]["mean"] == [127, 127, 127]
    assert read_run(tmp_path / "work" / "mine").result.model == "dsd"
    outcome = validate(*FILES, "--data", IMAGES)
    assert outcome.code == 2
    assert "give --flavour" in outcome.err


def test_a_torch7_net_without_an_input_size_gets_that_of_the_crop(validate, corpus, tmp_path):
    """It has no preprocessing either; the options give it."""
    with np.load(corpus / "torch7-models" / "nin-like" / "io.npz") as recorded:
        classes = recorded["out:0"].shape[1]
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "grey.png"), np.full((240, 300, 3), 127, np.uint8))
    (tmp_path / "images" / "labels.txt").write_text("grey.png 0\n")
    options = [
        "--data",
        tmp_path / "images",
        "--flavour",
        "torch7-bicubic256",
        "--crop",
        224,
        "--mean",
        "none",
    ]
    outcome = validate(corpus / "torch7-models" / "nin-like" / "net.t7", *options)
    assert outcome.code == 0, outcome.err
    (row,) = read_run(tmp_path / "work" / "results" / "net" / "onnx").rows
    assert len(set(row.top5)) == 5
    assert max(row.top5) < classes


def test_a_contradicted_claim_ends_with_1(validate, tmp_path):
    folder = tmp_path / "images"
    with tarfile.open(IMAGES) as archive:
        archive.extractall(folder, filter="data")
    # Names and labels are right, but every image is the same 9.
    for path in folder.glob("*.png"):
        if path.name != "test_00001.png":
            shutil.copyfile(folder / "test_00001.png", path)
    outcome = validate("digits-caffe-dsd", "--data", folder)
    assert outcome.code == 1
    assert "differs" in outcome.out


def test_variants_of_a_run_do_not_overwrite_the_whole(validate, tmp_path):
    validate("digits-caffe-dsd")
    outcome = validate("digits-caffe-dsd", "--limit", 20, "--flavour", "caffe-warp32", "--batch-size", 7)
    assert outcome.code == 0
    assert "20 of 500 images" in outcome.out
    names = sorted(path.name for path in (tmp_path / "work" / "results" / "digits-caffe-dsd").iterdir())
    assert names == ["onnx", "onnx-caffe-warp32-first20"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digits-caffe-dst"], "did you mean digits-caffe-ds"),
        (["nowhere.prototxt"], "no such file: nowhere.prototxt"),
        ([*FILES, "absent.net"], "absent.net: no such file"),
        (["squeezenet-dsd"], "run: dsd-zoo fetch squeezenet-dsd"),
        (["digits-caffe-dsd", "--data", "nowhere"], "nowhere: no such folder or file"),
        (["digits-caffe-dsd", "--data", "."], "no images there"),
        (["digits-caffe-dsd", "--device", "gpu"], "no device is called 'gpu'"),
        (["digits-caffe-dsd", "--limit", "0"], "limit must be 1 image or more"),
        (["digits-caffe-dsd", "--mean", "1,x"], "--mean takes numbers"),
        (["digits-caffe-dsd", "--crop", "28"], "takes 3 x 32 x 32, the preprocessing makes 3 x 28 x 28"),
        (["digits-caffe-dsd", "--tolerance", "3"], "--tolerance says what may differ from --baseline"),
        (["digits-caffe-dsd", "--baseline", "nowhere.json"], "nowhere.json: cannot be read"),
        (["digits-caffe-dsd", "--precision", "fp16"], "ONNX Runtime computes in float32 on cpu, not in fp16"),
        (["digits-caffe-dsd", "--precision", "tf32"], "tf32 is a mode of NVIDIA GPUs"),
        (["digits-caffe-dsd", "--precision", "bf16", "--sensitivity"], "leave --precision away"),
        ([*FILES, "--data", IMAGES, "--flavour", "caffe-stored", "--sensitivity"], "takes them as they are"),
        (["digits-caffe-dsd", "--scores", "softmax"], "softmax"),
        ([*FILES, "--flavour", "caffe-warp36"], "say where the images are: --data"),
    ],
)
def test_mistakes_are_explained_without_a_traceback(validate, tmp_path, arguments, message):
    outcome = validate(*arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert not (tmp_path / "work" / "results").exists()


def test_a_mean_image_of_one_value_counts_as_the_mean_value(validate, tmp_path):
    np.save(tmp_path / "mean.npy", np.full((3, 36, 36), 127.0))
    outcome = validate("digits-caffe-dsd", "--mean", tmp_path / "mean.npy", "--json")
    printed = json.loads(outcome.out)
    assert printed["result"]["top1_correct"] == 492
    assert (printed["result"]["preprocessing"]["mean"], printed["result"]["preprocessing"]["mean_image"]) == (
        None,
        True,
    )
    assert "mean.npy" in printed["result"]["files"]


def test_images_left_out_and_ignored_orientations_are_reported(validate, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    exif = bytes.fromhex(
        "ffe1 0022 45786966 0000 4d4d002a 00000008 0001 0112 0003 00000001 0006 0000 00000000"
    )
    jpeg = cv2.imencode(".jpg", np.zeros((40, 40, 3), np.uint8))[1].tobytes()
    (folder / "turned.jpg").write_bytes(jpeg[:2] + exif + jpeg[2:])
    (folder / "broken.jpg").write_bytes(jpeg[:200])
    (folder / "labels.txt").write_text("broken.jpg 0\nturned.jpg 1\n")
    outcome = validate("digits-caffe-dsd", "--data", folder)
    assert outcome.code == 2
    assert "broken.jpg: cannot decode a truncated or damaged JPEG" in outcome.err
    outcome = validate("digits-caffe-dsd", "--data", folder, "--skip-unreadable")
    assert outcome.code == 0
    assert "on images: 1 of 2 images" in outcome.out
    assert "unreadable: broken.jpg" in outcome.out
    assert "orientation of 1 image ignored" in outcome.out


def test_an_absent_device_is_an_error(validate, tmp_path):
    import torch

    outcome = validate("digits-caffe-dsd", "--device", f"cuda:{torch.cuda.device_count()}")
    assert outcome.code == 2
    assert f"sees {torch.cuda.device_count()} CUDA devices here" in outcome.err
    assert not (tmp_path / "work" / "results").exists()
