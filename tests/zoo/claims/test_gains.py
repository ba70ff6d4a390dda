"""The gain of one net over another, class by class."""

from __future__ import annotations

from dataclasses import replace

import pytest
from scipy.stats import binomtest

from zoo.claims.gains import class_gains


def test_gains_class_by_class(made_run):
    rows = made_run("digits-caffe-dsd", wrong=[]).rows
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
