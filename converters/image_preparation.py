"""How an image becomes the input of a net, in the terms of the tools that do it.

It travels in the metadata of a net as `dsd-zoo.preparation`; `converters.to_pytorch` writes it as
`preprocess(image)` into net.py.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from math import isfinite
from typing import Any, Literal

from converters.errors import FormatError

Resize = Literal["opencv-linear", "pillow-bicubic", "torch7-bicubic"]
# The value of a white pixel after the resize; Torch7 loads images as numbers from 0 to 1.
WHITE: dict[Resize | None, int] = {
    None: 255,
    "opencv-linear": 255,
    "pillow-bicubic": 255,
    "torch7-bicubic": 1,
}
# Larger than the input of any net for images.
LARGEST_SIZE = 4096


@dataclass(frozen=True, slots=True)
class ImagePreparation:
    """From the decoded pixels of one image, uint8 with three channels, to float32 (1, 3, crop, crop).

    resize: whose resize it is; None: images keep their size.
        opencv-linear: cv2.resize with INTER_LINEAR on bytes.
        pillow-bicubic: Pillow's Image.resize with BICUBIC on bytes.
        torch7-bicubic: Torch7's image.scale on numbers from 0 to 1, whose grid is aligned at the corners.
    to: "square": warped to size x size. "shorter side": the shorter side becomes `size`, the other follows.
    size: in pixels; None if `resize` is None.
    square: the centre square is cut before the crop; rounds the place of the window.
    crop: side of the centre window.
    channels: their order in the net's input.
    white: the value of a white pixel where the mean is subtracted, 255 or 1.
    mean, std: one number, or one per channel in the order of `channels`; scale: (x - mean) * scale / std.
    """

    crop: int
    channels: Literal["BGR", "RGB"]
    resize: Resize | None = None
    to: Literal["square", "shorter side"] | None = None
    size: int | None = None
    square: bool = False
    white: Literal[1, 255] = 255
    mean: Sequence[float] | None = None
    std: Sequence[float] | None = None
    scale: float = 1.0

    def __post_init__(self) -> None:
        if problem := self._problem():
            raise FormatError(f"preparation of images: {problem}")

    @property
    def pixel_white(self) -> int:
        """The value of a white pixel after the resize."""
        return WHITE[self.resize]

    @classmethod
    def of(cls, metadata: Mapping[str, Any]) -> ImagePreparation:
        """From the metadata of a net. FormatError for what this version does not know."""
        known = {field.name for field in fields(cls)}
        if (
            not isinstance(metadata, Mapping)
            or set(metadata) - known
            or not {"crop", "channels"} <= set(metadata)
        ):
            raise FormatError(
                f"preparation of images: expected crop, channels and some of {', '.join(sorted(known))}, "
                f"came {metadata!r:.200}"
            )
        return cls(**metadata)

    @classmethod
    def in_metadata(cls, metadata: Mapping[str, str]) -> ImagePreparation | None:
        """That in the metadata of a model; None if there is none. FormatError if it is damaged."""
        text = metadata.get("dsd-zoo.preparation")
        if not text:
            return None
        try:
            return cls.of(json.loads(text))
        except ValueError as error:
            raise FormatError(f"the metadata dsd-zoo.preparation is not JSON: {error}") from error

    def to_dict(self) -> dict[str, Any]:
        """As it travels in the metadata."""
        return asdict(self)

    def _problem(self) -> str | None:
        """What is wrong with the values, which may come from any file."""
        given: dict[str, Any] = asdict(self)
        choices: dict[str, tuple[object, ...]] = {
            "resize": tuple(WHITE),
            "to": (None, "square", "shorter side"),
            "channels": ("BGR", "RGB"),
            "white": (1, 255),
            "square": (False, True),
        }
        for name, allowed in choices.items():
            # 1 and True are equal, but only one of them is a number.
            if not any(given[name] == one and type(given[name]) is type(one) for one in allowed):
                return f"{name} is {given[name]!r:.80}; expected one of {', '.join(map(str, allowed))}"
        if (self.resize is None) != (self.size is None) or (self.resize is None) != (self.to is None):
            return "resize, to and size belong together"
        for name, size in (("crop", self.crop), ("size", self.crop if self.size is None else self.size)):
            if type(size) is not int or not 0 < size <= LARGEST_SIZE:
                return f"{name} is {size!r}; expected pixels, 1 to {LARGEST_SIZE}"
        for name, values in (("mean", self.mean), ("std", self.std), ("scale", [self.scale])):
            if values is not None and not _are_numbers(values):
                return f"{name} is {values!r:.80}; expected one number or three"
        return None


def _are_numbers(values: object) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) in (1, 3)
        and all(type(value) in (int, float) and isfinite(value) for value in values)
    )
