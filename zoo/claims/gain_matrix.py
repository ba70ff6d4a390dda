"""The gain of one net over another under every preprocessing that both were run with, image by image.

A gain under different preprocessing would mix what the weights do with what the images look like, so each
row of the matrix pairs two runs of the same flavour, crop and precision. Mean, std and scale belong to each
net: a row says where they differ.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from zoo.claims.gains import PairedGain, paired_gain
from zoo.errors import UsageError
from zoo.evidence.pairing import find_difference
from zoo.vocabulary import METRICS, Metric, Precision

if TYPE_CHECKING:
    from zoo.evidence.run import Run


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """The gains under one preprocessing.

    correct, baseline_correct: how many of the `n` images each net ranked right, by metric.
    own_settings: the settings, beside flavour and crop, in which the two nets differ ("mean").
    """

    flavour: str
    crop: int
    precision: Precision
    n: int
    correct: dict[Metric, int]
    baseline_correct: dict[Metric, int]
    gains: dict[Metric, PairedGain]
    own_settings: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class GainMatrix:
    """The gains of `model` over `baseline`, a row for each preprocessing.

    not_paired: why runs have no row, a clause each.
    """

    model: str
    baseline: str
    rows: list[MatrixRow]
    not_paired: list[str] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """JSON-able data; the keys are the fields of these classes."""
        return asdict(self)


def gain_matrix(runs: Sequence[Run], baseline_runs: Sequence[Run]) -> GainMatrix:
    """The gains of one net's runs over those of another.

    The rows are in the order of `runs`. Runs over different images, labels or image files are not paired.

    Raises:
        UsageError: one of them has no run, or runs of several nets are mixed.
    """
    model, baseline = _only_model(runs), _only_model(baseline_runs)
    rows, not_paired = [], []
    for run in runs:
        other = next((other for other in baseline_runs if _prepared(other) == _prepared(run)), None)
        name = _name(run)
        if other is None:
            not_paired.append(f"{name} was not run with {baseline}")
        elif (difference := find_difference(run.rows, other.rows, same_files=True)) is not None:
            not_paired.append(f"{name}: {difference}")
        else:
            rows.append(_row(run, other))
    known = [_prepared(run) for run in runs]
    not_paired += [
        f"{_name(other)} was not run with {model}" for other in baseline_runs if _prepared(other) not in known
    ]
    return GainMatrix(model, baseline, rows, not_paired)


def _only_model(runs: Sequence[Run]) -> str:
    names = list(dict.fromkeys(run.result.model for run in runs))
    if len(names) != 1:
        raise UsageError(f"expected the runs of one net, came runs of {', '.join(names) or 'none'}")
    return names[0]


def _prepared(run: Run) -> tuple[object, ...]:
    """Equal for runs whose nets saw the same pixels, computed in the same arithmetic."""
    result = run.result
    return result.flavour, result.preprocessing.get("crop"), result.precision, result.runtime, result.device


def _name(run: Run) -> str:
    result = run.result
    crop = f"{result.flavour}, crop {result.preprocessing.get('crop')}"
    return crop if result.precision == "float32" else f"{crop}, {result.precision}"


def _row(run: Run, other: Run) -> MatrixRow:
    result, base = run.result, other.result
    names = sorted(result.preprocessing.keys() | base.preprocessing.keys())
    return MatrixRow(
        flavour=result.flavour,
        crop=int(result.preprocessing["crop"]),
        precision=result.precision,
        n=result.n,
        correct={metric: result.correct(metric) for metric in METRICS},
        baseline_correct={metric: base.correct(metric) for metric in METRICS},
        gains={metric: paired_gain(metric, run, other) for metric in METRICS},
        own_settings=[
            name for name in names if result.preprocessing.get(name) != base.preprocessing.get(name)
        ],
    )
