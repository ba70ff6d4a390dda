"""Intervals of a run, its batches beside the published ones, another net beside it class by class."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.stats import binomtest, hypergeom

from zoo.catalog.catalog import Catalog
from zoo.claims.assessment import accuracies, as_json, class_gains, equivalences, trace_agreement

MODEL = "digits-caffe-dsd"


def test_intervals_of_a_whole_run(made_run):
    top1, top5 = accuracies(made_run(MODEL).result)
    test = binomtest(492, 500)
    for interval, method in ((top1.wilson, "wilson"), (top1.exact, "exact")):
        reference = test.proportion_ci(method=method)
        assert interval == pytest.approx((reference.low, reference.high), abs=1e-12)
    assert (top1.correct, top1.n, top1.population, top1.whole) == (492, 500, 500, None)
    assert (top5.correct, top5.exact.high) == (500, 1.0)


def test_a_part_speaks_for_the_whole_it_was_drawn_from(made_run):
    """Both ends of the interval are the outermost totals that the hypergeometric tails do not reject."""
    result = made_run(MODEL, images=100).result
    top1 = accuracies(result)[0]
    low, high = top1.whole
    drawn = {total: hypergeom(500, total, 100) for total in (low - 1, low, high, high + 1)}
    assert top1.population == 500
    assert drawn[low - 1].sf(top1.correct - 1) <= 0.025 < drawn[low].sf(top1.correct - 1)
    assert drawn[high + 1].cdf(top1.correct) <= 0.025 < drawn[high].cdf(top1.correct)
    assert accuracies(result, population=50_000)[0].population == 50_000


def test_images_off_the_claim(made_run):
    manifest = Catalog.load().get(MODEL)
    top1, _ = equivalences(manifest, made_run(MODEL).result)
    assert (top1.claimed, top1.correct, top1.off, top1.holds) == (492, 492, 0, True)
    off = equivalences(manifest, made_run(MODEL, wrong=range(10)).result)[0]
    assert (off.off, off.tolerance, off.holds) == (-2, 0, False)
    loose = manifest.model_copy(
        update={"claims": [claim.model_copy(update={"tolerance_images": 2}) for claim in manifest.claims]}
    )
    assert equivalences(loose, made_run(MODEL, wrong=range(10)).result)[0].holds
    # A part of the images, other images or another preprocessing say nothing of the claim.
    for changes in ({"images": 100}, {"dataset": "others"}, {"preprocessing": {"flavour": "caffe-warp40"}}):
        assert equivalences(manifest, made_run(MODEL, **changes).result) == []


def test_the_published_batches_are_found_again(made_run):
    manifest = Catalog.load().get(MODEL)
    top1, top5 = trace_agreement(manifest, made_run(MODEL).rows)
    assert (top1.batches, top1.batch_size, top1.equal, top1.largest) == (10, 50, 10, 0)
    assert top1.correlation == pytest.approx(1)
    # All batches of top-5 are full, so that nothing correlates.
    assert (top5.equal, top5.correlation) == (10, None)


def test_another_order_shows(made_run):
    manifest = Catalog.load().get(MODEL)
    rows = made_run(MODEL).rows
    top1 = trace_agreement(manifest, [*rows[250:], *rows[:250]])[0]
    assert top1.equal < 10
    assert top1.correlation < 0.5
    assert trace_agreement(manifest, rows[:499]) == []


def test_gains_class_by_class(made_run):
    rows = made_run(MODEL, wrong=[]).rows
    rows = [replace(row, label=i % 10, top5=(i % 10, 10)) for i, row in enumerate(rows)]
    # Class 3 loses 20 of 50 and wins none; class 7 wins and loses one.
    worse = {row.image for row in [row for row in rows if row.label == 3][:20]}
    sevens = [row.image for row in rows if row.label == 7]
    ours = [replace(row, top5=(10,)) if row.image in {*worse, sevens[0]} else row for row in rows]
    theirs = [replace(row, top5=(10,)) if row.image == sevens[1] else row for row in rows]
    gains = class_gains(ours, theirs)
    assert len(gains) == 10
    last = gains[-1]
    assert (last.label, last.n, last.correct, last.other_correct, last.gain) == (3, 50, 30, 50, -20)
    assert last.p_value == pytest.approx(10 * binomtest(0, 20).pvalue)
    seven = next(gain for gain in gains if gain.label == 7)
    assert (seven.correct, seven.other_correct, seven.p_value) == (49, 49, 1.0)
    assert as_json(gains)[-1]["correct"] == 30
