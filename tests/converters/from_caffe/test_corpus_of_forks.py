"""Every recorded case of a Caffe fork: converted, it gives what the real fork gave."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx, run_pytorch

import converters

FORKS = CORPUS / "caffe-forks"
CASES = {path.parent.name: json.loads(path.read_text()) for path in sorted(FORKS.glob("*/case.json"))}
# Caffemodels that the fork itself wrote, its own field numbers included.
OF_THE_FORK = [
    name
    for name, meta in CASES.items()
    if meta["wire_format"] == "that of the fork" and (FORKS / name / "net.caffemodel").exists()
]
# Alone, their fields 4 and 5 may be those of other forks: the definition decides by names.
NOT_ALONE = {"hnbn-nomean": "batch_norm_param field 4", "hnbn-novar": "batch_norm_param field 5"}


@pytest.mark.parametrize("name", CASES)
def test_both_forms_give_what_the_fork_gave(name: str, tmp_path: Path) -> None:
    case = Case.load(FORKS / name)
    model = converters.load(*case.sources, **case.options)
    converters.save(model, tmp_path / "net.onnx")
    converters.save(model, tmp_path / "net.py")
    assert_agrees(run_onnx(tmp_path / "net.onnx", case.inputs), case.outputs, DEFAULT_TOLERANCE)
    assert_agrees(run_pytorch(tmp_path / "net.py", case.inputs, model), case.outputs, DEFAULT_TOLERANCE)


@pytest.mark.parametrize("name", NOT_ALONE)
def test_fields_with_several_meanings_are_refused_without_the_definition(name: str) -> None:
    with pytest.raises(converters.UnsupportedError, match=NOT_ALONE[name]):
        converters.load(FORKS / name / "net.caffemodel")


@pytest.mark.parametrize("name", [name for name in OF_THE_FORK if name not in NOT_ALONE])
def test_the_caffemodel_alone_gives_what_the_fork_gave(name: str, tmp_path: Path) -> None:
    case = Case.load(FORKS / name)
    out = tmp_path / "net.onnx"
    converters.convert([case.folder / "net.caffemodel"], out, outputs=list(case.outputs))
    assert_agrees(run_onnx(out, case.inputs), case.outputs, DEFAULT_TOLERANCE)
