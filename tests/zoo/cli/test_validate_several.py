"""`dsd-zoo validate` with several nets: one pass, the evidence and the findings of each, and the gains."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from xml.etree import ElementTree

import pytest
from command_line import runner
from html_page import Page
from scipy.stats import binomtest

from zoo.bundled import bundled_folder
from zoo.evidence import journal
from zoo.evidence.run import read_run

DIGITS = bundled_folder() / "digits"
CAFFE, IMAGES = DIGITS / "caffe", DIGITS / "images" / "test_images.tar"
PAIR = ["digits-caffe-dsd", "digits-caffe-baseline"]
FLAVOURS = ["caffe-warp36", "caffe-short36", "torch7-bicubic36", "pil-bicubic-short36"]
SETTINGS = ["--flavour", "caffe-warp36", "--crop", 32, "--mean", "127,127,127", "--scale", 0.0078125]
CHANGING = {"command", "started", "seconds", "images_per_second", "resumed", "processes"}
SLOW = """
import sys, time
import zoo.evaluation.batches
rows = zoo.evaluation.batches._rows

def slow(*arguments):
    time.sleep(0.05)
    return rows(*arguments)

zoo.evaluation.batches._rows = slow
sys.argv[0] = "dsd-zoo"
from zoo.cli.main import main
main()
"""


@pytest.fixture
def validate(monkeypatch, capsys, tmp_path):
    """Runs the command in this process, in an empty folder and with an empty cache."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    return partial(runner(monkeypatch, capsys), "validate")


def contents(folder) -> dict:
    """Every file below the folder; results without what two runs need not share."""
    found = {}
    for path in sorted(folder.rglob("*.*")):
        content: object = path.read_bytes()
        if path.name == "result.json":
            content = {k: v for k, v in json.loads(path.read_bytes()).items() if k not in CHANGING}
        found[str(path.relative_to(folder))] = content
    return found


def test_a_model_and_its_baseline_under_every_flavour(validate, tmp_path):
    outcome = validate(*PAIR, "--sensitivity", "--limit", 100, "--json", "--html", "page.html")
    assert (outcome.code, outcome.err) == (0, "")
    printed = json.loads(outcome.out)
    assert list(printed) == ["nets", "pairs"]
    assert [net["result"]["model"] for net in printed["nets"]] == PAIR
    assert [net["out"] for net in printed["nets"]] == [f"results/{name}/onnx-first100" for name in PAIR]
    (pair,) = printed["pairs"]
    assert ([pair["model"], pair["baseline"]], pair["not_paired"]) == (PAIR, [])
    assert [row["flavour"] for row in pair["rows"]] == FLAVOURS
    results = tmp_path / "work" / "results"
    for row in pair["rows"]:
        suffix = "" if row["flavour"] == FLAVOURS[0] else f"-{row['flavour']}"
        ours, theirs = (read_run(results / name / f"onnx{suffix}-first100").rows for name in PAIR)
        for metric in ("top1", "top5"):
            verdicts = [(a.correct(metric), b.correct(metric)) for a, b in zip(ours, theirs, strict=True)]
            won, lost = verdicts.count((True, False)), verdicts.count((False, True))
            gain = row["gains"][metric]
            assert (gain["only_model"], gain["only_baseline"]) == (won, lost)
            expected = binomtest(won, won + lost).pvalue if won + lost else 1
            assert gain["p_value"] == pytest.approx(expected)
    page = Page((tmp_path / "work" / "page.html").read_text(encoding="utf-8"))
    assert page.text.count(" over ") >= 2
    assert all(flavour in page.text for flavour in FLAVOURS)
    # Every run is evidence that `audit` and `report` find.
    together = contents(results)
    for name in PAIR:
        assert validate(name, "--sensitivity", "--limit", 100, "--resume").code == 0
    assert contents(results) == together


