"""The page of a pass with several nets: whole, self-contained, and true to the matrix."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from html_page import Page

from zoo.catalog.catalog import Catalog
from zoo.claims.findings import PassFindings, collect_pass
from zoo.report.files import write_reports
from zoo.report.pass_page import render_pass

MODEL, BASELINE = "digits-caffe-dsd", "digits-caffe-baseline"


@pytest.fixture
def findings(made_run, tmp_path, monkeypatch):
    """What a pass with these runs of each net found."""
    monkeypatch.chdir(tmp_path)
    catalog = Catalog.load()

    def make(*nets, other=None) -> PassFindings:
        placed = [[(Path(f"{run.result.flavour}"), run) for run in of_net] for of_net in nets]
        known = [catalog.get(of_net[0].result.model) for of_net in nets]
        return collect_pass(known, catalog, placed, {}, other=other)

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


def test_the_images_that_tell_the_nets_apart_and_the_surest_mistakes_are_named(findings, made_run):
    page = Page(render_pass(findings([made_run(MODEL)], [made_run(BASELINE)])))
    won = page.text.index(f"Right with {MODEL}, wrong with {BASELINE}")
    lost = page.text.index(f"Wrong with {MODEL}, right with {BASELINE}")
    mistakes = page.text.index("The surest mistakes")
    assert won < lost < mistakes
    assert "test_00243.png" in page.text[won:lost]
    assert "test_00012.png" in page.text[lost:mistakes]
    assert "test_00360.png" in page.text[lost:mistakes]
    assert f"{MODEL} and 1 other" in page.text[mistakes:]


def test_a_run_given_by_against_is_compared_on_the_page(findings, made_run):
    page = Page(render_pass(findings([made_run(MODEL)], other=made_run(BASELINE))))
    for said in (f"{MODEL} over {BASELINE}", "492, 493", f"Right with {MODEL}, wrong with {BASELINE}"):
        assert said in page.text, said


@pytest.fixture
def with_images(made_run, tmp_path):
    """A run of a net over real files that it ranked wrong, with the SHA-256 of each, and their folder."""
    folder = tmp_path / "images"
    folder.mkdir()
    run = made_run(MODEL, images=4, wrong=range(4), dataset="own", dataset_source=str(folder))
    rows = []
    for at, row in enumerate(run.rows):
        data = cv2.imencode(".png", np.full((8, 8, 3), 60 * at, np.uint8))[1].tobytes()
        (folder / row.image).write_bytes(data)
        rows.append(replace(row, sha256=hashlib.sha256(data).hexdigest()))
    return replace(run, rows=rows)


@pytest.mark.parametrize(("images", "shown"), [(True, 4), (False, 0)])
def test_images_at_hand_are_shown_unless_they_are_not_wanted(findings, with_images, tmp_path, images, shown):
    path = tmp_path / "page.html"
    write_reports(findings([with_images]), None, None, path, images=images)
    text = path.read_text(encoding="utf-8")
    assert text.count('<img src="data:image/png;base64,') == shown
    assert text.count('class="card"') == 4


def test_images_that_are_gone_are_said_to_be_missing(findings, with_images, tmp_path):
    (tmp_path / "images" / with_images.rows[0].image).unlink()
    path = tmp_path / "page.html"
    write_reports(findings([with_images]), None, None, path)
    assert "Some images are not shown" in Page(path.read_text(encoding="utf-8")).text
