"""What a layer function gets of its layer: the definition, the parameters, and errors that name the layer."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from converters.errors import FormatError, UnsupportedError
from converters.from_caffe import schema
from converters.from_caffe.netstate import TRAIN
from converters.graph_bounds import check_computed
from converters.sizes import Dim, Symbol, shape_text, static
from converters.training_settings import Multipliers

if TYPE_CHECKING:
    from converters.from_caffe.weights import Weights

# Above this, a parameter blob is an error: it would take more than 16 GiB as float32.
MAX_ELEMENTS = 2**32


@dataclass(frozen=True)
class Parameter:
    """A parameter blob that a layer needs. `filler` makes its values where the weights file has none.

    Without a filler, a parameter that is not in the weights file is an error, unless the net is initialised
    (`converters.load`, init): then it has the value `initial`, where that is known.
    """

    name: str
    shape: tuple[int, ...]
    filler: schema.Message | None = None
    initial: float | None = None


class ParameterSource(Protocol):
    """Where the arrays of parameters come from: a `Binder`."""

    weights: Weights | None
    notes: dict[str, str]

    def parameters(self, layer: BoundLayer, wanted: Sequence[Parameter]) -> list[np.ndarray]:
        """See `BoundLayer.parameters`."""
        ...


@dataclass
class BoundLayer:
    """A layer of the net with access to its parameters, as layer functions get it.

    message: the whole LayerParameter. param: the parameter message of its type (convolution_param for a
    Convolution), or None for a type without one. training: the LayerParameter by which its parameters are
    trained, None: `message` (see `netstate.training_layers`). multipliers: what the definition states of the
    parameters that were asked for, by name.
    """

    message: schema.Message
    binder: ParameterSource
    param: schema.Message = None
    training: schema.Message = None
    multipliers: dict[str, Multipliers] = field(default_factory=dict)

    @functools.cached_property
    def name(self) -> str:
        """The layer's name."""
        return str(self.message.name)

    @functools.cached_property
    def type(self) -> str:
        """The layer's type, such as "Convolution"."""
        return str(self.message.type)

    @property
    def top_count(self) -> int:
        """The number of its tops in the definition."""
        return len(self.message.top)

    @property
    def in_place(self) -> bool:
        """Whether its first top overwrites its first bottom."""
        return list(self.message.top[:1]) == list(self.message.bottom[:1])

    @property
    def trains(self) -> bool:
        """Whether the definition sets the phase of this layer to TRAIN, which also holds in a TEST net."""
        return bool(self.message.HasField("phase") and self.message.phase == TRAIN)

    def parameters(self, *wanted: Parameter) -> list[np.ndarray]:
        """The arrays of these parameters, in order: float32, each of exactly the wanted shape.

        `wanted` are all parameters of the layer, in the order of Caffe's blobs. MismatchError where the
        weights file does not have them, FormatError for a shape that no blob has.
        """
        for parameter in wanted:
            count = math.prod(parameter.shape)
            self.check(
                all(size > 0 for size in parameter.shape) and count <= MAX_ELEMENTS,
                f"its {parameter.name} would have the shape {shape_text(parameter.shape)}",
            )
        return self.binder.parameters(self, wanted)

    def note(self, text: str) -> None:
        """Tell the person who converts the net what to know about this layer."""
        self.binder.notes[f"layer {self.name}"] = f"layer {self.name!r} ({self.type}): {text}"

    def unsupported(self, why: str) -> UnsupportedError:
        """An error that names the layer: Caffe computes it, and this converter does not."""
        return UnsupportedError(f"layer {self.name!r} ({self.type}): {why}")

    def invalid(self, why: str) -> FormatError:
        """An error that names the layer: Caffe itself refuses it."""
        return FormatError(f"layer {self.name!r} ({self.type}): {why}")

    def check(self, holds: bool, why: str) -> None:
        """FormatError unless `holds`: a check that Caffe makes too."""
        if not holds:
            raise self.invalid(why)

    def check_computed(self, *sizes: int) -> None:
        """LimitError where an array of these sizes, computed from sizes alone, would be too large."""
        check_computed(*sizes)

    def check_element_count(self, made: Dim, have: Dim) -> None:
        """FormatError unless a rearrangement keeps the number of elements."""
        self.check(made == have, f"the new shape holds {made} elements, the old one {have}")

    def quotient(self, have: Dim, rest: Dim) -> Dim:
        """The size that gives `have` when multiplied by `rest`; FormatError where there is none."""
        if isinstance(have, Symbol) and isinstance(rest, Symbol):
            self.check(
                have.name == rest.name and have.factor % rest.factor == 0, f"{rest} does not divide {have}"
            )
            return have.factor // rest.factor
        divisor = self.static(rest, "the size of the other axes")
        self.check(divisor > 0, "the other sizes must not be zero")
        if isinstance(have, Symbol):
            return have // divisor
        self.check(have % divisor == 0, f"{divisor} does not divide the {have} elements")
        return have // divisor

    def sum_of_sizes(self, sizes: Iterable[Dim]) -> Dim:
        """The sum of sizes: a number, a multiple of one symbol, or a new symbol for any other sum."""
        listed = list(sizes)
        symbols = [size for size in listed if isinstance(size, Symbol)]
        numbers = [size for size in listed if isinstance(size, int)]
        if not symbols:
            return sum(numbers)
        if not any(numbers) and len({s.name for s in symbols}) == 1:
            return replace(symbols[0], factor=sum(s.factor for s in symbols))
        return Symbol(f"{self.name}_total")

    def window_count(self, size: Symbol, axis: int | str) -> Symbol:
        """The number of windows along a symbolic size, as a new symbol.

        StaticSizeRequired for a batch: it may be too small for a single window.
        """
        if size.batch:
            self.static(size, "the size along which its windows move")
        return Symbol(f"{self.name}_{axis}")

    def axis(self, value: int, rank: int) -> int:
        """An axis, counted from the end where negative, as an index from 0 (Blob::CanonicalAxisIndex)."""
        self.check(-rank <= value < rank, f"axis {value} does not exist in a blob of {rank} axes")
        return value % rank

    def static(self, size: Dim, what: str) -> int:
        """A size as a number. StaticSizeRequired, which names the layer and `what`, where it is symbolic."""
        return static(size, f"layer {self.name!r} ({self.type}): {what}")
