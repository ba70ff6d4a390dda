"""The page: self-contained and well-formed whatever the texts contain, and it says what the audit found."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from html_page import Page

from zoo.catalog.catalog import Catalog
from zoo.claims.audit import AuditedModel, audit, audited_models
from zoo.claims.statistics import Interval
from zoo.errors import UsageError
from zoo.report.html import render, write_page
from zoo.report.interval_plot import axis_over
from zoo.verification.parity import Parity

PAIR = ("digits-caffe-dsd", "digits-caffe-baseline")


def page_of(*runs, names=PAIR, parity=()) -> tuple[Page, str]:
    catalog = Catalog.load()
    models = [
        AuditedModel(
            catalog.get(name),
            audit(catalog.get(name), catalog, runs),
            [run.result for run in runs if run.result.model == name],
        )
        for name in names
    ]
    text = render(models, parity)
    return Page(text), text


def test_everything_is_on_the_page(made_run) -> None:
    runs = [made_run(name, runtime=runtime) for name in PAIR for runtime in ("onnx", "pytorch")]
    page, _ = page_of(*runs)
    assert page.text.startswith(
        "All 4 published accuracies of 2 models were measured here and agree. The pair"
    )
    for said in (
        "492 of 500",
        "96.9 to 99.2 %",
        "follows from 10 batches of 50",
        "ONNX Runtime and PyTorch",
        "−1 of 500 images, −0.20 points (95 % interval −1.27 to +0.76, p = 1): not significant",
        "as published",
        "sha256 a4d714c8e14ec26a2b54cf084c896ecb7107071ecd26bb153447171281354f13",
        "onnxruntime 1.31.1",
        "dsd-zoo validate digits-caffe-dsd --data test_images.tar",
        "3 images differ in verdict",
    ):
        assert said in page.text, said
    assert "491 1 2 6" in re.sub(r"[a-z ]*(baseline|model) (right|wrong)", "", page.text).replace("  ", " ")


def test_nothing_comes_from_elsewhere(made_run) -> None:
    page, text = page_of(*(made_run(name) for name in PAIR), names=(*PAIR, "squeezenet-v1.0"))
    assert page.tags.isdisjoint({"script", "link", "img", "iframe", "object", "embed"})
    assert "@import" not in text
    assert "url(" not in text
    anchors = [name for name in page.references if name.startswith("#")]
    assert {name[1:] for name in anchors} <= set(page.ids)
    # All other references are links for the reader.
    assert all(name.startswith(("#", "https://", "http://")) for name in page.references)
    assert len(page.ids) == len(set(page.ids))


def test_what_does_not_hold_comes_first(made_run) -> None:
    page, text = page_of(made_run(PAIR[0], wrong=range(20)), made_run(PAIR[1]))
    assert page.text.startswith("1 thing does not hold.")
    assert "measured 480 of 500 with onnx on cpu: 12 images fewer right" in page.text
    assert '<h1 class="bad">' in text
    assert 'class="verdict differs"' in text


def test_a_converted_form_that_is_off_does_not_hold(made_run) -> None:
    rows = [Parity(PAIR[0], "onnx", "prob", 500, 3e-7), Parity(PAIR[0], "pytorch", "prob", 500, 2e-3)]
    page, _ = page_of(made_run(PAIR[0]), made_run(PAIR[1]), parity=rows)
    assert "1 thing does not hold" in page.text
    assert "prob with pytorch is off by 2.0e-03 of the largest recorded value" in page.text


def test_without_runs_the_page_says_so() -> None:
    page, _ = page_of(names=("squeezenet-dsd", "squeezenet-v1.0"))
    assert "no runs at hand" in page.text
    assert "no run at hand not measured" in page.text
    assert "Whether the claimed gain of 4.32 points stands is unknown" in page.text
    assert (
        "by Open Model Zoo with its accuracy checker; caffe-warp256, crop 227, mean 104 117 123" in page.text
    )
    assert "42.39% error" in page.text


def test_hostile_text_stays_text(made_run) -> None:
    evil = "<script>alert(1)</script>"
    run = made_run(PAIR[0], command=evil, environment={"cpu": evil}, labels=evil, dataset_source=evil)
    page, text = page_of(run)
    assert evil not in text
    assert "script" not in page.tags
    assert evil in page.text


def test_a_subset_shows_what_it_can_tell(made_run) -> None:
    page, _ = page_of(made_run(PAIR[0], images=100))
    assert "subset only" in page.text
    assert re.search(r"100 of 500 images; \d+ to \d+ right of all would fit", page.text)


def test_writing_replaces_the_page_or_leaves_it(tmp_path: Path, made_run) -> None:
    models = audited_models(Catalog.load(), [made_run(PAIR[0])])
    write_page(tmp_path / "report.html", models)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(UsageError, match="the page cannot be written: No such file"):
        write_page(tmp_path / "none" / "report.html", models)


def test_only_models_of_the_catalog_have_claims(made_run) -> None:
    with pytest.raises(UsageError, match=r"\(they are of my-net\); give --manifests"):
        audited_models(Catalog.load(), [made_run(PAIR[0], **{"model": "my-net"})])


@pytest.mark.parametrize(
    ("intervals", "low", "high", "ticks"),
    [
        ([], 0, 0.1, 2),
        ([Interval(0.037, 0.0493)], 0, 5, 6),
        ([Interval(-0.0189, 0.0146), Interval(-0.024, 0.011)], -3, 2, 6),
        ([Interval(-0.9, 0.9)], -100, 100, 11),
    ],
)
def test_axis_holds_all_intervals_and_zero(intervals, low, high, ticks) -> None:
    axis = axis_over(intervals)
    assert (axis.low, axis.high, len(axis.ticks)) == (low, high, ticks)
    assert 0 in axis.ticks
    assert all(axis.low <= 100 * end <= axis.high for interval in intervals for end in interval)
    assert axis.x(axis.low) < axis.x(0.0) or axis.low == 0
