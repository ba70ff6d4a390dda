"""ONNX files: self-contained, external and linked; all pass the checker and compute the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx
import pytest
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx

import converters

CAFFE = CORPUS / "caffe"

# Together, these nets use most operators.
NETS = [
    "arch-alexnet",
    "arch-caption",
    "arch-densenet",
    "arch-inception",
    "arch-rpn",
    "dag-00",
    "dag-04",
    "dag-17",
]


def case_in(folder: Path, name: str) -> Case:
    """A copy of a case: links need its files beside the model."""
    shutil.copytree(CAFFE / name, folder / name)
    return Case.load(folder / name)


@pytest.mark.parametrize("name", NETS)
@pytest.mark.parametrize("form", ["self-contained", "external", "link"])
def test_every_form_passes_the_checker_and_computes_the_same(tmp_path: Path, name: str, form: str) -> None:
    case = case_in(tmp_path, name)
    out = case.folder / "out.onnx"
    options = {} if form == "self-contained" else {form: True}
    report = converters.convert(case.sources, out, **case.options, **options)
    assert report.files == [out, out.with_suffix(".safetensors")] if form == "external" else [out]
    onnx.checker.check_model(out, full_check=True)
    assert_agrees(run_onnx(out, case.inputs), case.outputs, DEFAULT_TOLERANCE)


def test_layer_and_blob_names_survive(tmp_path: Path) -> None:
    model = converters.load(*Case.load(CAFFE / "arch-vgg").sources)
    assert [(node.name, node.outputs[0].name) for node in model.graph] == [
        ("c11", "c11/Conv"),  # its blob is changed in place by relu_c11, which makes the final c11
        ("relu_c11", "c11"),
        ("c12", "c12/Conv"),
        ("relu_c12", "c12"),
        ("p1", "p1"),
        ("c21", "c21/Conv"),
        ("relu_c21", "c21"),
        ("p2", "p2"),
        ("fc/Flatten", "fc/Flatten"),
        ("fc", "fc/Gemm"),
        ("relu_fc", "fc"),
        ("out", "out"),
    ]


def test_nothing_is_written_when_writing_fails(tmp_path: Path) -> None:
    out = tmp_path / "a-file" / "net.onnx"
    out.parent.write_text("in the way")
    with pytest.raises(converters.UsageError, match="cannot be written"):
        converters.convert(Case.load(CAFFE / "relu-slope").sources, out)
    assert [path.name for path in tmp_path.iterdir()] == ["a-file"]
