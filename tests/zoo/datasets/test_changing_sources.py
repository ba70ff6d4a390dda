"""Sources of images that change during a run: it ends and names the file, and calls no image damaged."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from image_sources import write

from converters import SourceChangedError
from zoo.datasets import open_dataset
from zoo.datasets.loader import load_samples

FLAVOUR = "caffe-warp32"
FILES = {
    "tar": "images.tar",
    "webdataset": "shards/shard-001.tar",
    "lmdb": "db/data.mdb",
    "packed": "images.pack",
    "parquet": "parquet/data/val-00001.parquet",
}


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (12, 40, 40, 3), np.uint8)
    return [
        (f"img_{k:02d}.jpg", k % 3, cv2.imencode(".jpg", each)[1].tobytes()) for k, each in enumerate(pixels)
    ]


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def rewrite(path: Path) -> None:
    path.write_bytes(path.read_bytes())
    os.utime(path, ns=(0, 1))


@pytest.mark.parametrize("change", [truncate, rewrite])
@pytest.mark.parametrize("form", FILES)
def test_the_run_ends_and_names_the_file(tmp_path, images, form, change):
    with open_dataset(write(form, tmp_path, images, FLAVOUR)) as data:
        before = [sample.read() for sample in data]
        assert len(before) == len(images)
        change(tmp_path / FILES[form])
        with pytest.raises(
            SourceChangedError, match=rf"{FILES[form]}: the file was changed while it was read"
        ):
            data.samples[-1].read()
        # Not one of the problems for which a run may leave an image out.
        with pytest.raises(SourceChangedError):
            list(load_samples(data.samples, lambda image: image, ahead=3, workers=2))


@pytest.mark.parametrize("form", FILES)
def test_a_file_that_is_replaced_or_removed_is_read_to_its_end(tmp_path, images, form):
    with open_dataset(write(form, tmp_path, images, FLAVOUR)) as data:
        path = tmp_path / FILES[form]
        path.with_name("new").write_bytes(b"another file")
        path.with_name("new").replace(path)
        assert all(sample.read() for sample in data)


def test_the_labels_of_an_lmdb_are_found_without_its_images(tmp_path, images, monkeypatch):
    """A label stands behind its image: ImageNet's images have 7 GB."""
    from converters import SourceFile

    large = [(name, label, data + bytes(200_000)) for name, label, data in images]
    path, read, sizes = write("lmdb", tmp_path, large, FLAVOUR), SourceFile.read, []

    def counted(file: SourceFile, offset: int = 0, size: int | None = None) -> bytes:
        content = read(file, offset, size)
        sizes.append(len(content))
        return content

    monkeypatch.setattr(SourceFile, "read", counted)
    with open_dataset(path) as data:
        assert [sample.label for sample in data] == [label for _, label, _ in images]
    assert sum(sizes) < 6 * 4096 * len(images)
