"""What a net takes and gives, in words, as `dsd-zoo show` prints it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zoo.bundled import KNOWN_DATASETS, LABEL_ORDERS, TASKS
from zoo.cli._output import say

if TYPE_CHECKING:
    from zoo.catalog.interface import Input
    from zoo.catalog.manifest import Manifest
    from zoo.preprocessing.settings import Preprocessing

AXES = {"C": "channels", "H": "height", "W": "width"}


def interface_fields(manifest: Manifest) -> list[tuple[str, str]]:
    """(name, value) of task, inputs, outputs, images and preprocessing, a line each."""
    fields = [("task", TASKS[manifest.task].title.lower())]
    if manifest.input_shape is not None:
        fields.append(("input", _shape(manifest.input_shape)))
    fields += [("input", _input(given)) for given in manifest.inputs]
    fields += [("output", _named(output.name, output.description)) for output in manifest.outputs]
    if manifest.classes is not None:
        fields.append(("output" if manifest.is_counted else "classes", _classes(manifest)))
    if manifest.dataset is not None:
        known = KNOWN_DATASETS.get(manifest.dataset)
        fields.append(("images", f"{manifest.dataset}, of your own" if known is None else known.description))
    if manifest.preprocessing is not None:
        fields.append(("preprocessing", _preprocessing(manifest.preprocessing)))
    return fields


def _named(name: str | None, text: str) -> str:
    return text if name is None else f"{name}: {text}"


def _shape(shape: list[int]) -> str:
    channels, height, width = shape
    return f"{channels} channels, {height} x {width} pixels"


def _input(given: Input) -> str:
    parts = []
    if given.shape is not None:
        axes = "" if given.layout in (None, "CHW") else f" ({', '.join(AXES[axis] for axis in given.layout)})"
        parts.append(" x ".join(map(str, given.shape)) + axes)
    if given.channels is not None:
        parts.append(given.channels)
    if given.range is not None:
        parts.append(f"{given.range[0]:g} to {given.range[1]:g}")
    parts += _normalisation(given.mean, given.scale or 1)
    parts += [given.description] if given.description else []
    return _named(given.name, "; ".join(parts))


def _classes(manifest: Manifest) -> str:
    if manifest.label_order is None:
        return f"{manifest.classes} classes; in which order is not stated"
    return f"{manifest.classes} classes{LABEL_ORDERS[manifest.label_order].description}"


def _preprocessing(steps: Preprocessing) -> str:
    parts = [steps.flavour, f"centre crop {steps.crop}"]
    if steps.mean_image:
        parts.append("minus the mean image")
    parts += _normalisation(steps.mean, 1)
    if steps.std is not None:
        parts.append("divided by " + ", ".join(f"{value:g}" for value in steps.std))
    return "; ".join(parts + _normalisation(None, steps.scale))


def _normalisation(mean: list[float] | None, scale: float) -> list[str]:
    parts = [] if mean is None else ["minus " + ", ".join(f"{value:.10g}" for value in mean)]
    if scale == 1:
        return parts
    whole = round(1 / scale)
    return [*parts, f"divided by {whole}" if whole > 1 and scale == 1 / whole else f"times {scale:g}"]


def print_reported(manifest: Manifest) -> None:
    """The figures that were reported and cannot be checked here; nothing if there are none."""
    for figure in manifest.reported:
        say(f"  {figure.metric} {figure.published} on {figure.images}, by {figure.who}", "  ")
        if figure.note is not None:
            say(f"    {figure.note}")
        say(f"    from: {figure.source}")
