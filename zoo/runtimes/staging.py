"""From decoded images to batches of a net's input, on the host or on the net's device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from zoo.errors import DataError
from zoo.preprocessing import EncodedImage, Normalisation, Preprocessor, tensors
from zoo.preprocessing.flavour import Float32, Pixels

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.preprocessing.decode import DecodedImage


class Staging(Protocol):
    """`prepare` runs in the decoding threads; `stage` in one thread, while the net computes another batch."""

    def prepare(self, content: EncodedImage | DecodedImage) -> Pixels:
        """The host's part of the work on one image. DataError where the image cannot be used."""
        ...

    def stage(self, images: Sequence[Pixels], count: int) -> Float32 | Tensor | list[Pixels]:
        """A batch of `count` images for the net; those beyond `images` only fill the batch.

        Raises:
            DataError: the images differ in shape or dtype.
        """
        ...


class HostStaging:
    """Does everything on the host, for nets that run there."""

    def __init__(self, prepare: Preprocessor) -> None:
        self.prepare = prepare

    def stage(self, images: Sequence[Pixels], count: int) -> Float32:
        """(count, channels, crop, crop) float32."""
        batch = np.zeros((count, *images[0].shape), np.float32)
        _fill(batch, images)
        return batch


class WholeImages:
    """Decoded images as they are, for nets that prepare them: each has a size of its own."""

    def __init__(self, prepare: Preprocessor, order: str) -> None:
        self._prepare, self._order = prepare, order

    def prepare(self, content: EncodedImage | DecodedImage) -> Pixels:
        """(height, width, 3) uint8, in the order of channels of the net."""
        return self._prepare.whole_image(content, self._order)

    def stage(self, images: Sequence[Pixels], count: int) -> list[Pixels]:
        """The images; none fills the batch, as the net is run for each alone."""
        return list(images)


class DeviceStaging:
    """Copies bytes to the device, which normalises them.

    The bytes are the centre windows of resized images, a quarter of the size of the net's input. With
    `resize` they are decoded images, which the device resizes too. Copies use a separate stream and pinned
    memory.
    """

    def __init__(self, prepare: Preprocessor, device: str, resize: bool = False) -> None:
        import torch

        self._prepare, self._resize = prepare, resize
        self._normalisation = _with_window_of_mean(prepare)
        self._device = torch.device(device)
        # torch.cuda; or torch.cpu, whose streams do nothing.
        self._backend: Any = torch.get_device_module(self._device)
        self._stream = self._backend.Stream()

    def prepare(self, content: EncodedImage | DecodedImage) -> Pixels:
        """The window of a resized image, or with `resize` a decoded image: (height, width, channels)."""
        flavour, normalisation = self._prepare.flavour, self._prepare.normalisation
        if self._resize:
            pixels = self._prepare.decode(content)
            height, width = flavour.resized(pixels.shape[0], pixels.shape[1])
        else:
            pixels = self._prepare.resize_window(content)
            height, width = pixels.shape[:2]
        rows, columns = flavour.window(height, width, normalisation.crop)
        if normalisation.mean is not None and not flavour.has_size:
            flavour.mean_at_window(normalisation, pixels.shape)
        return pixels if self._resize else pixels[rows, columns]

    def stage(self, images: Sequence[Pixels], count: int) -> Tensor:
        """(count, channels, crop, crop) float32 on the device, which must be the current one."""
        with self._backend.stream(self._stream):
            windows = self._resized(images, count) if self._resize else self._copied(images, count)
            batch = tensors.normalise(windows, self._normalisation)
        done = self._backend.Event()
        done.record(self._stream)
        done.synchronize()
        return batch

    def _copied(self, images: Sequence[Pixels], count: int) -> Tensor:
        import torch

        kind = torch.from_numpy(np.empty(0, images[0].dtype)).dtype
        pinned = self._device.type == "cuda"
        buffer = torch.zeros((count, *images[0].shape), dtype=kind, pin_memory=pinned)
        _fill(buffer.numpy(), images)
        return buffer.to(self._device, non_blocking=True)

    def _resized(self, images: Sequence[Pixels], count: int) -> Tensor:
        import torch

        flavour, crop = self._prepare.flavour, self._normalisation.crop
        windows = []
        for image in images:
            resized = flavour.scale_tensor(image, self._device)
            rows, columns = flavour.window(resized.shape[0], resized.shape[1], crop)
            windows.append(resized[rows, columns])
        windows += [torch.zeros_like(windows[0])] * (count - len(windows))
        return torch.stack(windows)


def _fill(batch: Pixels, images: Sequence[Pixels]) -> None:
    """Copy the images to the front of `batch`. numpy would broadcast an image of another shape."""
    for place, image in zip(batch, images, strict=False):
        if image.shape != place.shape or image.dtype != place.dtype:
            raise DataError(
                "images of different kinds in one dataset: "
                f"{' x '.join(map(str, place.shape))} of {place.dtype} and "
                f"{' x '.join(map(str, image.shape))} of {image.dtype}"
            )
        place[...] = image


def _with_window_of_mean(prepare: Preprocessor) -> Normalisation:
    """The normalisation with its mean image cut to the window, which is the same one in all images."""
    normalisation = prepare.normalisation
    if normalisation.mean is None or normalisation.mean.shape[1:] == (1, 1):
        return normalisation
    _, height, width = normalisation.mean.shape
    rows, columns = prepare.flavour.window(height, width, normalisation.crop)
    return replace(normalisation, mean=normalisation.mean[:, rows, columns])
