"""The page in a browser: nothing scrolls sideways, drawings keep their letters, and what is closed prints."""

from __future__ import annotations

import pytest
from browser import browser, layouts

from zoo.catalog.catalog import Catalog
from zoo.claims.findings import collect_pass
from zoo.claims.reported import reported
from zoo.report.html import illustrations, render
from zoo.report.pass_page import render_pass
from zoo.store.cache import Cache

WIDTHS = (360, 400, 640, 832, 833, 900, 1100, 1400, 1600)
MODEL, BASELINE = "digits-caffe-dsd", "digits-caffe-baseline"


@pytest.fixture
def pages(made_run, tmp_path, monkeypatch):
    """The page of a folder of runs, with long names and several preparations, and that of a pass."""
    monkeypatch.chdir(tmp_path)
    catalog = Catalog.load()
    long = "a-net-with-an-extraordinarily-long-name-that-no-line-of-a-telephone-holds"
    ours = [made_run(MODEL), made_run(MODEL, wrong=range(30), flavour="torch7-bicubic36")]
    theirs = [made_run(BASELINE), made_run(BASELINE, flavour="torch7-bicubic36")]
    own = [
        made_run(
            MODEL, wrong=range(90), model=long, command=f"dsd-zoo validate {long}.onnx --against {MODEL}"
        )
    ]
    found = reported(catalog, [*ours, *theirs, *own])
    report = render(found, shown=illustrations(found, Cache(tmp_path / "cache")))
    placed = [[(tmp_path / run.result.flavour, run) for run in of_net] for of_net in (ours, theirs)]
    passed = render_pass(collect_pass([catalog.get(MODEL), catalog.get(BASELINE)], catalog, placed, {}))
    return [report, passed]


def laid_out(pages, tmp_path):
    program = browser()
    if program is None:
        pytest.skip("needs Chromium or Chrome")
    return layouts(program, pages, tmp_path)


def test_nothing_scrolls_sideways_at_any_width(pages, tmp_path) -> None:
    found = laid_out([(width, page) for page in pages for width in WIDTHS], tmp_path)
    assert len(found) == 2 * len(WIDTHS)
    assert [(one["width"], one["outside"]) for one in found if one["scrolls"] or one["outside"]] == []


def test_drawings_stay_readable_on_a_telephone(pages, tmp_path) -> None:
    for found in laid_out([(400, page) for page in pages], tmp_path):
        assert found["plots"]
        assert min(width for width in found["plots"] if width) >= 90
        assert min(height for height in found["letters"] if height) >= 10


def test_what_is_closed_is_printed(pages, tmp_path) -> None:
    printed = [(900, page.replace("@media print {", "@media all {")) for page in pages]
    on_screen, on_paper = laid_out([(900, pages[0]), printed[0]], tmp_path)
    assert on_screen["hidden"] > 0
    assert on_paper["hidden"] == 0
    assert not on_paper["scrolls"]
