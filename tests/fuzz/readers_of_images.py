"""The readers of images: image files under every flavour, mean images, and the places that hold images."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import io
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import image_sources
import numpy as np
from PIL import Image
from reader import CORPUS, files, own_errors, reader, written

from zoo.datasets import Dataset, open_dataset
from zoo.datasets.packed_format import MAGIC, TRAILER
from zoo.preprocessing import EncodedImage, all_flavours
from zoo.preprocessing.mean_image import read_mean_image

SIZE = 32
IMAGES_READ = 20


def _pixels(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)


@functools.cache
def labelled_images() -> list[tuple[str, int, bytes]]:
    """Six small images with names and labels."""
    return [(f"img_{i}.png", i % 3, cv2.imencode(".png", _pixels(5 + i, 7))[1].tobytes()) for i in range(6)]


def _image_files(folder: Path) -> Iterator[bytes]:
    """Every format and kind of pixels that a flavour might meet."""
    for suffix, options in (
        (".jpg", []),
        (".jpg", [cv2.IMWRITE_JPEG_PROGRESSIVE, 1]),
        (".png", []),
        (".bmp", []),
        (".tiff", []),
        (".webp", []),
        (".ppm", []),
    ):
        for height, width in ((8, 8), (40, 33), (1, 64)):
            yield cv2.imencode(suffix, _pixels(height, width), options)[1].tobytes()
    colours = Image.fromarray(_pixels(20, 30))
    for mode in ("RGB", "L", "P", "1", "CMYK", "RGBA", "LA", "I;16"):
        image = Image.new(mode, (30, 20)) if mode == "I;16" else colours.convert(mode)
        for form in ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "MPO"):
            out = io.BytesIO()
            with contextlib.suppress(OSError, KeyError, ValueError):
                image.save(out, form)
                yield out.getvalue()
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg"):
        out = io.BytesIO()
        colours.save(out, "TIFF", compression=compression)
        yield out.getvalue()
    out = io.BytesIO()
    colours.save(out, "PNG", save_all=True, append_images=[colours.rotate(90)])
    yield out.getvalue()


def _read_image(number: int, content: bytes, folder: Path) -> None:
    flavour = list(all_flavours().values())[number](SIZE)
    flavour.scale(flavour.decode(EncodedImage(content)))


for index, family in enumerate(all_flavours()):
    reader(f"image file, {family}", _image_files)(functools.partial(_read_image, index))


def _means(folder: Path) -> Iterator[bytes]:
    for path in files("caffe/*/mean.binaryproto"):
        yield path.read_bytes()
    for dtype in (np.float32, np.float64, np.uint8):
        out = io.BytesIO()
        np.save(out, np.zeros((3, 4, 4), dtype))
        yield out.getvalue()


@reader("mean image", _means)
def read_mean(content: bytes, folder: Path) -> None:
    read_mean_image(written(folder / "mean.binaryproto", content), None)


def read_all(data: Dataset) -> None:
    """The content of the first images; one that cannot be read does not hide the next one."""
    for sample in itertools.islice(data, IMAGES_READ):
        with contextlib.suppress(*own_errors()):
            sample.read()


def _written(form: str, found: str, folder: Path) -> Iterator[bytes]:
    (folder / form).mkdir(parents=True, exist_ok=True)
    place = image_sources.write(form, folder / form, labelled_images(), f"caffe-warp{SIZE}")
    for path in [place] if place.is_file() else sorted(place.rglob(found)):
        yield path.read_bytes()


def _lmdbs(folder: Path) -> Iterator[bytes]:
    yield from _written("lmdb", "data.mdb", folder)
    for path in files("caffe/data-*/lmdb/data.mdb", most=20):
        yield path.read_bytes()


def _open(name: str, content: bytes, folder: Path) -> None:
    with open_dataset(written(folder / name, content)) as data:
        read_all(data)


def _seeds(form: str, found: str = "*") -> Callable[[Path], Iterator[bytes]]:
    return functools.partial(_written, form, found)


reader("LMDB", _lmdbs)(functools.partial(_open, "data.mdb"))
reader("tar of images", _seeds("tar"))(functools.partial(_open, "images.tar"))
reader("WebDataset shard", _seeds("webdataset", "*.tar"))(functools.partial(_open, "shard.tar"))
reader("parquet shard", _seeds("parquet", "*.parquet"))(functools.partial(_open, "val.parquet"))
reader("packed file", _seeds("packed"))(functools.partial(_open, "images.pack"))


def _indices(folder: Path) -> Iterator[bytes]:
    for content in _written("packed", "*", folder):
        offset, length, *_ = TRAILER.unpack(content[-TRAILER.size :])
        yield content[offset : offset + length]


@reader("index of a packed file", _indices)
def read_packed_index(content: bytes, folder: Path) -> None:
    """With right checksums, which the fuzzer would not find."""
    pixels = MAGIC + bytes(range(256)) * 256
    trailer = TRAILER.pack(len(pixels), len(content), hashlib.sha256(content).digest(), MAGIC)
    _open("images.pack", pixels + content + trailer, folder)


def _lists(folder: Path) -> Iterator[bytes]:
    names = [name for name, _, _ in labelled_images()]
    yield "".join(f"{name} {i}\n" for i, name in enumerate(names)).encode()
    yield "".join(f"./a b/{name}\t{i}\r\n" for i, name in enumerate(names)).encode("utf-8-sig")
    yield (CORPUS / "caffe" / "hdf5data" / "list.txt").read_bytes()


@functools.cache
def _folder_of_images(root: Path) -> Path:
    place = root.with_name(f"{root.name}-images")
    for name, _, content in labelled_images():
        written(place / name, content)
    return place


@reader("list of labels", _lists)
def read_labels(content: bytes, folder: Path) -> None:
    with open_dataset(_folder_of_images(folder), written(folder / "labels.txt", content)) as data:
        read_all(data)


@reader("list of files", _lists)
def read_list(content: bytes, folder: Path) -> None:
    with open_dataset(written(_folder_of_images(folder) / "list.txt", content)) as data:
        read_all(data)
