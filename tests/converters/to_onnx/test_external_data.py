"""ONNX files linked to the original weights."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import onnx
import pytest
from corpus_cases import CORPUS, Case, run_onnx

import converters

CAFFE = CORPUS / "caffe"


def case_in(folder: Path, name: str) -> Case:
    """A copy of a case: links need its files beside the model."""
    shutil.copytree(CAFFE / name, folder / name)
    return Case.load(folder / name)


def test_a_link_stays_in_the_folder_of_the_model(tmp_path: Path) -> None:
    case = case_in(tmp_path, "arch-alexnet")
    elsewhere = tmp_path / "elsewhere" / "net.onnx"
    with pytest.raises(converters.UsageError, match="ONNX only allows files in or below the folder"):
        converters.convert(case.sources, elsewhere, link=True)
    assert not elsewhere.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such file names")
def test_a_link_needs_a_name_in_utf8(tmp_path: Path) -> None:
    definition, weights = case_in(tmp_path, "arch-alexnet").sources
    odd = weights.rename(weights.with_name(os.fsdecode(b"w\xff.caffemodel")))
    with pytest.raises(
        converters.UsageError, match=r"ONNX names files in UTF-8, which w.*\.caffemodel is not"
    ):
        converters.convert([definition, odd], odd.with_name("net.onnx"), link=True)
    assert not odd.with_name("net.onnx").exists()


@pytest.mark.parametrize("name", ["wire-double", "wire-double-and-float"])
def test_weights_that_the_file_holds_in_another_form_cannot_be_linked(tmp_path: Path, name: str) -> None:
    case = case_in(tmp_path, name)
    with pytest.raises(converters.UsageError, match=r"--link: none of the 2 large weights .* conv1\.weight"):
        converters.convert(case.sources, case.folder / "net.onnx", link=True)
    assert not (case.folder / "net.onnx").exists()


def test_a_link_is_small_and_reads_the_caffemodel_itself(tmp_path: Path) -> None:
    case = case_in(tmp_path, "arch-alexnet")
    converters.convert(case.sources, case.folder / "net.onnx", link=True)
    read = onnx.load(case.folder / "net.onnx", load_external_data=False)
    external = [t for t in read.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    locations = {
        entry.value for tensor in external for entry in tensor.external_data if entry.key == "location"
    }
    assert locations == {"net.caffemodel"}
    (case.folder / "net.caffemodel").unlink()
    with pytest.raises(Exception, match=r"net\.caffemodel"):
        run_onnx(case.folder / "net.onnx", case.inputs)
