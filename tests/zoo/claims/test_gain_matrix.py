"""The matrix of paired gains, against scipy's binomial test and counting by hand."""

from __future__ import annotations

import random

import pytest
from scipy.stats import binomtest

from zoo.claims.findings import collect_pairs
from zoo.claims.gain_matrix import gain_matrix
from zoo.errors import UsageError
from zoo.vocabulary import METRICS

DSD, BASELINE, SPARSE = "digits-caffe-dsd", "digits-caffe-baseline", "digits-caffe-sparse"
FLAVOURS = ("caffe-warp36", "caffe-short36", "torch7-bicubic36")


@pytest.fixture
def run_under(made_run):
    """A run under a flavour, with other changes."""

    def make(model, flavour, wrong, own=None, **changes):
        settings = {"flavour": flavour, "crop": 32, "mean": [127.0] * 3, "scale": 1 / 128, **(own or {})}
        return made_run(model, wrong=wrong, flavour=flavour, preprocessing=settings, **changes)

    return make


def test_every_row_is_the_exact_test_on_the_images_that_differ(run_under):
    draw = random.Random(0)
    wrong = {
        (model, flavour): set(draw.sample(range(500), draw.randrange(5, 60)))
        for model in (DSD, BASELINE)
        for flavour in FLAVOURS
    }
    ours, theirs = (
        [run_under(model, flavour, wrong[model, flavour]) for flavour in FLAVOURS]
        for model in (DSD, BASELINE)
    )
    matrix = gain_matrix(ours, theirs[::-1])
    assert (matrix.model, matrix.baseline, matrix.not_paired) == (DSD, BASELINE, [])
    assert [row.flavour for row in matrix.rows] == list(FLAVOURS)
    for row in matrix.rows:
        model, baseline = wrong[DSD, row.flavour], wrong[BASELINE, row.flavour]
        won, lost = len(baseline - model), len(model - baseline)
        gain = row.gains["top1"]
        assert (row.n, row.correct["top1"], row.baseline_correct["top1"]) == (
            500, 500 - len(model), 500 - len(baseline),
        )  # fmt: skip
        assert (gain.only_model, gain.only_baseline, gain.gain) == (won, lost, (won - lost) / 500)
        assert gain.p_value == pytest.approx(binomtest(won, won + lost).pvalue, rel=1e-9)
        assert gain.interval.low <= gain.gain <= gain.interval.high
        assert (row.gains["top5"].gain, row.gains["top5"].p_value) == (0, 1)
    assert list(matrix.rows[0].gains) == list(METRICS)


def test_a_gain_is_computed_inside_one_preparation_only(run_under):
    ours = [run_under(DSD, "caffe-warp36", []), run_under(DSD, "caffe-short36", [])]
    others = [
        run_under(BASELINE, "caffe-warp36", [1], own={"crop": 30}),
        run_under(BASELINE, "torch7-bicubic36", [1]),
        run_under(BASELINE, "caffe-short36", [1], precision="bf16"),
    ]
    matrix = gain_matrix(ours, others)
    assert matrix.rows == []
    assert matrix.not_paired == [
        f"caffe-warp36, crop 32 was not run with {BASELINE}",
        f"caffe-short36, crop 32 was not run with {BASELINE}",
        f"caffe-warp36, crop 30 was not run with {DSD}",
        f"torch7-bicubic36, crop 32 was not run with {DSD}",
        f"caffe-short36, crop 32, bf16 was not run with {DSD}",
    ]


def test_numbers_that_belong_to_a_net_are_named(run_under):
    matrix = gain_matrix(
        [run_under(DSD, "caffe-warp36", [], own={"mean": [1.0, 2.0, 3.0], "scale": 2.0})],
        [run_under(BASELINE, "caffe-warp36", [])],
    )
    assert [row.own_settings for row in matrix.rows] == [["mean", "scale"]]


def test_other_images_are_not_compared(run_under):
    matrix = gain_matrix(
        [run_under(DSD, "caffe-warp36", [], images=20)], [run_under(BASELINE, "caffe-warp36", [])]
    )
    assert matrix.rows == []
    (reason,) = matrix.not_paired
    assert "both must see the same images, 480 in only one of them" in reason


def test_runs_of_several_nets_are_refused(run_under):
    one, other = run_under(DSD, "caffe-warp36", []), run_under(BASELINE, "caffe-warp36", [])
    with pytest.raises(UsageError, match=f"runs of {DSD}, {BASELINE}"):
        gain_matrix([one, other], [other])
    with pytest.raises(UsageError, match="runs of none"):
        gain_matrix([one], [])


def test_pairs_are_each_model_and_its_baseline_and_each_net_and_the_reference(made_run):
    from zoo.catalog.catalog import Catalog

    catalog = Catalog.load()
    names = [DSD, SPARSE, BASELINE]
    runs = [[made_run(name, wrong=[])] for name in names]

    def pairs(manifests, reference=None):
        return [(pair.model, pair.baseline) for pair in collect_pairs(manifests, runs, reference)]

    known = [catalog.get(name) for name in names]
    assert pairs(known) == [(DSD, BASELINE), (SPARSE, BASELINE)]
    assert pairs(known, SPARSE) == [
        (DSD, BASELINE), (DSD, SPARSE), (SPARSE, BASELINE), (BASELINE, SPARSE),
    ]  # fmt: skip
    assert pairs([None, None, None]) == []
    assert pairs([None, None, None], BASELINE) == [(DSD, BASELINE), (SPARSE, BASELINE)]
