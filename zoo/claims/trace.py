"""Per-batch traces of published test runs, and the numbers the original tools print for them.

A trace is a CSV file beside the manifest with the columns `batch`, `top1_correct`, `top5_correct` and
optionally `loss`: the right images of each test batch. All batches have the same size.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DataError, excerpt
from zoo.evidence.rows import Rows
from zoo.vocabulary import Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from zoo.catalog.manifest import Manifest
    from zoo.evidence.rows import Row

# Not part of a word or of another number: the 1 of "top-1" does not count.
NUMBER = re.compile(r"(?<![\w.-])\d+(?:\.\d+)?")
COLUMNS = ("batch", "top1_correct", "top5_correct")


@dataclass(frozen=True, slots=True)
class Trace:
    """The number of right images per batch, in the order of the run."""

    top1: tuple[int, ...]
    top5: tuple[int, ...]
    batch_size: int

    def counts(self, metric: Metric) -> tuple[int, ...]:
        """The counts of one metric, one per batch."""
        return self.top1 if metric == "top1" else self.top5


def read_trace(path: Path, n: int) -> Trace:
    """The trace in `path`, of a run over `n` images. DataError names the line that is wrong."""
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            names = next(reader, [])
            if missing := [name for name in COLUMNS if name not in names]:
                raise DataError(f"{path}: a trace has the columns {', '.join(COLUMNS)}; missing: {missing}")
            places = [names.index(name) for name in COLUMNS]
            lines = [line for line in reader if line]
    except OSError as error:
        raise DataError(f"{path}: the trace cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path}: the trace cannot be read: {excerpt(error)}") from error
    if not lines or n % len(lines):
        raise DataError(f"{path}: {n} images do not make {len(lines)} batches of one size")
    batch_size = n // len(lines)
    rows = [_counts(line, places, number, batch_size, path) for number, line in enumerate(lines)]
    return Trace(tuple(top1 for top1, _ in rows), tuple(top5 for _, top5 in rows), batch_size)


def average_loss(path: Path) -> str:
    """The loss as `caffe test` prints it for the batches of the trace in `path`, to 6 significant digits.

    DataError if the trace has no column `loss` of numbers.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.reader(file)
            place = next(reader, []).index("loss")
            losses = [float(line[place]) for line in reader if line]
        if not losses:
            raise ValueError("no lines")
    except (OSError, UnicodeDecodeError, csv.Error, LookupError, ValueError) as error:
        raise DataError(f"{path}: expected a column 'loss' with a number in every line") from error
    return _float32_average(losses)


@dataclass(frozen=True, slots=True)
class TraceAgreement:
    """The counts of a run compared with those of the published run, batch by batch.

    `equal` of `batches` have the same count; `largest` is the largest difference in images. `correlation` of
    the two sequences is near 1 if the images came in the same order, else near 0; None if all batches of one
    sequence have the same count.
    """

    metric: Metric
    batches: int
    batch_size: int
    equal: int
    largest: int
    correlation: float | None


def trace_agreement(manifest: Manifest, rows: Sequence[Row]) -> list[TraceAgreement]:
    """One entry per claim with a trace over as many images as the run. DataError if a trace is damaged."""
    found = []
    for claim in manifest.claims:
        if claim.trace is None or claim.n != len(rows):
            continue
        trace = read_trace(manifest.directory / claim.trace, claim.n)
        size, published = trace.batch_size, trace.counts(claim.metric)
        # A trace has as many images as the run, in batches of one size.
        ours = Rows.of(rows).correct(claim.metric).reshape(-1, size).sum(axis=1).tolist()
        differences = [abs(a - b) for a, b in zip(ours, published, strict=True)]
        found.append(
            TraceAgreement(
                claim.metric,
                len(ours),
                size,
                differences.count(0),
                max(differences),
                _correlation(ours, published),
            )
        )
    return found


def _correlation(ours: Sequence[int], theirs: Sequence[int]) -> float | None:
    import numpy as np

    if len(set(ours)) < 2 or len(set(theirs)) < 2:
        return None
    return float(np.corrcoef(ours, theirs)[0, 1])


def _counts(
    line: Sequence[str], places: Sequence[int], number: int, batch_size: int, path: Path
) -> tuple[int, int]:
    try:
        batch, top1, top5 = (int(line[place]) for place in places)
    except (LookupError, ValueError) as error:
        raise DataError(
            f"{path}, line {number + 2}: expected whole numbers in {', '.join(COLUMNS)}"
        ) from error
    if batch != number or not 0 <= top1 <= top5 <= batch_size:
        raise DataError(
            f"{path}, line {number + 2}: expected batch {number} with "
            f"0 <= top1 <= top5 <= {batch_size}; came: {excerpt(f'{batch}, {top1}, {top5}')}"
        )
    return top1, top5


def reprint(published: str, counts: Sequence[int], batch_size: int) -> str:
    """`published` with its number replaced by what the same tool would print for these counts.

    A number that is a fraction of 1 becomes the accuracy as `caffe test` prints it. A percentage becomes that
    of the summed counts, or of the wrong images if the text says `error`, with as many decimals as the text
    has.
    """
    number = _number(published)
    if is_fraction(published):
        text = caffe_average(counts, batch_size)
    else:
        n = batch_size * len(counts)
        images = n - sum(counts) if "error" in published else sum(counts)
        step = Decimal(1).scaleb(-_decimals(number.group()))
        try:
            text = str((Decimal(100 * images) / n).quantize(step, ROUND_HALF_UP))
        except InvalidOperation as error:
            raise DataError(f"'{excerpt(published)}': far too many digits for an accuracy") from error
    return published[: number.start()] + text + published[number.end() :]


def caffe_average(counts: Sequence[int], batch_size: int) -> str:
    """The accuracy as `caffe test` prints it for these batches.

    tools/caffe.cpp adds one float32 per batch, divides by the number of batches in float32 and prints 6
    significant digits through a C++ stream; so 0.61758 became 0.617579.
    """
    import numpy as np

    return _float32_average(np.asarray(counts, np.float32) / np.float32(batch_size))


def _float32_average(values: Sequence[float] | NDArray[np.float32]) -> str:
    import numpy as np

    total = np.cumsum(np.asarray(values, np.float32), dtype=np.float32)[-1]
    return f"{float(total / np.float32(len(values))):.6g}"


def is_fraction(published: str) -> bool:
    """Whether the claim is printed as a fraction of 1, not as a percentage. DataError if it has no number."""
    return "%" not in published and float(_number(published).group()) <= 1


def percent_decimals(published: str) -> int | None:
    """To how many digits after the point a published accuracy is known in percent; None without a number."""
    if NUMBER.search(published) is None:
        return None
    digits = _decimals(_number(published).group())
    return max(0, digits - 2) if is_fraction(published) else digits


def _number(published: str) -> re.Match[str]:
    """The number that is the claim: the one before a % sign, else the first."""
    matches = list(NUMBER.finditer(published))
    if not matches:
        raise DataError(f"'{excerpt(published)}': expected a published claim with a number in it")
    percentages = [match for match in matches if published[match.end() :].lstrip().startswith("%")]
    return (percentages or matches)[0]


def _decimals(number: str) -> int:
    return len(number.partition(".")[2])
