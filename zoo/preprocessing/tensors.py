"""Stage 2 as tensor operations for a whole batch, with the same numbers on any device as on the host.

Stage 1 on a device is `Flavour.scale_tensor`. The flavours that work in integers (Caffe's and Pillow's) give
the same bytes there by construction: integer sums do not depend on their order. The others repeat the host's
floating-point operations one by one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.preprocessing.normalisation import Normalisation

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

    Int32 = NDArray[np.int32]
else:
    Int32 = Any


def normalise(windows: Tensor, normalisation: Normalisation) -> Tensor:
    """(images, crop, crop, channels) of any dtype to the net's input (images, channels, crop, crop) float32.

    The steps are those of `Flavour.finish`; a mean image must have the size of the window.
    """
    import torch

    if normalisation.swap_channels:
        windows = windows.flip(3)
    batch = windows.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    if normalisation.multiplier != 1:
        batch *= float(normalisation.multiplier)
    if normalisation.divisor != 1:
        batch /= torch.tensor(normalisation.divisor, device=batch.device)
    if normalisation.mean is not None:
        batch -= on_device(normalisation.mean, batch.device)
    if normalisation.scale != 1:
        batch *= float(normalisation.scale)
    if normalisation.std is not None:
        batch /= on_device(normalisation.std, batch.device)
    return batch


def on_device(array: NDArray[np.generic], device: torch.device) -> Tensor:
    """The array as a tensor on the device; copied first where it is read-only or not contiguous."""
    import numpy as np
    import torch

    return torch.from_numpy(np.require(array, requirements=["C", "W"])).to(device)
