"""caffe-stored: no resizing; the images of an LMDB or of listed files are cropped in the size they have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from zoo.preprocessing.caffe import CaffeImages
from zoo.preprocessing.flavour import Pixels
from zoo.preprocessing.registry import register_flavour
from zoo.preprocessing.tensors import on_device

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@register_flavour
class CaffeStored(CaffeImages):
    """Stored pixels unchanged, with any number of channels; image files in colour.

    Encoded images are read as with `force_encoded_color`; where Caffe runs without that option all of them
    have three channels anyway.
    """

    family: ClassVar[str] = "caffe-stored"
    geometry: ClassVar[str] = "in stored size"
    has_size: ClassVar[bool] = False
    is_square: ClassVar[bool] = False
    position: ClassVar[int] = 30

    def steps(self) -> dict[str, Any]:
        """No resize."""
        return {}

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """The size that the image has."""
        return height, width

    def scale(self, pixels: Pixels) -> Pixels:
        """The pixels themselves."""
        return pixels

    def scale_tensor(self, pixels: Pixels, device: torch.device) -> Tensor:
        """The pixels themselves, on a device."""
        return on_device(pixels, device)