def test_audit_finds_the_same_gains_in_the_evidence(validate, monkeypatch, capsys):
    (pair,) = json.loads(validate(*PAIR, "--sensitivity", "--limit", 100, "--json").out)["pairs"]
    outcome = runner(monkeypatch, capsys)("audit", PAIR[0], "--evidence", "results", "--json")
    (audit,) = json.loads(outcome.out)
    for by_metric in audit["by_preparation"]:
        here = [row for row in by_metric["rows"] if row["basis"] == "here"]
        assert sorted(row["preparation"]["terms"] for row in here) == sorted(
            f"{flavour}, crop 32" for flavour in FLAVOURS
        )
        for row in here:
            flavour = row["preparation"]["terms"].partition(",")[0]
            (mine,) = [other for other in pair["rows"] if other["flavour"] == flavour]
            assert row["gain"] == mine["gains"][by_metric["metric"]]


def test_the_text_has_the_findings_of_each_net_and_then_the_matrix(validate):
    outcome = validate(*PAIR)
    assert outcome.code == 0
    text = outcome.out
    places = [
        text.index(f"{PAIR[0]} on digits-test: 500 images"),
        text.index(f"{PAIR[1]} on digits-test: 500 images"),
        text.index(f"{PAIR[0]} over {PAIR[1]}, image by image"),
    ]
    assert places == sorted(places)
    assert text.count("one pass for 2 nets") == 2
    assert [text.count(f"top-1: 0 images off the claimed {count}") for count in (492, 493)] == [1, 1]
    assert "caffe-warp36    492       493    1     2  -0.20  -1.27 to +0.76  1" in text
    # The audit of the model has the baseline of this pass beside it.
    assert "ONNX Runtime, 500 images, p = 1" in text


def test_files_are_compared_with_the_net_that_against_names(validate, tmp_path):
    files = [CAFFE / "deploy.prototxt", CAFFE / "baseline.caffemodel", CAFFE / "dsd.caffemodel"]
    options = ["--data", IMAGES, *SETTINGS, "--out", "mine"]
    outcome = validate(*files, *options, "--against", "baseline", "--junit", "j.xml", "--markdown", "m.md")
    assert outcome.code == 0, outcome.err
    assert "dsd over baseline, image by image" in outcome.out
    assert "baseline over" not in outcome.out
    mine = tmp_path / "work" / "mine"
    assert [read_run(mine / name).result.top1_correct for name in ("baseline", "dsd")] == [493, 492]
    suites = ElementTree.parse(tmp_path / "work" / "j.xml").getroot()
    assert [suite.get("name") for suite in suites] == ["baseline onnx cpu", "dsd onnx cpu"]
    markdown = (tmp_path / "work" / "m.md").read_text(encoding="utf-8")
    headings = [line for line in markdown.splitlines() if line.startswith("#")]
    assert headings == [
        "### baseline on digits-test", "### dsd on digits-test", "### dsd over baseline, image by image",
    ]  # fmt: skip
    assert "| caffe-warp36 | top-1 | 492 | 493 | 1 | 2 | -0.20 |" in markdown
    # Without --against, files have no pair.
    assert json.loads(validate(*files, *options, "--json").out)["pairs"] == []


def test_each_net_has_its_own_earlier_run(validate, tmp_path):
    validate(*PAIR, "--limit", 60, "--out", "before")
    earlier = [part for name in PAIR[::-1] for part in ("--baseline", f"before/{name}/result.json")]
    outcome = validate(*PAIR, "--limit", 60, "--out", "now", *earlier, "--json")
    assert outcome.code == 0
    assert [net["baseline"]["must_be_identical"] for net in json.loads(outcome.out)["nets"]] == [True, True]
    only_one = validate(*PAIR, "--limit", 60, "--out", "now", *earlier[:2], "--json")
    assert [net["baseline"] is None for net in json.loads(only_one.out)["nets"]] == [True, False]
    # A changed count of one net is enough to end with 1.
    evidence = tmp_path / "work" / "before" / PAIR[1] / "evidence.csv"
    lines = evidence.read_text(encoding="utf-8").splitlines()
    cells = lines[1].split(",")
    cells[3], cells[4], cells[2] = cells[4], cells[3], "2"
    evidence.write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]) + "\n", encoding="utf-8")
    result = json.loads((evidence.parent / "result.json").read_bytes())
    result["top1_correct"] -= 1
    (evidence.parent / "result.json").write_text(json.dumps(result), encoding="utf-8")
    assert validate(*PAIR, "--limit", 60, "--out", "now", *earlier).code == 1


