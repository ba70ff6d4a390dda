"""The page of a training: accuracy and distance by epoch, weights after each phase, gains by seed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from converters import __version__, atomic_write
from zoo.claims.statistics import Interval
from zoo.errors import DataError, UsageError
from zoo.report import interval_plot
from zoo.report.line_plot import Curve, Phase, draw_curves, draw_histogram, value_below_axis
from zoo.report.page_filters import page_environment
from zoo.training.checkpoints import Checkpoint, read_checkpoint
from zoo.training.run_folder import RUN_NAME, VERDICT_NAME

if TYPE_CHECKING:
    from markupsafe import Markup

PAGE_NAME = "report.html"
_BRANCHES = {"dsd": ("dense", "sparse", "dsd"), "baseline": ("dense", "baseline-half", "baseline")}
_PHASES = ("dense", "sparse", "dense again")
_STAGES = {
    "dense": "After the dense phase",
    "sparse": "After the sparse phase",
    "dsd": "After the last phase: DSD",
    "baseline": "The baseline, at the same time",
}
# The histogram reaches from -3 to 3 times the root mean square of the dense net's weights.
BINS, REACH = 60, 3.0


@dataclass(frozen=True, slots=True)
class SeedRow:
    """A line of the table of gains."""

    seed: int
    correct: tuple[int, int, int]
    gain: int
    discordant: str
    p_value: float
    interval: tuple[float, float]  # in percentage points
    strip: Markup


def write_training_page(folder: Path) -> Path:
    """Write the page of the training in `folder` into it; returns its path.

    Raises:
        UsageError: it cannot be written.
        DataError: the training is not finished, or a file of it is damaged.
    """
    path = folder / PAGE_NAME
    text = render_training(folder)
    try:
        with atomic_write(path) as temporary:
            temporary.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{path}: the page cannot be written: {error.strerror}") from error
    return path


def render_training(folder: Path) -> str:
    """The page as text. Errors as in `write_training_page`."""
    run, verdict = _read(folder / RUN_NAME), _read(folder / VERDICT_NAME)
    top1 = next(v for v in verdict["verdicts"] if v["metric"] == "top1")
    ends = {seed: _ends(folder, seed) for seed in run["recipe"]["seeds"]}
    axis = interval_plot.axis_over([Interval(*seed["paired"]["interval"]) for seed in top1["seeds"]])
    environment = page_environment()
    phases = _phases(run)
    # Of a net that starts from nothing, the first epochs would flatten all that follows.
    settled = run["recipe"]["dense"]["epochs"] / 2
    accuracy = _curves(ends, "top1")
    return environment.get_template("training.html.jinja").render(
        run=run,
        verdict=top1,
        rows=[_row(seed, axis) for seed in top1["seeds"]],
        axis=interval_plot.axis_labels(axis),
        accuracy=draw_curves(accuracy, phases, "top-1 in percent by epoch", settled),
        below=value_below_axis(accuracy, settled),
        distance=draw_curves(_curves(ends, "distance"), phases, "distance from the first dense net by epoch"),
        histograms=_histograms(list(ends.values())),
        command=verdict["command"],
        environment=verdict["environment"],
        version=__version__,
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: cannot be read: the training is not finished, or damaged: {error}"
        ) from error


def _ends(folder: Path, seed: int) -> dict[str, Checkpoint]:
    """The end of each stage."""
    found = {}
    for name in dict.fromkeys(stage for branch in _BRANCHES.values() for stage in branch):
        path = folder / f"seed-{seed}" / f"{name}.safetensors"
        end = read_checkpoint(path)
        if end is None:
            raise DataError(f"{path}: is not there: the training is not finished")
        found[name] = end
    return found


def _row(seed: dict[str, Any], axis: interval_plot.Axis) -> SeedRow:
    paired = seed["paired"]
    return SeedRow(
        seed["seed"],
        (seed["baseline_correct"], seed["sparse_correct"], seed["dsd_correct"]),
        seed["gain"],
        f"{paired['only_model']} : {paired['only_baseline']}",
        paired["p_value"],
        (100 * paired["interval"][0], 100 * paired["interval"][1]),
        interval_plot.draw(axis, "measured", paired["gain"], Interval(*paired["interval"])),
    )


def _phases(run: dict[str, Any]) -> list[Phase]:
    found, first = [], 0
    for name, key in zip(_PHASES, ("dense", "sparse", "redense"), strict=True):
        epochs = run["recipe"][key]["epochs"]
        if epochs:
            found.append(Phase(name, first, first + epochs))
        first += epochs
    return found


def _curves(ends: dict[int, dict[str, Checkpoint]], what: str) -> list[Curve]:
    """A curve for each branch of each seed; both have the same dense phase."""
    curves = []
    for stages in ends.values():
        for kind, branch in _BRANCHES.items():
            points: list[tuple[float, float]] = []
            for record in (record for name in branch for record in stages[name].records):
                value = 100 * record.top1 / record.n if what == "top1" else record.distance
                points.append((float(len(points) + 1), value))
            curves.append(Curve(kind, points))
    return curves


def _histograms(seeds: Sequence[dict[str, Checkpoint]]) -> list[tuple[str, str, Markup]]:
    """(title, zeros in words, drawing) for the weights of all seeds together after each phase."""
    drawn = []
    scales = [_rms(_weights(stages["dense"])) for stages in seeds]
    for stage, title in _STAGES.items():
        counts, zeros, size = np.zeros(BINS, np.int64), 0, 0
        for stages, scale in zip(seeds, scales, strict=True):
            for array in _weights(stages[stage]):
                values = array[array != 0] / scale
                counts += np.histogram(np.clip(values, -REACH, REACH), BINS, (-REACH, REACH))[0]
                zeros += array.size - values.size
                size += array.size
        said = f"{zeros:,} of {size:,} are exactly zero"
        ends = (f"{-REACH:g}", "0", f"{REACH:g}")
        drawn.append((title, said, draw_histogram(counts.tolist(), zeros, ends, f"{title}: {said}")))
    return drawn


def _weights(end: Checkpoint) -> list[np.ndarray]:
    """The weight matrices and kernels of a net."""
    return [tensor.numpy() for tensor in end.net.values() if tensor.ndim > 1]


def _rms(arrays: Sequence[np.ndarray]) -> float:
    squares = sum(float(np.square(array, dtype=np.float64).sum()) for array in arrays)
    return float(np.sqrt(squares / max(1, sum(array.size for array in arrays)))) or 1.0
