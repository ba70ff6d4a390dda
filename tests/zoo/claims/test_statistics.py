"""Intervals and tests compared with published examples, with scipy and with enumeration."""

from __future__ import annotations

from fractions import Fraction
from math import comb, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from zoo.claims.statistics import (
    clopper_pearson_interval,
    finite_population_interval,
    mcnemar_exact,
    minimum_detectable_gain,
    paired_difference_interval,
    unpaired_difference_interval,
    wilson_interval,
)

counts = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


# Newcombe, Stat. Med. 17:857 (1998), table I: methods 3 (Wilson) and 5 (Clopper-Pearson).
NEWCOMBE_SINGLE = [
    (81, 263, (0.2553, 0.3662), (0.2527, 0.3676)),
    (15, 148, (0.0624, 0.1605), (0.0578, 0.1617)),
    (0, 20, (0.0000, 0.1611), (0.0000, 0.1684)),
    (1, 29, (0.0061, 0.1718), (0.0009, 0.1776)),
]


@pytest.mark.parametrize(("correct", "n", "wilson", "exact"), NEWCOMBE_SINGLE)
def test_one_proportion_as_published(
    correct: int, n: int, wilson: tuple[float, float], exact: tuple[float, float]
) -> None:
    assert wilson_interval(correct, n) == pytest.approx(wilson, abs=5e-5)
    assert clopper_pearson_interval(correct, n) == pytest.approx(exact, abs=5e-5)


@settings(deadline=None)
@given(counts, st.sampled_from([0.9, 0.95, 0.99]))
def test_one_proportion_against_scipy(count: tuple[int, int], confidence: float) -> None:
    correct, n = count
    test = binomtest(correct, n)
    for ours, method in ((wilson_interval, "wilson"), (clopper_pearson_interval, "exact")):
        truth = test.proportion_ci(confidence, method=method)
        assert ours(correct, n, confidence) == pytest.approx((truth.low, truth.high), abs=1e-9)


@pytest.mark.parametrize("n", [500, 50_000, 1_281_167])
@pytest.mark.parametrize("share", [1e-6, 0.001, 0.5, 0.7281, 0.999])
def test_the_exact_interval_of_many_images_against_scipy(n: int, share: float) -> None:
    correct = max(1, round(share * n))
    for confidence in (0.5, 0.95, 0.999):
        truth = binomtest(correct, n).proportion_ci(confidence, method="exact")
        found = clopper_pearson_interval(correct, n, confidence)
        assert found == pytest.approx((truth.low, truth.high), rel=1e-8, abs=1e-12)


def test_ends_of_the_scale_are_exact() -> None:
    assert wilson_interval(0, 7).low == 0.0
    assert wilson_interval(500, 500).high == 1.0
    assert clopper_pearson_interval(0, 7).low == 0.0
    assert clopper_pearson_interval(500, 500).high == 1.0


# Newcombe, Stat. Med. 17:873 (1998), table II: method 10.
NEWCOMBE_UNPAIRED = [
    ((56, 70, 48, 80), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775)),
    ((0, 10, 0, 10), (-0.2775, 0.2775)),
    ((10, 10, 0, 20), (0.6791, 1.0000)),
    ((10, 10, 0, 10), (0.6075, 1.0000)),
]


@pytest.mark.parametrize(("table", "published"), NEWCOMBE_UNPAIRED)
def test_unpaired_difference_as_published(
    table: tuple[int, int, int, int], published: tuple[float, float]
) -> None:
    assert unpaired_difference_interval(*table) == pytest.approx(published, abs=5e-5)


# (both, only first, only second, neither), confidence: Tango, Stat. Med. 17:891 (1998), both examples;
# Agresti and Min, Stat. Med. 24:729 (2005); Fagerland, Lydersen and Laake, Stat. Med. 33:2850 (2014).
TANGO = [
    ((4, 9, 3, 16), 0.95, (-0.027, 0.390)),
    ((43, 0, 1, 0), 0.90, (-0.096, 0.037)),
    ((53, 16, 8, 9), 0.95, (-0.020, 0.207)),
    ((1, 1, 7, 12), 0.95, (-0.517, -0.026)),
]


@pytest.mark.parametrize(("table", "confidence", "published"), TANGO)
def test_paired_difference_as_published(
    table: tuple[int, int, int, int], confidence: float, published: tuple[float, float]
) -> None:
    interval = paired_difference_interval(table[1], table[2], sum(table), confidence)
    assert interval == pytest.approx(published, abs=5e-4)


@settings(deadline=None)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 500))
def test_paired_interval_is_the_score_test_turned_round(b: int, c: int, concordant: int) -> None:
    """0 is inside if and only if McNemar's statistic is below its critical value; a swap negates the ends."""
    n = b + c + concordant + 1
    interval = paired_difference_interval(b, c, n)
    statistic = abs(b - c) / sqrt(b + c) if b + c else 0.0
    assert (interval.low <= 0 <= interval.high) == (statistic <= 1.959963984540054)
    mirrored = paired_difference_interval(c, b, n)
    assert (-mirrored.high, -mirrored.low) == pytest.approx(interval, abs=1e-12)
    assert interval.low - 1e-12 <= (b - c) / n <= interval.high + 1e-12


