"""Weights beside an .onnx: read where onnx itself refuses, and refused in words where they cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import onnx_ir
import pytest
from corpus_cases import CORPUS, Case, assert_agrees, run_onnx

import converters
from converters.errors import FormatError, UsageError

CASE = Case.load(CORPUS / "caffe" / "arch-alexnet")


@pytest.fixture
def net(tmp_path: Path) -> Path:
    """An .onnx with its weights in net.safetensors, in a folder of its own."""
    (tmp_path / "folder").mkdir()
    converters.convert(CASE.sources, tmp_path / "folder" / "net.onnx", external=True, **CASE.options)
    return tmp_path / "folder" / "net.onnx"


def test_a_hard_linked_file_is_read(net: Path, tmp_path: Path) -> None:
    os.link(net.with_suffix(".safetensors"), tmp_path / "second name")
    values = onnx_ir.load(net).graph.initializers.values()
    outside = next(v.const_value for v in values if isinstance(v.const_value, onnx_ir.ExternalTensor))
    with pytest.raises(ValueError, match="hard link"):
        outside.numpy()
    converters.convert([net], tmp_path / "whole.onnx")
    assert_agrees(run_onnx(tmp_path / "whole.onnx", CASE.inputs), CASE.outputs, 1e-5)


def test_a_link_inside_the_folder_is_read(net: Path, tmp_path: Path) -> None:
    weights = net.with_suffix(".safetensors")
    weights.rename(net.parent / "data")
    weights.symlink_to("data")
    converters.convert([net], tmp_path / "whole.onnx")
    assert_agrees(run_onnx(tmp_path / "whole.onnx", CASE.inputs), CASE.outputs, 1e-5)


def test_a_link_that_leads_outside_is_refused(net: Path, tmp_path: Path) -> None:
    weights = net.with_suffix(".safetensors")
    weights.rename(tmp_path / "data")
    weights.symlink_to(tmp_path / "data")
    with pytest.raises(UsageError, match=r"net\.safetensors, which leads to .*/data, outside .*; copy"):
        converters.load(net)


def test_a_place_outside_the_folder_is_refused(net: Path) -> None:
    proto = onnx.load(net, load_external_data=False)
    for tensor in proto.graph.initializer:
        for entry in tensor.external_data:
            if entry.key == "location":
                entry.value = "../net.safetensors"
    net.write_bytes(proto.SerializeToString())
    with pytest.raises(UsageError, match=r"are in \.\./net\.safetensors, .*copy that file into the folder"):
        converters.load(net)


def test_a_missing_file_is_named_and_inspect_does_not_need_it(net: Path) -> None:
    net.with_suffix(".safetensors").unlink()
    with pytest.raises(UsageError, match=r"net\.safetensors, which is missing; put that file there"):
        converters.load(net)
    assert converters.inspect(net).parameters == sum(
        int(np.prod(tensor.dims)) for tensor in onnx.load(net, load_external_data=False).graph.initializer
    )


def test_a_file_that_is_cut_off(net: Path) -> None:
    weights = net.with_suffix(".safetensors")
    weights.write_bytes(weights.read_bytes()[:-4])
    with pytest.raises(FormatError, match=r"needs bytes .* of net\.safetensors, which has .*cut off"):
        converters.load(net)
