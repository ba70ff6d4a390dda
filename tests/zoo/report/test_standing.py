"""The sentences about claimed gains and the summaries: each says what it is about."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zoo.catalog.catalog import Catalog
from zoo.claims.audit import Audit, audit
from zoo.claims.gains import UnpairedGain, unpaired_gain
from zoo.claims.preparation import Preparation
from zoo.claims.prepared_gains import Figure, GainsByPreparation, PreparedGain, verdict_on
from zoo.report import words
from zoo.report.standing import gain_sentences, standing
from zoo.report.tables import gain_blocks

CATALOG = Catalog.load()
PAIR = "digits-caffe-dsd", "digits-caffe-baseline"
RUNS = {"caffe-warp256": 30690, "caffe-short256": 30200, "pil-bicubic-short256": 30250}
SHORT = Preparation("shorter side 256, crop 224")


def audits(*names: str, runs=()) -> list[Audit]:
    return [audit(CATALOG.get(name), CATALOG, runs) for name in names]


def gain_of(right: int, n: int = 50000) -> UnpairedGain:
    return unpaired_gain(right, n, 30000 * n // 50000, n, exact=True)


def made(*measured: tuple[Preparation, int, int], claimed: int = 30700) -> GainsByPreparation:
    """A claimed gain over 30,000 right of 50,000, and for each measurement the images right of n."""
    rows = [PreparedGain(Preparation(), "published", None, None, gain_of(claimed))]
    for preparation, right, n in measured:
        gain = gain_of(right, n)
        model = Figure("A", right, n, True, 100 * right / n, change=right / n - claimed / 50000)
        baseline = Figure("A", 30000 * n // 50000, n, True, 60.0, change=0.0)
        verdict = verdict_on(gain_of(claimed), gain)
        rows.append(PreparedGain(preparation, "others", model, baseline, gain, verdict))
    return GainsByPreparation("net", "base", "top1", rows)


def test_the_sentences_about_vgg16():
    top1, top5 = (standing(found) for found in audits("vgg16-dsd")[0].by_preparation)
    assert top1 == (
        "Top-1: Under shorter side 256, crop 224 (soeaver/caffe-model) the claimed gain of 4.31 points "
        "shrinks to +1.41 (+0.85 to +1.97, significant). The other 2.90 points come with the "
        "preparation: with it vgg16-vgg wins 2.47 and vgg16-dsd loses 0.43."
    )
    assert top5 == (
        "Top-5: Under shorter side 256, crop 224 (soeaver/caffe-model) the claimed gain of 2.65 points "
        "shrinks to +1.10 (+0.74 to +1.46, significant). The other 1.55 points come with the "
        "preparation: with it vgg16-vgg wins 1.20 and vgg16-dsd loses 0.35."
    )


def test_an_unknown_claim_names_what_is_known_of_one_net():
    assert standing(audits("squeezenet-dsd")[0].by_preparation[0]) == (
        "Top-1: Whether the claimed gain of 4.32 points stands is unknown: nobody else is known to have "
        "measured both nets under one preparation. The baseline alone has 57.68 % under warped to 256x256, "
        "crop 227 (Open Model Zoo), +0.24 points from its claim."
    )


@pytest.mark.parametrize(
    ("right", "n", "expected"),
    [
        (30700, 50000, "the claimed gain of 1.40 points stands: +1.40 (+0.79 to +2.01)."),
        (30000, 50000, "shrinks to 0.00 (-0.61 to +0.61, not significant). The other 1.40 points come with "),
        (307, 500, "is undecided: +1.40 (-4.64 to +7.43) fits it, and fits no gain at all."),
    ],
)
def test_a_claim_stands_shrinks_or_is_undecided(right, n, expected):
    sentence = standing(made((SHORT, right, n)))
    assert sentence.startswith("Top-1: Under shorter side 256, crop 224 (A) ")
    assert expected in sentence


def test_every_preparation_has_its_own_sentence():
    sentence = standing(
        made((SHORT, 30700, 50000), (Preparation("warped to 256x256, crop 224"), 30100, 50000))
    )
    assert "Under shorter side 256, crop 224 (A) the claimed gain of 1.40 points stands" in sentence
    assert (
        "Under warped to 256x256, crop 224 (A) the claimed gain of 1.40 points shrinks to +0.20" in sentence
    )


def test_runs_under_many_flavours_share_a_sentence_for_each_verdict():
    found = made(*((Preparation("w", f"{name}, crop 224"), right, 50000) for name, right in RUNS.items()))
    rows = [found.rows[0], *(replace(row, basis="here") for row in found.rows[1:])]
    assert standing(replace(found, rows=rows)) == (
        "Top-1: Measured here, the claimed gain of 1.40 points stands under caffe-warp256, crop 224 (+1.38). "
        "Measured here, the claimed gain of 1.40 points shrinks under caffe-short256, crop 224 (+0.40) and "
        "pil-bicubic-short256, crop 224 (+0.50)."
    )
    none = replace(found.rows[0], gain=gain_of(30010))
    small = [none, *(replace(row, gain=gain_of(30010), verdict=None) for row in rows[2:])]
    assert standing(replace(found, rows=small)) == (
        "Top-1: No significant gain is published (+0.02 points). Measured here, it is not significant under "
        "caffe-short256, crop 224 (+0.02) and pil-bicubic-short256, crop 224 (+0.02)."
    )


def test_nothing_comes_with_a_preparation_that_the_claim_has_itself():
    found = made((SHORT, 30000, 50000))
    rows = [replace(found.rows[0], preparation=SHORT), found.rows[1]]
    assert "come with the preparation" not in standing(replace(found, rows=rows))


def test_what_is_no_claimed_gain():
    assert standing(made(claimed=30010)) == "Top-1: No significant gain is published (+0.02 points)."
    assert standing(made(claimed=29300)) == "Top-1: What is published is a loss of 1.40 points."
    found = made((SHORT, 30700, 50000))
    assert standing(replace(found, rows=found.rows[1:])) == (
        "Top-1: No gain is published. Under shorter side 256, crop 224 (A) it is +1.40 (+0.79 to +2.01): "
        "significant gain."
    )


def test_the_lines_of_a_table_stand_by_preparation(made_run):
    runs = [made_run(name, runtime=runtime) for name in PAIR for runtime in ("onnx", "pytorch")]
    block = gain_blocks(audits(PAIR[0], runs=runs)[0])[0]
    assert [(line.preparation, line.name, line.baseline, line.model) for line in block.lines] == [
        ("warped to 36x36, crop 32", "as published", "98.60", "98.40"),
        ("warped to 36x36, crop 32", "here, caffe-warp36", "98.60", "98.40"),
    ]
    assert block.lines[1].basis == "ONNX Runtime and PyTorch, 500 images, p = 1"
    assert [line.who for line in block.lines] == [
        "as published",
        "here, caffe-warp36: ONNX Runtime and PyTorch, 500 images, p = 1",
    ]
    vgg = gain_blocks(audits("vgg16-dsd")[0])[1]
    assert [(line.preparation, line.name, line.baseline, line.model) for line in vgg.lines] == [
        ("as the authors did, not stated", "as published", "88.68", "91.33"),
        ("shorter side 256, crop 224", "soeaver/caffe-model", "89.88", "90.98"),
        ("shorter side 256, crop 224", "Open Model Zoo", "89.88", ""),
        ("not stated", "CNTK", "89.89", ""),
    ]


def test_two_parties_are_both_named():
    model = Figure("A", 30700, 50000, True, 61.4)
    row = PreparedGain(SHORT, "others", model, replace(model, who="B"), gain_of(30700))
    found = GainsByPreparation("net", "base", "top1", [row])
    assert "(A and B)" in standing(found)


class TestSummary:
    """What the last lines of `audit`, the report and the demo say."""

    @pytest.mark.parametrize(
        ("models", "runs", "expected"),
        [
            (
                ["vgg16-dsd"],
                [],
                "Of the 2 published accuracies of vgg16-dsd, none was measured here in full; both follow "
                "from their traces.",
            ),
            (
                ["squeezenet-v1.0"],
                [],
                "Of the 2 published accuracies of squeezenet-v1.0, none was measured here in full.",
            ),
            (["vgg19-vgg"], [], "No accuracy of vgg19-vgg is claimed."),
            (
                [PAIR[0]],
                [PAIR[0]],
                "Both published accuracies of digits-caffe-dsd were measured here and agree.",
            ),
            (
                [*PAIR, "vgg16-dsd"],
                [PAIR[0]],
                "Of the 6 published accuracies of 3 models, 2 were measured here in full and agree.",
            ),
            (
                PAIR,
                PAIR,
                "All 4 published accuracies of 2 models were measured here and agree. The pair measured here "
                "shows no significant gain in top-1.",
            ),
        ],
    )
    def test_headline(self, made_run, models, runs, expected):
        assert words.headline(audits(*models, runs=[made_run(name) for name in runs])) == expected

    def test_published_gains_are_no_measured_ones(self, made_run):
        """Six significant gains are published here, none is measured."""
        names = [name for name in CATALOG.names() if name.endswith("-dsd") and not name.startswith("digits")]
        found = audits(*names, PAIR[0], runs=[made_run(name) for name in PAIR])
        assert words.headline(found).endswith("The pair measured here shows no significant gain in top-1.")
        assert words.claimed_gains(found) == (
            "Of the 7 pairs with published numbers, 6 claim a significant gain in top-1. Of these gains, "
            "1 shrinks, 5 were not measured again."
        )
        assert words.claimed_gains(audits("vgg16-dsd")) == ""

    @pytest.mark.parametrize(
        ("wrong", "said"),
        [
            ([(), range(6)], "The pair measured here shows a significant gain in top-1."),
            ([range(6), ()], "The pair measured here shows a significant loss in top-1."),
        ],
    )
    def test_one_measured_pair(self, made_run, wrong, said):
        runs = [made_run(name, wrong=missed) for name, missed in zip(PAIR, wrong, strict=True)]
        assert said in words.headline(audits(PAIR[0], runs=runs))

    def test_several_measured_pairs(self, made_run):
        names = "digits-caffe-dsd", "digits-caffe-sparse", "digits-caffe-baseline"
        missed = set(), range(9), range(6)
        runs = [made_run(name, wrong=wrong) for name, wrong in zip(names, missed, strict=True)]
        said = words.headline(audits(*names, runs=runs))
        assert said.endswith("Of the 2 pairs measured here, 1 shows a significant gain in top-1.")

    def test_the_lead_of_the_page(self, made_run):
        runs = [made_run(name) for name in PAIR]
        assert gain_sentences(audits(PAIR[0], runs=runs)[0]) == [
            "top-1: -1 of 500 images, -0.20 points (95 % interval -1.27 to +0.76, p = 1): not significant"
        ]
        assert [sentence[:12] for sentence in gain_sentences(audits("vgg16-dsd")[0])] == [
            "Top-1: Under",
            "Top-5: Under",
        ]
