"""The training digits that ship with the zoo: by the recipe that made the test images, byte for byte.

The 1,797 images are those of UCI's Optical Recognition of Handwritten Digits (the file optdigits.tes):
8 x 8 values from 0 to 16. Each value v is the grey 255 v / 16, rounded, as a square of 4 x 4 pixels, in RGB;
Pillow writes the PNG with optimize=True. In the order of numpy's RandomState(0).permutation, the first 1,297
are for training and the last 500 for tests.
"""

from __future__ import annotations

import hashlib
import io
import zlib

import numpy as np
import pytest
from PIL import Image, features

from zoo.bundled import KNOWN_DATASETS, embedded_images
from zoo.datasets import open_dataset

# Of the lines "v,v,...,label" of the file, with a line feed at the end of each.
CHECKSUM = "6ebb3d2fee246a4e99363262ddf8a00a3c41bee6014c373ed9d9216ba7f651b8"
COUNTS = {"digits-train": 1297, "digits-test": 500}


def values_of(content: bytes) -> np.ndarray:
    """The 8 x 8 values of an image."""
    grey = np.asarray(Image.open(io.BytesIO(content)))[::4, ::4, 0]
    return np.round(grey.astype(float) * 16 / 255).astype(np.uint8)


def png_of(values: np.ndarray) -> bytes:
    """The recipe."""
    grey = np.round(values.astype(float) * 255 / 16).astype(np.uint8)
    pixels = np.repeat(np.kron(grey, np.ones((4, 4), np.uint8))[..., None], 3, axis=2)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png", optimize=True)
    return file.getvalue()


def uncompressed(png: bytes) -> tuple[bytes, bytes]:
    """The header and the filtered pixels of a PNG with one IDAT chunk, which begins at byte 33."""
    size = int.from_bytes(png[33:37], "big")
    assert png[37:41] == b"IDAT"
    return png[:33], zlib.decompress(png[41 : 41 + size])


@pytest.mark.parametrize("name", COUNTS)
def test_every_image_is_made_by_the_recipe_byte_for_byte(name):
    with open_dataset(embedded_images(name)) as data:
        assert data.name == name
        assert len(data) == COUNTS[name]
        for sample in data:
            content = sample.read()
            values = values_of(content)
            assert values.max() <= 16
            made = png_of(values)
            assert uncompressed(made) == uncompressed(content), sample.id
            # Pillow may be built with zlib-ng, which compresses the same bytes otherwise.
            assert made == content or features.check("zlib_ng"), sample.id


def test_together_they_are_the_images_of_uci_each_once():
    """In their original order, recovered from the permutation, they have UCI's own checksum of pixels."""
    images, labels = [], []
    for name in COUNTS:
        with open_dataset(embedded_images(name)) as data:
            images += [values_of(sample.read()) for sample in data]
            labels += [sample.label for sample in data]
    order = np.random.RandomState(0).permutation(len(images))
    original = np.empty((1797, 65), np.uint8)
    original[order, :64] = np.stack(images).reshape(-1, 64)
    original[order, 64] = labels
    lines = "".join(",".join(map(str, row)) + "\n" for row in original.tolist())
    assert hashlib.sha256(lines.encode()).hexdigest() == CHECKSUM
    assert len(np.unique(original[:, :64], axis=0)) == 1797


def test_every_digit_is_there_and_the_known_labels_are_those_of_the_file():
    with open_dataset(embedded_images("digits-train")) as data:
        assert {sample.label for sample in data} == set(range(10))
        assert {s.id: s.label for s in data} == KNOWN_DATASETS["digits-train"].labels()
