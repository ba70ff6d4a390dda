"""Numbers and booleans in a prototxt: what protobuf's parser in C++ takes and refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

import converters
from converters.from_caffe import schema
from converters.from_caffe.prototxt import parse


def layer(folder: Path, text: str) -> schema.Message:
    path = folder / "net.prototxt"
    path.write_text(f'layer {{ name: "- 1_0 +2" {text} }} # +2 0b1')
    return parse(path).net.layer[0]


@pytest.mark.parametrize(
    ("number", "wanted"), [("- 2", -2.0), ("-\t.5", -0.5), ("2f", 2.0), ("1.e3", 1000.0)]
)
def test_numbers_that_are_taken(tmp_path: Path, number: str, wanted: float) -> None:
    read = layer(tmp_path, f"power_param {{ shift: {number} }}")
    assert (read.name, read.power_param.shift) == ("- 1_0 +2", wanted)


@pytest.mark.parametrize(("boolean", "wanted"), [("0x1", True), ("01", True), ("0x0", False), ("00", False)])
def test_booleans_in_any_base(tmp_path: Path, boolean: str, wanted: bool) -> None:
    text = f"pooling_param {{ global_pooling: {boolean} }} propagate_down: 1 propagate_down: {boolean}"
    read = layer(tmp_path, text)
    assert (read.pooling_param.global_pooling, list(read.propagate_down)) == (wanted, [True, wanted])


@pytest.mark.parametrize("number", ["+2", "1_0", "1_0.5", "0b1", "0o7", "0x1_0"])
def test_numbers_that_are_refused(tmp_path: Path, number: str) -> None:
    with pytest.raises(converters.FormatError) as caught:
        layer(tmp_path, f"pooling_param {{ kernel_size: {number} }}")
    assert str(caught.value) == (
        f"{tmp_path / 'net.prototxt'}:1: the number {number!r}, which Caffe cannot read"
    )
