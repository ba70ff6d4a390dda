"""A run against an earlier one, image by image; and what CI is told about it."""

from __future__ import annotations

import locale
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from zoo.catalog.catalog import Catalog
from zoo.claims.audit import audit
from zoo.claims.measurement import accuracies
from zoo.claims.regression import compare_runs
from zoo.errors import UsageError
from zoo.evidence.run import Row, Run
from zoo.report.checks import checks_of
from zoo.report.junit import junit
from zoo.report.markdown import markdown

MODEL = "digits-caffe-dsd"


def changed(run: Run, changes: dict[int, dict]) -> Run:
    """The run with some rows replaced, and its counts to match."""
    rows = [replace(row, **changes.get(i, {})) for i, row in enumerate(run.rows)]
    counts = {
        "top1_correct": sum(row.top1_correct for row in rows),
        "top5_correct": sum(row.top5_correct for row in rows),
    }
    return Run(run.result.model_copy(update=counts), rows)


def test_the_same_run_is_identical(made_run):
    run = made_run(MODEL)
    found = compare_runs(run, made_run(MODEL))
    assert found.holds
    assert found.must_be_identical
    assert found.verdict() == "identical to the last bit over 500 images"
    assert (found.changes, found.same_scores, found.score_difference) == ([], 500, 0.0)


def test_the_last_bit_of_one_score_counts_in_the_same_circumstances(made_run):
    before = made_run(MODEL)
    now = changed(before, {3: {"scores": (0.9000001, 0.1, 0, 0, 0)}})
    found = compare_runs(now, before)
    assert not found.holds
    assert "0 of 500 images changed their verdict, 0 their five best classes, 1 a score" in found.verdict()
    assert found.score_difference == pytest.approx(1e-7, rel=1e-3)
    # Said to be allowed, or explained by another processor, it is no regression.
    assert compare_runs(now, before, tolerance=0).holds
    environment = {**now.result.environment, "cpu": "another"}
    elsewhere = replace(now, result=now.result.model_copy(update={"environment": environment}))
    found = compare_runs(elsewhere, before)
    assert found.holds
    assert found.different_circumstances == ["cpu: None then, another now"]
    assert (
        found.verdict()
        == "0 of 500 images changed their verdict; allowed are 0 (cpu: None then, another now)"
    )


def test_flips_are_listed_and_counted(made_run):
    before = made_run(MODEL)
    now = changed(
        before,
        {
            5: {"top5": (1, 0, 2, 3, 4)},  # right before, now second
            12: {"top5": (0, 1, 2, 3, 4)},  # wrong before, now right
            20: {"top5": (0, 1, 2, 4, 3)},  # another order, the same verdict
            30: {"top5": (9, 8, 7, 6, 5)},  # out of the five best
        },
    )
    found = compare_runs(now, before, tolerance=3)
    assert [(change.image[5:10], change.flipped) for change in found.changes] == [
        ("00005", ("top1",)),
        ("00012", ("top1",)),
        ("00020", ()),
        ("00030", ("top1", "top5")),
    ]
    assert (found.before, found.now) == ({"top1": 492, "top5": 500}, {"top1": 491, "top5": 499})
    assert found.holds
    assert not compare_runs(now, before, tolerance=2).holds
    assert (
        compare_runs(now, before).to_json()["verdict"].startswith("3 of 500 images changed their verdict, 4")
    )


def test_other_images_are_no_baseline(made_run):
    run = made_run(MODEL)
    rows = run.rows
    with pytest.raises(
        UsageError, match=r"must see the same images, 480 in only one of them, such as test_00020\.png"
    ):
        compare_runs(replace(run, rows=rows[:20]), run)
    relabelled = [replace(rows[0], label=4), *rows[1:]]
    with pytest.raises(
        UsageError,
        match=r"must have the same labels, test_00000\.png is class 4 in this run and 0 in the other",
    ):
        compare_runs(replace(run, rows=relabelled), run)
    hashed = [replace(row, sha256="a" * 64) for row in rows]
    other = [*hashed[:-1], replace(hashed[-1], sha256="b" * 64)]
    with pytest.raises(
        UsageError, match=r"the same image files, test_00499\.png has another SHA-256 in the other run"
    ):
        compare_runs(replace(run, rows=hashed), replace(run, rows=other))
    # A run without hashes, as other tools write it, can still be compared.
    assert compare_runs(replace(run, rows=hashed), run).holds


