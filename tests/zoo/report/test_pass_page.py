"""The page of a pass with several nets: whole, self-contained, and true to the matrix."""

from __future__ import annotations

from pathlib import Path

import pytest
from html_page import Page

from zoo.catalog.catalog import Catalog
from zoo.claims.findings import PassFindings, collect_pass
from zoo.report.pass_page import render_pass

MODEL, BASELINE = "digits-caffe-dsd", "digits-caffe-baseline"


@pytest.fixture
def findings(made_run, tmp_path, monkeypatch):
    """What a pass with these runs of each net found."""
    monkeypatch.chdir(tmp_path)
    catalog = Catalog.load()

    def make(*nets) -> PassFindings:
        placed = [[(Path(f"{run.result.flavour}"), run) for run in of_net] for of_net in nets]
        return collect_pass([catalog.get(of_net[0].result.model) for of_net in nets], catalog, placed, {})

    return make


def test_the_page_has_the_counts_of_each_net_and_the_gains_of_the_pair(findings, made_run):
    ours = [made_run(MODEL), made_run(MODEL, wrong=range(3), flavour="caffe-short36")]
    theirs = [made_run(BASELINE), made_run(BASELINE, wrong=range(40), flavour="caffe-short36")]
    text = render_pass(findings(ours, theirs))
    page = Page(text)
    for said in (
        f"{MODEL} and {BASELINE} on 500 images of digits-test",
        f"{MODEL} over {BASELINE}",
        "top-1: no significant difference under 1, a significant gain under 1 of these 2 preparations.",
        "top-5: no significant difference under any of these 2 preparations.",
        "492, 493",
        "1, 2",
        "497, 460",
        "37, 0",
        "+7.40",
        "caffe-short36",
        "sha256 a4d714c8e14ec26a2b54cf084c896ecb7107071ecd26bb153447171281354f13",
    ):
        assert said in page.text, said
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed"})
    assert len(page.ids) == len(set(page.ids))
    assert "url(" not in text
    # In the order in which the nets were given.
    assert page.text.index(f"{MODEL} ONNX Runtime on cpu") < page.text.index(
        f"{BASELINE} ONNX Runtime on cpu"
    )


def test_what_does_not_hold_comes_first(findings, made_run):
    page = Page(render_pass(findings([made_run(MODEL, wrong=range(20))], [made_run(BASELINE)])))
    assert page.text.index("measured 480 of 500") < page.text.index("no significant")


def test_one_net_has_a_page_too(findings, made_run):
    page = Page(render_pass(findings([made_run(MODEL)])))
    assert "98.40 %, 96.9 to 99.2 %" in page.text
    assert " over " not in page.text


def test_runs_that_are_not_compared_are_named(findings, made_run):
    page = Page(render_pass(findings([made_run(MODEL)], [made_run(BASELINE, flavour="caffe-short36")])))
    assert "not compared, see below." in page.text
    assert f"not compared: caffe-warp36, crop 32 was not run with {BASELINE}" in page.text


def test_hostile_text_stays_text(findings, made_run):
    evil = "<script>alert(1)</script>"
    run = made_run(MODEL, command=evil, environment={"cpu": evil}, labels=evil, dataset_source=evil)
    text = render_pass(findings([run], [made_run(BASELINE)]))
    assert evil not in text
    assert "script" not in Page(text).tags
