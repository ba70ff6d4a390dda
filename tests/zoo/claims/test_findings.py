"""What `validate` found, as JSON: the keys that a script may rely on."""

from __future__ import annotations

import json
from pathlib import Path

from zoo.catalog.catalog import Catalog
from zoo.claims.findings import Findings, collect_findings

MODEL = "digits-caffe-dsd"


def findings_of(*runs, earlier=None, other=None) -> Findings:
    catalog = Catalog.load()
    placed = [(Path(f"run{number}"), run) for number, run in enumerate(runs)]
    return collect_findings(catalog.get(MODEL), catalog, placed, earlier, None, other)


def json_of(found: Findings) -> dict:
    return json.loads(json.dumps(found.to_json()))


def test_a_full_run_says_how_far_it_is_off_each_claim(made_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = findings_of(made_run(MODEL, wrong=range(10)))
    assert not found.holds
    data = json_of(found)
    assert list(data) == [
        "result", "out", "accuracies", "claims", "trace", "audit", "against", "baseline", "minimums",
        "variants",
    ]  # fmt: skip
    assert data["claims"] == [
        {"metric": "top1", "claimed": 492, "correct": 490, "off": -2, "tolerance": 0, "holds": False},
        {"metric": "top5", "claimed": 500, "correct": 500, "off": 0, "tolerance": 0, "holds": True},
    ]
    (measured,) = data["audit"]["claims"][0]["measurements"]
    assert list(measured) == [
        "runtime", "device", "flavour", "n", "correct", "interval", "exact_interval", "difference",
        "whole_set", "verdict", "remark",
    ]  # fmt: skip
    assert (measured["difference"], measured["verdict"]) == (-2, "differs")


def test_a_part_of_the_images_is_no_full_measurement(made_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = json_of(findings_of(made_run(MODEL, images=100)))
    assert data["claims"] == []
    assert data["audit"]["claims"][0]["measurements"][0]["verdict"] == "subset only"


def test_other_runs_stand_beside_the_first(made_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    half = made_run(MODEL, precision="bf16")
    found = findings_of(
        half, made_run(MODEL), earlier=made_run(MODEL), other=made_run("digits-caffe-baseline")
    )
    data = json_of(found)
    assert (data["out"], data["result"]["precision"]) == ("run0", "bf16")
    assert [(entry["out"], entry["result"]["precision"]) for entry in data["variants"]] == [
        ("run1", "float32")
    ]
    # The claims are of float32: the first run says nothing about them, the audit takes the second.
    assert data["claims"] == []
    assert data["audit"]["claims"][0]["verdict"] == "agrees"
    assert data["against"]["model"] == "digits-caffe-baseline"
    assert data["against"]["gains"]["top1"]["only_baseline"] == 2
    assert data["against"]["classes"][0]["correct"] == 492
    assert data["baseline"]["different_circumstances"] == ["precision: float32 then, bf16 now"]
