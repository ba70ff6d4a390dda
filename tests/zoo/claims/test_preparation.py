"""Which numbers may be held against each other; the terms stand for exactly the pixels of other tools."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from zoo.catalog.catalog import Catalog
from zoo.claims.preparation import NOT_STATED, Preparation, of_claim, of_measurement, of_run
from zoo.preprocessing import all_flavours, preprocessor
from zoo.preprocessing.settings import Preprocessing

CATALOG = Catalog.load()
SHORT = "shorter side 256, crop 224"
IN_WORDS = Preparation(SHORT)
EXACT = Preparation(SHORT, "caffe-short256, crop 224")
OTHER_KERNEL = Preparation(SHORT, "torch7-bicubic256, crop 224")
OTHER_MEAN = Preparation(SHORT, "caffe-short256, crop 224, mean 104 117 123")
WARPED = Preparation("warped to 256x256, crop 224", "caffe-warp256, crop 224")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (EXACT, EXACT, True),
        (EXACT, IN_WORDS, True),
        (IN_WORDS, OTHER_KERNEL, True),
        (IN_WORDS, IN_WORDS, True),
        (EXACT, OTHER_KERNEL, False),
        (EXACT, OTHER_MEAN, False),
        (EXACT, WARPED, False),
        (IN_WORDS, WARPED, False),
        (NOT_STATED, NOT_STATED, False),
        (NOT_STATED, EXACT, False),
    ],
)
def test_terms_decide_where_both_are_known_exactly_and_words_where_one_is_not(one, other, same):
    assert one.is_same_as(other) is same
    assert other.is_same_as(one) is same


def test_what_two_share_is_no_more_than_both_say():
    assert EXACT.shared_with(EXACT) == EXACT
    assert EXACT.shared_with(IN_WORDS) == IN_WORDS
    assert EXACT.shared_with(NOT_STATED) == NOT_STATED


def test_a_net_s_own_numbers_are_not_named_and_others_are():
    """Open Model Zoo subtracted VGG's own mean from VGG-16, and one mean per channel from AlexNet."""
    vgg, alexnet = CATALOG.get("vgg16-vgg"), CATALOG.get("alexnet-bvlc")
    found = {
        manifest.name: of_measurement(measured, manifest)
        for manifest in (vgg, alexnet)
        for measured in manifest.measurements
        if measured.who == "Open Model Zoo"
    }
    assert found["vgg16-vgg"] == EXACT
    terms = "caffe-warp256, crop 227, mean 104 117 123"
    assert found["alexnet-bvlc"] == Preparation("warped to 256x256, crop 227", terms)


def test_a_claim_has_the_preparation_that_its_source_states():
    resnet, vgg = CATALOG.get("resnet18-dsd"), CATALOG.get("vgg16-dsd")
    assert of_claim(resnet.claims[0], resnet) == OTHER_KERNEL
    assert of_claim(vgg.claims[0], vgg) == NOT_STATED


def test_a_run_under_another_flavour_keeps_the_net_s_numbers(made_run):
    manifest = CATALOG.get("digits-caffe-dsd")
    own = manifest.preprocessing.model_dump()
    for flavour, words in (
        ("caffe-warp36", "warped to 36x36"),
        ("caffe-short36", "shorter side 36"),
        ("pil-bicubic-short36", "shorter side 36"),
    ):
        run = made_run(manifest.name, preprocessing={**own, "flavour": flavour, "meant_for": "caffe-warp36"})
        expected = Preparation(f"{words}, crop 32", f"{flavour}, crop 32")
        assert of_run(run.result, manifest) == expected
    run = made_run(manifest.name, preprocessing={**own, "mean": [0.0, 0.0, 0.0]})
    assert of_run(run.result, manifest).terms == "caffe-warp36, crop 32, mean 0 0 0, scale 0.0078125"


@pytest.mark.parametrize(
    "settings", [{}, {"flavour": "caffe-warp36"}, {"flavour": "of-later", "crop": 32}, {"crop": "wide"}]
)
def test_a_run_that_says_it_otherwise_is_compared_with_none(made_run, settings):
    run = made_run("digits-caffe-dsd", preprocessing=settings)
    assert of_run(run.result, CATALOG.get("digits-caffe-dsd")) == NOT_STATED


def test_every_flavour_says_what_it_does_to_an_image():
    words = {family: flavour(256).in_words(224) for family, flavour in all_flavours().items()}
    assert words["caffe-stored"] == "in stored size, crop 224"
    assert words["torch7-bicubic"] == words["pil-bicubic-short"] == words["caffe-short"] == SHORT


def open_model_zoo(pixels: np.ndarray, *, keep_aspect: bool, crop: int, mean: list[float]) -> np.ndarray:
    """Its resize (aspect_ratio_scale greater, or none), crop and normalization, written from their rules."""
    height, width = pixels.shape[:2]
    size = (256, 256)
    if keep_aspect:
        size = (256, int(256 * height / width)) if height > width else (int(256 * width / height), 256)
    resized = cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR).astype(np.float32)
    top, left = (resized.shape[0] - crop) // 2, (resized.shape[1] - crop) // 2
    window = resized[top : top + crop, left : left + crop]
    return (window - np.array(mean, np.float32)).transpose(2, 0, 1)


@pytest.mark.parametrize("model", [name for name in CATALOG.names() if CATALOG.get(name).measurements])
@pytest.mark.parametrize(("height", "width"), [(375, 500), (500, 333), (256, 257), (301, 300), (256, 511)])
def test_the_terms_of_open_model_zoo_are_its_very_pixels(model, height, width):
    pixels = np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)
    encoded = cv2.imencode(".png", pixels)[1].tobytes()
    for found in CATALOG.get(model).measurements:
        settings = found.preprocessing
        if found.who != "Open Model Zoo" or settings is None or settings.mean is None:
            continue
        assert settings.std is None
        theirs = open_model_zoo(
            pixels,
            keep_aspect=settings.flavour == "caffe-short256",
            crop=settings.crop,
            mean=settings.mean,
        )
        ours = preprocessor(Preprocessing(**(settings.model_dump() | {"scale": 1.0})))(encoded)
        np.testing.assert_array_equal(ours, theirs)
