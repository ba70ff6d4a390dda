"""Converts the models that a program reads, and holds each against another reader, in OpenCV."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import converters
from zoo.errors import UsageError
from zoo.files import sha256
from zoo.rescue.calls import Call
from zoo.verification.difference import difference
from zoo.verification.independent import OTHER_IMPLEMENTATION_BOUND
from zoo.verification.opencv import OpenCV

if TYPE_CHECKING:
    import onnx_ir as ir

Array = NDArray[Any]

# Heights and widths that are tried where both are open: a net with matrix products takes one only.
SIDES = (224, 64, 32, 28, 96, 128, 227, 256, 299)


@dataclass(frozen=True, slots=True)
class Agreement:
    """How a converted net computes in OpenCV.

    opencv: its version. reference: what it was compared with. difference: the largest relative one of all
        outputs; see `zoo.verification.difference`.
    """

    opencv: str
    reference: str
    difference: float

    @property
    def holds(self) -> bool:
        """Whether the difference is within the bound."""
        return self.difference <= OTHER_IMPLEMENTATION_BOUND


@dataclass(slots=True)
class Model:
    """The model in some files.

    onnx: what was written. inputs, outputs: name and shape, as text.
    problem: why it cannot be converted, or be run in OpenCV.
    """

    sources: tuple[Path, ...]
    onnx: Path | None = None
    inputs: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    agreement: Agreement | None = None
    problem: str | None = None


def locate(call: Call) -> tuple[Path, ...]:
    """The files that a call reads, definition first.

    A relative name is looked up beside the source, then in the current folder.

    Raises:
        UsageError: a file is not there.
    """
    found = []
    for name in filter(None, (call.definition, call.weights)):
        places = [call.path.parent / name, Path(name)]
        place = next((place for place in places if place.is_file()), None)
        if place is None:
            raise UsageError(f"{name}: no such file beside {call.path.name} or in the current folder")
        found.append(_as_seen_from_here(place))
    return tuple(found)


def _as_seen_from_here(path: Path) -> Path:
    """A path below the current folder relative to it; any other as it is."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def convert(
    sources: tuple[Path, ...],
    out: Path,
    wanted: Iterable[str],
    shapes: Mapping[str, Sequence[int | str]] | None,
    ours: OpenCV,
    theirs: OpenCV | None,
) -> Model:
    """Write the net in `sources` to `out`, and run it in OpenCV.

    wanted: names of layers that the program asks for; those that the net has become outputs.
    shapes: of inputs, by name. Heights and widths stay open where the net allows it, as OpenCV's own readers
        took any.
    ours: the OpenCV that reads .onnx. theirs: one that has the old readers, None: ONNX Runtime instead.
    An older file at `out` stays until a net is there that was run.
    """
    try:
        with converters.temporary_folder(out.absolute().parent) as temporary:
            result, written = _attempted(sources, temporary / out.name, wanted, shapes, ours, theirs)
            if written is not None:
                written.replace(out)
                result.onnx = out
            return result
    except OSError as error:
        return Model(sources, problem=f"{error.filename or out}: {error.strerror}")


def _attempted(
    sources: tuple[Path, ...],
    out: Path,
    wanted: Iterable[str],
    shapes: Mapping[str, Sequence[int | str]] | None,
    ours: OpenCV,
    theirs: OpenCV | None,
) -> tuple[Model, Path | None]:
    """What became of the net, and where the last one that ran lies: a file called as `out`, in folders there.

    The arguments are those of `convert`.
    """
    result, written = Model(sources), None
    problem: Exception | None = None
    hashes = [sha256(path) for path in sources]
    load = partial(converters.load, *sources, sha256=hashes, kept=converters.KeptSources())
    for number, chosen in enumerate(_shapes_to_try(load, shapes)):
        attempt = out.parent / str(number) / out.name
        attempt.parent.mkdir()
        try:
            model = load(input_shapes=chosen)
            if chosen is not shapes and chosen is not None and not _keeps_the_batch(model):
                continue
            _add_outputs(model, wanted)
            converters.save(model, attempt)
            result.agreement = _check(model, sources, attempt, ours, theirs)
        except (converters.ConverterError, UsageError) as error:
            problem = problem or error
            continue
        written = attempt
        result.inputs, result.outputs = _described(model.graph.inputs), _described(model.graph.outputs)
        if result.agreement.holds:
            break
    if written is None:
        result.problem = str(problem)
    return result, written


def _shapes_to_try(
    load: Callable[[], ir.Model], shapes: Mapping[str, Sequence[int | str]] | None
) -> list[Mapping[str, Sequence[int | str]] | None]:
    """First with open heights and widths, then as the net states them. load: loads the net."""
    if shapes:
        return [shapes]
    try:
        stated = load().graph.inputs
    except converters.ConverterError:
        return [None]
    opened: dict[str, Sequence[int | str]] = {
        str(value.name): ["N", _size(value, 1), "H", "W"]
        for value in stated
        if value.shape is not None and len(value.shape) == 4 and isinstance(value.shape[2], int)
    }
    return [opened, None] if opened else [None]


