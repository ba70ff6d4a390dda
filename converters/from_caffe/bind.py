"""Definition + weights -> the parameters of each layer, checked for name, count and shape."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from converters.errors import FormatError, MismatchError, UnsupportedError
from converters.from_caffe import schema
from converters.from_caffe.bound_layer import BoundLayer, Parameter
from converters.from_caffe.fillers import DEFAULT_FILLER, fill, fill_randomly, generator
from converters.from_caffe.implied_channels import why_not_stored
from converters.graph_bounds import filled
from converters.sizes import shape_text
from converters.training_settings import NO_MULTIPLIERS, Multipliers

if TYPE_CHECKING:
    from converters.from_caffe.weights import Blob, StoredLayer, Weights

_PERMISSIVE = 1
# An inspection has an error for every layer: for so many, names that may be meant are looked for.
MOST_SUGGESTIONS = 20


@dataclass
class Binder:
    """Finds the parameters of layers: by layer name, shared ones by parameter name, missing ones by filler.

    init: the seed of initial weights for what no file holds; None: only constant fillers are used.
    layers: those that compute the outputs; declared: all of the net, which decide what a name stands for.
    used: the names under which parameters were looked for. requested: by layer name, what layers asked for.
    zeroed_layers: the layers that the weights file lacks and that Caffe fills with zeros, in net order.
    initialised_layers: those that got initial weights, in net order.
    parameter_count: the number of values in all parameters, shared ones counted once.
    notes: what a person should know, by what it is about.
    """

    weights: Weights | None
    layers: Sequence[schema.Message]
    declared: Sequence[schema.Message]
    init: int | None = None
    used: set[str] = field(default_factory=set)
    requested: dict[str, Sequence[Parameter]] = field(default_factory=dict)
    zeroed_layers: dict[str, None] = field(default_factory=dict)
    initialised_layers: dict[str, None] = field(default_factory=dict)
    parameter_count: int = 0
    notes: dict[str, str] = field(default_factory=dict)
    # by parameter name: the layers that have it, each with its index among the layer's parameters; the first
    # of them owns it
    _shared: dict[str, list[tuple[schema.Message, int]]] = field(default_factory=dict)
    # by parameter name: what the owner asked for
    _owned: dict[str, Parameter] = field(default_factory=dict)
    # by layer name: the first layer of this name
    _first: dict[str, schema.Message] = field(default_factory=dict)
    # by owning layer and parameter
    _initial_values: dict[tuple[str, str], np.ndarray] = field(default_factory=dict)
    _counted: set[tuple[str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        # by parameter name: what `_shared_blob` and `_is_permissive` found
        self._shared_blobs: dict[tuple[str, int], tuple[str, Blob] | None] = {}
        self._permissive: dict[str, bool] = {}
        # by parameter name and multiplier: the values that are stated, with their numbers
        self._stated: dict[tuple[str, str], dict[float, int]] = {}
        # at the first use: whether the net has every layer of the weights file
        self._has_all_stored: bool | None = None
        # how many parameters were not found
        self._missing = 0
        self._computed = {id(layer) for layer in self.layers}
        for layer in self.declared:
            self._first.setdefault(layer.name, layer)
            for index, spec in enumerate(layer.param):
                if spec.name:
                    self._shared.setdefault(spec.name, []).append((layer, index))

    def parameters(self, layer: BoundLayer, wanted: Sequence[Parameter]) -> list[np.ndarray]:
        """See BoundLayer.parameters."""
        self._check_namesake(layer)
        stored = self._stored(layer.message, [parameter.shape for parameter in wanted])
        self.requested[layer.name] = wanted
        if stored is not None and len(stored.blobs) != len(wanted):
            raise MismatchError(
                f"layer {layer.name!r} ({layer.type}): the definition needs {len(wanted)} parameter blob(s) "
                f"({', '.join(p.name for p in wanted)}), {self._file} holds {len(stored.blobs)}: "
                "do the two files belong together?"
            )
        for index, parameter in enumerate(wanted):
            layer.multipliers[parameter.name] = self._multipliers(layer, index)
        return [self._parameter(layer, index, parameter, stored) for index, parameter in enumerate(wanted)]

    def _multipliers(self, layer: BoundLayer, index: int) -> Multipliers:
        """lr_mult and decay_mult of a parameter; those that share it must agree (Net::AppendParam)."""
        trained_by = layer.message if layer.training is None else layer.training
        if not len(trained_by.param) and not self._shared:
            return NO_MULTIPLIERS
        specs = [trained_by.param[index]] if index < len(trained_by.param) else []
        name = specs[0].name if specs else ""
        found = []
        for key in ("lr_mult", "decay_mult"):
            own = {getattr(spec, key) for spec in specs if spec.HasField(key)}
            stated = sorted(own.union(self._stated_by_others(layer.message, name, key)))
            layer.check(all(map(math.isfinite, stated)), f"its {key} is no finite number")
            layer.check(
                len(stated) < 2,
                f"the layers that share its parameter {name!r} state different {key}: {stated[:2]}",
            )
            # The shortest decimal of the float32 that a definition stores: 0.1, not 0.10000000149.
            found.append(float(str(np.float32(stated[0]))) if stated else 1.0)
        return Multipliers(*found)

    def _stated_by_others(self, layer: schema.Message, name: str, key: str) -> list[float]:
        """What other layers that share the parameter `name` state for it: two values at most.

        Those that are not finite come first, then the smallest: more make the same error. Each layer is
        looked at once, however many share the parameter.
        """
        if not name or name not in self._shared:
            return []
        if (name, key) not in self._stated:
            specs = [other.param[place] for other, place in self._shared[name]]
            counts = Counter(getattr(spec, key) for spec in specs if spec.HasField(key))
            ordered = sorted(counts, key=lambda value: (math.isfinite(value), value))
            self._stated[name, key] = {value: counts[value] for value in ordered}
        own = Counter(getattr(spec, key) for spec in layer.param if spec.name == name and spec.HasField(key))
        by_others = (value for value, count in self._stated[name, key].items() if count > own[value])
        return list(itertools.islice(by_others, 2))

    @property
    def has_constant_fillers(self) -> bool:
        """Whether the definition gives every parameter that was asked for a filler of one value."""
        fillers = [parameter.filler for wanted in self.requested.values() for parameter in wanted]
        return all(
            filler is not None and filler is not DEFAULT_FILLER and filler.type == "constant"
            for filler in fillers
        )

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
        """MismatchError where the blobs of this name belong to an earlier layer, which has no parameters."""
        first = self._first[layer.name]
        if first is layer.message or layer.name in self.requested or id(first) not in self._computed:
            return
        if self.weights is not None and self.weights.stored(layer.name, None) is not None:
            raise MismatchError(
                f"{self._file} holds parameters for {layer.name!r}, and the first layer of that name "
                f"({first.type}) has none: give layer {layer.name!r} ({layer.type}) another name"
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
            return self._filled(layer, wanted, shared_as)
        same_count = blob.values.size == math.prod(wanted.shape)
        if not blob.fits(wanted.shape) and not (same_count and self._is_permissive(shared_as)):
            held_by = "" if owner == layer.name else f" (shared with layer {owner!r})"
            raise MismatchError(
                f"layer {layer.name!r} ({layer.type}): the definition makes {wanted.name} "
                f"{shape_text(wanted.shape)}, {self._file} holds {shape_text(blob.stated_shape)}{held_by}: "
                "do the two files belong together?"
            )
        return blob.values.astype(np.float32, copy=False).reshape(wanted.shape)

    def _shared_blob(self, name: str, layer: str, own: Blob | None) -> tuple[str, Blob | None]:
        """(layer name, blob) of a shared parameter: of its layers, the last in the file decides for all."""
        # Deep Compression decodes its layers one by one: what is found holds for this number of them.
        key = name, len(self.weights.layers()) if self.weights is not None else 0
        if key not in self._shared_blobs:
            best, found = -1, None
            for other, index in self._shared[name]:
                stored = self._stored(other, None)
                blob = stored.blobs[index] if stored is not None and index < len(stored.blobs) else None
                if stored is not None and blob is not None and stored.position >= best:
                    best, found = stored.position, (other.name, blob)
            self._shared_blobs[key] = found
        return self._shared_blobs[key] or (layer, own)

    def _is_permissive(self, name: str) -> bool:
        """Whether one of the layers that share this parameter allows any shape of as many values."""
        if name not in self._permissive:
            self._permissive[name] = any(
                sharer.param[place].share_mode == _PERMISSIVE for sharer, place in self._shared.get(name, ())
            )
        return self._permissive[name]

    def _count(self, owner: str, index: int, shape: tuple[int, ...]) -> None:
        if (owner, index) not in self._counted:
            self._counted.add((owner, index))
            self.parameter_count += math.prod(shape)

    def _filled(self, layer: BoundLayer, wanted: Parameter, shared_as: str) -> np.ndarray:
        """The values of a parameter that no file holds; of a shared one, those that its owner asks for."""
        owned = self._owned.get(shared_as) if shared_as else wanted
        values = self._by_filler(layer, owned) if owned is not None else None
        if values is None and owned is not None and self.init is not None:
            values = self._initial(layer, owned, shared_as)
        if values is not None:
            layer.check(
                values.size == math.prod(wanted.shape), f"cannot share a {shape_text(values.shape)} blob"
            )
            return values.reshape(wanted.shape)
        raise MismatchError(
            f"layer {layer.name!r} ({layer.type}) needs its {wanted.name} "
            f"({shape_text(wanted.shape)}) and {self._why_missing(layer.name)}"
        )

    def _by_filler(self, layer: BoundLayer, parameter: Parameter) -> np.ndarray | None:
        """The values that the filler makes; None where it is random or there is none.

        Where the definition gives no filler, Caffe fills a layer that is not in the file with zeros. This is
        done only if the net has every layer of the file: otherwise a layer may have been renamed.
        """
        if parameter.filler is not DEFAULT_FILLER:
            return fill(parameter.filler, parameter.shape) if parameter.filler is not None else None
        if self._has_all_stored is None:
            stored = self.weights.layers() if self.weights is not None else ()
            self._has_all_stored = bool(stored) and all(other.name in self._first for other in stored)
        if not self._has_all_stored:
            return None
        self.zeroed_layers[layer.name] = None
        return filled(parameter.shape, 0)

    def _initial(self, layer: BoundLayer, parameter: Parameter, shared_as: str) -> np.ndarray | None:
        """Initial values by the filler, constant 0 by default as in Caffe; None where none are known."""
        assert self.init is not None
        self.initialised_layers[layer.name] = None
        owner = self._shared[shared_as][0][0].name if shared_as else layer.name
        key = owner, parameter.name
        if key not in self._initial_values:  # layers that share a parameter get one array
            filler = parameter.filler
            if filler is None and parameter.initial is None:
                return None
            try:
                if filler is None or filler is DEFAULT_FILLER:
                    self._initial_values[key] = filled(parameter.shape, parameter.initial or 0)
                else:
                    rng = generator(self.init, *key)
                    self._initial_values[key] = fill_randomly(filler, parameter.shape, rng)
            except (FormatError, UnsupportedError) as error:
                where = f"layer {layer.name!r} ({layer.type}), its {parameter.name}"
                raise type(error)(f"{where}: {error}") from None
        return self._initial_values[key]

    def _why_missing(self, name: str) -> str:
        if self.weights is None:
            if self.init is not None:
                return "what it is initialised with is not known; give a weights file"
            return "no weights file was given; add the .caffemodel to the command, or --init SEED"
        self._missing += 1
        if self.weights.stored(name, None) is not None:
            return f"of several layers of this name, the first gets what {self._file} holds: rename them"
        return why_not_stored(self.weights, name, suggest=self._missing <= MOST_SUGGESTIONS)

    @property
    def _file(self) -> str:
        assert self.weights is not None
        return self.weights.path.name
