"""Accuracies that a run must reach, and what may be lost against an earlier one: exact at the edge."""

from __future__ import annotations

import pytest
from changed_run import changed

from zoo.claims.minimum import Minimum
from zoo.claims.regression import compare_runs


@pytest.mark.parametrize(
    ("correct", "n", "percent", "holds"),
    [
        (492, 500, 98.4, True),
        (491, 500, 98.4, False),
        (7, 10, 70, True),
        (0, 3, 0, True),
        (1, 3, 33.34, False),
    ],
)
def test_a_minimum_is_exact(correct, n, percent, holds):
    minimum = Minimum("top1", percent, correct, n)
    assert minimum.holds == holds
    assert ("too low" in minimum.verdict()) != holds


def test_a_drop_is_exact_and_leaves_images_free_to_change(made_run):
    before = made_run("digits-caffe-dsd")
    right = [at for at, row in enumerate(before.rows) if row.top1_correct][:2]
    wrong = {
        at: {"top5": (before.rows[at].top5[1], before.rows[at].top5[0], *before.rows[at].top5[2:]), "rank": 2}
        for at in right
    }
    now = changed(before, wrong)
    assert now.result.top1_correct == before.result.top1_correct - 2
    assert compare_runs(now, before, max_drop=0.4).holds
    found = compare_runs(now, before, max_drop=0.39)
    assert not found.holds
    assert found.too_low == ["top1"]
    assert found.verdict().startswith("at most 0.40 points lost, allowed are 0.39; 2 of 500 images changed")
    # With a tolerance both must hold.
    assert not compare_runs(now, before, tolerance=1, max_drop=0.4).holds
    assert compare_runs(now, before, tolerance=2, max_drop=0.4).holds
    # A gain is no loss.
    assert compare_runs(before, now, max_drop=0).holds
