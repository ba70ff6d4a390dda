"""What CI is told about a run: JUnit XML and Markdown."""

from __future__ import annotations

import locale
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from changed_run import changed

from zoo.catalog.catalog import Catalog
from zoo.claims.audit import audit
from zoo.claims.gain_matrix import gain_matrix
from zoo.claims.measurement import accuracies
from zoo.claims.regression import compare_runs
from zoo.evidence.rows import Row
from zoo.report.cases import cases_of
from zoo.report.junit import junit, junit_of_runs
from zoo.report.markdown import markdown, markdown_matrix
from zoo.report.tables import gain_blocks

MODEL = "digits-caffe-dsd"


@pytest.fixture
def cases(made_run):
    """A result, and its test cases: two claims, of which one fails, and a comparison with two flips."""
    before = made_run(MODEL)
    odd = Row("<b>&\x00|.png", 0, (0, 1, 2, 3, 4), (1, 0, 0, 0, 0))
    before = replace(before, rows=[*before.rows[:-1], odd])
    now = changed(before, {5: {"top5": (1, 0, 2, 3, 4)}, 499: {"top5": (1, 0, 2, 3, 4)}})
    catalog = Catalog.load()
    found = audit(catalog.get(MODEL), catalog, [now])
    return now.result, cases_of(found, compare_runs(now, before))


def test_junit_has_a_case_for_every_check(cases):
    result, found = cases
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


def test_junit_is_xml_whatever_the_net_is_called_and_the_locale(cases, monkeypatch):
    monkeypatch.setattr(locale, "getpreferredencoding", lambda *_: "latin-1")
    monkeypatch.setattr(locale, "getencoding", lambda: "latin-1")
    text = junit(cases[0].model_copy(update={"model": 'n\x01é"&'}), cases[1])
    suite = ElementTree.fromstring(text.encode("utf-8")).find("testsuite")
    assert suite.attrib["name"] == 'n\N{REPLACEMENT CHARACTER}é"& onnx cpu'


def test_markdown_keeps_every_name_in_its_cell(cases):
    result, found = cases
    text = markdown(result, accuracies(result), found)
    lines = text.splitlines()
    assert lines[0] == "### digits-caffe-dsd on digits-test"
    assert "| top-1 | 490 | 500 | 98.00 % | 96.4 to 99.0 % |" in lines
    assert any(line.startswith("| claims: top-1 | **does not hold** |") for line in lines)
    odd = next(line for line in lines if "png" in line and "\\<b\\>" in line)
    assert odd.replace("\\|", "").count("|") == 4


def test_markdown_has_the_gains_by_preparation(made_run):
    catalog = Catalog.load()
    runs = [made_run(name) for name in (MODEL, "digits-caffe-baseline")]
    found = audit(catalog.get(MODEL), catalog, runs)
    lines = markdown(runs[0].result, accuracies(runs[0].result), [], gain_blocks(found)).splitlines()
    at = lines.index("#### top-1: gain over digits-caffe-baseline, by preparation of the images")
    words = "warped to 36x36, crop 32"
    assert lines[at + 4 : at + 6] == [
        f"| {words} | as published | 98.60 | 98.40 | -0.20 | -1.89 to +1.46 | not significant |",
        f"| {words} | here, caffe-warp36: ONNX Runtime, 500 images, p = 1 | 98.60 | 98.40 | -0.20 "
        "| -1.27 to +0.76 | not significant |",
    ]
    assert lines[at + 7].startswith("Top-1: No significant gain is published")
    tables = [line for line in lines if line.startswith("|") and words in line]
    assert {line.count("|") for line in tables} == {8}


def test_a_claim_that_a_part_cannot_decide_is_skipped(made_run):
    catalog = Catalog.load()
    run = made_run(MODEL, images=100)
    found = cases_of(audit(catalog.get(MODEL), catalog, [run]), None)
    assert [case.outcome for case in found] == ["skipped", "skipped"]
    assert 'skipped="2"' in junit(run.result, found)
    assert "not decided" in markdown(run.result, accuracies(run.result), found)


def test_thousands_of_flips_are_not_thousands_of_cases(made_run):
    before = made_run(MODEL)
    now = changed(before, {i: {"top5": (1, 0, 2, 3, 4)} for i in range(300)})
    found = cases_of(None, compare_runs(now, before))
    assert len(found) == 102
    assert found[-1].detail.endswith("more images changed their verdict")


def test_several_nets_have_a_test_suite_each(cases, made_run):
    result, found = cases
    other = made_run("digits-caffe-baseline").result
    root = ElementTree.fromstring(junit_of_runs([(result, found), (other, [])]))
    assert [(suite.get("name"), suite.get("tests")) for suite in root] == [
        (f"{MODEL} onnx cpu", "5"), ("digits-caffe-baseline onnx cpu", "0"),
    ]  # fmt: skip


def test_markdown_of_a_pair_has_a_line_for_each_preparation_and_metric(made_run):
    ours = [made_run(MODEL), made_run(MODEL, precision="bf16")]
    theirs = [made_run("digits-caffe-baseline"), made_run("digits-caffe-baseline", flavour="a|b")]
    lines = markdown_matrix(gain_matrix(ours, theirs)).splitlines()
    assert lines[0] == "### digits-caffe-dsd over digits-caffe-baseline, image by image"
    assert lines[4] == "| caffe-warp36 | top-1 | 492 | 493 | 1 | 2 | -0.20 | -1.27 to +0.76 | p = 1 |"
    assert lines[5].startswith("| caffe-warp36 | top-5 | 500 | 500 | 0 | 0 | 0.00 |")
    assert lines[7:] == [
        "caffe-warp36, crop 32, bf16 was not run with digits-caffe-baseline",
        "a\\|b, crop 32 was not run with digits-caffe-dsd",
    ]
