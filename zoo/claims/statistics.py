"""Confidence intervals and tests for counts of right images.

Pure functions on integers. Proportions are fractions of 1; intervals are (low, high) pairs of proportions
unless a docstring says otherwise, two-sided, 95 % by default.

Which method for which question, and why:

- one accuracy: Wilson's score interval, whose coverage stays near the nominal one for all n and all
  proportions (Brown, Cai, DasGupta, Stat. Sci. 16, 2001); beside it the exact interval of Clopper and
  Pearson, whose coverage is never below the nominal one, and which is therefore wider.
- two accuracies of which only the counts are known: Newcombe's hybrid of two Wilson intervals.
- two models on the same images: the exact McNemar test for the verdict and Tango's score interval for
  the size. Newcombe's interval for paired proportions (1998b, method 10) was the alternative: both are
  recommended by Fagerland, Lydersen and Laake (Stat. Med. 33, 2014), but near 100 % accuracy
  with few discordant images Newcombe's is far wider than needed (at n = 500, 98 % right, 3 discordant:
  99.7 % coverage against Tango's 96.9 %), and Tango's alone is the inversion of McNemar's statistic.
  It is asymptotic: with few discordant images it can exclude 0 although the exact test is not
  significant, so the exact test decides.
- a subset of a finite set of images: the exact hypergeometric interval for the count of the whole set.
- several runs with different seeds: Student's t interval for the mean of what each gained.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from math import exp, isnan, lgamma, log, log1p, sqrt
from statistics import NormalDist
from typing import NamedTuple


class Interval(NamedTuple):
    """A two-sided confidence interval, both ends included."""

    low: float
    high: float


class CountInterval(NamedTuple):
    """A two-sided confidence interval for a number of images, both ends included."""

    low: int
    high: int


def wilson_interval(correct: int, n: int, confidence: float = 0.95) -> Interval:
    """Score interval for one proportion (Wilson, J. Am. Stat. Assoc. 22, 1927)."""
    _check_count(correct, n)
    z = _quantile(confidence)
    p = correct / n
    centre = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z * sqrt(p * (1 - p) / n + (z / (2 * n)) ** 2) / (1 + z * z / n)
    return Interval(
        0.0 if correct == 0 else centre - half,
        1.0 if correct == n else centre + half,
    )


def clopper_pearson_interval(correct: int, n: int, confidence: float = 0.95) -> Interval:
    """Exact interval for one proportion (Clopper, Pearson, Biometrika 26, 1934), from beta quantiles."""
    _check_count(correct, n)
    tail = (1 - confidence) / 2
    low = 0.0 if correct == 0 else _beta_quantile(tail, correct, n - correct + 1)
    high = 1.0 if correct == n else 1 - _beta_quantile(tail, n - correct, correct + 1)
    return Interval(low, high)


def _beta_quantile(p: float, a: float, b: float) -> float:
    """The x where the distribution function of Beta(a, b) is p: bisection down to neighbouring numbers."""
    low, high = 0.0, 1.0
    while low < (middle := (low + high) / 2) < high:
        low, high = (middle, high) if _beta_distribution(middle, a, b) < p else (low, middle)
    return middle


def _beta_distribution(x: float, a: float, b: float) -> float:
    """The distribution function of Beta(a, b), the regularised incomplete beta function I_x(a, b).

    By its continued fraction (NIST Digital Library of Mathematical Functions, 8.17.22), evaluated from the
    front by the modified method of Lentz. It converges fast below the mean; above it, I_x(a, b) is
    1 - I_(1-x)(b, a).
    """
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta_distribution(1 - x, b, a)
    if x <= 0:
        return 0.0
    scale = lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log1p(-x)
    tiny = 1e-300
    numerator, denominator = 1.0, 1 / (1 - (a + b) * x / (a + 1) or tiny)
    fraction = denominator
    for m in range(1, 10_000):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            denominator = 1 / (1 + term * denominator or tiny)
            numerator = 1 + term / numerator or tiny
            fraction *= numerator * denominator
        if abs(numerator * denominator - 1) < 1e-16:
            break
    return exp(scale) * fraction / a


def finite_population_interval(
    correct: int, n: int, population: int, confidence: float = 0.95
) -> CountInterval:
    """How many of all `population` images are right, if `correct` of `n` randomly drawn ones are.

    Exact: every total whose two hypergeometric tails at the observed count are both larger than half
    of 1 - confidence (the finite-population form of Clopper and Pearson; Buonaccorsi, Am. Stat. 41, 1987).
    With n = population it is the count itself.
    """
    _check_count(correct, n)
    if n > population:
        raise ValueError(f"a sample of {n} images cannot come from {population}")
    tail = (1 - confidence) / 2
    wrong = n - correct
    low = _smallest_total(correct, n, population, tail)
    # The largest total of right images leaves the smallest total of wrong ones.
    high = population - _smallest_total(wrong, n, population, tail)
    return CountInterval(low, high)


def unpaired_difference_interval(
    correct_1: int, n_1: int, correct_2: int, n_2: int, confidence: float = 0.95
) -> Interval:
    """Interval for p1 - p2 of two independent samples.

    The hybrid score interval, method 10 of Newcombe (Stat. Med. 17:873, 1998). If both models saw the same
    images but only the totals are known, it is wider than necessary: the difficulty of the images, which is
    common to both, counts as noise twice.
    """
    p1, p2 = correct_1 / n_1, correct_2 / n_2
    low_1, high_1 = wilson_interval(correct_1, n_1, confidence)
    low_2, high_2 = wilson_interval(correct_2, n_2, confidence)
    below = sqrt((p1 - low_1) ** 2 + (high_2 - p2) ** 2)
    above = sqrt((high_1 - p1) ** 2 + (p2 - low_2) ** 2)
    return Interval(p1 - p2 - below, p1 - p2 + above)


# A gain is told in several tables, and the tail over ImageNet takes a moment to sum.
@functools.lru_cache(maxsize=1024)
def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p-value of the exact McNemar test: do the discordant images favour one model?

    `only_first` images are right under the first model only, `only_second` under the second only. The value
    is twice the smaller binomial(1/2) tail, at most 1 (McNemar, Psychometrika 12, 1947, in its exact form,
    the sign test on the discordant images). The tail is summed in integers, so the result is correctly
    rounded.
    """
    if only_first < 0 or only_second < 0:
        raise ValueError(f"counts of discordant images cannot be negative: {only_first}, {only_second}")
    discordant = only_first + only_second
    ways = total = 1
    for k in range(min(only_first, only_second)):
        ways = ways * (discordant - k) // (k + 1)
        total += ways
    return min(1.0, 2 * total / (1 << discordant))


