"""pil-bicubic-short: today's habit, torchvision's Resize(S, BICUBIC), CenterCrop and ToTensor over Pillow."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np

from zoo.preprocessing.decode import EncodedImage
from zoo.preprocessing.flavour import Flavour, Pixels


class PilBicubicShort(Flavour):
    """Pillow's antialiased bicubic to a shorter side of `size`; RGB bytes, divided by 255 before the mean.

    Pillow resizes with 22-bit integer coefficients and rounds to bytes after either pass.
    """

    family: ClassVar[str] = "pil-bicubic-short"
    channels: ClassVar[Literal["BGR", "RGB"]] = "RGB"
    max_value: ClassVar[int] = 255
    normalisation_max_value: ClassVar[int] = 1
    takes_std: ClassVar[bool] = True
    is_square: ClassVar[bool] = False

    def decode(self, picture: EncodedImage) -> Pixels:
        """Pixels as Pillow reads them: RGB."""
        return picture.pillow_rgb

    def scale(self, pixels: Pixels) -> Pixels:
        """Stage 1 of a decoded image: (height, width, 3) uint8, RGB, the shorter side `size` pixels."""
        from PIL import Image

        height, width = self.resized(pixels.shape[0], pixels.shape[1])
        image = Image.fromarray(pixels)
        return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width): torchvision truncates the longer side."""
        long = int(self.size * max(height, width) / min(height, width))
        return self.check_scaled(*((self.size, long) if height <= width else (long, self.size)))

    def offset(self, length: int, crop: int) -> int:
        """CenterCrop: half the surplus, rounded to even as Python rounds."""
        return round((length - crop) / 2)
