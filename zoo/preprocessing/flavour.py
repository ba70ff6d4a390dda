"""What every flavour shares: two stages, the second being centre crop and normalisation.

Stage 1, `resize`, turns the bytes of an image file into pixels at the flavour's size; it is what differs
between flavours and what is worth storing. Stage 2, `finish`, cuts the centre window and normalises;
it is plain arithmetic on arrays and can be done anywhere, also for many images at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError

Float32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Normalisation:
    """Stage 2 in numbers, all float32 and in the flavour's channel order.

    `mean` and `std` are (3, 1, 1), or `mean` is (3, crop, crop) where a mean image is subtracted.
    """

    crop: int
    mean: Float32 | None = None
    std: Float32 | None = None
    scale: np.float32 = np.float32(1)  # noqa: RUF009 - an immutable scalar


class Flavour(ABC):
    """A named way from an image file to a net's input, exact to the tool it is named after.

    `size` is what the image is resized to; `family` and `size` make the name, as in "caffe-warp256".
    """

    family: ClassVar[str]
    channels: ClassVar[Literal["BGR", "RGB"]]
    # What a net may ask of the flavour; anything else in its settings is an error, not ignored.
    takes_std: ClassVar[bool] = False
    takes_scale: ClassVar[bool] = False
    takes_mean_image: ClassVar[bool] = False

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def name(self) -> str:
        """The full name, as it stands in manifests and results."""
        return f"{self.family}{self.size}"

    @abstractmethod
    def resize(self, data: bytes) -> NDArray[Any]:
        """Stage 1: decode and resize; (height, width, 3) in the flavour's channel order.

        Raises:
            DataError: the bytes are no image that the original tool would have read.
        """

    @abstractmethod
    def offset(self, length: int, crop: int) -> int:
        """Where the centre window of `crop` pixels starts along an axis of `length` pixels."""

    def finish(self, resized: NDArray[Any], numbers: Normalisation) -> Float32:
        """Stage 2: centre crop, (pixel - mean) * scale / std in float32; (3, crop, crop).

        Raises:
            DataError: the resized image is smaller than the window.
        """
        crop = numbers.crop
        height, width = resized.shape[:2]
        if min(height, width) < crop:
            raise DataError(f"{self.name} made it {height}x{width}: smaller than the {crop}x{crop} window")
        top, left = self.offset(height, crop), self.offset(width, crop)
        window = resized[top : top + crop, left : left + crop].transpose(2, 0, 1)
        result = np.empty(window.shape, np.float32)
        result[...] = window
        if numbers.mean is not None:
            result -= numbers.mean
        if numbers.scale != 1:
            result *= numbers.scale
        if numbers.std is not None:
            result /= numbers.std
        return result