def paired_difference_interval(
    only_first: int, only_second: int, n: int, confidence: float = 0.95
) -> Interval:
    """Interval for the difference of two accuracies over the same `n` images, first minus second.

    Tango's score interval (Stat. Med. 17:891, 1998): all differences that the score test does not
    reject; at difference 0 that test is McNemar's.
    """
    if only_first < 0 or only_second < 0 or only_first + only_second > n or n < 1:
        raise ValueError(f"{only_first} and {only_second} discordant images cannot be among {n} images")
    z = _quantile(confidence)
    estimate = (only_first - only_second) / n

    def rejected(difference: float) -> bool:
        # The maximum-likelihood share of "only second" under this difference: root of a quadratic.
        b = (2 * n - only_first + only_second) * difference - only_first - only_second
        c = -only_second * difference * (1 - difference)
        share = (sqrt(max(b * b - 8 * n * c, 0.0)) - b) / (4 * n)
        variance = n * (2 * share + difference * (1 - difference))
        return (only_first - only_second - n * difference) ** 2 > z * z * variance

    return Interval(_boundary(rejected, estimate, -1.0), _boundary(rejected, estimate, 1.0))


def minimum_detectable_gain(
    n: int, discordance: float, confidence: float = 0.95, power: float = 0.8
) -> float:
    """The smallest true gain that McNemar's test on `n` images finds with this power.

    `discordance` is the share of images on which the two models differ. This is Connor's sample size formula
    (Biometrics 43, 1987), solved for the difference. A gain cannot exceed the discordance; if the formula
    asks for more, all discordant images are taken to favour one model. The formula is for the asymptotic
    test; with few discordant images the exact test finds the gain in a few per cent fewer cases.
    """
    if n < 1 or not 0 <= discordance <= 1:
        raise ValueError(f"expected 1 image or more and a discordance in 0..1, got {n} and {discordance}")
    z_test, z_power = _quantile(confidence), NormalDist().inv_cdf(power)
    a = n + z_power**2
    root = sqrt(n * discordance) * z_test
    gain = (root + sqrt(max(root**2 - a * (z_test**2 - z_power**2) * discordance, 0.0))) / a
    if 0 < gain <= discordance:
        return gain
    one_way = _boundary(lambda g: sqrt(n * g) > z_test + z_power * sqrt(1 - g), 0.0, 1.0)
    return max(one_way, discordance)