def test_nets_of_different_frameworks_share_the_decoded_images(validate, tmp_path):
    names = ["digits-caffe-dsd", "digits-torch7-dsd"]
    outcome = validate(*names, "--limit", 40, "--out", "both", "--json")
    assert outcome.code == 0, outcome.err
    for name in names:
        validate(name, "--limit", 40, "--out", f"alone/{name}")
    assert contents(tmp_path / "work" / "both") == contents(tmp_path / "work" / "alone")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([PAIR[0], PAIR[0]], "two nets are called digits-caffe-dsd"),
        ([*PAIR, "--against", "digits-caffe-sparse"], "neither the result.json of a run nor another one of"),
        ([PAIR[0], "--against", PAIR[0]], "neither the result.json of a run nor another one of"),
        ([*PAIR, "--crop", 28], "digits-caffe-dsd: "),
        ([PAIR[0], CAFFE / "deploy.prototxt", CAFFE / "dsd.caffemodel"], "dsd: how images become"),
        ([PAIR[0], CAFFE / "deploy.prototxt"], "no weights follow this definition"),
        ([*PAIR, "--scores", "softmax"], "softmax"),
    ],
)
def test_mistakes_are_explained_before_anything_is_written(validate, tmp_path, arguments, message):
    outcome = validate(*arguments)
    assert outcome.code == 2
    assert message in outcome.err
    assert outcome.out == ""
    assert not (tmp_path / "work" / "results").exists()


def test_earlier_runs_of_no_net_here_or_of_one_net_twice(validate):
    validate("digits-caffe-sparse", "--limit", 20, "--out", "sparse")
    outcome = validate(*PAIR, "--limit", 20, "--baseline", "sparse/result.json")
    assert outcome.code == 2
    assert "a run of digits-caffe-sparse, expected one of digits-caffe-dsd, digits-caffe" in outcome.err
    validate(PAIR[0], "--limit", 20, "--out", "first")
    twice = ["--baseline", "first/result.json"] * 2
    for nets in (PAIR, PAIR[:1]):
        outcome = validate(*nets, "--limit", 20, *twice)
        assert outcome.code == 2
        assert "a second earlier run of digits-caffe-dsd" in outcome.err


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_a_killed_pass_resumes_to_the_evidence_of_separate_runs(tmp_path):
    arguments = [*PAIR, "--batch-size", "5", "--limit", "200", "--out", str(tmp_path / "together")]
    environment = {**os.environ, "DSD_ZOO_CACHE": str(tmp_path / "cache")}
    folders = [tmp_path / "together" / name for name in PAIR]
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW, "validate", *arguments], env=environment, stdout=subprocess.DEVNULL
    )
    while min(len(journal.read(folder)) for folder in folders) < 6:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = [5 * len(journal.read(folder)) for folder in folders]
    assert not any((folder / "result.json").exists() for folder in folders)

    def run(*more: str) -> None:
        command = [sys.executable, "-m", "zoo", "validate", *more]
        subprocess.run(command, env=environment, check=True, capture_output=True)

    run(*arguments, "--resume")
    assert [read_run(folder).result.resumed for folder in folders] == kept
    for name in PAIR:
        run(name, *arguments[2:-1], str(tmp_path / "separate" / name))
    assert contents(tmp_path / "together") == contents(tmp_path / "separate")
