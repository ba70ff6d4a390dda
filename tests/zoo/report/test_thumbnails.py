"""Pictures on the page: only of the images that were ranked, without anything but their pixels."""

from __future__ import annotations

import base64
import hashlib

import cv2
import numpy as np
import pytest
from image_sources import write_packed

from zoo.report.galleries import Card
from zoo.report.thumbnails import SIDE, make_thumbnails


def write_image(path, height=40, width=60, ending=".png"):
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    data = cv2.imencode(ending, pixels)[1].tobytes()
    path.write_bytes(data)
    return pixels, Card(path.name, hashlib.sha256(data).hexdigest(), "tench", [])


def decoded(thumbnail):
    data = base64.b64decode(thumbnail.source.partition(",")[2])
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)


@pytest.fixture
def result(made_run, tmp_path):
    return made_run("digits-caffe-dsd", dataset="own", dataset_source=str(tmp_path)).result


def test_a_small_image_is_shown_pixel_by_pixel(result, tmp_path):
    pixels, card = write_image(tmp_path / "a.png")
    found = make_thumbnails([result], [card])
    assert found.note == ""
    assert found.by_image["a.png"].is_coarse
    assert np.array_equal(decoded(found.by_image["a.png"]), pixels)


def test_a_large_image_becomes_small_and_keeps_its_shape(result, tmp_path):
    _, card = write_image(tmp_path / "b.jpg", 600, 300, ".jpg")
    thumbnail = make_thumbnails([result], [card]).by_image["b.jpg"]
    assert thumbnail.source.startswith("data:image/jpeg;base64,")
    assert not thumbnail.is_coarse
    assert decoded(thumbnail).shape == (SIDE, SIDE // 2, 3)


def test_only_the_pixels_of_a_file_reach_the_page(result, tmp_path):
    _, card = write_image(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes() + b"where and by whom it was taken"
    (tmp_path / "a.png").write_bytes(data)
    card = Card("a.png", hashlib.sha256(data).hexdigest(), "tench", [])
    source = make_thumbnails([result], [card]).by_image["a.png"].source
    assert b"by whom" not in base64.b64decode(source.partition(",")[2])


def test_another_file_of_that_name_is_not_shown(result, tmp_path):
    _, card = write_image(tmp_path / "a.png")
    write_image(tmp_path / "a.png", 41)
    found = make_thumbnails([result], [card])
    assert found.by_image == {}
    assert "not the ones that were ranked" in found.note
    assert str(tmp_path.parent) not in found.note


@pytest.mark.parametrize("sha256", ["", "0" * 64])
def test_an_image_without_known_content_is_not_shown(result, tmp_path, sha256):
    write_image(tmp_path / "a.png")
    assert make_thumbnails([result], [Card("a.png", sha256, "tench", [])]).by_image == {}


def test_names_do_not_lead_out_of_the_place_of_the_images(made_run, tmp_path):
    _, card = write_image(tmp_path / "secret.png")
    (tmp_path / "images").mkdir()
    result = made_run("digits-caffe-dsd", dataset_source=str(tmp_path / "images")).result
    for name in ("../secret.png", str(tmp_path / "secret.png")):
        assert make_thumbnails([result], [Card(name, card.sha256, "tench", [])]).by_image == {}


def test_a_damaged_image_and_a_place_that_is_gone_are_no_errors(made_run, tmp_path):
    data = b"\xff\xd8\xff\xe0 no picture"
    (tmp_path / "a.jpg").write_bytes(data)
    card = Card("a.jpg", hashlib.sha256(data).hexdigest(), "tench", [])
    for place in (tmp_path, tmp_path / "gone"):
        result = made_run("digits-caffe-dsd", dataset="own", dataset_source=str(place)).result
        assert make_thumbnails([result], [card]).by_image == {}


def test_images_that_ship_with_the_zoo_are_always_at_hand(made_run, tmp_path):
    from zoo.bundled import embedded_images
    from zoo.datasets import open_dataset

    with open_dataset(embedded_images("digits-test")) as data:
        sample = data.samples[7]
        card = Card(sample.id, hashlib.sha256(sample.read()).hexdigest(), "class 7", [])
    result = made_run("digits-caffe-dsd", dataset_source=str(tmp_path / "gone.tar")).result
    assert list(make_thumbnails([result], [card]).by_image) == [sample.id]


@pytest.mark.parametrize("flavour", ["caffe-warp36", "torch7-bicubic36", "pil-bicubic-short36"])
def test_packed_images_have_their_colours(made_run, tmp_path, flavour):
    red = np.zeros((36, 36, 3), np.uint8)
    red[:, :, 2] = 255
    data = cv2.imencode(".png", red)[1].tobytes()
    place = write_packed(tmp_path / "images.pack", [("a.png", 0, data)], flavour)
    card = Card("a.png", hashlib.sha256(data).hexdigest(), "red", [])
    result = made_run("digits-caffe-dsd", dataset="own", dataset_source=str(place)).result
    assert np.array_equal(decoded(make_thumbnails([result], [card]).by_image["a.png"]), red)
