"""The measure of difference: each rule of `difference`, and the bound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zoo.verification.difference import BOUND, Difference, difference

NAN, INF = math.nan, math.inf


@pytest.mark.parametrize(
    ("reference", "other", "absolute", "relative"),
    [
        ([1.0, -4.0], [1.0, -4.0], 0.0, 0.0),
        ([1.0, -4.0], [1.5, -4.0], 0.5, 0.125),
        ([1.0, -4.0], [1.0, -2.0], 2.0, 0.5),
        ([[1.0, 2.0]], [1.0, 2.0], INF, INF),
        ([1.0, 2.0], [1.0], INF, INF),
        ([NAN, 2.0], [NAN, 2.0], 0.0, 0.0),
        ([NAN, 2.0], [NAN, 3.0], 1.0, 0.5),
        ([NAN, 2.0], [1.0, 2.0], INF, INF),
        ([1.0, 2.0], [NAN, 2.0], INF, INF),
        ([INF, -INF, 2.0], [INF, -INF, 1.0], 1.0, 0.5),
        ([INF], [-INF], INF, INF),
        ([INF, 2.0], [1.0, 2.0], INF, INF),
        ([INF], [NAN], INF, INF),
        ([0.0, -0.0], [-0.0, 0.0], 0.0, 0.0),
        ([0.0], [1e-30], 1e-30, INF),
        ([], [], 0.0, 0.0),
    ],
)
def test_rules(reference, other, absolute, relative):
    found = difference(np.array(reference), np.array(other))
    assert found == Difference(absolute, relative)


def test_float32_is_compared_in_float64():
    """In float32 the largest number minus the smallest would be infinite."""
    largest = np.array([np.finfo(np.float32).max])
    assert difference(largest, -largest) == Difference(2 * float(largest[0]), 2.0)


def test_the_bound_itself_is_still_within_it():
    assert Difference(1.0, BOUND).within()
    assert not Difference(1.0, np.nextafter(BOUND, 1)).within()
    assert Difference(1.0, 0.5).within(0.5)
