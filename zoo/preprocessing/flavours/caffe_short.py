"""caffe-short: Caffe's tools/extra/resize_and_crop_images.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from zoo.preprocessing.caffe import CaffeImages, linear, linear_tensor
from zoo.preprocessing.flavour import Pixels
from zoo.preprocessing.registry import register_flavour
from zoo.preprocessing.tensors import on_device

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@register_flavour
class CaffeShort(CaffeImages):
    """INTER_LINEAR to a shorter side of `size` with the aspect ratio kept, then the centre size x size.

    The longer side is size * long / short in integers, the square starts at half the surplus in integers,
    as the script divides under Python 2. Its pixels are used directly, not through the JPEG that it saves.
    """

    family: ClassVar[str] = "caffe-short"
    geometry: ClassVar[str] = "shorter side {size}"
    position: ClassVar[int] = 20

    def steps(self) -> dict[str, Any]:
        """OpenCV's resize of the shorter side, and a square from the centre."""
        return {"resize": "opencv-linear", "to": "shorter side", "size": self.size, "square": True}

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width) before the square is cut."""
        if height > width:
            return self.check_scaled(self.size * height // width, self.size)
        return self.check_scaled(self.size, self.size * width // height)

    def scale(self, pixels: Pixels) -> Pixels:
        """Stage 1 of a decoded image: (size, size, channels) uint8, BGR."""
        height, width = self.resized(pixels.shape[0], pixels.shape[1])
        rows, columns = self._square(height, width)
        return linear(pixels, height, width)[rows, columns]

    def scale_tensor(self, pixels: Pixels, device: torch.device) -> Tensor:
        """`scale` on a device."""
        height, width = self.resized(pixels.shape[0], pixels.shape[1])
        rows, columns = self._square(height, width)
        return linear_tensor(on_device(pixels, device), height, width)[rows, columns]

    def _square(self, height: int, width: int) -> tuple[slice, slice]:
        """Rows and columns of the centre square."""
        top, left = (height - self.size) // 2, (width - self.size) // 2
        return slice(top, top + self.size), slice(left, left + self.size)
