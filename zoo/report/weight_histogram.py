"""The weights of a net and of its baseline as one drawing: what Dense-Sparse-Dense training did to them."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import ZooError
from zoo.report import words

if TYPE_CHECKING:
    from markupsafe import Markup

    from zoo.claims.reported import ReportedNet
    from zoo.evidence.run import Result
    from zoo.store.cache import Cache
    from zoo.verification.weights import Weight, WeightComparison

# From -3 to 3 times the root mean square of the weights of the same layer in the baseline that are not zero.
BINS, REACH = 61, 3.0
HEIGHT = 150


@dataclass(frozen=True, slots=True)
class WeightHistograms:
    """The prunable weights of two nets of one architecture, of all layers together.

    counts: how many lie in each of BINS equal parts of the range, of the model and of the baseline.
    zeros: exact zeros of each, which `counts` leaves out. size: how many weights a net has. equal: how many
    are equal in both.
    """

    counts: tuple[list[int], list[int]]
    zeros: tuple[int, int]
    size: int
    equal: int


def histograms_of(model: ReportedNet, baseline: ReportedNet, cache: Cache) -> WeightHistograms | None:
    """The histograms of two nets, from their files in the cache or where the command of their run names them.

    None if the files are not at hand, or are others than those that were run, or the architectures differ.
    """
    from zoo.verification.weights import pair_weights

    nets = _weights(model, cache), _weights(baseline, cache)
    if nets[0] is None or nets[1] is None:
        return None
    try:
        pairs = pair_weights(nets[0], nets[1])
    except ZooError:
        return None
    return _histograms([both for both in pairs if both[0].prunable])


def _histograms(pairs: Sequence[tuple[Weight, Weight]]) -> WeightHistograms | None:
    import numpy as np

    from zoo.verification.weights import compare_weights, histogram

    counts = np.zeros((2, BINS), np.int64)
    compared = [compare_weights(*both) for both in pairs]
    for both, row in zip(pairs, compared, strict=True):
        for which, weight in enumerate(both):
            counts[which] += histogram(weight, _scale(row), BINS, REACH)
    size = sum(row.size for row in compared)
    zeros = [sum(row.zeros[which] for row in compared) for which in (0, 1)]
    if not size or not counts.any():
        return None
    equal = sum(row.equal for row in compared)
    return WeightHistograms((counts[0].tolist(), counts[1].tolist()), (zeros[0], zeros[1]), size, equal)


def _scale(row: WeightComparison) -> float:
    """The root mean square of the baseline's weights that are not zero: pruning does not change it."""
    return row.rms[1] * math.sqrt(row.size / max(1, row.size - row.zeros[1]))


def _weights(net: ReportedNet, cache: Cache) -> list[Weight] | None:
    """The weights of the files that the main run read; None if they are not at hand."""
    import converters
    from zoo.store.converted import source_net
    from zoo.verification.weights import weights_of

    main = net.main
    if main is None:
        return None
    try:
        if net.manifest is not None:
            hashes = [main.result.files.get(file.name, "") for file in net.manifest.source_files()]
            expected = [cache.expected_sha256(file) for file in net.manifest.source_model_files()]
            return weights_of(source_net(net.manifest, cache, hashes).model) if hashes == expected else None
        files = _files_of(main.result)
        return None if not files else weights_of(converters.load(*files))
    except (ZooError, converters.ConverterError, OSError):
        return None


def _files_of(result: Result) -> list[Path]:
    """The net's files, if the command of the run names them and they are still the ones that were read."""
    from zoo.files import sha256

    try:
        named = {Path(part).name: Path(part) for part in shlex.split(result.command)}
    except ValueError:  # the result of other people, with no command in it
        return []
    files = [named[name] for name in result.files if name in named and named[name].is_file()]
    return files if files and all(sha256(path) == result.files[path.name] for path in files) else []


def draw_histograms(found: WeightHistograms, model: str, baseline: str) -> Markup:
    """Both histograms over each other, the baseline as an area, the model as a line.

    The height is the square root of the count.
    """
    from markupsafe import Markup

    highest = max(*found.counts[0], *found.counts[1], 1)
    shapes = Markup('<path class="area" d="{}"/><path class="line" d="{}"/>').format(
        _steps(found.counts[1], highest), _steps(found.counts[0], highest)
    )
    marks = Markup().join(
        Markup('<text x="{}%" y="{}" text-anchor="{}">{}</text>').format(
            place, HEIGHT + 16, anchor, words.typeset(text)
        )
        for place, anchor, text in (
            (0, "start", f"-{REACH:g} and less"),
            (50, "middle", "0"),
            (100, "end", f"{REACH:g} and more"),
        )
    )
    label = f"Distribution of the weights of {model} and of {baseline}"
    return Markup(
        '<svg class="histogram" height="{}" role="img" aria-label="{}">'
        '<svg width="100%" height="{}" viewBox="0 0 {} 100" preserveAspectRatio="none">{}</svg>'
        '<line class="zero" x1="0" x2="100%" y1="{y}" y2="{y}"/>{}</svg>'
    ).format(HEIGHT + 22, label, HEIGHT, BINS, shapes, marks, y=HEIGHT)


def _steps(counts: Sequence[int], highest: int) -> str:
    """An outline from the left end of the axis to the right one."""
    parts = [f"M0 100V{_height(counts[0], highest)}"]
    parts += [f"V{_height(count, highest)}H{at + 1}" for at, count in enumerate(counts)]
    return "".join([*parts, "V100"])


def _height(count: int, highest: int) -> str:
    """Square roots, so that a peak leaves room for the rest."""
    return f"{100 - 100 * (count / highest) ** 0.5:.2f}".rstrip("0").rstrip(".")
