"""Compares two forms of one net on the same input, value by value.

The order is that in which the first form computes the values, so the first divergence points at the layer
that causes it. Values are matched by name: in ONNX by the name of the node (the layer) or of the value. In a
generated net.py each layer with parameters is a submodule of that name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

import numpy as np

import converters
from zoo.errors import UsageError
from zoo.verification.difference import BOUND, difference, difference_of_boxes, is_list_of_boxes
from zoo.verification.independent import open_independently
from zoo.verification.intermediates import SYMBOLIC, Shape, Value, load_net, open_net

if TYPE_CHECKING:
    import onnx_ir as ir

# For nets with a symbolic batch.
BATCH = 2


@dataclass(frozen=True, slots=True)
class ValueComparison:
    """One value in both forms."""

    name: str
    shape: Shape
    other_shape: Shape
    difference: float
    """`Difference.absolute`; the first form is the reference. Boxes may be listed in any order."""
    relative: float
    """`Difference.relative`."""
    agrees: bool
    is_output: bool
    """Whether it is an output of both forms."""


@dataclass(frozen=True, slots=True)
class NetComparison:
    """All values that both forms have, in the first form's order."""

    rows: list[ValueComparison]
    bound: float
    only_first: list[str]
    """Outputs of the first form that the second does not have."""
    without_preparation: list[str] = field(default_factory=list)
    """Which forms, "A" and "B", prepare their images in their first nodes, which were left out."""

    @property
    def agrees(self) -> bool:
        """Whether all common outputs agree; without a common output, whether all common values do."""
        return all(row.agrees for row in [row for row in self.rows if row.is_output] or self.rows)

    @property
    def first_divergence(self) -> ValueComparison | None:
        """The first value that differs. An inner value may differ if layers were folded into others."""
        return next((row for row in self.rows if not row.agrees), None)


def compare_nets(
    first: Sequence[Path],
    second: Sequence[Path],
    *,
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    usual_shape: Sequence[int] | None = None,
    seed: int = 0,
    bound: float = BOUND,
    verify: bool = False,
    independent: str | None = None,
    python: Path | None = None,
) -> NetComparison:
    """Run both on the same standard normal input and compare their values.

    First nodes that prepare images (`convert --embed-preprocessing`) are left out where the other form does
    not have the same, and where they take whole images: the nets behind them are compared.

    first, second: the files of one net each: a net.onnx, a net.py, or what `converters.load` takes.
    input_shapes: by name, for inputs with symbolic sizes; a symbolic batch is 2 by default.
    usual_shape: (channels, height, width) of the input, where the net leaves them symbolic.
    verify: hash the files in which an .onnx keeps its weights; see `converters.load`.
    independent: what runs the first form, a name of `zoo.verification.independent.INDEPENDENT`; None: what
        its files are made for. python: the Python that has it, for OpenCV and Caffe; None: this one.
    bound: the largest relative difference of values that agree; see `zoo.verification.difference`.

    Raises:
        UsageError: the nets do not take the same inputs, or a size is unknown; or `independent` is not there
            or cannot judge the net.
        converters.ConverterError: a net cannot be read.
    """
    models = [_read(paths, input_shapes, verify) for paths in (first, second)]
    embedded = [None if model is None else converters.embedded_preprocessing_of(model) for model in models]
    left_out = _left_out(embedded, [first, second])
    for k in left_out:
        model = models[k]
        models[k] = None if model is None else converters.without_embedded_preprocessing(model)
    with converters.temporary_folder(Path(gettempdir())) as folder:
        places = folder / "0", folder / "1"
        forms = [
            open_net(first, input_shapes, places[0], verify=verify, model=models[0])
            if independent is None
            else open_independently(
                independent, first, input_shapes, places[0], python, verify=verify, model=models[0]
            ),
            open_net(second, input_shapes, places[1], verify=verify, model=models[1]),
        ]
        random = np.random.default_rng(seed)
        shapes = _common_shapes([form.inputs for form in forms], input_shapes, usual_shape or ())
        inputs = [random.standard_normal(shape, np.float32) for shape in shapes]
        values, others = (form.run(inputs) for form in forms)
    pairs = _matched(values, others)
    if not pairs:
        raise UsageError("the two nets have no layer, value or output in common; are they the same net?")
    paired = {id(value) for value, _ in pairs}
    return NetComparison(
        rows=[_row(value, other, bound) for value, other in pairs],
        bound=bound,
        only_first=[value.name for value in values if value.is_output and id(value) not in paired],
        without_preparation=["AB"[k] for k in left_out],
    )


