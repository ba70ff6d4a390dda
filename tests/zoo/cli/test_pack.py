"""`dsd-zoo pack` as a user meets it, and runs over what it wrote."""

from __future__ import annotations

import json
import os

import cv2
import numpy as np
import pytest
from command_line import runner

from zoo.bundled import bundled_folder

IMAGES = bundled_folder() / "digits" / "images" / "test_images.tar"


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return runner(monkeypatch, capsys)


def test_a_run_over_packed_images_is_the_run_over_the_images(dsd_zoo, tmp_path):
    outcome = dsd_zoo("pack", "--data", IMAGES, "--flavour", "caffe-warp36", "-o", "digits.pack")
    assert outcome.code == 0
    assert "500 of" in outcome.out
    printed = json.loads(dsd_zoo("validate", "digits-caffe-dsd", "--data", "digits.pack", "--json").out)
    assert (printed["result"]["top1_correct"], printed["result"]["dataset"]) == (492, "digits-test")
    assert [claim["verdict"] for claim in printed["audit"]["claims"]] == ["agrees", "agrees"]
    evidence = (tmp_path / "results" / "digits-caffe-dsd" / "onnx" / "evidence.csv").read_text()
    dsd_zoo("validate", "digits-caffe-dsd")
    assert (tmp_path / "results" / "digits-caffe-dsd" / "onnx" / "evidence.csv").read_text() == evidence
    outcome = dsd_zoo("validate", "digits-caffe-dsd", "--data", "digits.pack", "--flavour", "caffe-warp40")
    assert outcome.code == 2
    assert "packed by caffe-warp36; a run under caffe-warp40 needs the images" in outcome.err


def test_unreadable_images_are_listed(dsd_zoo, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    cv2.imwrite(str(folder / "good.png"), np.zeros((8, 8, 3), np.uint8))
    for i in range(12):
        (folder / f"bad{i:02d}.jpg").write_bytes(b"<html>")
    names = sorted(path.name for path in folder.iterdir())
    (folder / "labels.txt").write_text("".join(f"{name} 0\n" for name in names))
    outcome = dsd_zoo("pack", "--data", folder, "--flavour", "caffe-warp8", "-o", "x.pack")
    assert outcome.code == 0
    assert "bad00.jpg: cannot decode 6 bytes" in outcome.out
    assert "unreadable, 12" in outcome.out
    assert "and 2 more" in outcome.out


def test_mistakes(dsd_zoo, tmp_path):
    for arguments, message in (
        (["--data", "nowhere", "-o", "x"], "nowhere: no such folder or file"),
        (["--data", IMAGES, "-o", "no/x.pack"], "cannot be written"),
        (["--data", IMAGES, "-o", "x", "--flavour", "caffe"], "no preprocessing flavour is called 'caffe'"),
    ):
        outcome = dsd_zoo("pack", *arguments)
        assert outcome.code == 2
        assert message in outcome.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_only_regular_files_are_replaced(dsd_zoo, tmp_path):
    """As root, `-o /dev/null` would take the device from everybody."""
    os.mkfifo(tmp_path / "pipe")
    outcome = dsd_zoo("pack", "--data", IMAGES, "-o", "pipe")
    assert outcome.code == 2
    assert "pipe: the packed file cannot be written: not a regular file" in outcome.err
    assert [path.is_fifo() for path in tmp_path.iterdir()] == [True]


def test_a_link_stays_and_its_target_is_replaced(dsd_zoo, tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "disk" / "x.pack")
    for _ in range(2):
        assert dsd_zoo("pack", "--data", IMAGES, "-o", "link").code == 0
        assert (tmp_path / "link").is_symlink()
        assert [path.name for path in (tmp_path / "disk").iterdir()] == ["x.pack"]
