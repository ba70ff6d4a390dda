"""The measure of difference: each rule of `difference`, and the bound."""

from __future__ import annotations

import math

import numpy as np
import pytest

from zoo.verification.difference import BOUND, Difference, difference, difference_of_boxes, is_list_of_boxes

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


def boxes(*rows: tuple[float, ...]) -> np.ndarray:
    return np.array(rows, np.float32).reshape(1, 1, -1, 7)


NEAR = ((0, 1, 0.5, 0.1, 0.1, 0.2, 0.2), (0, 1, 0.5000001, 0.6, 0.6, 0.9, 0.9), (0, 2, 0.4, 0, 0, 1, 1))


@pytest.mark.parametrize(
    ("other", "absolute"),
    [
        (NEAR, 0.0),
        # Two scores that are all but equal, in the other order.
        ((NEAR[1], NEAR[0], NEAR[2]), 0.0),
        ((NEAR[1], NEAR[0], (0, 3, 0.4, 0, 0, 1, 1)), 1.0),
        # One box twice, the other one lost.
        ((NEAR[0], NEAR[0], NEAR[2]), 0.7),
        ((NEAR[0], NEAR[1]), np.inf),
        ((NEAR[0], NEAR[1], (0, 2, np.nan, 0, 0, 1, 1)), np.inf),
    ],
)
def test_boxes_are_compared_in_whatever_order(other, absolute):
    found = difference_of_boxes(boxes(*NEAR), boxes(*other))
    assert found.absolute == pytest.approx(absolute, abs=1e-6)


def test_only_what_has_the_shape_of_boxes_is_taken_for_boxes():
    assert is_list_of_boxes(boxes(*NEAR))
    assert not is_list_of_boxes(np.zeros((2, 1, 3, 7)))
    assert not is_list_of_boxes(np.zeros((1, 1, 3, 6)))
    assert not is_list_of_boxes(np.zeros((1, 7)))
