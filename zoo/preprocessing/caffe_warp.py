"""caffe-warp: how `convert_imageset --resize_height=S --resize_width=S` and Caffe's TEST phase see images."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from zoo.preprocessing.decode import decode_bgr
from zoo.preprocessing.flavour import Flavour


class CaffeWarp(Flavour):
    """Decode as OpenCV, warp to size x size (the aspect is not kept), crop as Caffe's DataTransformer.

    The resize is cv2's INTER_LINEAR on uint8: two taps, no antialiasing, 11-bit integer coefficients.
    OpenCV 3.4 to 5.0 give the same bytes. Normalisation is (pixel - mean) * scale in float32, BGR.
    """

    family: ClassVar[str] = "caffe-warp"
    channels: ClassVar[Literal["BGR", "RGB"]] = "BGR"
    takes_scale: ClassVar[bool] = True
    takes_mean_image: ClassVar[bool] = True

    def resize(self, data: bytes) -> NDArray[np.uint8]:
        """Stage 1: (size, size, 3) uint8, BGR."""
        import cv2

        warped: NDArray[Any] = cv2.resize(
            decode_bgr(data), (self.size, self.size), interpolation=cv2.INTER_LINEAR
        )
        return warped

    def offset(self, length: int, crop: int) -> int:
        """DataTransformer at TEST: (length - crop) / 2 in integers."""
        return (length - crop) // 2
