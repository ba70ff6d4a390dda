"""A run against an earlier one, image by image."""

from __future__ import annotations

from dataclasses import replace

import pytest
from changed_run import changed

from zoo.claims.regression import compare_runs
from zoo.errors import UsageError

MODEL = "digits-caffe-dsd"


def test_the_same_run_is_identical(made_run):
    run = made_run(MODEL)
    found = compare_runs(run, made_run(MODEL))
    assert found.holds
    assert found.must_be_identical
    assert found.verdict() == "identical to the last bit over 500 images"
    assert (found.changes, found.same_scores, found.score_difference) == ([], 500, 0.0)


def test_another_preprocessing_is_told_in_words(made_run):
    run = made_run("digits-caffe-dsd")
    made = [
        replace(run, result=run.result.model_copy(update={"preprocessing": settings}))
        for settings in ({"crop": 32, "mean": [127.0, 1.0, 2.0]}, {"crop": 28, "mean": [1, 2, 3], "scale": 2})
    ]
    assert compare_runs(made[1], made[0]).different_circumstances == [
        "preprocessing crop: 32 then, 28 now",
        "preprocessing mean: 127.0 1.0 2.0 then, 1 2 3 now",
        "preprocessing scale: not recorded then, 2 now",
    ]


def test_the_last_bit_of_one_score_counts_in_the_same_circumstances(made_run):
    before = made_run(MODEL)
    now = changed(before, {3: {"scores": (0.9000001, 0.1, 0, 0, 0)}})
    found = compare_runs(now, before)
    assert not found.holds
    assert "0 of 500 images changed their verdict, 0 their five best classes, 1 a score" in found.verdict()
    assert found.score_difference == pytest.approx(1e-7, rel=1e-3)
    # With a tolerance, or on another processor, that is no regression.
    assert compare_runs(now, before, tolerance=0).holds
    environment = {**now.result.environment, "cpu": "another"}
    elsewhere = replace(now, result=now.result.model_copy(update={"environment": environment}))
    found = compare_runs(elsewhere, before)
    assert found.holds
    assert found.different_circumstances == ["cpu: not recorded then, another now"]
    assert (
        found.verdict()
        == "0 of 500 images changed their verdict; allowed are 0 (cpu: not recorded then, another now)"
    )


def test_flips_are_listed_and_counted(made_run):
    before = made_run(MODEL)
    now = changed(
        before,
        {
            5: {"top5": (1, 0, 2, 3, 4)},  # right before, now second
            12: {"top5": (0, 1, 2, 3, 4)},  # wrong before, now right
            20: {"top5": (0, 1, 2, 4, 3)},  # another order, the same verdict
            30: {"top5": (9, 8, 7, 6, 5)},  # out of the five best
        },
    )
    found = compare_runs(now, before, tolerance=3)
    assert [(change.image[5:10], change.flipped) for change in found.changes] == [
        ("00005", ("top1",)),
        ("00012", ("top1",)),
        ("00020", ()),
        ("00030", ("top1", "top5")),
    ]
    assert (found.before, found.now) == ({"top1": 492, "top5": 500}, {"top1": 491, "top5": 499})
    assert found.holds
    assert not compare_runs(now, before, tolerance=2).holds
    assert (
        compare_runs(now, before).to_json()["verdict"].startswith("3 of 500 images changed their verdict, 4")
    )


def test_other_images_are_no_baseline(made_run):
    run = made_run(MODEL)
    rows = run.rows
    with pytest.raises(
        UsageError, match=r"must see the same images, 480 in only one of them, such as test_00020\.png"
    ):
        compare_runs(replace(run, rows=rows[:20]), run)
    relabelled = [replace(rows[0], label=4), *rows[1:]]
    with pytest.raises(
        UsageError,
        match=r"must have the same labels, test_00000\.png is class 4 in this run and 0 in the other",
    ):
        compare_runs(replace(run, rows=relabelled), run)
    hashed = [replace(row, sha256="a" * 64) for row in rows]
    other = [*hashed[:-1], replace(hashed[-1], sha256="b" * 64)]
    with pytest.raises(
        UsageError, match=r"the same image files, test_00499\.png has another SHA-256 in the other run"
    ):
        compare_runs(replace(run, rows=hashed), replace(run, rows=other))
    # A run without hashes can still be compared.
    assert compare_runs(replace(run, rows=hashed), run).holds
