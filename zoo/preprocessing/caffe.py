"""The Caffe flavours: decoded by OpenCV, BGR, 0..255, cropped and normalised by Caffe's DataTransformer.

caffe-warp256   convert_imageset --resize_height=256 --resize_width=256, the habit of Caffe's recipes
caffe-short256  tools/extra/resize_and_crop_images.py: the shorter side to 256, then the centre square
caffe-stored    no resizing: what lies in the LMDB or in the listed files is cropped as it is
"""

from __future__ import annotations

from typing import ClassVar, Literal

from zoo.preprocessing.flavour import Flavour, Pixels


class CaffeImages(Flavour):
    """What the Caffe flavours share. Normalisation is (pixel - mean) * scale in float32."""

    channels: ClassVar[Literal["BGR", "RGB"]] = "BGR"
    max_value: ClassVar[int] = 255
    normalisation_max_value: ClassVar[int] = 255
    takes_scale: ClassVar[bool] = True
    takes_mean_image: ClassVar[bool] = True
    takes_pixels: ClassVar[bool] = True

    def offset(self, length: int, crop: int) -> int:
        """DataTransformer at TEST: (length - crop) / 2 in integers."""
        return (length - crop) // 2


class CaffeWarp(CaffeImages):
    """Warped to size x size; the aspect is not kept.

    The resize is cv2's INTER_LINEAR on uint8: two taps, no antialiasing, 11-bit integer coefficients.
    OpenCV 3.4 to 5.0 give the same bytes.
    """

    family: ClassVar[str] = "caffe-warp"

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The same for all images."""
        return self.size, self.size

    def scale(self, pixels: Pixels) -> Pixels:
        """Stage 1 of a decoded image: (size, size, channels) uint8, BGR."""
        return linear(pixels, self.size, self.size)


class CaffeShort(CaffeImages):
    """INTER_LINEAR to a shorter side of `size` with the aspect kept, then the centre size x size.

    The longer side is size * long / short in integers, the square starts at half the surplus in integers,
    as the script divides under Python 2. Its pixels are taken as they are, not through the JPEG it saves.
    """

    family: ClassVar[str] = "caffe-short"

    def scale(self, pixels: Pixels) -> Pixels:
        """Stage 1 of a decoded image: (size, size, channels) uint8, BGR."""
        height, width = self.resized(pixels.shape[0], pixels.shape[1])
        top, left = (height - self.size) // 2, (width - self.size) // 2
        return linear(pixels, height, width)[top : top + self.size, left : left + self.size]

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) before the square is cut."""
        if height > width:
            return self.check_scaled(self.size * height // width, self.size)
        return self.check_scaled(self.size, self.size * width // height)


class CaffeStored(CaffeImages):
    """Pixels, of any number of channels, as they are; image files in colour.

    Encoded images are read as with `force_encoded_color`; where Caffe runs without that option all of them
    have three channels anyway.
    """

    family: ClassVar[str] = "caffe-stored"
    has_size: ClassVar[bool] = False
    is_square: ClassVar[bool] = False

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """As it is."""
        return height, width

    def scale(self, pixels: Pixels) -> Pixels:
        """The pixels themselves."""
        return pixels


def linear(pixels: Pixels, height: int, width: int) -> Pixels:
    """cv2's INTER_LINEAR to that size."""
    import cv2

    # OpenCV drops the axis of a single channel.
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR).reshape(height, width, -1)
