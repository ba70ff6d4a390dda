"""Nets written after public definitions: each converts, or its refusal says what helps."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx, run_pytorch

import converters

FIELD = CORPUS / "field-caffe"


def case_json(name: str) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads((FIELD / name / "case.json").read_text())
    return meta


NAMES = sorted(path.parent.name for path in FIELD.glob("*/case.json"))
REFUSED = [name for name in NAMES if "error" in case_json(name).get("expect", {})]
CONVERTED = [name for name in NAMES if "expect" not in case_json(name)]


@pytest.mark.parametrize("name", CONVERTED)
def test_both_forms_give_what_was_recorded(name: str, tmp_path: Path) -> None:
    case = Case.load(FIELD / name)
    named = [case.folder / source for source in case.meta.get("sources", ())]
    model = converters.load(*(named or case.sources), **case.options)
    converters.save(model, tmp_path / "net.onnx")
    converters.save(model, tmp_path / "net.py")
    assert_agrees(run_onnx(tmp_path / "net.onnx", case.inputs), case.outputs, DEFAULT_TOLERANCE)
    assert_agrees(run_pytorch(tmp_path / "net.py", case.inputs, model), case.outputs, DEFAULT_TOLERANCE)


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_says_what_helps(name: str) -> None:
    folder, expect = FIELD / name, case_json(name)["expect"]
    sources = [path for path in (folder / "net.prototxt", folder / "net.caffemodel") if path.exists()]
    with pytest.raises(converters.ConverterError) as caught:
        converters.load(*sources)
    assert all(words in str(caught.value) for words in expect.get("says", ()))
    assert not any(words in str(caught.value) for words in expect.get("not", ()))