def _keeps_the_batch(model: ir.Model) -> bool:
    """Whether the first size of every output is the batch size of the inputs."""
    batches = {str(_size(value, 0)) for value in model.graph.inputs}
    return all(value.shape and str(_size(value, 0)) in batches for value in model.graph.outputs)


def _size(value: ir.Value, axis: int) -> int | str:
    assert value.shape is not None
    size = value.shape[axis]
    return size if isinstance(size, int) else str(size)


def _add_outputs(model: ir.Model, wanted: Iterable[str]) -> None:
    """Makes the results of those layers outputs under their names, as OpenCV's `forward` calls them.

    To Caffe, the name of a blob means its content after the layers that work in place on it, such as a ReLU;
    to OpenCV, the name of a layer means what this layer itself computes.
    """
    graph = model.graph
    values = {str(value.name): value for node in graph for value in node.outputs}
    shown = {str(value.name) for value in graph.outputs}
    nodes = {str(node.name): node for node in graph}
    for name in wanted:
        if name in shown or (name not in nodes and name not in values):
            continue  # an output already, or the name of something else or of another net of the program
        result = nodes[name].outputs[0] if name in nodes else values[name]
        other = values.get(name)
        if other is not None and other is not result:
            other.name, result.name = result.name, name
        result.name = name
        graph.outputs.append(result)


def _described(values: Iterable[ir.Value]) -> dict[str, str]:
    """Name and shape of each value, as text."""
    return {str(value.name): "x".join(map(str, value.shape)) if value.shape else "?" for value in values}


def _check(
    model: ir.Model, sources: tuple[Path, ...], out: Path, ours: OpenCV, theirs: OpenCV | None
) -> Agreement:
    """The outputs of OpenCV on the written net, held against the old reader or ONNX Runtime."""
    import onnxruntime

    names = [str(value.name) for value in model.graph.outputs]
    inputs, values = _first_run(model, out, names)
    expected, reference = dict(zip(names, values, strict=True)), f"ONNX Runtime {onnxruntime.__version__}"
    if theirs is not None:
        expected, reference = theirs.run(sources, inputs, names), f"OpenCV {theirs.version}'s own reader"
    found = ours.run((out,), inputs, names)
    return Agreement(ours.version, reference, max(_difference(expected[name], found[name]) for name in names))


def _difference(expected: Array, found: Array) -> float:
    """The relative difference; OpenCV's readers differ in axes of size 1 at the ends of a shape."""
    if expected.size == found.size and [s for s in expected.shape if s > 1] == [
        s for s in found.shape if s > 1
    ]:
        expected = expected.reshape(found.shape)
    return difference(expected, found).relative


def _first_run(model: ir.Model, out: Path, names: Sequence[str]) -> tuple[dict[str, Array], list[Array]]:
    """(standard normal inputs that the net takes, its outputs on them in ONNX Runtime).

    Raises:
        UsageError: it takes none of the sizes that are tried.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # a size that does not fit is no fault
    session = onnxruntime.InferenceSession(out, options, providers=["CPUExecutionProvider"])
    problem: Exception | None = None
    for side in SIDES:
        inputs = _random_inputs(model, side)
        try:
            values = session.run(list(names), inputs)
        except Exception as error:  # the exception classes of its compiled module have no common base
            problem = error
            continue
        if all(value.shape[:1] in ((), (1,)) for value in values) or side == SIDES[-1]:
            return inputs, values
    raise UsageError(f"{out.name}: it takes no image of {SIDES[0]} or less; give --input-shape: {problem}")


def _random_inputs(model: ir.Model, side: int) -> dict[str, Array]:
    random = np.random.default_rng(0)
    found: dict[str, Array] = {}
    for value in model.graph.inputs:
        opened = [1, *([side] * 8)]
        sizes = [
            size if isinstance(size, int) else opened[axis] for axis, size in enumerate(value.shape or ())
        ]
        found[str(value.name)] = random.standard_normal(sizes, np.float32)
    return found


def output_names(calls: Iterable[tuple[tuple[Path, ...], Path]]) -> dict[tuple[Path, ...], Path]:
    """Where the net of each set of files is written; no two of them to the same place.

    calls: the files of each net and the folder for its .onnx.
    """
    found: dict[tuple[Path, ...], Path] = {}
    for sources, folder in calls:
        if sources in found:
            continue
        name = sources[-1].name
        stem = name.rpartition(".")[0] or name
        names = itertools.chain([stem, name.replace(".", "-")], (f"{stem}-{k}" for k in itertools.count(2)))
        taken = {place.resolve() for place in found.values()}
        places = (folder / f"{name}.onnx" for name in names)
        found[sources] = next(place for place in places if place.resolve() not in taken)
    return found
