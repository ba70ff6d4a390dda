"""Writes the packed format (`zoo.datasets.packed_format`): images decoded and resized once, for many runs."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import numpy as np

from converters import atomic_write
from zoo.datasets.dataset import Dataset
from zoo.datasets.loader import LoadedSample, load_samples
from zoo.datasets.packed_format import ALIGNMENT, CHANNELS, MAGIC, TRAILER, PackedImage, PackedIndex
from zoo.environment import processors
from zoo.errors import DataError, UsageError, excerpt
from zoo.files import cannot_write
from zoo.locks import Held, hold
from zoo.preprocessing import Flavour
from zoo.preprocessing.flavour import Pixels

# Images in memory at a time, for each thread that decodes.
AHEAD = 8


def pack(
    data: Dataset, flavour: Flavour, out: Path, progress: Callable[[int, int], None] | None = None
) -> PackedIndex:
    """Write the first stage of `flavour` for all images of `data` to `out`, whole or not at all.

    An image that cannot be decoded is recorded with its problem: a run over the packed file reports the same
    as a run over the source. Returns the file's index.

    Raises:
        UsageError: the file cannot be written, another process writes it, or the data were packed already.
        DataError: no image can be decoded, or an image does not have three channels.
    """
    if data.flavour is not None:
        raise UsageError(f"{data.source}: already packed by {data.flavour}; pack the original images")
    try:
        with (
            hold(out.with_name(f".{out.name}.running")),
            atomic_write(out) as temporary,
            temporary.open("xb") as file,
        ):
            return _write(file, data, flavour, progress)
    except Held as error:
        who = error.holder or "another process"
        raise UsageError(f"{out}: already written by {who}\n  wait, or choose another name") from error
    except OSError as error:
        raise cannot_write(out, "the packed file", error) from error


def _write(
    file: BinaryIO, data: Dataset, flavour: Flavour, progress: Callable[[int, int], None] | None
) -> PackedIndex:
    from zoo.preprocessing import Normalisation, Preprocessor

    resize = Preprocessor(flavour, Normalisation(crop=1)).resize
    file.write(MAGIC)
    images: list[PackedImage] = []
    dtypes: set[str] = set()
    for image in load_samples(data.samples, resize, ahead=AHEAD * processors()):
        images.append(_append(file, image, dtypes, data.source))
        if progress is not None:
            progress(len(images), len(data))
    if len(dtypes) != 1:
        first = f"{excerpt(images[0].name)}: {images[0].problem}"
        raise DataError(f"{data.source}: none of its {len(data)} images can be decoded, such as {first}")
    index = PackedIndex.model_validate(
        {
            "flavour": flavour.name,
            "dtype": dtypes.pop(),
            "source": data.source,
            "labels": data.labels_source,
            "images": images,
        }
    )
    text = index.model_dump_json(exclude_defaults=True).encode()
    offset = file.tell()
    file.write(text)
    file.write(TRAILER.pack(offset, len(text), hashlib.sha256(text).digest(), MAGIC))
    return index


def _append(file: BinaryIO, image: LoadedSample[Pixels], dtypes: set[str], source: str) -> PackedImage:
    sample = image.sample
    if image.pixels is None:
        return PackedImage(
            name=sample.id, label=sample.label, sha256=image.sha256, problem=str(image.problem)
        )
    pixels = np.ascontiguousarray(image.pixels)
    dtypes.add(str(pixels.dtype))
    if pixels.shape[2] != CHANNELS or len(dtypes) > 1:
        raise DataError(
            f"{source}: {excerpt(sample.id)}: {pixels.shape[2]} channels of {pixels.dtype}: "
            f"a packed file holds {CHANNELS} channels of one kind"
        )
    file.write(bytes(-file.tell() % ALIGNMENT))
    offset = file.tell()
    content = pixels.data.cast("B")
    file.write(content)
    return PackedImage(
        name=sample.id,
        label=sample.label,
        sha256=image.sha256,
        rotated=image.rotated,
        offset=offset,
        height=pixels.shape[0],
        width=pixels.shape[1],
        crc32=zlib.crc32(content),
    )
