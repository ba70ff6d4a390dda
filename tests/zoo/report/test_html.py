"""The page: self-contained and well-formed whatever the texts contain, and it says what the audit found."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from html_page import Page

from zoo.bundled import embedded_images
from zoo.catalog.catalog import Catalog
from zoo.claims.audit import audit, audited_models
from zoo.claims.reported import Reported, ReportedNet, reported
from zoo.claims.statistics import Interval
from zoo.datasets import open_dataset
from zoo.errors import UsageError
from zoo.evidence.run import Run
from zoo.report.html import illustrations, render, write_page
from zoo.report.interval_plot import accuracy_axis, axis_over
from zoo.store.cache import Cache
from zoo.verification.parity import Parity

PAIR = ("digits-caffe-dsd", "digits-caffe-baseline")


def page_of(*runs, names=PAIR, parity=()) -> tuple[Page, str]:
    """The page about these runs, and about models of these names that were not run."""
    catalog = Catalog.load()
    found = reported(catalog, runs)
    known = {net.name for net in found.nets}
    more = [
        ReportedNet(name, manifest=catalog.get(name), audit=audit(catalog.get(name), catalog, runs))
        for name in names
        if name not in known
    ]
    text = render(Reported([*found.nets, *more], found.pairs), parity)
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
        "no significant difference top-1: −1 of 500 images, −0.20 points "
        "(95 % interval −1.27 to +0.76, p = 1)",
        "as published",
        "sha256 a4d714c8e14ec26a2b54cf084c896ecb7107071ecd26bb153447171281354f13",
        "onnxruntime 1.31.1",
        "dsd-zoo validate digits-caffe-baseline digits-caffe-dsd --data test_images.tar",
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
    found = reported(Catalog.load(), [made_run(PAIR[0])])
    write_page(tmp_path / "report.html", found)
    assert (tmp_path / "report.html").read_text(encoding="utf-8").startswith("<!doctype html>")
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    with pytest.raises(UsageError, match="the page cannot be written: No such file"):
        write_page(tmp_path / "none" / "report.html", found)


def test_only_models_of_the_catalog_have_claims(made_run) -> None:
    with pytest.raises(UsageError, match=r"\(they are of my-net\); give --manifests"):
        audited_models(Catalog.load(), [made_run(PAIR[0], **{"model": "my-net"})])


def test_lines_that_all_say_one_thing_are_folded(made_run) -> None:
    runs = [made_run(name, flavour=flavour) for name in PAIR for flavour in ("caffe-warp36", "caffe-short36")]
    page, text = page_of(*runs)
    assert "Top-5: 100.00 % for both nets, claimed and measured" in page.text
    assert "Top-5: every gain is 0.00 under each of 2 preparations" in page.text
    # Each in an element that is closed at first.
    assert text.count('<details class="fold">') == text.count("<summary>Top-5") == 3


def test_a_pair_has_its_preparations_side_by_side_each_by_its_flavour(made_run) -> None:
    runs = [
        made_run(PAIR[0]),
        made_run(PAIR[0], wrong=range(50), flavour="caffe-short36"),
        made_run(PAIR[1]),
        made_run(PAIR[1], flavour="caffe-short36"),
    ]
    page, text = page_of(*runs)
    assert "a significant loss under 1 of these 2 preparations" in page.text
    assert "depends on the preparation" in page.text
    panels = text[text.index("Under every preparation") :]
    assert "caffe-warp36" in panels
    assert "caffe-short36" in panels


def test_counts_and_their_note_are_one_element(made_run) -> None:
    _, text = page_of(*(made_run(name) for name in PAIR))
    figure = text[text.index('<figure class="pair">') :].partition("</figure>")[0]
    assert figure.count("<table>") == figure.count("<figcaption>") == 1
    assert "Top-1, image by image <small>caffe-warp36, ONNX Runtime</small>" in figure
    assert "3 images differ in verdict" in figure


def test_the_page_of_an_onnx_file_outside_the_catalog(made_run) -> None:
    run = made_run(PAIR[0], model="net", files={"net.onnx": "0" * 64}, command="dsd-zoo validate net.onnx")
    page, text = page_of(run, names=())
    assert page.text.startswith("net, measured on 500 images.")
    assert "492 of 500 98.40 %, 96.9 to 99.2 % caffe-warp36, ONNX Runtime" in page.text
    assert "A net that the catalog does not know: nothing is claimed for it." in page.text
    assert '<h1 class="good">' in text


def test_a_net_may_be_called_like_a_part_of_the_page(made_run) -> None:
    names = ("accuracy", "environment", "two words")
    page, _ = page_of(*(made_run(PAIR[0], model=name) for name in names), names=())
    assert len(page.ids) == len(set(page.ids))
    assert {name[1:] for name in page.references if name.startswith("#")} <= set(page.ids)


def test_the_surest_mistakes_and_the_images_that_tell_two_nets_apart(made_run) -> None:
    page, _ = page_of(*(made_run(name) for name in PAIR))
    assert "Right with digits-caffe-dsd, wrong with digits-caffe-baseline class 0" in page.text
    assert "class 1 0.90 baseline test_00243.png" in page.text
    assert "The surest mistakes" in page.text
    assert "digits-caffe-baseline and 1 other" in page.text


def test_pictures_are_part_of_the_page_and_have_names(made_run, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    runs = [with_hashes(made_run(name)) for name in PAIR]
    found = reported(Catalog.load(), runs)
    shown = illustrations(found, Cache(tmp_path))
    text = render(found, shown=shown)
    page = Page(text)
    pictures = [name for name in page.references if name.startswith("data:")]
    assert len(pictures) == text.count("<img ") == text.count('alt="test_') == 3 + 9
    assert all(name.startswith("data:image/png;base64,") for name in pictures)
    assert page.tags.isdisjoint({"script", "link", "iframe", "object", "embed"})
    assert "<img" not in render(found, shown=illustrations(found, Cache(tmp_path), images=False))


def test_the_weights_of_a_model_and_its_baseline_are_drawn(made_run, tmp_path) -> None:
    found = reported(Catalog.load(), [made_run(name) for name in PAIR])
    text = render(found, shown=illustrations(found, Cache(tmp_path), images=False))
    assert "Distribution of the weights of digits-caffe-dsd and of digits-caffe-baseline" in text
    assert "digits-caffe-dsd: 1,532 exactly zero." in Page(text).text


def test_the_environment_is_said_once(made_run) -> None:
    runs = [made_run(name) for name in PAIR]
    page, _ = page_of(*runs)
    assert page.text.count("onnxruntime 1.31.1") == 1
    other = made_run(PAIR[1], environment={"python": "3.13.0", "onnxruntime": "1.31.1"})
    page, _ = page_of(runs[0], other)
    assert "python 3.13.0; 3.11.9" in page.text


def with_hashes(run: Run) -> Run:
    """The run with the SHA-256 of the embedded images, which runs that were made up lack."""
    images = embedded_images("digits-test")
    assert images is not None
    with open_dataset(images) as data:
        digests = {sample.id: hashlib.sha256(sample.read()).hexdigest() for sample in data}
    return replace(run, rows=[replace(row, sha256=digests[row.image]) for row in run.rows])


@pytest.mark.parametrize(
    ("intervals", "low", "high", "ticks"),
    [
        ([], 0, 0.1, 2),
        ([Interval(0.037, 0.0493)], 0, 5, 6),
        ([Interval(-0.0189, 0.0146), Interval(-0.024, 0.011)], -3, 2, 6),
        ([Interval(-0.9, 0.9)], -100, 100, 5),
    ],
)
def test_axis_holds_all_intervals_and_zero(intervals, low, high, ticks) -> None:
    axis = axis_over(intervals)
    assert (axis.low, axis.high, len(axis.ticks)) == (low, high, ticks)
    assert 0 in axis.ticks
    assert all(axis.low <= 100 * end <= axis.high for interval in intervals for end in interval)
    assert axis.x(axis.low) < axis.x(0.0) or axis.low == 0


def test_the_axis_of_accuracies_ends_at_100_percent() -> None:
    axis = accuracy_axis([0.961, 1.0])
    assert (axis.low, axis.high) == (96, 100)
    assert accuracy_axis([]).high == 100
    assert accuracy_axis([0.5, 0.5]).high > accuracy_axis([0.5, 0.5]).low
    assert accuracy_axis([1.0, 1.0]).high == 100
