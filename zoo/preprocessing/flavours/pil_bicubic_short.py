"""pil-bicubic-short: torchvision's Resize(S, BICUBIC), CenterCrop and ToTensor on Pillow images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from zoo.preprocessing.decode import EncodedImage
from zoo.preprocessing.flavour import Flavour, Pixels
from zoo.preprocessing.registry import register_flavour
from zoo.preprocessing.tensors import Int32, on_device

if TYPE_CHECKING:
    import torch
    from torch import Tensor

# Pillow's PRECISION_BITS for bytes.
COEFFICIENT_BITS = 22
# Pillow's BICUBIC: Catmull-Rom, two pixels of the coarser grid to either side.
CUBIC_A, CUBIC_SUPPORT = -0.5, 2.0


@register_flavour
class PilBicubicShort(Flavour):
    """Pillow's antialiased bicubic to a shorter side of `size`; RGB bytes, divided by 255 before the mean.

    Pillow resizes with 22-bit integer coefficients and rounds to bytes after each pass.
    """

    family: ClassVar[str] = "pil-bicubic-short"
    geometry: ClassVar[str] = "shorter side {size}"
    channels: ClassVar[Literal["BGR", "RGB"]] = "RGB"
    decoded_channels: ClassVar[Literal["BGR", "RGB"]] = "RGB"
    max_value: ClassVar[int] = 255
    normalisation_max_value: ClassVar[int] = 1
    takes_std: ClassVar[bool] = True
    is_square: ClassVar[bool] = False
    position: ClassVar[int] = 50

    def steps(self) -> dict[str, Any]:
        """Pillow's resize of the shorter side."""
        return {"resize": "pillow-bicubic", "to": "shorter side", "size": self.size}

    def decode(self, image: EncodedImage) -> Pixels:
        """Pixels as Pillow reads them: RGB."""
        return image.pillow_rgb

    def scale(self, pixels: Pixels) -> Pixels:
        """Stage 1 of a decoded image: (height, width, 3) uint8, RGB, the shorter side `size` pixels."""
        import numpy as np
        from PIL import Image

        height, width = self.resized(pixels.shape[0], pixels.shape[1])
        image = Image.fromarray(pixels)
        return np.asarray(image.resize((width, height), Image.Resampling.BICUBIC))

    def scale_tensor(self, pixels: Pixels, device: torch.device) -> Tensor:
        """`scale` on a device: (height, width, 3) uint8."""
        height, width = self.resized(pixels.shape[0], pixels.shape[1])
        return bicubic_tensor(on_device(pixels, device), height, width)

    def resized(self, height: int, width: int) -> tuple[int, int]:
        """(height, width): torchvision truncates the longer side."""
        long = int(self.size * max(height, width) / min(height, width))
        return self.check_scaled(*((self.size, long) if height <= width else (long, self.size)))

    def offset(self, length: int, crop: int) -> int:
        """CenterCrop: half the surplus, rounded to even as Python rounds."""
        return round((length - crop) / 2)


def bicubic_tensor(pixels: Tensor, height: int, width: int) -> Tensor:
    """Pillow's BICUBIC of bytes (H, W, channels) uint8, in integers: (height, width, channels) uint8.

    Columns first, rounded to bytes, then rows; a pass that would change nothing is left out.
    """
    if width != pixels.shape[1]:
        pixels = _bicubic_axis(pixels.transpose(0, 1), width).transpose(0, 1)
    return _bicubic_axis(pixels, height) if height != pixels.shape[0] else pixels


def _bicubic_axis(pixels: Tensor, size: int) -> Tensor:
    """One pass along the first axis."""
    import torch

    length = pixels.shape[0]
    start, weights = _bicubic_taps(length, size)
    first, factors = on_device(start, pixels.device), on_device(weights, pixels.device)
    source = pixels.to(torch.int32)
    total = torch.full(
        (size, *pixels.shape[1:]), 1 << (COEFFICIENT_BITS - 1), dtype=torch.int32, device=pixels.device
    )
    for tap in range(weights.shape[1]):
        # Taps beyond the image have weight 0.
        total += factors[:, tap, None, None] * source[(first + tap).clamp(max=length - 1)]
    return (total >> COEFFICIENT_BITS).clamp(0, 255).to(torch.uint8)


def _bicubic_taps(length: int, size: int) -> tuple[Int32, Int32]:
    """First tap and weights (size, taps) of every target pixel, as Pillow's precompute_coeffs rounds them."""
    import numpy as np

    ratio = length / size
    wide = max(ratio, 1.0)
    support = CUBIC_SUPPORT * wide
    centre = (np.arange(size) + 0.5) * ratio
    start = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    end = np.minimum((centre + support + 0.5).astype(np.int64), length)
    taps = int((end - start).max())
    weights = np.zeros((size, taps))
    total = np.zeros(size)
    for tap in range(taps):
        x = np.abs((tap + start - centre + 0.5) * (1.0 / wide))
        inner = ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1
        outer = (((x - 5) * x + 8) * x - 4) * CUBIC_A
        weights[:, tap] = np.where(start + tap < end, np.where(x < 1, inner, np.where(x < 2, outer, 0)), 0)
        # Summed tap by tap, as Pillow does: the last bits depend on the order.
        total += weights[:, tap]
    scaled = weights / total[:, None] * (1 << COEFFICIENT_BITS)
    return start.astype(np.int32), (scaled + np.copysign(0.5, scaled)).astype(np.int32)
