"""`dsd-zoo list`, `show` and `schema` as a user meets them."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.evidence.run import write_run


def test_list_shows_claims_gain_and_what_is_here(dsd_zoo):
    outcome = dsd_zoo("list")
    assert outcome.code == 0
    rows = [re.split(r"\s{2,}", line) for line in outcome.out.splitlines()]
    assert ["squeezenet-dsd", "61.76", "83.47", "+4.32", "0 of 3", "caffe", "pinned"] in rows
    assert ["digits-torch7-dsd", "98.00", "100.00", "-0.20", "shipped", "torch7", "pinned"] in rows


def test_list_as_json(dsd_zoo):
    entries = {entry["name"]: entry for entry in json.loads(dsd_zoo("list", "--json").out)}
    assert list(entries) == Catalog.load().names()
    entry = entries["squeezenet-dsd"]
    assert entry["claims"]["top1"] == {"percent": 61.7579, "correct": 30879, "n": 50000}
    assert entry["gain"] == {"top1": 4.318, "top5": 2.994}
    assert entry["files"] == {"here": 0, "shipped": 0, "total": 3}
    assert entry["trust"] == "pinned"


def test_what_was_measured_is_listed_and_shown(dsd_zoo, made_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Path("results/a"), made_run("digits-caffe-dsd"))
    write_run(Path("results/b"), made_run("digits-caffe-dsd", images=100, device="cuda", runtime="pytorch"))
    lines = dsd_zoo("list").out.splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("digits-caffe-dsd"))
    assert lines[row + 1 : row + 3] == [
        "  measured here: top-1 98.40 onnx",
        "  measured here: top-1 97.00 pytorch on cuda of 100 images",
    ]
    shown = dsd_zoo("show", "digits-caffe-dsd").out
    assert "98.40 onnx: top-1 492, top-5 500 of 500 images; caffe-warp36, float32" in shown
    entry = json.loads(dsd_zoo("show", "digits-caffe-dsd", "--json").out)["measured"][0]
    assert (entry["runtime"], entry["top1_correct"], entry["n"]) == ("onnx", 492, 500)
    assert "measured here" not in dsd_zoo("list", "--evidence", "elsewhere").out


def test_no_accuracy_over_other_images_stands_beside_a_claim(dsd_zoo, made_run, tmp_path, monkeypatch):
    """A folder with a part of the images is a part, though its run covers all of the folder."""
    monkeypatch.chdir(tmp_path)
    part = {"images": 100, "n_dataset": 100, "runtime": "pytorch"}
    write_run(Path("results/other"), made_run("digits-caffe-dsd", wrong=range(222), dataset="photographs"))
    write_run(Path("results/part"), made_run("digits-caffe-dsd", **part))
    lines = dsd_zoo("list").out.splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("digits-caffe-dsd"))
    assert lines[row + 1 : row + 3] == [
        "  measured here: top-1 97.00 pytorch of 100 images",
        "  measured here over other images (photographs): dsd-zoo show digits-caffe-dsd",
    ]
    assert "55.60" not in "".join(lines)
    shown = dsd_zoo("show", "digits-caffe-dsd").out
    assert "of 500 images; caffe-warp36, float32; other images (photographs)" in shown


def test_a_broken_result_is_named(dsd_zoo, tmp_path):
    (tmp_path / "result.json").write_text("{}")
    outcome = dsd_zoo("list", "--evidence", tmp_path)
    assert outcome.code == 2
    assert (
        outcome.err == f"dsd-zoo: {tmp_path / 'result.json'}: not the result of a run: "
        "model: Field required\n"
    )


def test_show_prints_everything_about_a_model(dsd_zoo):
    text = dsd_zoo("show", "squeezenet-dsd").out
    for expected in (
        "SqueezeNet v1.0, Dense-Sparse-Dense",
        "30,879 of 50,000 images",
        'printed as "0.617579"',
        "SqueezeNet/accuracy.log",
        "claimed gain of 4.32 points",
        "28,842 right, of 50,000",
        "57.61 % according to the web page",
        "pinned: a hash known beforehand",
        "ffce3635e4a837e7bc783fea3f48fcc48a1e93a6",
        "https://1drv.ms/u/s!AkOf0kjGMRd2bgMQDqHa43dNYVM",
        "not here yet",
        "dsd-zoo fetch squeezenet-dsd",
        "dsd-zoo validate squeezenet-dsd",
    ):
        assert expected in text
    digits = dsd_zoo("show", "digits-caffe-dsd").out
    assert "No significant gain is published" in digits
    assert "dsd-zoo demo" in digits
    assert "dsd-zoo fetch" not in digits


def test_show_as_json_is_the_manifest_and_what_is_here(dsd_zoo):
    data = json.loads(dsd_zoo("show", "digits-caffe-dsd", "--json").out)
    assert data["claims"][0]["correct"] == 492
    assert data["gain"] == {"top1": -0.2, "top5": 0.0}
    weights = next(file for file in data["files"] if file["role"] == "weights")
    assert weights["trust"] == "pinned"
    assert weights["here"].endswith("dsd.caffemodel")


def test_the_schema_describes_what_the_bundled_manifests_say(dsd_zoo):
    """Checked by hand for the keywords that the schema uses; no package is needed for that."""
    schema = json.loads(dsd_zoo("schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for path in bundled_folder().glob("*.toml"):
        check(tomllib.loads(path.read_text(encoding="utf-8")), schema, schema)
    wrong = tomllib.loads((bundled_folder() / "vgg16-vgg.toml").read_text(encoding="utf-8"))
    wrong["files"][0]["sha256"] = "F" * 64
    with pytest.raises(AssertionError):
        check(wrong, schema, schema)


def check(value: object, rule: dict[str, Any], root: dict[str, Any]) -> None:
    """AssertionError unless `value` keeps the JSON Schema `rule`; KeyError for a keyword not known here."""
    if "$ref" in rule:
        check(value, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root)
        return
    if "anyOf" in rule:
        assert any(_holds(value, option, root) for option in rule["anyOf"])
        return
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
    if "type" in rule:
        assert isinstance(value, kinds.get(rule["type"], bool if rule["type"] == "boolean" else type(None)))
    assert value == rule.get("const", value)
    assert value in rule.get("enum", [value])
    if isinstance(value, str):
        assert re.search(rule.get("pattern", ""), value)
    if isinstance(value, int | float):
        assert rule.get("minimum", value) <= value <= rule.get("maximum", value)
        assert value > rule.get("exclusiveMinimum", value - 1)
    if isinstance(value, list):
        assert rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value))
        for item in value:
            check(item, rule["items"], root)
    if isinstance(value, dict):
        assert set(rule.get("required", [])) <= set(value)
        for name, item in value.items():
            extra = rule["additionalProperties"]
            check(item, rule["properties"][name] if extra is False else extra, root)


def _holds(value: object, rule: dict[str, Any], root: dict[str, Any]) -> bool:
    try:
        check(value, rule, root)
    except (AssertionError, KeyError):
        return False
    return True
