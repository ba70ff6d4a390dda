"""A flavour is one file in zoo/preprocessing/flavours, or one registered class."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from registry_entries import entries_restored, only_these_entries

from zoo.errors import UsageError
from zoo.preprocessing import (
    Flavour,
    all_flavours,
    preprocessor,
    register_flavour,
    registry,
    resizing_flavours,
    resolve,
)
from zoo.preprocessing.settings import Preprocessing


class NearestWarp(Flavour):
    """The nearest pixel, to a square."""

    family = "nearest-warp"
    channels = "BGR"
    max_value = normalisation_max_value = 255

    def resized(self, height, width):
        return self.size, self.size

    def scale(self, pixels):
        return cv2.resize(pixels, (self.size, self.size), interpolation=cv2.INTER_NEAREST)

    def offset(self, length, crop):
        return (length - crop) // 2


SHIPPED = ["caffe-warp", "caffe-short", "caffe-stored", "torch7-bicubic", "pil-bicubic-short"]


@pytest.fixture
def shipped():
    """Only the flavours of SHIPPED, whatever else lies in zoo/preprocessing/flavours."""
    all_flavours()
    with only_these_entries(registry._FAMILIES, *SHIPPED):
        yield


@pytest.fixture
def nearest_warp(shipped):
    with entries_restored(registry._FAMILIES):
        yield register_flavour(NearestWarp)


def test_lists_of_flavours_keep_their_order(shipped):
    assert list(all_flavours()) == SHIPPED
    assert resizing_flavours(64) == [
        "caffe-warp64",
        "caffe-short64",
        "torch7-bicubic64",
        "pil-bicubic-short64",
    ]


def test_a_registered_flavour_prepares_images(nearest_warp):
    image = np.arange(4 * 4 * 3, dtype=np.uint8).reshape(4, 4, 3)
    prepare = preprocessor(Preprocessing(flavour="nearest-warp8", crop=2, mean=[1, 2, 3]))
    assert isinstance(resolve("nearest-warp8"), nearest_warp)
    np.testing.assert_array_equal(
        prepare(cv2.imencode(".png", image)[1].tobytes()),
        image[[1, 2]][:, [1, 2]].transpose(2, 0, 1) - np.float32([[[1]], [[2]], [[3]]]),
    )


def test_lists_and_errors_name_a_registered_flavour(nearest_warp):
    assert resizing_flavours(8)[-1] == "nearest-warp8"
    with pytest.raises(UsageError, match=r"there are caffe-warp256, .*, nearest-warp256, with any size"):
        resolve("no-such8")
    with pytest.raises(UsageError, match="did you mean nearest-warp256"):
        resolve("nearest-wrap")


def test_a_second_flavour_of_one_family_is_refused(nearest_warp):
    with pytest.raises(ValueError, match="two entries of the kind 'flavour' are named 'nearest-warp'"):
        register_flavour(NearestWarp)
