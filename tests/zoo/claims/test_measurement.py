"""The accuracies of a run with their intervals, and how far they are off the claims."""

from __future__ import annotations

import pytest
from scipy.stats import binomtest, hypergeom

from zoo.catalog.catalog import Catalog
from zoo.claims.measurement import accuracies, measurements_of

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
    top1, _ = measurements_of(manifest, made_run(MODEL).result)
    assert (top1.claimed, top1.correct, top1.difference, top1.verdict) == (492, 492, 0, "agrees")
    off = measurements_of(manifest, made_run(MODEL, wrong=range(10)).result)[0]
    assert (off.difference, off.tolerance, off.verdict) == (-2, 0, "differs")
    loose = manifest.model_copy(
        update={"claims": [claim.model_copy(update={"tolerance_images": 2}) for claim in manifest.claims]}
    )
    assert measurements_of(loose, made_run(MODEL, wrong=range(10)).result)[0].verdict == "agrees"
    # A part of the images, other images or another preprocessing say nothing about the claim.
    for changes in ({"images": 100}, {"dataset": "others"}, {"preprocessing": {"flavour": "caffe-warp40"}}):
        found = measurements_of(manifest, made_run(MODEL, **changes).result)
        assert [measured.difference for measured in found] == [None, None]
