"""`dsd-zoo validate` in CI: minimums, drops, annotations, the schema of results."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

import zoo.download.run


def test_minimums_end_with_1_and_are_checks(dsd_zoo_here):
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--min-top1", 98.4, "--min-top5", 100)
    assert outcome.code == 0
    assert "top-1 is 98.40 %, as asked: at least 98.4 %" in outcome.out
    outcome = dsd_zoo_here(
        "validate", "digits-caffe-dsd", "--min-top1", 98.5, "--junit", "checks.xml", "--json"
    )
    assert outcome.code == 1
    assert json.loads(outcome.out)["minimums"] == [
        {"metric": "top1", "percent": 98.5, "correct": 492, "n": 500, "holds": False}
    ]
    cases = ElementTree.parse("checks.xml").getroot().findall("testsuite/testcase")
    (case,) = [case for case in cases if case.attrib["classname"].endswith(".minimum")]
    assert case.find("failure").attrib["message"] == "top-1 is 98.40 %, too low: at least 98.5 %"


def test_a_drop_against_the_baseline(dsd_zoo_here):
    assert dsd_zoo_here("validate", "digits-caffe-baseline", "--out", "before").code == 0
    command = ["validate", "digits-caffe-dsd", "--baseline", "before", "--max-drop"]
    outcome = dsd_zoo_here(*command, 0.2)
    assert outcome.code == 0
    assert "at most 0.20 points lost, allowed are 0.2; 3 of 500 images changed their verdict" in outcome.out
    assert dsd_zoo_here(*command, 0.1).code == 1
    assert dsd_zoo_here(*command, 0.2, "--tolerance", 2).code == 1
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--max-drop", 1)
    assert outcome.code == 2
    assert "--max-drop says what may be lost against --baseline" in outcome.err


def test_a_baseline_from_a_server(dsd_zoo_here, monkeypatch):
    asked = []
    dsd_zoo_here("validate", "digits-caffe-dsd", "--limit", 20, "--out", "before")

    def fetch_run(url, folder):
        asked.append(url)
        return Path("before/result.json")

    monkeypatch.setattr(zoo.download.run, "fetch_run", fetch_run)
    url = "https://example.org/main/result.json?token=1"
    outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--limit", 20, "--baseline", url)
    assert (outcome.code, asked) == (0, [url])
    assert "baseline: identical to the last bit over 20 images" in outcome.out


@pytest.mark.parametrize("json_option", [[], ["--json"]])
def test_github_shows_what_does_not_hold(dsd_zoo_here, monkeypatch, json_option):
    command = ["validate", "digits-caffe-dsd", "--min-top1", 99, *json_option]
    assert dsd_zoo_here(*command).err == ""
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert dsd_zoo_here(*command).err == (
        "::error title=digits-caffe-dsd%2C minimum%3A top-1::top-1 is 98.40 %25, too low: at least 99 %25\n"
    )
    assert dsd_zoo_here("validate", "digits-caffe-dsd").err == ""


def test_a_result_is_as_its_schema_says(dsd_zoo_here):
    assert dsd_zoo_here("validate", "digits-caffe-dsd").code == 0
    result = json.loads(Path("results/digits-caffe-dsd/onnx/result.json").read_text())
    schema = json.loads(dsd_zoo_here("schema", "result").out)
    assert set(result) == set(schema["properties"])
    assert set(schema["required"]) <= set(result)
    types = {
        "integer": int,
        "number": int | float,
        "string": str,
        "object": dict,
        "array": list,
        "null": None,
    }
    for name, value in result.items():
        told = schema["properties"][name]
        kinds = {kind["type"] for kind in told.get("anyOf", [told]) if "type" in kind}
        assert kinds
        assert any(value is None if types[kind] is None else isinstance(value, types[kind]) for kind in kinds)
    # Later versions may add fields.
    assert schema["additionalProperties"] is True
