"""Training images in the order, windows and mirrorings that a seed gives, as batches of a net's input.

Small datasets are decoded, resized and normalised once and kept in memory. Others are read, decoded and cut
by threads, ahead of the net. Both give the same batches.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.datasets import Dataset, Sample
from zoo.datasets.loader import load_samples, map_in_order
from zoo.environment import processors
from zoo.errors import DataError, UsageError
from zoo.preprocessing import EncodedImage, Preprocessor, preprocessor, resolve
from zoo.runtimes.memory import free_memory

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.evaluation.settings import Settings
    from zoo.preprocessing.decode import DecodedImage
    from zoo.preprocessing.flavour import Float32, Pixels
    from zoo.training.recipe import Augmentation

# Images are kept in memory if they take less than this share of what is free.
SHARE_OF_MEMORY = 0.25


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch, or the part of it that goes through the net at once, or one process's share of that.

    images: (images, channels, crop, crop) float32. labels: int64. first: the place of the first image in the
    whole batch, which has `size` images. is_last: whether it is the last part of the batch.
    """

    images: Tensor
    labels: Tensor
    first: int
    size: int
    is_last: bool = True


@dataclass(frozen=True, slots=True)
class _Share:
    """A part of a batch, as one process has it. place: of its first image in the order of the epoch.

    first, size, is_last: as in `Batch`. count: its images.
    """

    place: int
    count: int
    first: int
    size: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class EpochOrder:
    """What chance decides in one epoch, for each place of the order.

    images: which image. windows: where its window lies, as two shares of the room there is, from 0 to 1.
    mirrored: whether it is mirrored.
    """

    images: NDArray[np.int64]
    windows: NDArray[np.float64]
    mirrored: NDArray[np.bool_]

    @classmethod
    def of(cls, count: int, seed: int, epoch: int) -> EpochOrder:
        """The order of `count` images in this epoch, counted over all phases."""
        rng = np.random.default_rng([seed, epoch])
        return cls(rng.permutation(count), rng.random((count, 2)), rng.random(count) < 0.5)


