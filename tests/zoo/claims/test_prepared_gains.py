"""Gains by preparation: what is compared with what, and what follows for the claimed gain."""

from __future__ import annotations

from dataclasses import replace
from math import sqrt

import pytest
from scipy.stats import binomtest, norm

from zoo.catalog.catalog import Catalog
from zoo.catalog.claim import PublishedMeasurement
from zoo.claims.gains import PairedGain, UnpairedGain, unpaired_gain
from zoo.claims.prepared_gains import GainsByPreparation, gains_by_preparation, verdict_on

CATALOG = Catalog.load()
PAIR = "digits-caffe-dsd", "digits-caffe-baseline"
SHORT = "shorter side 256, crop 224"


def gains(name: str, *runs) -> dict[str, GainsByPreparation]:
    manifest = CATALOG.get(name)
    baseline = CATALOG.baseline(manifest)
    assert baseline is not None
    return {found.metric: found for found in gains_by_preparation(manifest, baseline, runs)}


def measured(who="A", words: str | None = SHORT, percent=70.0, source="https://a.org/1", **more):
    given = {"metric": "top1", "n": 500, "published": f"{percent}%", "percent": percent}
    given |= {"who": who, "source": source, "preparation": words, **more}
    return PublishedMeasurement.model_validate(
        {name: value for name, value in given.items() if value is not None}
    )


def compared(ours: list[PublishedMeasurement], theirs: list[PublishedMeasurement]) -> list[tuple]:
    """(who and percentage of both, preparation in words) for each row by others."""
    manifest = CATALOG.get(PAIR[0]).model_copy(update={"measurements": ours})
    baseline = CATALOG.get(PAIR[1]).model_copy(update={"measurements": theirs})
    found = gains_by_preparation(manifest, baseline)[0]
    return [
        (
            row.model and (row.model.who, row.model.percent),
            row.baseline and (row.baseline.who, row.baseline.percent),
            row.preparation.words,
            row.gain is not None,
        )
        for row in found.rows
        if row.basis == "others"
    ]


class TestVgg16:
    """The claimed 4.31 points are 1.41 where both nets were measured in one way."""

    found = gains("vgg16-dsd")

    @pytest.mark.parametrize(
        ("metric", "claimed", "by_others", "model", "baseline"),
        [("top1", 4.31, 1.41, -0.43, 2.47), ("top5", 2.648, 1.10, -0.348, 1.20)],
    )
    def test_the_gain_inside_one_preparation(self, metric, claimed, by_others, model, baseline):
        published, row = self.found[metric].rows[:2]
        assert published.gain is not None
        assert 100 * published.gain.gain == pytest.approx(claimed)
        assert (row.preparation.words, row.basis) == (SHORT, "others")
        assert row.gain is not None
        assert row.model is not None
        assert row.baseline is not None
        assert row.model.who == row.baseline.who == "soeaver/caffe-model"
        assert 100 * row.gain.gain == pytest.approx(by_others)
        assert 100 * row.model.change == pytest.approx(model)
        assert 100 * row.baseline.change == pytest.approx(baseline)
        # What the claim is too large by is what the baseline wins and the model loses by the preparation.
        assert published.gain.gain - row.gain.gain == pytest.approx(row.baseline.change - row.model.change)

    def test_its_interval_is_that_of_two_independent_proportions(self):
        """With 50,000 images Newcombe's interval is that of the normal approximation."""
        gain = self.found["top1"].rows[1].gain
        assert gain is not None
        p1, p2 = 36190 / 50000, 35485 / 50000
        half = norm.ppf(0.975) * sqrt((p1 * (1 - p1) + p2 * (1 - p2)) / 50000)
        assert gain.interval == pytest.approx((p1 - p2 - half, p1 - p2 + half), abs=2e-6)
        assert gain.significant

    def test_the_claim_shrinks_and_its_own_preparation_is_not_stated(self):
        assert {found.standing for found in self.found.values()} == {"shrinks"}
        published = self.found["top1"].rows[0]
        assert (published.preparation.words, published.verdict) == (None, None)

    def test_other_laboratories_confirm_the_baseline_only(self):
        alone = [row for row in self.found["top1"].rows if row.gain is None]
        assert [(row.baseline.who, row.baseline.percent, row.model) for row in alone if row.baseline] == [
            ("Open Model Zoo", 70.968, None),
            ("ChainerCV", 71.0, None),
        ]
        assert all(row.preparation.words == SHORT for row in alone)

    def test_json_has_rows_and_standing(self):
        data = self.found["top1"].to_json()
        assert data["standing"] == "shrinks"
        assert data["rows"][1]["preparation"] == {"words": SHORT, "terms": None}
        assert data["rows"][1]["verdict"] == "shrinks"
        assert data["rows"][2]["gain"] is None


def test_a_claim_that_nobody_else_measured_is_unknown():
    assert gains("squeezenet-dsd")["top1"].standing == "unknown"
    assert gains("resnet50-dsd")["top1"].standing == "unknown"


def test_no_gain_is_claimed_where_none_is_significant():
    assert gains(PAIR[0])["top1"].standing == "nothing claimed"


