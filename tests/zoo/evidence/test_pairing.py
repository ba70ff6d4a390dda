"""Two runs paired by image: the order of the second does not matter, everything else must agree."""

from __future__ import annotations

from dataclasses import replace

import pytest

from zoo.claims.gains import class_gains, paired_gain
from zoo.errors import UsageError
from zoo.evidence.pairing import find_difference, pair_rows
from zoo.evidence.rows import Row
from zoo.evidence.run import Run

ROWS = [Row(f"{name}.png", label, (label, 9), (0.75, 0.25)) for name, label in (("a", 0), ("b", 1), ("c", 1))]
RELABELLED = [replace(ROWS[0], label=4), *ROWS[1:]]


def hashed(*digits: str) -> list[Row]:
    return [replace(row, sha256=digit * 64) for row, digit in zip(ROWS, digits, strict=True)]


def test_rows_are_paired_by_image_in_the_order_of_the_first_run():
    others = [replace(row, top5=(9,)) for row in ROWS[::-1]]
    assert pair_rows(ROWS, others) == (ROWS, others[::-1])
    assert find_difference(ROWS, others) is None


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (ROWS[:-1], r"the same images, 1 in only one of them, such as c\.png"),
        ([*ROWS, replace(ROWS[0], image="d.png")], r"the same images, 1 in only one .* such as d\.png"),
        (RELABELLED, r"the same labels, a\.png is class 0 in this run and 4 in the other"),
    ],
)
def test_runs_that_differ_are_not_paired(made_run, others, message):
    with pytest.raises(UsageError, match=f"two runs are compared image by image: both must .*{message}"):
        pair_rows(ROWS, others)
    result = made_run("digits-caffe-dsd").result
    for refused in (
        lambda: class_gains(ROWS, others),
        lambda: paired_gain("top1", Run(result, ROWS), Run(result, others)),
    ):
        with pytest.raises(UsageError, match=message):
            refused()


def test_other_files_of_the_same_names_count_only_where_asked_and_known():
    ours, theirs = hashed("a", "b", "c"), hashed("a", "b", "d")
    assert pair_rows(ours, theirs) == (ours, theirs)
    with pytest.raises(
        UsageError, match=r"the same image files, c\.png has another SHA-256 in the other run"
    ):
        pair_rows(ours, theirs, same_files=True)
    # Tools that write no hashes make runs that can still be compared.
    assert pair_rows(ours, ROWS, same_files=True) == (ours, ROWS)