def test_paired_interval_without_discordance() -> None:
    """Tango's closed form for b = c = 0."""
    z2 = 1.959963984540054**2
    assert paired_difference_interval(0, 0, 500) == pytest.approx((-z2 / (500 + z2), z2 / (500 + z2)))


def test_paired_interval_covers_what_it_says() -> None:
    """Exact coverage at n = 40 by enumerating every table, for several true differences."""
    n = 40
    for p_first, p_second in [(0.1, 0.1), (0.2, 0.1), (0.3, 0.05)]:
        covered = 0.0
        for b in range(n + 1):
            for c in range(n + 1 - b):
                ways = comb(n, b) * comb(n - b, c)
                likely = ways * p_first**b * p_second**c * (1 - p_first - p_second) ** (n - b - c)
                if likely > 1e-9:
                    low, high = paired_difference_interval(b, c, n)
                    covered += likely * (low <= p_first - p_second <= high)
        assert 0.93 <= covered <= 0.97


@settings(deadline=None)
@given(st.integers(0, 500), st.integers(0, 500))
def test_mcnemar_against_scipy(b: int, c: int) -> None:
    """Up to 1000 discordant images: scipy's tail underflows where 2**-n is below the smallest float."""
    expected = binomtest(b, b + c).pvalue if b + c else 1.0
    assert mcnemar_exact(b, c) == pytest.approx(expected, rel=1e-9, abs=0)


def test_mcnemar_literals() -> None:
    assert mcnemar_exact(1, 0) == 1.0
    assert mcnemar_exact(5, 0) == 2 / 32
    assert mcnemar_exact(6, 0) == 2 / 64
    assert mcnemar_exact(1, 9) == 2 * 11 / 1024
    tail = Fraction(2 * sum(comb(1075, k) for k in range(11)), 2**1075)
    assert mcnemar_exact(10, 1065) == float(tail) == pytest.approx(2.7162020597214055e-300)
    assert mcnemar_exact(0, 5000) == 0.0  # 2**-4999 is below the smallest float


@pytest.mark.parametrize(("correct", "n", "population"), [(7, 10, 23), (0, 5, 12), (5, 5, 12), (12, 30, 41)])
def test_finite_population_by_brute_force(correct: int, n: int, population: int) -> None:
    def upper_tail(total: int, least: int) -> float:
        ways = sum(comb(total, k) * comb(population - total, n - k) for k in range(least, n + 1))
        return ways / comb(population, n)

    inside = [
        total
        for total in range(correct, population - (n - correct) + 1)
        if upper_tail(total, correct) > 0.025 and 1 - upper_tail(total, correct + 1) > 0.025
    ]
    assert finite_population_interval(correct, n, population) == (inside[0], inside[-1])


def test_finite_population_at_full_size() -> None:
    """For the whole set it is one count; for a small share it is as wide as for an infinite population."""
    assert finite_population_interval(30879, 50000, 50000) == (30879, 30879)
    low, high = finite_population_interval(135, 200, 50000)
    exact = clopper_pearson_interval(135, 200)
    assert (low / 50000, high / 50000) == pytest.approx(exact, abs=1e-3)
    low, high = finite_population_interval(3100, 5000, 50000)
    spread = sqrt(0.62 * 0.38 / 5000 * 45000 / 49999)
    assert high - low == pytest.approx(2 * 1.96 * spread * 50000, rel=0.02)
    # A fifth of all 50,000 images has 3 or more of 4 right ones in 2.7 % of the draws; of 3, in 0.8 %.
    assert finite_population_interval(3, 10000, 50000).low == 4


def test_minimum_detectable_gain_has_the_power_it_says() -> None:
    """Simulated: McNemar's score test finds a gain of that size in 80 % of the runs."""
    random = np.random.default_rng(20161)
    for n, discordance in [(50000, 0.05), (2000, 0.10), (50000, 0.20)]:
        gain = minimum_detectable_gain(n, discordance)
        better, worse = (discordance + gain) / 2, (discordance - gain) / 2
        tables = random.multinomial(n, [better, worse, 1 - discordance], size=20000)
        b, c = tables[:, 0], tables[:, 1]
        found = np.abs(b - c) / np.sqrt(b + c) > 1.959963984540054
        assert found.mean() == pytest.approx(0.8, abs=0.015)


def test_minimum_detectable_gain_with_hardly_any_discordance() -> None:
    """A gain needs discordant images: below six of them the exact test finds nothing at all."""
    gain = minimum_detectable_gain(500, 1 / 500)
    images = np.random.default_rng(7).binomial(500, gain, size=20000)
    assert (images >= 6).mean() == pytest.approx(0.8, abs=0.03)
    assert minimum_detectable_gain(500, 0.0) == gain
    assert minimum_detectable_gain(50000, 0.05) == pytest.approx(0.0028, abs=5e-5)


@pytest.mark.parametrize(
    "call",
    [
        lambda: wilson_interval(6, 5),
        lambda: wilson_interval(0, 0),
        lambda: wilson_interval(1, 2, confidence=1.0),
        lambda: clopper_pearson_interval(-1, 5),
        lambda: finite_population_interval(1, 10, 9),
        lambda: mcnemar_exact(-1, 0),
        lambda: paired_difference_interval(3, 3, 5),
        lambda: minimum_detectable_gain(0, 0.1),
    ],
)
def test_impossible_counts_are_refused(call: object) -> None:
    with pytest.raises(ValueError):
        call()  # type: ignore[operator]
