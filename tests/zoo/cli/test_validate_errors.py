"""`dsd-zoo validate` where something cannot be compared, or ends in the middle: what is told and kept."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from xml.etree import ElementTree

import pytest

from zoo.errors import DataError
from zoo.evidence.run import Run, read_run, write_run
from zoo.vocabulary import METRICS


@pytest.mark.parametrize("option", ["--baseline", "--against"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("limit", "both must see the same images, 1 in only one of them, such as test_00499.png"),
        ("label", "both must have the same labels, test_00003.png is class"),
    ],
)
def test_a_run_that_cannot_be_compared_is_refused_before_the_first_image(
    dsd_zoo_here, monkeypatch, option, change, message
):
    import zoo.evaluation.evaluate

    if change == "limit":
        dsd_zoo_here("validate", "digits-caffe-baseline", "--limit", 499, "--out", "before")
    else:
        dsd_zoo_here("validate", "digits-caffe-baseline", "--out", "before")
        run = read_run(Path("before"))
        rows = [
            dataclasses.replace(row, label=(row.label + (at == 3)) % 10, rank=None)
            for at, row in enumerate(run.rows)
        ]
        counts = {f"{metric}_correct": sum(row.correct(metric) for row in rows) for metric in METRICS}
        write_run(Path("before"), Run(run.result.model_copy(update=counts), rows))
    with monkeypatch.context() as patch:
        patch.setattr(zoo.evaluation.evaluate, "open_sessions", None)
        outcome = dsd_zoo_here("validate", "digits-caffe-dsd", option, "before", "--junit", "checks.xml")
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert f"{option}: the run of digits-caffe-baseline over" in outcome.err
    assert not Path("results").exists()
    suite = ElementTree.parse("checks.xml").getroot().find("testsuite")
    assert (suite.attrib["tests"], suite.attrib["errors"]) == ("1", "1")
    assert message in suite.find("testcase/error").attrib["message"]


def test_other_image_files_are_refused_before_the_first_image(dsd_zoo_here):
    dsd_zoo_here("validate", "digits-caffe-dsd", "--limit", 20, "--out", "before")
    run = read_run(Path("before"))
    rows = [dataclasses.replace(row, sha256="0" * 64) for row in run.rows]
    write_run(Path("before"), Run(run.result, rows))
    command = ["validate", "digits-caffe-dsd", "--limit", 20, "--out", "now"]
    outcome = dsd_zoo_here(*command, "--baseline", "before")
    assert outcome.code == 2
    assert "test_00000.png has another SHA-256 in the other run" in outcome.err
    assert not Path("now").exists()
    # The gain over another net asks for the same names and labels only.
    assert dsd_zoo_here(*command, "--against", "before").code == 0


def test_an_error_after_the_run_keeps_the_counts_and_is_one_in_junit(dsd_zoo_here):
    """Only the last image is another file, which is known when it has been read."""
    dsd_zoo_here("validate", "digits-caffe-dsd", "--out", "before")
    run = read_run(Path("before"))
    rows = [*run.rows[:-1], dataclasses.replace(run.rows[-1], sha256="0" * 64)]
    write_run(Path("before"), Run(run.result, rows))
    outcome = dsd_zoo_here(
        "validate", "digits-caffe-dsd", "--baseline", "before", "--junit", "checks.xml",
        "--markdown", "summary.md",
    )  # fmt: skip
    assert outcome.code == 2
    assert "test_00499.png has another SHA-256" in outcome.err
    assert "492  500" in outcome.out
    suite = ElementTree.parse("checks.xml").getroot().find("testsuite")
    assert (suite.attrib["errors"], suite.attrib["failures"]) == ("1", "0")
    assert "test_00499.png" in suite.find("testcase/error").text
    text = Path("summary.md").read_text()
    assert "| top-1 | 492 | 500 |" in text
    assert "**error**" in text


def test_an_error_in_the_middle_says_what_was_counted_until_then(dsd_zoo_here, monkeypatch):
    import zoo.evaluation.batches

    rows, calls = zoo.evaluation.batches._rows, []

    def until_the_fourth(*arguments):
        calls.append(1)
        if len(calls) == 4:
            raise DataError("a damaged image")
        return rows(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(zoo.evaluation.batches, "_rows", until_the_fourth)
        outcome = dsd_zoo_here("validate", "digits-caffe-dsd", "--batch-size", 10, "--junit", "checks.xml")
    assert outcome.code == 2
    assert (
        "stopped; the evidence of 30 images is kept in results/digits-caffe-dsd/onnx (top-1 " in outcome.err
    )
    assert outcome.err.rstrip().endswith("dsd-zoo: a damaged image")
    error = ElementTree.parse("checks.xml").getroot().find("testsuite/testcase/error")
    assert error.attrib["message"] == "a damaged image"
    # A refusal of what an earlier command left counts nothing of its own.
    assert "stopped" not in dsd_zoo_here("validate", "digits-caffe-dsd").err
