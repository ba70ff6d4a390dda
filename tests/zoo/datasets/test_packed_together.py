"""Batches of a packed file, read as a whole: the same images, one read, no object for each image."""

from __future__ import annotations

import gc
import json
import os

import cv2
import numpy as np
import pytest
from image_sources import write_packed

from converters import SourceChangedError
from zoo.datasets import Dataset, Sample, Samples, open_dataset
from zoo.datasets.packed_format import TRAILER
from zoo.datasets.sources import packed

IMAGES = 23


def images(count: int = IMAGES) -> list[tuple[str, int, bytes]]:
    generator = np.random.default_rng(0)
    sizes = generator.integers(9, 40, (count, 2)).tolist()
    made = [cv2.imencode(".png", generator.integers(0, 256, (*size, 3), np.uint8))[1] for size in sizes]
    return [(f"{at:04d}.png", at % 7, content.tobytes()) for at, content in enumerate(made)]


@pytest.fixture
def reads(monkeypatch):
    """The sizes of what is read from files."""
    sizes: list[int] = []
    real = os.pread

    def counted(descriptor: int, size: int, offset: int) -> bytes:
        sizes.append(size)
        return real(descriptor, size, offset)

    monkeypatch.setattr(os, "pread", counted)
    return sizes


@pytest.mark.parametrize("flavour", ["caffe-warp9", "caffe-warp32", "caffe-short8", "torch7-bicubic8"])
def test_they_are_the_images_that_are_read_alone(tmp_path, flavour, reads):
    with open_dataset(write_packed(tmp_path / "x.pack", images(), flavour)) as data:
        for part in (data.samples, data.samples[3:10], data.samples[5:6], data.samples[4:][2:9]):
            alone = [sample.read() for sample in part]
            reads.clear()
            together = part.read_together()
            assert together is not None
            assert len(reads) == 1
            assert reads[0] < sum(image.pixels.nbytes + 64 for image in alone)
            assert [image.sha256 for image in alone] == list(together.sha256)
            assert [image.rotated for image in alone] == list(together.rotated)
            sizes = {image.pixels.shape for image in alone}
            assert isinstance(together.pixels, np.ndarray) == (len(sizes) == 1)
            for one, image in zip(together.pixels, alone, strict=True):
                assert one.dtype == image.pixels.dtype
                np.testing.assert_array_equal(one, image.pixels)


def test_no_more_is_read_at_once_than_a_processor_keeps(tmp_path, reads, monkeypatch):
    monkeypatch.setattr(packed, "READ_AT_ONCE", 1000)
    with open_dataset(write_packed(tmp_path / "x.pack", images(), "caffe-short8")) as data:
        alone = [sample.read().pixels for sample in data.samples]
        assert max(image.nbytes for image in alone) < 1000 < sum(image.nbytes for image in alone) / 3
        reads.clear()
        found, left = [], data.samples
        while left:
            together = left.read_together()
            found += list(together.pixels)
            left = left[len(together.pixels) :]
        assert max(reads) <= 1000
        assert sum(reads) < sum(image.nbytes + 64 for image in alone)
        assert len(reads) < IMAGES / 2
        monkeypatch.setattr(packed, "READ_AT_ONCE", 1)
        assert len(data.samples.read_together().pixels) == 1
    assert [image.tobytes() for image in found] == [image.tobytes() for image in alone]


def rewrite(path, change) -> None:
    """The packed file with another index."""
    import hashlib

    content = path.read_bytes()
    offset, length, _, magic = TRAILER.unpack(content[-TRAILER.size :])
    index = json.loads(content[offset : offset + length])
    change(index["images"])
    text = json.dumps(index).encode()
    digest = hashlib.sha256(text).digest()
    path.write_bytes(content[:offset] + text + TRAILER.pack(offset, len(text), digest, magic))


def swap_two(images) -> None:
    images[3], images[4] = images[4], images[3]


def leave_one_out(images) -> None:
    del images[4]


def overlap(images) -> None:
    images[4] = {**images[3], "name": "again.png"}


def no_pixels(images) -> None:
    images[4] = {"name": "none.png", "label": 0, "problem": "cannot be decoded"}


@pytest.mark.parametrize("change", [swap_two, leave_one_out, overlap, no_pixels])
def test_images_that_do_not_lie_side_by_side_are_read_alone(tmp_path, change):
    path = write_packed(tmp_path / "x.pack", images(), "caffe-warp32")
    rewrite(path, change)
    with open_dataset(path) as data:
        assert data.samples[2:7].read_together() is None
        assert data.samples[8:12].read_together() is not None
        assert data.samples[3].read().pixels.shape == (32, 32, 3)


def test_a_damaged_image_is_left_to_the_reader_of_one(tmp_path):
    path = write_packed(tmp_path / "x.pack", images(), "caffe-warp32")
    content = bytearray(path.read_bytes())
    content[64 + 5 * 3072 + 7] ^= 1
    path.write_bytes(content)
    with open_dataset(path) as data:
        assert data.samples[:5].read_together() is not None
        assert data.samples[5:6].read_together() is None
        assert data.samples.read_together() is None


def test_a_file_that_changes_meanwhile_is_said(tmp_path):
    path = write_packed(tmp_path / "x.pack", images(), "caffe-warp32")
    with open_dataset(path) as data:
        with path.open("r+b") as file:
            file.truncate(5000)
        with pytest.raises(SourceChangedError):
            data.samples.read_together()


def test_only_neighbours_in_their_order_are_read_together(tmp_path):
    with open_dataset(write_packed(tmp_path / "x.pack", images(), "caffe-warp32")) as data:
        for other in (data.samples[::2], data.samples[::-1], data.samples[3:3]):
            assert other.read_together() is None
        assert not Samples.of(tuple(data.samples)).is_read_together


def test_an_open_pack_has_no_object_for_each_image_that_the_garbage_collector_walks(tmp_path):
    def objects(count: int) -> int:
        with open_dataset(write_packed(tmp_path / f"{count}/x.pack", images(count), "caffe-warp9")) as data:
            gc.collect()
            assert len(data) == count
            return len(gc.get_objects())

    objects(1)
    few, many = objects(2), objects(600)
    assert many - few < 100


def test_samples_are_a_sequence():
    made = [Sample(f"{at}.png", at, lambda at=at: bytes([at])) for at in range(9)]
    samples = Dataset("a", "b", "c", tuple(made)).samples
    assert [sample.read() for sample in samples] == [bytes([at]) for at in range(9)]
    for part in (slice(None), slice(2, 7), slice(None, None, -2), slice(5, 2), slice(-3, None)):
        assert [sample.id for sample in samples[part]] == [sample.id for sample in made[part]]
        assert list(samples[part].names) == [sample.id for sample in made[part]]
        assert list(samples[part].labels) == [sample.label for sample in made[part]]
        assert [sample.read() for sample in samples[part]] == [sample.read() for sample in made[part]]
    assert samples[-1].label == 8
    assert not samples.is_read_together
    with pytest.raises(IndexError):
        samples[9]