def mean_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's t interval for the mean of the distribution that two or more values come from.

    Exact if that is normal (Student, Biometrika 6, 1908). Equal values give an interval of length 0, which
    says that the spread is too small to be seen, not that there is none.
    """
    from scipy.special import stdtrit

    mean, error = _mean_and_error(values)
    half = float(stdtrit(len(values) - 1, (1 + confidence) / 2)) * error
    return Interval(mean - half, mean + half)


def minimum_detectable_mean(values: Sequence[float], confidence: float = 0.95, power: float = 0.8) -> float:
    """The smallest true mean that the two-sided t test finds with this power, if values spread as these do.

    From the noncentral t distribution (Lehmann, Testing Statistical Hypotheses, 2nd edition, section 5.2).
    """
    from scipy.special import nctdtr, stdtrit

    _, error = _mean_and_error(values)
    freedom = len(values) - 1
    critical = float(stdtrit(freedom, (1 + confidence) / 2))

    def found(shift: float) -> bool:
        below = nctdtr(freedom, shift, critical) - nctdtr(freedom, shift, -critical)
        # Not a number where both are 0 to all digits: far beyond what any power needs.
        return bool(isnan(below) or 1 - below >= power)

    return error * _boundary(found, 0.0, 1e3)


def _mean_and_error(values: Sequence[float]) -> tuple[float, float]:
    """The mean and its standard error."""
    from statistics import mean, stdev

    if len(values) < 2:
        raise ValueError(f"expected two values or more, got {len(values)}")
    return mean(values), stdev(values) / sqrt(len(values))


def _check_count(correct: int, n: int) -> None:
    if n < 1 or not 0 <= correct <= n:
        raise ValueError(f"expected 1 image or more and 0 to n correct ones, got {correct} of {n}")


def _quantile(confidence: float) -> float:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence {confidence} is not between 0 and 1")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def _boundary(rejected: Callable[[float], bool], inside: float, outside: float) -> float:
    """The boundary between `inside` (not rejected) and `outside`, by bisection to the last bit."""
    if not rejected(outside):
        return outside
    while (middle := (inside + outside) / 2) not in (inside, outside):
        if rejected(middle):
            outside = middle
        else:
            inside = middle
    return inside


def _smallest_total(correct: int, n: int, population: int, tail: float) -> int:
    """The smallest number of right images in the population with P(`correct` or more of n) > tail."""
    import numpy as np

    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, population + 1)))])
    log_samples = log_factorial[population] - log_factorial[n] - log_factorial[population - n]
    low, high = correct, population - (n - correct)
    while low < high:
        total = (low + high) // 2
        others = population - total
        k = np.arange(max(correct, n - others), min(n, total) + 1)
        log_ways = (
            log_factorial[total] - log_factorial[k] - log_factorial[total - k]
            + log_factorial[others] - log_factorial[n - k] - log_factorial[others - n + k]
        )  # fmt: skip
        if np.exp(log_ways - log_samples).sum() > tail:
            high = total
        else:
            low = total + 1
    return low
