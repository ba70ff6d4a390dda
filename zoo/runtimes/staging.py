"""From decoded images to batches of a net's input, on the host or on the net's device.

Images that a source reads one by one are prepared one by one, as each is decoded, and then put into a batch.
A source that holds pixels side by side reads many at once, and puts them into their batch itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from zoo.errors import DataError
from zoo.preprocessing import EncodedImage, Normalisation, Preprocessor, tensors
from zoo.preprocessing.flavour import Float32, Pixels
from zoo.runtimes.memory import keep_freed_memory

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.preprocessing.decode import DecodedImage, DecodedImages


class Staging(Protocol):
    """From images to a batch of `count` images for the net; those beyond the given ones only fill it.

    `prepare`, `room` and `prepare_together` run in the decoding threads; `stage` and `stage_together` in one
    thread, while the net computes another batch.
    """

    def prepare(self, content: EncodedImage | DecodedImage) -> Pixels:
        """The host's part of the work on one image. DataError where the image cannot be used."""
        ...

    def stage(self, images: Sequence[Pixels], count: int) -> Float32 | Tensor | list[Pixels]:
        """A batch of prepared images. DataError if they differ in shape or dtype."""
        ...

    def room(self, images: DecodedImages, given: int, count: int) -> Pixels:
        """Memory for a batch of `given` images like `images`; zeros for those beyond, up to `count`."""
        ...

    def prepare_together(self, images: DecodedImages, room: Pixels) -> None:
        """The host's part of the work on images of a batch. DataError where one cannot be used.

        room: their places in what `room` gave.
        """
        ...

    def stage_together(self, prepared: Pixels) -> Float32 | Tensor | list[Pixels]:
        """A batch that was prepared together: all that `room` gave."""
        ...


class HostStaging:
    """Does everything on the host, for nets that run there."""

    def __init__(self, prepare: Preprocessor) -> None:
        self.prepare = prepare
        # The next batch takes the memory of the last one.
        keep_freed_memory()

    def stage(self, images: Sequence[Pixels], count: int) -> Float32:
        """(count, channels, crop, crop) float32."""
        batch = np.zeros((count, *images[0].shape), np.float32)
        _fill(batch, images)
        return batch

    def room(self, images: DecodedImages, given: int, count: int) -> Float32:
        """(count, channels, crop, crop) float32."""
        crop = self.prepare.normalisation.crop
        batch = np.empty((count, _channels(images), crop, crop), np.float32)
        batch[given:] = 0
        return batch

    def prepare_together(self, images: DecodedImages, room: Float32) -> None:
        """Both stages."""
        for place, pixels in _of_one_size(images):
            self.prepare.finish(pixels, room[place : place + len(pixels)])

    def stage_together(self, prepared: Pixels) -> Float32:
        """The batch itself."""
        return prepared


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

    def room(self, images: DecodedImages, given: int, count: int) -> Pixels:
        """Of packed images, which are resized already, nothing is whole any more: always a DataError."""
        raise DataError(
            f"packed by {images.flavour}; the net prepares its images itself, and needs image files"
        )

    def prepare_together(self, images: DecodedImages, room: Pixels) -> None:
        """As `room`."""
        self.room(images, len(room), len(room))

    def stage_together(self, prepared: Pixels) -> list[Pixels]:
        """As `stage`."""
        return list(prepared)


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
        keep_freed_memory()

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
        return self._on_device(
            lambda: self._resized(images, count) if self._resize else self._copied(images, count)
        )

    def room(self, images: DecodedImages, given: int, count: int) -> Pixels:
        """(count, crop, crop, channels) of the images' dtype, in memory from which the device copies."""
        crop = self._prepare.normalisation.crop
        return self._buffer(given, (count, crop, crop, _channels(images)), images.pixels[0].dtype)

    def prepare_together(self, images: DecodedImages, room: Pixels) -> None:
        """The windows of the images."""
        flavour, normalisation = self._prepare.flavour, self._prepare.normalisation
        for place, pixels in _of_one_size(images):
            rows, columns = flavour.window(pixels.shape[1], pixels.shape[2], normalisation.crop)
            if normalisation.mean is not None and not flavour.has_size:
                flavour.mean_at_window(normalisation, pixels.shape[1:])
            room[place : place + len(pixels)] = pixels[:, rows, columns]

    def stage_together(self, prepared: Pixels) -> Tensor:
        """(count, channels, crop, crop) float32 on the device, which must be the current one."""
        return self._on_device(lambda: self._sent(prepared))

    def _on_device(self, windows: Callable[[], Tensor]) -> Tensor:
        """The windows normalised, all that in the stream of the copies."""
        with self._backend.stream(self._stream):
            batch = tensors.normalise(windows(), self._normalisation)
        done = self._backend.Event()
        done.record(self._stream)
        done.synchronize()
        return batch

    def _copied(self, images: Sequence[Pixels], count: int) -> Tensor:
        windows = self._buffer(len(images), (count, *images[0].shape), images[0].dtype)
        _fill(windows, images)
        return self._sent(windows)

    def _buffer(self, images: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Pixels:
        """Room for so many images, then zeros; in memory of the host that a GPU can read by itself."""
        import torch

        kind = torch.from_numpy(np.empty(0, dtype)).dtype
        buffer: Pixels = torch.empty(shape, dtype=kind, pin_memory=self._device.type == "cuda").numpy()
        buffer[images:] = 0
        return buffer

    def _sent(self, windows: Pixels) -> Tensor:
        import torch

        return torch.from_numpy(windows).to(self._device, non_blocking=True)

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


def _channels(images: DecodedImages) -> int:
    """The channels of images that were packed, which are the same in all."""
    return int(images.pixels[0].shape[-1])


def _of_one_size(images: DecodedImages) -> Iterator[tuple[int, Pixels]]:
    """The images, those of one size together: the place of the first, (images, height, width, channels)."""
    if isinstance(images.pixels, list):
        for place, image in enumerate(images.pixels):
            yield place, image[None]
    else:
        yield 0, images.pixels


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