def _read(paths: Sequence[Path], shapes: Mapping[str, Sequence[int]] | None, verify: bool) -> ir.Model | None:
    """The graph of a net; None for a net.py, which is run."""
    return None if [path.suffix for path in paths] == [".py"] else load_net(paths, shapes, verify=verify)


def _left_out(embedded: Sequence[Mapping[str, object] | None], nets: Sequence[Sequence[Path]]) -> list[int]:
    """Which of the two nets are compared without their first nodes, those that prepare images.

    So it is if one of them takes whole images, or only one of them pixels. A net.py does not say what it
    takes; beside a net.onnx that takes pixels it takes them too.
    """
    is_program = any(path.suffix == ".py" for net in nets for path in net)
    whole = any(one is not None and "layout" in one for one in embedded)
    if not whole and (is_program or embedded[0] == embedded[1]):
        return []
    return [k for k, one in enumerate(embedded) if one is not None]


def _matched(values: Sequence[Value], others: Sequence[Value]) -> list[tuple[Value, Value]]:
    """The values to compare, each at most once: matched by layer, else by name, else by output index."""
    partners: dict[int, Value] = {}
    free = list(others)
    for kind in ("layer", "value", "output"):
        by_key = {key: other for other in reversed(free) for key in other.keys if key[0] == kind}
        for value in values:
            key = next((key for key in value.keys if key[0] == kind), None)
            if id(value) not in partners and key in by_key:
                partners[id(value)] = by_key.pop(key)
        taken = {id(other) for other in partners.values()}
        free = [other for other in free if id(other) not in taken]
    return [(value, partners[id(value)]) for value in values if id(value) in partners]


def _row(value: Value, other: Value, bound: float) -> ValueComparison:
    found = difference(value.array, other.array)
    if not found.within(bound) and is_list_of_boxes(value.array):
        found = difference_of_boxes(value.array, other.array)
    return ValueComparison(
        name=value.name,
        shape=value.array.shape,
        other_shape=other.array.shape,
        difference=found.absolute,
        relative=found.relative,
        agrees=found.within(bound),
        is_output=value.is_output and other.is_output,
    )


def _common_shapes(
    forms: Sequence[Mapping[str, Shape] | None],
    given: Mapping[str, Sequence[int]] | None,
    usual: Sequence[int],
) -> list[Shape]:
    """The shapes of the inputs: the given one, else every size that one of the forms fixes."""
    known = [shapes for shapes in forms if shapes is not None]
    if not known:
        if not given:
            raise UsageError(
                "a net.py does not say what it takes; give --input-shape NAME=2,3,224,224 for each input"
            )
        return [tuple(shape) for shape in given.values()]
    if len({len(shapes) for shapes in known}) > 1:
        raise UsageError(f"the first net takes {len(known[0])} inputs, the second {len(known[1])}")
    if unknown := sorted(set(given or ()) - set(known[0])):
        raise UsageError(f"--input-shape names {', '.join(unknown)}; inputs: {', '.join(known[0])}")
    return [
        tuple(given[name]) if given and name in given else _merged(name, sizes, usual)
        for name, *sizes in zip(known[0], *(shapes.values() for shapes in known), strict=True)
    ]


def _merged(name: str, shapes: Sequence[Shape], usual: Sequence[int]) -> Shape:
    if len({len(shape) for shape in shapes}) > 1:
        raise UsageError(
            f"input {name} has {len(shapes[0])} axes in the first net, {len(shapes[1])} in the second"
        )
    merged = []
    defaults = [BATCH, *usual] if len(shapes[0]) == len(usual) + 1 else [BATCH] + [SYMBOLIC] * len(shapes[0])
    for default, *sizes in zip(defaults, *shapes, strict=False):
        fixed = {size for size in sizes if size != SYMBOLIC}
        if len(fixed) > 1:
            raise UsageError(f"input {name} has size {sizes[0]} in the first net, {sizes[1]} in the second")
        if not fixed and default == SYMBOLIC:
            raise UsageError(f"input {name} has an open size; give --input-shape {name}=SIZE,SIZE,...")
        merged.append(fixed.pop() if fixed else default)
    return tuple(merged)
