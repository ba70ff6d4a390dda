"""caffe-warp: convert_imageset --resize_height=256 --resize_width=256, the habit of Caffe's recipes."""

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
class CaffeWarp(CaffeImages):
    """Warped to size x size; the aspect ratio is not kept.

    The resize is cv2's INTER_LINEAR on uint8: two taps, no antialiasing, 11-bit integer coefficients.
    OpenCV 3.4 to 5.0 give the same bytes.
    """

    family: ClassVar[str] = "caffe-warp"
    geometry: ClassVar[str] = "warped to {size}x{size}"
    position: ClassVar[int] = 10

    def steps(self) -> dict[str, Any]:
        """OpenCV's resize to a square."""
        return {"resize": "opencv-linear", "to": "square", "size": self.size}

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The same for all images."""
        return self.size, self.size

    def scale(self, pixels: Pixels) -> Pixels:
        """Stage 1 of a decoded image: (size, size, channels) uint8, BGR."""
        return linear(pixels, self.size, self.size)

    def scale_tensor(self, pixels: Pixels, device: torch.device) -> Tensor:
        """`scale` on a device."""
        return linear_tensor(on_device(pixels, device), self.size, self.size)
