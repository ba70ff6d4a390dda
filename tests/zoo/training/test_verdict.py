"""The verdict: McNemar's test by seed, Student's t over the seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from zoo.claims.statistics import mean_interval, minimum_detectable_mean
from zoo.training.verdict import verdicts


def runs(made_run, gains: dict[int, int]):
    """Runs in which DSD gets so many images more right than the baseline, which misses 20."""
    return {
        seed: {
            "baseline": made_run("digits-caffe-baseline", wrong=range(20)),
            "sparse": made_run("digits-caffe-baseline", wrong=range(30)),
            "dsd": made_run("digits-caffe-dsd", wrong=range(20 - gain)),
        }
        for seed, gain in gains.items()
    }


def test_the_mean_gain_and_its_interval(made_run):
    gains = {1: -1, 2: 0, 3: -1, 4: 0, 5: -1}
    top1, top5 = verdicts(runs(made_run, gains))
    assert [(s.seed, s.gain, s.dsd_correct) for s in top1.seeds] == [
        (seed, gain, 480 + gain) for seed, gain in gains.items()
    ]
    values = list(gains.values())
    low, high = stats.t.interval(0.95, 4, np.mean(values), stats.sem(values))
    assert top1.interval == pytest.approx((low, high))
    assert (
        top1.outcome
        == "no gain over the fair baseline can be seen: -0.12 points, and the interval includes 0"
    )
    assert top5.mean_gain == 0
    assert all(s.paired.p_value == 1 for s in top1.seeds)
    assert top1.to_json()["significant_seeds"] == 0


@pytest.mark.parametrize(
    ("gains", "words"),
    [
        ({1: 9, 2: 10, 3: 11}, "DSD gained over the fair baseline: [+]2.00 points"),
        ({1: -9, 2: -10, 3: -11}, "DSD lost against the fair baseline: -2.00 points"),
        ({1: 3, 2: 3}, "every seed gained [+]3 images: without a spread"),
        ({1: 2}, r"one seed alone: [+]2 images of 500 .* chance explains \(p = 0.5\)"),
        ({1: 10}, r"one seed alone: DSD gained, [+]2.00 points \(p = 0.00195\)"),
    ],
)
def test_the_outcome_in_words(made_run, gains, words):
    import re

    assert re.search(words, verdicts(runs(made_run, gains))[0].outcome)


def test_a_single_seed_has_no_interval(made_run):
    (top1, _) = verdicts(runs(made_run, {1: 2}))
    assert top1.interval is None
    assert top1.minimum_detectable is None


@pytest.mark.parametrize("values", [[0.0, 1.0], [-1, 0, -1, 0, -1], [3.0, -2.0, 7.5, 0.25]])
def test_students_interval_is_scipys(values):
    wanted = stats.t.interval(0.9, len(values) - 1, np.mean(values), stats.sem(values))
    assert mean_interval(values, 0.9) == pytest.approx(wanted)


@pytest.mark.parametrize("values", [[0.0, 1.0, 3.0], [-1, 0, -1, 0, -1], list(range(12))])
def test_the_smallest_mean_is_found_in_80_percent_of_simulated_experiments(values):
    count = len(values)
    found = np.random.default_rng(0).normal(
        minimum_detectable_mean(values), np.std(values, ddof=1), (200_000, count)
    )
    statistic = found.mean(1) / (found.std(1, ddof=1) / count**0.5)
    assert np.mean(np.abs(statistic) > stats.t.ppf(0.975, count - 1)) == pytest.approx(0.8, abs=0.005)


def test_one_value_has_no_spread():
    with pytest.raises(ValueError, match="two values or more"):
        mean_interval([1.0])
