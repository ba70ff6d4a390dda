"""Definition + weights -> layers with their parameters, checked for name, count and shape."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from converters.errors import FormatError, MismatchError, UnsupportedError
from converters.from_caffe import schema
from converters.from_caffe.fillers import UNSPELLED, fill
from converters.from_caffe.netstate import TRAIN
from converters.graph import Dim, Symbol, filled, shape_text, static

if TYPE_CHECKING:
    from converters.from_caffe.weights import Blob, StoredLayer, Weights

_PERMISSIVE = 1
# More values than one parameter blob of any net has (16 GiB as float32).
MAX_ELEMENTS = 2**32


@dataclass(frozen=True)
class Parameter:
    """A parameter blob a layer needs: `filler` says what it holds when the weights file has none."""

    name: str
    shape: tuple[int, ...]
    filler: schema.Message | None = None


@dataclass
class BoundLayer:
    """A layer of the net with access to its parameters.

    `param` is the layer's own parameter message (convolution_param for a Convolution), set by the table of
    layer types; `message` the whole LayerParameter.
    """

    message: schema.Message
    binder: Binder
    param: schema.Message = None

    @property
    def name(self) -> str:
        """The layer's name."""
        return str(self.message.name)

    @property
    def type(self) -> str:
        """The layer's type, such as "Convolution"."""
        return str(self.message.type)

    @property
    def top_count(self) -> int:
        """How many tops the definition gives it."""
        return len(self.message.top)

    @property
    def trains(self) -> bool:
        """Whether its own phase is TRAIN, which it then keeps in a net of phase TEST."""
        return bool(self.message.HasField("phase") and self.message.phase == TRAIN)

    def parameters(self, *wanted: Parameter) -> list[np.ndarray]:
        """The arrays of these parameters, in order, float32, each of exactly the wanted shape."""
        for parameter in wanted:
            count = math.prod(parameter.shape)
            self.check(
                all(size > 0 for size in parameter.shape) and count <= MAX_ELEMENTS,
                f"its {parameter.name} would have the shape {shape_text(parameter.shape)}",
            )
        return self.binder.parameters(self, wanted)

    def unsupported(self, why: str) -> UnsupportedError:
        """An error that names the layer: understood, but not expressible."""
        return UnsupportedError(f"layer {self.name!r} ({self.type}): {why}")

    def refused(self, why: str) -> FormatError:
        """An error that names the layer: Caffe itself refuses this."""
        return FormatError(f"layer {self.name!r} ({self.type}): {why}")

    def check(self, holds: bool, why: str) -> None:
        """Raise what Caffe refuses unless `holds`."""
        if not holds:
            raise self.refused(why)

    def check_count(self, made: Dim, have: Dim) -> None:
        """Raise unless a rearrangement keeps the number of elements."""
        self.check(made == have, f"the new shape holds {made} elements, the old one {have}")

    def quotient(self, have: Dim, rest: Dim) -> Dim:
        """The size that makes `rest` times it equal `have`."""
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

    def total(self, sizes: Iterable[Dim]) -> Dim:
        """The sum of sizes; a symbol of its own for what is more than the multiple of one symbol."""
        listed = list(sizes)
        symbols = [size for size in listed if isinstance(size, Symbol)]
        numbers = [size for size in listed if isinstance(size, int)]
        if not symbols:
            return sum(numbers)
        if not any(numbers) and len({s.name for s in symbols}) == 1:
            return replace(symbols[0], factor=sum(s.factor for s in symbols))
        return Symbol(f"{self.name}_total")

    def windows(self, size: Symbol, axis: int | str) -> Symbol:
        """How many windows fit along a symbolic size; a batch may be too small for any."""
        if size.batch:
            self.static(size, "the size along which its windows move")
        return Symbol(f"{self.name}_{axis}")

    def stored_inputs(self) -> int | None:
        """The number of inputs of an InnerProduct as its stored weight tells it, where one is stored."""
        stored = self.binder.weights.stored(self.name, None) if self.binder.weights is not None else None
        if stored is None or not stored.blobs or len(stored.shapes[0]) < 2:
            return None
        rows, columns = stored.shapes[0][-2:]
        return rows if self.param.transpose else columns

    def axis(self, value: int, rank: int) -> int:
        """A possibly negative axis as an index (Blob::CanonicalAxisIndex)."""
        self.check(-rank <= value < rank, f"axis {value} does not exist in a blob of {rank} axes")
        return value % rank

    def static(self, size: Dim, what: str) -> int:
        """A size as a number; StaticSizeRequired naming this layer where it is symbolic."""
        return static(size, f"layer {self.name!r} ({self.type}): {what}")


