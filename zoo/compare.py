"""Two forms of one net on the same input: where do they part?

Every value that both forms name is compared in the order in which the first form computes it, so the first
divergence points at the layer that causes it. ONNX values are found by the name of their node (the layer)
or their own; a generated net.py has a submodule per layer with parameters, under the layer's name.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.errors import UsageError
from zoo.traced import Array, Shape, open_form

BOUND = 1e-5


@dataclass(frozen=True, slots=True)
class Row:
    """One value in both forms."""

    name: str
    shape: Shape
    other_shape: Shape
    difference: float
    """Largest absolute difference; infinite where only one of the two is a number."""
    relative: float
    """The same, relative to the largest magnitude in the first form."""
    agrees: bool


@dataclass(frozen=True, slots=True)
class Comparison:
    """All values that both forms have, in the first form's order, the outputs last."""

    rows: list[Row]
    bound: float

    @property
    def first_divergence(self) -> Row | None:
        """The first value on which they do not agree."""
        return next((row for row in self.rows if not row.agrees), None)


def compare(
    first: Sequence[Path],
    second: Sequence[Path],
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    seed: int = 0,
    bound: float = BOUND,
) -> Comparison:
    """Run both on the same standard normal input and compare what they compute.

    first, second: the files of one net each: a net.onnx, a net.py, or what `converters.load` takes.
    input_shapes: for inputs with open sizes; an open batch is 2 otherwise.
    bound: how far values may differ, relative to the largest magnitude of each.

    Raises:
        UsageError: the nets do not take the same inputs, or a size is open.
        converters.ConverterError: a net cannot be read.
    """
    with tempfile.TemporaryDirectory(prefix="dsd-zoo-compare-") as folder:
        forms = [
            open_form(paths, input_shapes, Path(folder) / str(k)) for k, paths in enumerate((first, second))
        ]
        random = np.random.default_rng(seed)
        shapes = _common_shapes([form.inputs for form in forms], input_shapes)
        inputs = [random.standard_normal(shape, np.float32) for shape in shapes]
        (values, outputs), (other_values, other_outputs) = (form.run(inputs) for form in forms)
    if len(outputs) != len(other_outputs):
        raise UsageError(f"the first net has {len(outputs)} outputs, the second {len(other_outputs)}")
    by_key = {key: value for value in reversed(other_values) for key in value.keys}
    rows = []
    for value in values:
        partner = next((by_key[key] for key in value.keys if key in by_key), None)
        if partner is not None:
            rows.append(_row(value.name, value.array, partner.array, bound))
    rows += [
        _row(f"output {k}", mine, theirs, bound)
        for k, (mine, theirs) in enumerate(zip(outputs, other_outputs, strict=True))
    ]
    return Comparison(rows, bound)


def _row(name: str, mine: Array, theirs: Array, bound: float) -> Row:
    if mine.shape != theirs.shape:
        return Row(name, mine.shape, theirs.shape, np.inf, np.inf, agrees=False)
    a, b = mine.astype(np.float64), theirs.astype(np.float64)
    with np.errstate(invalid="ignore"):
        gap = np.where((a == b) | (np.isnan(a) & np.isnan(b)), 0.0, np.abs(a - b))
    difference = float(np.nan_to_num(gap, nan=np.inf).max(initial=0.0))
    scale = float(np.abs(a[np.isfinite(a)]).max(initial=0.0))
    relative = difference / scale if scale else (np.inf if difference else 0.0)
    return Row(name, mine.shape, theirs.shape, difference, relative, agrees=relative <= bound)


def _common_shapes(
    known: Sequence[Mapping[str, Shape] | None], given: Mapping[str, Sequence[int]] | None
) -> list[Shape]:
    """The shapes to make inputs of: as given, else those of the form that knows its own."""
    stated = [shapes for shapes in known if shapes is not None]
    if not stated:
        if not given:
            raise UsageError(
                "a net.py does not say what it takes; give --input-shape NAME=2,3,224,224 for each input"
            )
        return [tuple(shape) for shape in given.values()]
    shapes = {name: tuple((given or {}).get(name, shape)) for name, shape in stated[0].items()}
    for name, shape in shapes.items():
        if any(size < 1 for size in shape):
            sizes = ",".join(str(size) if size > 0 else "?" for size in shape)
            raise UsageError(f"input {name} has open sizes ({sizes}); give --input-shape {name}={sizes}")
    for other in stated[1:]:
        if len(other) != len(shapes):
            raise UsageError(f"the first net takes {len(shapes)} inputs, the second {len(other)}")
    return list(shapes.values())