class TestByOthers:
    """Which numbers of other people are compared."""

    def test_one_party_under_one_preparation(self):
        rows = compared([measured(percent=72.0)], [measured(percent=70.0), measured("B", percent=71.0)])
        assert rows == [
            (("A", 72.0), ("A", 70.0), SHORT, True),
            (None, ("B", 71.0), SHORT, False),
        ]

    def test_two_parties_only_where_none_measured_both(self):
        rows = compared([measured(percent=72.0)], [measured("B", percent=71.0)])
        assert rows == [(("A", 72.0), ("B", 71.0), SHORT, True)]

    def test_never_two_preparations(self):
        rows = compared([measured(percent=72.0)], [measured(words="warped to 256x256, crop 224")])
        assert rows == [
            (("A", 72.0), None, SHORT, False),
            (None, ("A", 70.0), "warped to 256x256, crop 224", False),
        ]

    def test_a_preparation_that_is_not_stated_is_shared_on_one_page_only(self):
        rows = compared([measured(words=None, percent=72.0)], [measured(words=None)])
        assert rows == [(("A", 72.0), ("A", 70.0), None, True)]
        rows = compared([measured(words=None)], [measured(words=None, source="https://a.org/2")])
        assert [row[-1] for row in rows] == [False, False]
        rows = compared([measured(words=None)], [measured("B", words=None)])
        assert [row[-1] for row in rows] == [False, False]

    def test_terms_and_the_same_words_are_compared_by_words(self):
        exact = {"preprocessing": {"flavour": "caffe-short256", "crop": 224}}
        rows = compared([measured(words=None, percent=72.0, **exact)], [measured("B")])
        assert rows == [(("A", 72.0), ("B", 70.0), SHORT, True)]
        other = {"preprocessing": {"flavour": "pil-bicubic-short256", "crop": 224}}
        rows = compared([measured(words=None, **exact)], [measured("B", words=None, **other)])
        assert [row[-1] for row in rows] == [False, False]


class TestRunsHere:
    """Runs of both nets, under any flavour, image by image."""

    def under(self, made_run, name, flavour, **changes):
        own = CATALOG.get(name).preprocessing.model_dump()
        return made_run(name, preprocessing={**own, "flavour": flavour}, flavour=flavour, **changes)

    def test_a_gain_for_each_preparation_that_both_ran_under(self, made_run):
        runs = [
            made_run(PAIR[0], wrong={91}),
            made_run(PAIR[1]),
            self.under(made_run, PAIR[0], "caffe-short36", wrong=range(10)),
            self.under(made_run, PAIR[1], "caffe-short36", wrong=range(4)),
            self.under(made_run, PAIR[0], "torch7-bicubic36"),
        ]
        here = [row for row in gains(PAIR[0], *runs)["top1"].rows if row.basis == "here"]
        assert [row.preparation.terms for row in here] == [
            "caffe-warp36, crop 32",
            "caffe-short36, crop 32",
        ]
        own, short = (row.gain for row in here)
        assert isinstance(own, PairedGain)
        assert isinstance(short, PairedGain)
        assert (own.only_model, own.only_baseline) == (6, 0)
        assert own.p_value == pytest.approx(binomtest(6, 6).pvalue)
        assert (short.only_model, short.only_baseline) == (0, 6)
        assert short.gain == -0.012

    @pytest.mark.parametrize(
        "changes", [{"runtime": "pytorch"}, {"device": "cuda"}, {"images": 499}, {"precision": "tf32"}]
    )
    def test_runs_that_do_not_match_give_none(self, made_run, changes):
        runs = made_run(PAIR[0]), made_run(PAIR[1], **changes)
        assert all(row.basis == "published" for row in gains(PAIR[0], *runs)["top1"].rows)

    def test_runs_over_other_images_say_nothing_of_the_claim(self, made_run):
        wrong = {PAIR[0]: set(), PAIR[1]: {1, 2}}
        runs = [made_run(name, dataset="photographs", wrong=wrong[name]) for name in PAIR]
        row = gains(PAIR[0], *runs)["top1"].rows[-1]
        assert (row.other_images, row.verdict) == ("photographs", None)
        assert row.model is not None
        assert row.model.change is None

    def test_an_empty_run_gives_none(self, made_run):
        runs = made_run(PAIR[0], images=0), made_run(PAIR[1], images=0)
        assert len(gains(PAIR[0], *runs)["top1"].rows) == 1


CLAIMED = unpaired_gain(30700, 50000, 30000, 50000, exact=True)


@pytest.mark.parametrize(
    ("correct", "verdict"),
    [(30000, "shrinks"), (30350, "shrinks"), (30420, "stands"), (30700, "stands"), (31500, "stands")],
)
def test_what_a_measured_gain_says_of_a_claimed_one(correct, verdict):
    """The claim is 700 of 50,000; the interval is about 303 images to either side."""
    assert verdict_on(CLAIMED, unpaired_gain(correct, 50000, 30000, 50000, exact=True)) == verdict


def test_a_few_images_leave_it_undecided():
    assert verdict_on(CLAIMED, unpaired_gain(307, 500, 300, 500, exact=True)) == "undecided"


def test_nothing_claimed_or_measured_gives_no_verdict():
    none = unpaired_gain(30010, 50000, 30000, 50000, exact=True)
    loss = unpaired_gain(29000, 50000, 30000, 50000, exact=True)
    assert [
        verdict_on(*pair) for pair in ((None, CLAIMED), (CLAIMED, None), (none, CLAIMED), (loss, CLAIMED))
    ] == [None] * 4


def test_different_verdicts_depend_on_the_preparation():
    found = gains("vgg16-dsd")["top1"]
    published, row = found.rows[:2]
    assert isinstance(published.gain, UnpairedGain)
    stands = replace(row, gain=published.gain, verdict="stands")
    undecided = replace(row, verdict="undecided")
    for rows, standing in (
        ([published, row, stands], "depends on the preparation"),
        ([published, row, undecided], "shrinks"),
        ([published, undecided], "undecided"),
        ([published, stands], "stands"),
        ([published], "unknown"),
        ([row], "nothing claimed"),
    ):
        assert replace(found, rows=rows).standing == standing