@dataclass
class Binder:
    """Hands out parameters: by layer name, shared ones by parameter name, missing ones by constant filler.

    layers: those that compute; declared: all of the net, among which names and shares are settled.
    """

    weights: Weights | None
    layers: Sequence[schema.Message]
    declared: Sequence[schema.Message]
    used: set[str] = field(default_factory=set)
    asked: dict[str, Sequence[Parameter]] = field(default_factory=dict)
    # layers that the weights file lacks and that Caffe fills with zeros, in net order
    zeroed: dict[str, None] = field(default_factory=dict)
    parameter_count: int = 0
    # by parameter name: the layers that have it, the first of which owns it, and the place among its own
    _shared: dict[str, list[tuple[schema.Message, int]]] = field(default_factory=dict)
    _owned: dict[str, Parameter] = field(default_factory=dict)
    _first: dict[str, schema.Message] = field(default_factory=dict)
    _counted: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        for layer in self.declared:
            self._first.setdefault(layer.name, layer)
            for index, spec in enumerate(layer.param):
                if spec.name:
                    self._shared.setdefault(spec.name, []).append((layer, index))

    def parameters(self, layer: BoundLayer, wanted: Sequence[Parameter]) -> list[np.ndarray]:
        """See BoundLayer.parameters."""
        self._check_namesake(layer)
        stored = self._stored(layer.message, [parameter.shape for parameter in wanted])
        self.asked[layer.name] = wanted
        if stored is not None and len(stored.blobs) != len(wanted):
            raise MismatchError(
                f"layer {layer.name!r} ({layer.type}): the definition needs {len(wanted)} parameter blob(s) "
                f"({', '.join(p.name for p in wanted)}), {self._file} holds {len(stored.blobs)}: "
                "do the two files belong together?"
            )
        return [self._parameter(layer, index, parameter, stored) for index, parameter in enumerate(wanted)]

    def unused(self) -> list[str]:
        """Names of stored layers that no layer of the net asked for."""
        if self.weights is None:
            return []
        return [stored.name for stored in self.weights.layers() if stored.name not in self.used]

    def _stored(self, layer: schema.Message, shapes: Sequence[tuple[int, ...]] | None) -> StoredLayer | None:
        if self.weights is None:
            return None
        self.used.add(layer.name)
        # Of several layers with one name, Caffe fills the first.
        return self.weights.stored(layer.name, shapes) if self._first[layer.name] is layer else None

    def _check_namesake(self, layer: BoundLayer) -> None:
        """Raise where what is stored under a layer's name goes to an earlier one that has no parameters."""
        first = self._first[layer.name]
        if (
            first is layer.message
            or layer.name in self.asked
            or all(first is not other for other in self.layers)
        ):
            return
        if self.weights is not None and self.weights.stored(layer.name, None) is not None:
            raise MismatchError(
                f"{self._file} holds parameters for {layer.name!r}, and the first layer of that name "
                f"({first.type}) has none: give layer {layer.name!r} ({layer.type}) a name of its own"
            )

    def _parameter(
        self, layer: BoundLayer, index: int, wanted: Parameter, stored: StoredLayer | None
    ) -> np.ndarray:
        specs = layer.message.param
        shared_as = specs[index].name if index < len(specs) else ""
        owner, blob = layer.name, stored.blobs[index] if stored is not None else None
        if shared_as:
            owner, blob = self._shared_blob(shared_as, layer.name, blob)
            owning, place = self._shared[shared_as][0]
            if owning is layer.message and place == index:
                self._owned[shared_as] = wanted
        self._count(shared_as or owner, index if not shared_as else 0, wanted.shape)
        if blob is None and stored is not None and not shared_as:
            raise MismatchError(
                f"layer {layer.name!r} ({layer.type}) needs its {wanted.name} ({shape_text(wanted.shape)}); "
                f"{self._file} holds only others of its parameters: do the two files belong together?"
            )
        if blob is None:
            return self._filled(layer, wanted, self._owned.get(shared_as) if shared_as else wanted)
        permissive = any(
            sharer.param[place].share_mode == _PERMISSIVE for sharer, place in self._shared.get(shared_as, ())
        )
        if not blob.fits(wanted.shape) and not (permissive and blob.values.size == math.prod(wanted.shape)):
            held_by = "" if owner == layer.name else f" (shared with layer {owner!r})"
            raise MismatchError(
                f"layer {layer.name!r} ({layer.type}): the definition makes {wanted.name} "
                f"{shape_text(wanted.shape)}, {self._file} holds {shape_text(blob.stated_shape)}{held_by}: "
                "do the two files belong together?"
            )
        return blob.values.astype(np.float32, copy=False).reshape(wanted.shape)

    def _shared_blob(self, name: str, layer: str, own: Blob | None) -> tuple[str, Blob | None]:
        """Parameters of one name share memory: the layer stored last in the file decides for all."""
        best, owner, blob = -1, layer, own
        for other, index in self._shared[name]:
            stored = self._stored(other, None)
            if (
                stored is not None
                and stored.position >= best
                and stored.blobs[index : index + 1] not in ([], [None])
            ):
                best, owner, blob = stored.position, other.name, stored.blobs[index]
        return owner, blob

    def _count(self, owner: str, index: int, shape: tuple[int, ...]) -> None:
        if (owner, index) not in self._counted:
            self._counted.add((owner, index))
            self.parameter_count += math.prod(shape)

    def _filled(self, layer: BoundLayer, wanted: Parameter, owned: Parameter | None) -> np.ndarray:
        """What the filler makes: of a shared parameter, that of the layer that owns it (`owned`)."""
        values = self._made_up(layer, owned) if owned is not None else None
        if values is not None:
            layer.check(
                values.size == math.prod(wanted.shape), f"cannot share a {shape_text(values.shape)} blob"
            )
            return values.reshape(wanted.shape)
        raise MismatchError(
            f"layer {layer.name!r} ({layer.type}) needs its {wanted.name} "
            f"({shape_text(wanted.shape)}) and {self._why_missing(layer.name)}"
        )

    def _made_up(self, layer: BoundLayer, parameter: Parameter) -> np.ndarray | None:
        """What a filler that is not random makes, or None.

        Where none is spelled out, Caffe makes zeros of a missing layer. That is followed only if everything
        in the weights file has its place in the net: a renamed layer leaves something over, and is an error.
        """
        if parameter.filler is not UNSPELLED:
            return fill(parameter.filler, parameter.shape) if parameter.filler is not None else None
        stored = self.weights.layers() if self.weights is not None else ()
        if not stored or any(other.name not in self._first for other in stored):
            return None
        self.zeroed[layer.name] = None
        return filled(parameter.shape, 0)

    def _why_missing(self, name: str) -> str:
        import difflib

        if self.weights is None:
            return "no weights file was given; add the .caffemodel to the command"
        names = [stored.name for stored in self.weights.layers()]
        if name in names:
            return f"what {self._file} holds under this name goes to the first of several layers: rename them"
        close = difflib.get_close_matches(name, names, n=1)
        return f"{self._file} holds no layer of this name" + (
            f"; the closest stored name is {close[0]!r}: do the two files belong together?"
            if close
            else f"; it holds {len(names)} layers with parameters, such as {', '.join(map(repr, names[:3]))}"
        )

    @property
    def _file(self) -> str:
        assert self.weights is not None
        return self.weights.path.name
