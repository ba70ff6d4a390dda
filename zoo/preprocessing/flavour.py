"""What every flavour shares: two stages, the second being centre crop and normalisation.

Stage 1 turns an image file into pixels at the flavour's size: `decode`, then `scale`. Flavours differ in this
stage, and `dsd-zoo pack` stores its result. Stage 2, `finish`, cuts the centre window and normalises; it is
arithmetic on arrays, which `zoo.preprocessing.tensors` does for a whole batch.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from zoo.errors import DataError, UsageError
from zoo.preprocessing.decode import EncodedImage
from zoo.preprocessing.normalisation import Normalisation, normalise_planes

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    Float32 = NDArray[np.float32]
    Pixels = NDArray[Any]
else:
    # numpy is loaded by the functions that compute, so that manifests can be checked without it.
    Float32 = Pixels = Any

# 64 times as long as wide at size 256. Larger: a line of pixels would become gigabytes.
MOST_SCALED_PIXELS = 1 << 22


class Flavour(ABC):
    """A way from an image file to a net's input, with exactly the pixels of the tool it is named after.

    A subclass is one family, with all that the zoo knows of it. Images are resized to `size`; `family` and
    `size` together are the name, as in "caffe-warp256".
    """

    family: ClassVar[str]
    channels: ClassVar[Literal["BGR", "RGB"]]
    decoded_channels: ClassVar[Literal["BGR", "RGB"]] = "BGR"
    """Of the pixels that `decode` gives."""
    max_value: ClassVar[int]
    """The value of a white pixel after stage 1: 255 or 1."""
    normalisation_max_value: ClassVar[int]
    """The value of a white pixel where the mean is subtracted: 255 or 1."""
    # What the settings of a net may ask of the flavour; anything else is an error.
    takes_std: ClassVar[bool] = False
    takes_scale: ClassVar[bool] = False
    takes_mean_image: ClassVar[bool] = False
    takes_pixels: ClassVar[bool] = False
    """Whether the tool also read images that are stored as pixels, as in an LMDB."""
    has_size: ClassVar[bool] = True
    """Whether images are resized, so that the name ends with the size."""
    is_square: ClassVar[bool] = True
    """Whether stage 1 makes every image size x size."""
    geometry: ClassVar[str] = ""
    """The resize in words that fit other tools, too: `shorter side {size}`. The pixels depend on the kernel,
    too, so two flavours may have the same words. Empty: only the name tells."""
    position: ClassVar[int] = 1000
    """The place in lists of flavours, which begin with the lowest number."""

    def __init__(self, size: int) -> None:
        self.size = size

    @property
    def name(self) -> str:
        """The full name, as in manifests and results."""
        return f"{self.family}{self.size}" if self.has_size else self.family

    def in_words(self, crop: int) -> str:
        """Resize and crop, without the kernel: `shorter side 256, crop 224`."""
        return f"{self.geometry.format(size=self.size) or self.name}, crop {crop}"

    def steps(self) -> dict[str, Any] | None:
        """Stage 1 as `resize`, `to`, `size` and `square` of `converters.ImagePreparation`.

        From them code is written that prepares images without the zoo. None, the default: they cannot tell.
        """
        return None

    def decode(self, image: EncodedImage) -> Pixels:
        """The pixels of an image file as the tool decodes it: (height, width, 3).

        Raises:
            DataError: the tool could not have read this image.
        """
        return image.bgr

    @abstractmethod
    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size (height, width) that `scale` resizes an image of this size to.

        Raises:
            DataError: that would be enormous.
        """

    @abstractmethod
    def scale(self, pixels: Pixels) -> Pixels:
        """Decoded pixels after stage 1: (height, width, 3) in the flavour's channel order.

        Raises:
            DataError: as in `resized`.
        """

    def scale_tensor(self, pixels: Pixels, device: torch.device) -> Tensor:
        """`scale` on a device, with the same bits: decoded pixels on the host to a tensor on `device`.

        Raises:
            DataError: as in `resized`.
            UsageError: the flavour has no tensor form, which is the default.
        """
        raise UsageError(f"{self.name} has no tensor form; prepare the images on the host")

    def scale_window(self, pixels: Pixels, crop: int) -> Pixels:
        """The part of `scale` that stage 2 needs: all of it, or only its centre window where that is faster.

        Raises:
            DataError: as in `scale` and `window`.
        """
        return self.scale(pixels)

    def resize(self, data: bytes) -> Pixels:
        """Stage 1: decode and scale. DataError as in both."""
        return self.scale(self.decode(EncodedImage(data)))

    @abstractmethod
    def offset(self, length: int, crop: int) -> int:
        """Where the centre window of `crop` pixels starts along an axis of `length` pixels."""

    def window(self, height: int, width: int, crop: int) -> tuple[slice, slice]:
        """Rows and columns of the centre window. DataError if the resized image is smaller."""
        if min(height, width) < crop:
            raise DataError(f"{self.name} made it {height}x{width}: smaller than the {crop}x{crop} window")
        top, left = self.offset(height, crop), self.offset(width, crop)
        return slice(top, top + crop), slice(left, left + crop)

    def finish(self, resized: Pixels, normalisation: Normalisation, result: Float32 | None = None) -> Float32:
        """Stage 2: centre crop and normalisation, float32 at every step; (channels, crop, crop).

        resized: the result of `scale`, or its centre window; (height, width, channels), or with more axes in
            front several images of one size, which the result has too.
        result: is filled and returned, if given.

        Raises:
            DataError: the resized image is smaller than the window, or does not fit the mean image.
        """
        import numpy as np

        height, width, channels = resized.shape[-3:]
        rows, columns = self.window(height, width, normalisation.crop)
        window = resized[..., rows, columns, :]
        if result is None:
            result = np.empty((*window.shape[:-3], channels, *window.shape[-3:-1]), np.float32)
        mean = None
        if normalisation.mean is not None:
            mean = self.mean_at_window(normalisation, resized.shape[-3:])
        normalise_planes(window, result, normalisation, mean)
        return result

    def same_convention(self, other: Flavour) -> bool:
        """Whether mean, std and scale for `other` are right for this flavour too: same channels and range."""
        return (self.channels, self.normalisation_max_value) == (
            other.channels,
            other.normalisation_max_value,
        )

    def check_scaled(self, height: int, width: int) -> tuple[int, int]:
        """The size unchanged. DataError if it is enormous."""
        if height * width > MOST_SCALED_PIXELS:
            raise DataError(f"{self.name} would make it {height}x{width}: too long and narrow")
        return height, width

    def mean_at_window(self, normalisation: Normalisation, resized: tuple[int, ...]) -> Float32:
        """The mean for the window of a resized image of that shape (height, width, channels).

        Raises:
            DataError: the mean has other channels, or is an image of another size.
        """
        height, width, channels = resized
        mean, crop = normalisation.mean, normalisation.crop
        assert mean is not None
        if mean.shape[0] in (1, channels) and mean.shape[1:] in ((1, 1), (crop, crop)):
            return mean
        if mean.shape != (channels, height, width):
            raise DataError(
                f"{self.name} made it {channels} x {height} x {width} (channels, height, width), "
                f"the mean is {' x '.join(map(str, mean.shape))}"
            )
        rows, columns = self.window(height, width, crop)
        return mean[:, rows, columns]