@pytest.fixture
def checks(made_run):
    """Claims of which one fails, and a comparison with two flips."""
    before = made_run(MODEL)
    odd = Row("<b>&\x00|.png", 0, (0, 1, 2, 3, 4), (1, 0, 0, 0, 0))
    before = replace(before, rows=[*before.rows[:-1], odd])
    now = changed(before, {5: {"top5": (1, 0, 2, 3, 4)}, 499: {"top5": (1, 0, 2, 3, 4)}})
    catalog = Catalog.load()
    found = audit(catalog.get(MODEL), catalog, [now])
    return now.result, checks_of(found, compare_runs(now, before))


def test_junit_has_a_case_for_every_check(checks):
    result, found = checks
    suite = ElementTree.fromstring(junit(result, found)).find("testsuite")
    assert suite.attrib["tests"] == "5"
    assert suite.attrib["failures"] == "4"
    cases = {case.attrib["name"]: case for case in suite}
    assert list(cases)[:3] == ["top-1", "top-5", "all images"]
    assert cases["top-5"].find("failure") is None
    assert "490" not in cases["top-1"].find("failure").attrib["message"]
    assert "2 images fewer right" in cases["top-1"].find("failure").attrib["message"]
    assert "2 of 500 images changed" in cases["all images"].find("failure").text
    assert "<b>&\N{REPLACEMENT CHARACTER}|.png" in cases
    assert "0 1 2 3 4 then, 1 0 2 3 4 now" in cases["test_00005.png"].find("failure").text


def test_junit_is_xml_whatever_the_net_is_called_and_the_locale(checks, monkeypatch):
    monkeypatch.setattr(locale, "getpreferredencoding", lambda *_: "latin-1")
    monkeypatch.setattr(locale, "getencoding", lambda: "latin-1")
    text = junit(checks[0].model_copy(update={"model": 'n\x01é"&'}), checks[1])
    suite = ElementTree.fromstring(text.encode("utf-8")).find("testsuite")
    assert suite.attrib["name"] == 'n\N{REPLACEMENT CHARACTER}é"& onnx cpu'


def test_markdown_keeps_every_name_in_its_cell(checks):
    result, found = checks
    text = markdown(result, accuracies(result), found)
    lines = text.splitlines()
    assert lines[0] == "### digits-caffe-dsd on digits-test"
    assert "| top-1 | 490 | 500 | 98.00 % | 96.4 to 99.0 % |" in lines
    assert any(line.startswith("| claims: top-1 | **does not hold** |") for line in lines)
    odd = next(line for line in lines if "png" in line and "\\<b\\>" in line)
    assert odd.replace("\\|", "").count("|") == 4


def test_a_claim_that_a_part_cannot_decide_is_skipped(made_run):
    catalog = Catalog.load()
    run = made_run(MODEL, images=100)
    found = checks_of(audit(catalog.get(MODEL), catalog, [run]), None)
    assert [check.outcome for check in found] == ["skipped", "skipped"]
    assert 'skipped="2"' in junit(run.result, found)
    assert "not decided" in markdown(run.result, accuracies(run.result), found)


def test_thousands_of_flips_are_not_thousands_of_cases(made_run):
    before = made_run(MODEL)
    now = changed(before, {i: {"top5": (1, 0, 2, 3, 4)} for i in range(300)})
    found = checks_of(None, compare_runs(now, before))
    assert len(found) == 102
    assert found[-1].detail.endswith("more images changed their verdict")
