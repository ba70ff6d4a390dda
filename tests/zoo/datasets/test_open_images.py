"""Images by name, without labels: what a report shows."""

from __future__ import annotations

import hashlib

import pytest
from image_sources import FORMS, write

from zoo.bundled import embedded_images
from zoo.datasets import open_dataset, open_images
from zoo.errors import UsageError


def test_a_tar_gives_the_bytes_that_its_dataset_gives():
    place = embedded_images("digits-test")
    with open_dataset(place) as data:
        expected = {sample.id: sample.read() for sample in data.samples[:5]}
    images = open_images(place, [*expected, "test_99999.png"])
    assert {name: images.read(name) for name in images.readers} == expected
    images.close()


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_images_that_its_dataset_gives(form, tmp_path):
    with open_dataset(embedded_images("digits-test")) as data:
        images = [(sample.id, sample.label, sample.read()) for sample in data.samples[:20]]
    place = write(form, tmp_path, images, "caffe-warp36")
    with open_dataset(place) as data:
        expected = {sample.id: digest(sample.read()) for sample in data}
    found = open_images(place, list(expected))
    assert {name: digest(found.read(name)) for name in found.readers} == expected
    found.close()


def test_a_folder_needs_no_labels_and_is_not_listed(tmp_path, monkeypatch):
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "a.jpg").write_bytes(b"content")
    monkeypatch.setattr("os.scandir", lambda *_: pytest.fail("the folder was listed"))
    images = open_images(tmp_path, ["below/a.jpg", "b.jpg"])
    assert list(images.readers) == ["below/a.jpg"]
    assert images.read("below/a.jpg") == b"content"


def test_names_stay_inside_the_folder(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "out.jpg").write_bytes(b"secret")
    for name in ("../out.jpg", str(tmp_path / "out.jpg")):
        with pytest.raises(UsageError, match="with images that were asked for"):
            open_images(tmp_path / "in", [name])


def test_a_place_that_is_not_there(tmp_path):
    with pytest.raises(UsageError, match="none: expected a folder of images"):
        open_images(tmp_path / "none", ["a.jpg"])


def digest(content) -> str:
    return hashlib.sha256(content).hexdigest() if isinstance(content, bytes) else content.sha256
