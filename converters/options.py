"""The options of a conversion, as one value for all readers."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Integral

from converters.errors import UsageError


def _no_shape() -> None:
    return None


@dataclass(frozen=True)
class Options:
    """Options of `converters.load`.

    outputs: blob names to expose instead of the net's own outputs.
    input_shapes: shapes by input name: numbers, or names for sizes left open ("N").
    stages, level: the NetState in which a Caffe definition is read.
    static_batch: fixes the batch to this size; None keeps it symbolic where the net allows it.
    ignore_fields: names of unknown prototxt fields to ignore.
    fold: fold per-channel scaling into the layers before it.
    select: the path of the network in a Torch7 file that holds several.
    init: the seed of initial weights for the parameters of a Caffe definition that no file holds.
    proposal: the project whose numbers the Python proposal layers of a Caffe definition have.
    image_shape: (channels, height, width), used only for a net with one input that must know its size and
        does not state it; find_image_shape is called only then.
    """

    outputs: tuple[str, ...] | None = None
    input_shapes: Mapping[str, tuple[int | str, ...]] = field(default_factory=dict)
    stages: tuple[str, ...] = ()
    level: int = 0
    static_batch: int | None = None
    ignore_fields: tuple[str, ...] = ()
    fold: bool = False
    select: str | None = None
    proposal: str | None = None
    init: int | None = None
    find_image_shape: Callable[[], tuple[int | str, ...] | None] = _no_shape

    @property
    def image_shape(self) -> tuple[int | str, ...] | None:
        """See above."""
        return self.find_image_shape()

    def with_image_shape_for(self, name: str) -> Options:
        """These options, with `image_shape` as the shape of the input `name`, for any batch."""
        assert self.image_shape is not None
        return replace(self, input_shapes={name: ("N", *self.image_shape)})

    @classmethod
    def of(
        cls,
        *,
        outputs: Sequence[str] | None = None,
        input_shapes: Mapping[str, Sequence[int | str]] | None = None,
        stages: Sequence[str] = (),
        level: int = 0,
        static_batch: int | None = None,
        ignore_fields: Sequence[str] = (),
        fold: bool = False,
        select: str | None = None,
        proposal: str | None = None,
        init: int | None = None,
        image_shape: Sequence[int | str] | Callable[[], Sequence[int | str] | None] | None = None,
    ) -> Options:
        """Options after a check; UsageError names the one with an invalid value."""
        for name, value in (("outputs", outputs), ("stages", stages), ("ignore_fields", ignore_fields)):
            if isinstance(value, str):
                raise UsageError(f"{name} must be a list of names, not the single string {value!r}")
        if static_batch is not None and static_batch < 1:
            raise UsageError(f"static_batch must be 1 or more, not {static_batch}")
        if init is not None and init < 0:
            raise UsageError(f"init (--init) is a seed from 0 on, not {init}")
        find = image_shape if callable(image_shape) else lambda: image_shape
        checked = functools.cache(lambda: _image_shape(find()))
        if not callable(image_shape):
            checked()
        shapes = {name: _shape(name, shape) for name, shape in (input_shapes or {}).items()}
        return cls(
            outputs=tuple(outputs) if outputs is not None else None,
            input_shapes=shapes,
            stages=tuple(stages),
            level=level,
            static_batch=static_batch,
            ignore_fields=tuple(ignore_fields),
            fold=fold,
            select=select,
            proposal=proposal,
            init=init,
            find_image_shape=checked,
        )


def _image_shape(shape: Sequence[int | str] | None) -> tuple[int | str, ...] | None:
    return None if shape is None else _shape("image", shape)


def _shape(name: str, shape: Sequence[object]) -> tuple[int | str, ...]:
    return tuple(_size(name, size) for size in shape)


def _size(name: str, size: object) -> int | str:
    if isinstance(size, str) and size.isidentifier():
        return size
    if isinstance(size, Integral) and int(size) >= 1:  # NumPy's integers count too
        return int(size)
    raise UsageError(
        f"the shape given for input {name!r} has the size {size!r}: expected a number from 1 on, or a name "
        "such as N for a size that stays open"
    )
