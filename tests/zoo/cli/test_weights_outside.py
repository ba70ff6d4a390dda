"""An .onnx with its weights in another file, through every command: the right ones, others, and no file."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import onnx
import pytest
from stopped_processes import killed_before

import converters
from zoo.bundled import bundled_folder, embedded_images
from zoo.verification.compare import compare_nets

DIGITS = bundled_folder() / "digits"
IMAGES = [
    "--data",
    embedded_images("digits-test"),
    "--limit",
    "8",
    "--flavour",
    "caffe-warp36",
    "--crop",
    "32",
]


@pytest.fixture
def linked(tmp_path) -> Path:
    """The embedded digits net, linked to its caffemodel."""
    folder = tmp_path / "net"
    folder.mkdir()
    names = ("train_val.prototxt", "dsd.caffemodel")
    sources = [shutil.copy(DIGITS / "caffe" / name, folder) for name in names]
    converters.convert(sources, folder / "net.onnx", link=True)
    return folder / "net.onnx"


def commands(net: Path, *more: str) -> dict[str, list[object]]:
    out = net.parent / "out"
    return {
        "inspect": ["inspect", net, *more],
        "convert": ["convert", net, "-o", out / "other.onnx", *more],
        "compare": ["compare", net, f"{net.parent / 'train_val.prototxt'},{net.parent / 'whole'}", *more],
        "validate": ["validate", net, *IMAGES, "--out", out / "run", *more],
    }


def change(weights: Path, *, keep_time: bool) -> None:
    """One bit of the last float of the first weight, far from all that a sample looks at."""
    before = weights.stat()
    proto = onnx.load(weights.with_name("net.onnx"), load_external_data=False)
    largest = max(proto.graph.initializer, key=lambda tensor: len(tensor.dims) and max(tensor.dims))
    place = {entry.key: entry.value for entry in largest.external_data}
    content = bytearray(weights.read_bytes())
    content[int(place["offset"]) + 8_000] ^= 1
    weights.write_bytes(content)
    if keep_time:
        os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize("verify", [(), ("--verify",)], ids=["quick", "verify"])
def test_the_right_weights_are_accepted(dsd_zoo, linked, verify):
    shutil.copy(linked.with_name("dsd.caffemodel"), linked.with_name("whole"))
    for name, arguments in commands(linked, *verify).items():
        found = dsd_zoo(*arguments)
        assert found.code == 0, (name, found)
    result = json.loads((linked.parent / "out" / "run" / "result.json").read_text())
    assert result["files"].keys() >= {"net.onnx", "dsd.caffemodel"}


@pytest.mark.parametrize("keep_time", [False, True])
def test_one_changed_float_stops_every_command(dsd_zoo, linked, keep_time):
    weights = linked.with_name("dsd.caffemodel")
    shutil.copy(weights, linked.with_name("whole"))
    change(weights, keep_time=keep_time)
    for name, arguments in commands(linked, *(["--verify"] if keep_time else [])).items():
        found = dsd_zoo(*arguments)
        assert found.code == (1 if name == "inspect" else 2), (name, found)
        assert "dsd.caffemodel: not the weights that" in found.out + found.err
        assert "All of it converts" not in found.out
    assert not (linked.parent / "out").exists() or not list((linked.parent / "out").rglob("*.*"))


@pytest.mark.parametrize("fault", ["missing", "short", "outside"])
def test_weights_that_cannot_be_read_stop_every_command(dsd_zoo, linked, fault):
    weights = linked.with_name("dsd.caffemodel")
    shutil.copy(weights, linked.with_name("whole"))
    if fault == "short":
        os.truncate(weights, 1000)
    else:
        weights.rename(linked.parents[1] / "elsewhere")
    if fault == "outside":
        weights.symlink_to(linked.parents[1] / "elsewhere")
    said = {"missing": "which is missing", "short": "expected", "outside": "outside the folder of the model"}
    for name, arguments in commands(linked).items():
        found = dsd_zoo(*arguments)
        assert found.code == (1 if name == "inspect" else 2), (name, found)
        assert said[fault] in found.out + found.err
        assert "internal error" not in found.err
        assert "All of it converts" not in found.out


def test_weights_that_change_while_a_net_is_measured(dsd_zoo, linked, monkeypatch):
    """They were hashed, and are others when the runtime has read them."""
    read, weights = converters.SourceFile.read, linked.with_name("dsd.caffemodel")

    def read_and_change(file: converters.SourceFile, *arguments: int) -> bytes:
        content = read(file, *arguments)
        if not arguments and file.path.name == weights.name and weights.exists():
            os.utime(weights, ns=(0, 0))
        return content

    monkeypatch.setattr(converters.SourceFile, "read", read_and_change)
    found = dsd_zoo(*commands(linked)["validate"])
    assert found.code == 2
    assert "dsd.caffemodel: the file was changed while it was read: it was written to" in found.err
    assert not list(linked.parent.glob("out/**/result.json"))


def test_a_killed_comparison_leaves_nothing_after_the_next(linked, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    # Killed while the first net is being written.
    assert killed_before(4, lambda: compare_nets([linked], [linked]))
    (left,) = (tmp_path / "tmp").iterdir()
    assert left.name.startswith(".dsd-zoo-")
    assert compare_nets([linked], [linked]).agrees
    assert not list((tmp_path / "tmp").iterdir())