class TrainingImages:
    """The images of a dataset for training.

    Raises:
        UsageError: the preprocessing and the augmentation do not fit together.
        DataError: an image cannot be read.
    """

    def __init__(
        self,
        data: Dataset,
        settings: Settings,
        augmentation: Augmentation,
        *,
        most_bytes: int | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self._samples = data.samples
        self._augmentation = augmentation
        self._crop = settings.preprocessing.crop
        self._prepare = _whole_image_preprocessor(data, settings, augmentation)
        self._labels = np.array([sample.label for sample in data.samples], np.int64)
        self._where = data.source
        self._kept = self._keep(most_bytes, progress)

    def __len__(self) -> int:
        return len(self._samples)

    @property
    def in_memory(self) -> bool:
        """Whether the images are kept decoded."""
        return self._kept is not None

    def check_all(
        self, progress: Callable[[int, int], None] | None = None, *, rank: int = 0, ranks: int = 1
    ) -> None:
        """Read and decode every image, or this process's share, once.

        DataError if one cannot be read, or is smaller than the window.
        """
        if self._kept is not None:
            return

        def checked(resized: Pixels) -> Pixels:
            self._room(resized)
            return resized[:1, :1]

        samples = self._samples[rank::ranks]
        for done, _ in enumerate(self._load(samples, checked), 1):
            if progress is not None:
                progress(done, len(samples))

    def in_order(self, size: int, *, rank: int = 0, ranks: int = 1) -> Generator[Batch, None, None]:
        """All images once, in the order of the dataset, unmirrored and with the centre window: to measure."""
        count = len(self)
        order = EpochOrder(np.arange(count), np.full((count, 2), 0.5), np.zeros(count, np.bool_))
        yield from self._batches(order, _shares(range(0, count, size), count, size, size, rank, ranks))

    def batches(
        self,
        seed: int,
        epoch: int,
        size: int,
        *,
        part_size: int | None = None,
        skip: int = 0,
        rank: int = 0,
        ranks: int = 1,
    ) -> Generator[Batch, None, None]:
        """The batches of an epoch from number `skip` on, each in parts of up to `part_size` images.

        Of each part, the share of process `rank` of `ranks`. The last batch of an epoch may be smaller. Every
        process gets the same number of batches and parts.
        """
        starts = range(skip * size, len(self), size)
        shares = _shares(starts, len(self), size, part_size or size, rank, ranks)
        yield from self._batches(EpochOrder.of(len(self), seed, epoch), shares)

    def _batches(self, order: EpochOrder, shares: Sequence[_Share]) -> Generator[Batch, None, None]:
        import torch

        make = self._from_memory if self._kept is not None else self._from_files
        with contextlib.closing(make(order, shares)) as made:
            for share, images in zip(shares, made, strict=True):
                labels = self._labels[order.images[share.place : share.place + share.count]]
                yield Batch(
                    torch.from_numpy(images),
                    torch.from_numpy(labels),
                    share.first,
                    share.size,
                    share.is_last,
                )

    def _from_memory(self, order: EpochOrder, shares: Sequence[_Share]) -> Generator[Float32, None, None]:
        assert self._kept is not None
        crop = self._crop
        views = np.lib.stride_tricks.sliding_window_view(self._kept, (crop, crop), axis=(2, 3))
        room = np.array(self._kept.shape[2:]) - crop + 1
        for share in shares:
            part = slice(share.place, share.place + share.count)
            top, left = self._offsets(order.windows[part], room).T
            images = views[order.images[part], :, top, left]
            if self._augmentation.mirror:
                mirrored = order.mirrored[part]
                images[mirrored] = images[mirrored][..., ::-1]
            yield images

    def _offsets(self, windows: NDArray[np.float64], room: NDArray[np.int64]) -> NDArray[np.int64]:
        if self._augmentation.crop == "random":
            return (windows * room).astype(np.int64)
        offset = self._prepare.flavour.offset
        centre = [offset(int(size) + self._crop - 1, self._crop) for size in room]
        return np.tile(np.array(centre, np.int64), (len(windows), 1))

    def _from_files(self, order: EpochOrder, shares: Sequence[_Share]) -> Generator[Float32, None, None]:
        places = [k for share in shares for k in range(share.place, share.place + share.count)]
        most = max((share.count for share in shares), default=1)

        def load(place: int) -> Float32:
            sample = self._samples[order.images[place]]
            return self._cut(self._resized(sample), order.windows[place], bool(order.mirrored[place]))

        with contextlib.closing(map_in_order(load, places, processors(), 2 * most, "decode")) as images:
            for share in shares:
                part = np.empty((share.count, 3, self._crop, self._crop), np.float32)
                for k in range(share.count):
                    part[k] = next(images)
                yield part

    def _cut(self, resized: Pixels, window: NDArray[np.float64], mirrored: bool) -> Float32:
        """A window of a resized image, normalised: (channels, crop, crop)."""
        crop, whole = self._crop, self._prepare.normalisation
        top, left = self._offsets(window[None], self._room(resized))[0]
        rows, columns = slice(top, top + crop), slice(left, left + crop)
        mean = whole.mean
        if mean is not None and mean.shape[1:] != (1, 1):
            mean = mean[:, rows, columns]
        part = replace(whole, crop=crop, mean=mean)
        image = self._prepare.flavour.finish(resized[rows, columns], part)
        return image[..., ::-1] if mirrored and self._augmentation.mirror else image

    def _room(self, resized: Pixels) -> NDArray[np.int64]:
        """How many places the window has in a resized image: down and across. DataError if it has none."""
        room = np.array(resized.shape[:2]) - self._crop + 1
        if room.min() < 1:
            raise DataError(
                f"an image of {resized.shape[1]}x{resized.shape[0]} pixels is smaller than the "
                f"{self._crop}x{self._crop} window"
            )
        return room

    def _resized(self, sample: Sample) -> Pixels:
        try:
            content = sample.read()
            resized = self._prepare.resize(EncodedImage(content) if isinstance(content, bytes) else content)
            self._room(resized)
            return resized
        except DataError as error:
            raise DataError(f"{self._where}: {sample.id}: {error}") from error

    def _keep(self, most_bytes: int | None, progress: Callable[[int, int], None] | None) -> Float32 | None:
        """All images, normalised: (images, channels, height, width); None if they differ or are too many."""
        flavour = self._prepare.flavour
        if not flavour.is_square:
            return None
        budget = int(SHARE_OF_MEMORY * free_memory("cpu", 0)) if most_bytes is None else most_bytes
        shape = (len(self), 3, flavour.size, flavour.size)
        if int(np.prod(shape, dtype=np.int64)) * 4 > budget:
            return None
        kept = np.empty(shape, np.float32)
        for at, image in enumerate(self._load(self._samples, self._prepare.finish)):
            if image.shape != shape[1:]:
                return None
            kept[at] = image
            if progress is not None:
                progress(at + 1, len(self))
        return kept

    def _load(self, samples: Sequence[Sample], finish: Callable[[Pixels], Pixels]) -> Iterator[Pixels]:
        def prepare(content: EncodedImage | DecodedImage) -> Pixels:
            return finish(self._prepare.resize(content))

        for image in load_samples(samples, prepare, 8 * processors()):
            if image.pixels is None:
                raise DataError(f"{self._where}: {image.sample.id}: {image.problem}") from image.problem
            yield image.pixels


def _shares(
    starts: Sequence[int], images: int, size: int, part_size: int, rank: int, ranks: int
) -> list[_Share]:
    """A process's shares of the batches that begin at these places of `images` images."""
    found = []
    for start in starts:
        whole = min(size, images - start)
        parts = -(-whole // part_size)
        for part in range(parts):
            begin, end = part * whole // parts, (part + 1) * whole // parts
            first = begin + rank * (end - begin) // ranks
            after = begin + (rank + 1) * (end - begin) // ranks
            found.append(_Share(start + first, after - first, first, whole, part + 1 == parts))
    return found


def _whole_image_preprocessor(data: Dataset, settings: Settings, augmentation: Augmentation) -> Preprocessor:
    """The preprocessing of the net, with a window as large as the resized image where all are of one size."""
    chosen = settings.preprocessing
    flavour = resolve(chosen.flavour)
    if data.flavour not in (None, chosen.flavour):
        raise UsageError(
            f"{data.source}: packed by {data.flavour}; training under {chosen.flavour} needs the images "
            f"themselves, or dsd-zoo pack --flavour {chosen.flavour}"
        )
    if flavour.is_square:
        chosen = chosen.model_copy(update={"crop": flavour.size})
    elif chosen.mean_image and augmentation.crop == "random":
        raise UsageError(
            f"{flavour.name} makes images of different sizes, from which no window of a mean image can be "
            "subtracted; give --mean N,N,N"
        )
    return preprocessor(chosen, settings.mean_image, settings.meant_for)


def check_labels(data: Dataset, classes: int, *, every_class: bool) -> None:
    """DataError unless all labels are classes of the net and, for training, every class has an image."""
    seen: set[int] = set()
    for sample in data.samples:
        if sample.label >= classes:
            raise DataError(
                f"{data.source}: {sample.id} has label {sample.label}, but the net tells {classes} classes "
                f"apart (0 to {classes - 1}); labels count from 0"
            )
        seen.add(sample.label)
    missing = sorted(set(range(classes)) - seen)
    if every_class and missing:
        more = ", ..." if len(missing) > 5 else ""
        raise DataError(
            f"{data.source}: no image of class {', '.join(map(str, missing[:5]))}{more}: the net tells "
            f"{classes} classes apart, and {len(missing)} of them would never be trained"
        )
