"""What every command prints for people fits the terminal, apart from paths, URLs, commands and code."""

from __future__ import annotations

import json
import re
import shutil

import cv2
import numpy as np
import pytest
from command_calls import ELSEWHERE, NET, SUCCESS

from zoo.bundled import bundled_folder

DIGITS = bundled_folder() / "digits"
# Words that no line break makes shorter (paths, URLs, hashes), and whole lines: commands, patches.
PATH, COPIED = re.compile(r"[/\\]|^[0-9a-f]{40,}"), re.compile(r"\s*(dsd-zoo|pip|hf) |[+-]")
IMAGES = DIGITS / "images" / "test_images.tar"
# Those whose own tests show that they print one document; they would take long here.
LONG = {"demo", "train"}
PROGRAM = "import cv2\n\nnet = cv2.dnn.readNetFromCaffe('deploy.prototxt', 'net.caffemodel')\n"
RUN = ["validate", "digits-caffe-dsd", "digits-caffe-baseline", "--limit", "100"]
TWICE = [",".join(map(str, NET)), ",".join(map(str, NET))]
# Beside those that must succeed with --json: what prints the widest tables.
MORE: dict[str, list[list[object]]] = {
    "audit": [["audit"], ["audit", "--evidence", "runs"]],
    "inspect": [["inspect", "--weights", *TWICE]],
    "list": [["list", "--evidence", "runs"], ["list", "--search", "no such thing"]],
    "show": [["show", name, "--evidence", "runs"] for name in ("vgg16-dsd", "digits-caffe-dsd")],
    "validate": [[*RUN, "--sensitivity", "-o", "more"]],
    "verify": [["verify", "digits-torch7-baseline", "unknown"]],
}


def too_long(text: str, width: int) -> list[str]:
    """The lines that are longer than `width` and could have been broken before."""
    return [
        line
        for line in text.splitlines()
        if len(line) > width and not COPIED.match(line) and not any(map(PATH.search, line.split()))
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder and a cache for all tests here."""
    folder = tmp_path_factory.mktemp("width")
    (folder / "unknown").write_bytes(b"x")
    return folder


@pytest.fixture
def workplace(dsd_zoo, own, tmp_path, folder, monkeypatch):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("DSD_ZOO_LOCK", str(folder / "lock.json"))
    monkeypatch.setenv("DSD_ZOO_CACHE", str(folder / "cache"))
    if not (folder / "runs").exists():
        assert dsd_zoo(*RUN, "-o", "runs").code == 0
        assert dsd_zoo("fetch", "tiny", "--manifests", str(own)).code == 0
        shutil.copytree(own, folder / "own")
        cv2.imwrite(str(folder / "picture.png"), np.zeros((300, 500, 3), np.uint8))
        shutil.copy(NET[0], folder / "deploy.prototxt")
        shutil.copy(NET[1], folder / "net.caffemodel")
        (folder / "program.py").write_text(PROGRAM, encoding="utf-8")
    return dsd_zoo


@pytest.mark.parametrize("name", sorted(set(SUCCESS) - LONG - {"schema"}))
def test_no_line_is_longer_than_the_terminal(workplace, monkeypatch, name):
    calls = [[name, *SUCCESS[name]], *MORE.get(name, [])]
    for width in (80, 60):
        monkeypatch.setenv("COLUMNS", str(width))
        if name == "import-cache":
            workplace("export-cache", "export", "tiny", "--manifests", "own")
        for call in calls:
            extra = ["--restart"] if name == "validate" else []
            outcome = workplace(*call, *extra)
            assert outcome.code in (0, 1), outcome.err
            assert outcome.out.strip()
            said, *programs = outcome.out.split("The same in ONNX Runtime:")
            assert too_long(said, width) == []
            # Programs are printed as they are written to files.
            assert too_long("".join(programs), 80) == []


@pytest.mark.parametrize("name", sorted(ELSEWHERE - LONG))
def test_json_is_one_document_of_commands_that_take_long(workplace, name):
    outcome = workplace(name, *SUCCESS[name], "--json")
    assert outcome.code == 0, outcome.err
    assert isinstance(json.loads(outcome.out), dict)
    assert outcome.err == ""


def test_nothing_is_lost_where_it_is_narrow(workplace, monkeypatch):
    """The same words, whatever the width."""
    for call in (["audit", "--evidence", "runs"], ["show", "vgg16-dsd"], ["inspect", *NET]):
        words = []
        for width in (200, 60):
            monkeypatch.setenv("COLUMNS", str(width))
            words.append(set(workplace(*call).out.split()))
        assert words[0] <= words[1]


def test_help_fits(workplace, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    for name in SUCCESS:
        assert too_long(workplace(name, "--help").out, 60) == []
