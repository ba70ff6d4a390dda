"""caffe-warp against real Caffe's own pixels and against integer arithmetic written down independently."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from zoo.errors import DataError, UsageError
from zoo.preprocessing import preprocessor, resolve
from zoo.preprocessing.settings import Preprocessing


@pytest.fixture
def digits(corpus):
    """The first 8 digit images as PNG and as real convert_imageset put them into its LMDB (CHW, 36x36)."""
    with np.load(corpus / "preprocessing" / "digits.npz") as recorded:
        return [recorded[f"png_{i}"].tobytes() for i in range(8)], recorded["caffe_resized"]


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def random_image(height: int, width: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def opencv_linear(image: np.ndarray, size: int) -> np.ndarray:
    """cv2's INTER_LINEAR for uint8 in plain integers: 11-bit coefficients, one rounding at the end.

    Columns clamp the coefficient at the edges, rows clamp only the index. A reduction by exactly two
    along both axes is the rounded mean of 2x2 pixels instead.
    """
    height, width = image.shape[:2]
    if (height, width) == (2 * size, 2 * size):
        quads = image.astype(np.int64).reshape(size, 2, size, 2, 3)
        return ((quads.sum((1, 3)) + 2) // 4).astype(np.uint8)

    def taps(length: int) -> tuple[list[int], list[np.float32]]:
        starts, fractions = [], []
        for target in range(size):
            position = np.float32((target + 0.5) * (length / size) - 0.5)
            starts.append(math.floor(position))
            fractions.append(np.float32(position - np.float32(math.floor(position))))
        return starts, fractions

    def coefficients(fraction: np.float32) -> tuple[int, int]:
        return round(float((np.float32(1) - fraction) * np.float32(2048))), round(
            float(fraction * np.float32(2048))
        )

    source = image.astype(np.int64)
    across = np.empty((height, size, 3), np.int64)
    for target, (start, fraction) in enumerate(zip(*taps(width), strict=True)):
        if start < 0 or start >= width - 1:
            start, fraction = (0 if start < 0 else width - 1), np.float32(0)
        near, far = coefficients(fraction)
        across[:, target] = near * source[:, start] + far * source[:, min(start + 1, width - 1)]
    result = np.empty((size, size, 3), np.int64)
    for target, (start, fraction) in enumerate(zip(*taps(height), strict=True)):
        near, far = coefficients(fraction)
        upper = across[min(max(start, 0), height - 1)] >> 4
        lower = across[min(max(start + 1, 0), height - 1)] >> 4
        result[target] = (((near * upper) >> 16) + ((far * lower) >> 16) + 2) >> 2
    return result.astype(np.uint8)


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (375, 500),
        (56, 75),
        (512, 512),
        (512, 300),
        (256, 256),
        (1, 1),
        (1, 300),
        (255, 257),
        (128, 1024),
        (37, 911),
    ],
)
def test_resize_is_opencv_in_integers(height, width):
    image = random_image(height, width)
    np.testing.assert_array_equal(resolve("caffe-warp256").resize(png(image)), opencv_linear(image, 256))


def test_resize_equals_what_convert_imageset_stored(digits):
    images, stored = digits
    flavour = resolve("caffe-warp36")
    for image, pixels in zip(images, stored, strict=True):
        np.testing.assert_array_equal(flavour.resize(image).transpose(2, 0, 1), pixels)


def test_photograph_reaches_the_net_as_in_real_caffe(shared):
    with np.load(shared / "models" / "squeezenet-deep-compression" / "io_0.npz") as recorded:
        expected = recorded["in:data"][0]
    prepare = preprocessor(Preprocessing(flavour="caffe-warp256", crop=227, mean=[104, 117, 123]))
    photograph = (shared / "imagenet-sample" / "n01440764_tench.JPEG").read_bytes()
    result = prepare(photograph)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result, expected)


def test_crop_mean_and_scale_follow_the_data_transformer():
    image = random_image(36, 36)
    prepare = preprocessor(
        Preprocessing(flavour="caffe-warp36", crop=31, mean=[104, 117, 123.68], scale=0.0078125)
    )
    result = prepare(png(image))
    mean, scale = np.array([104, 117, 123.68], np.float32), np.float32(0.0078125)
    for channel in range(3):
        for row in range(31):
            for column in range(31):
                # (36 - 31) / 2 = 2 in integers
                pixel = np.float32(image[row + 2, column + 2, channel])
                assert result[channel, row, column] == (pixel - mean[channel]) * scale


def test_one_mean_value_serves_all_channels():
    image = png(random_image(8, 8))
    one = preprocessor(Preprocessing(flavour="caffe-warp8", crop=8, mean=[127]))
    three = preprocessor(Preprocessing(flavour="caffe-warp8", crop=8, mean=[127, 127, 127]))
    np.testing.assert_array_equal(one(image), three(image))


def test_mean_image_is_cropped_at_the_same_window(tmp_path):
    image = random_image(16, 16)
    mean = np.random.default_rng(1).uniform(0, 255, (3, 16, 16))
    np.save(tmp_path / "mean.npy", mean)
    settings = Preprocessing(flavour="caffe-warp16", crop=11, mean_image=True)
    result = preprocessor(settings, tmp_path / "mean.npy")(png(image))
    expected = image.transpose(2, 0, 1)[:, 2:13, 2:13].astype(np.float32) - mean[:, 2:13, 2:13].astype(
        np.float32
    )
    np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read"),
        (b"<html>", "begins with b'<html>'"),
        (b"\x93NUMPY\x01\x00\x05\x00{'a':", "damaged"),
        (np.zeros((3, 8, 8)), "expected a mean image of 3 x 16 x 16"),
        (np.full((3, 16, 16), np.nan), "not finite"),
        (np.full((3, 16, 16), "x"), "of <U1"),
    ],
)
def test_a_bad_mean_image_is_named(tmp_path, content, message):
    path = tmp_path / "mean.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        np.save(path, content)
    with pytest.raises(DataError, match=message) as caught:
        preprocessor(Preprocessing(flavour="caffe-warp16", crop=11, mean_image=True), path)
    assert str(path) in str(caught.value)


def test_a_mean_image_header_that_claims_terabytes_allocates_nothing(tmp_path):
    path = tmp_path / "mean.npy"
    np.save(path, np.zeros((3, 16, 16)))
    path.write_bytes(path.read_bytes().replace(b"(3, 16, 16), }    ", b"(3, 99999, 99999)}"))
    with pytest.raises(DataError, match="damaged"):
        preprocessor(Preprocessing(flavour="caffe-warp16", crop=11, mean_image=True), path)


def test_grey_files_get_three_equal_channels_and_alpha_is_dropped():
    grey = random_image(20, 30)[:, :, 0]
    flavour = resolve("caffe-warp16")
    np.testing.assert_array_equal(flavour.resize(png(grey)), flavour.resize(png(np.dstack([grey] * 3))))
    colour = random_image(20, 30)
    transparent = np.dstack([colour, np.zeros((20, 30), np.uint8)])
    np.testing.assert_array_equal(flavour.resize(png(transparent)), flavour.resize(png(colour)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"flavour": "caffe-warp", "crop": 1}, "no preprocessing flavour is called 'caffe-warp'"),
        ({"flavour": "caffe-warp0", "crop": 1}, "caffe-warp0"),
        ({"flavour": "cafe-warp256", "crop": 1}, r"did you mean caffe-warp256\?"),
        ({"flavour": "caffe-warp99999", "crop": 1}, "more than 4096"),
        ({"flavour": "caffe-warp" + "9" * 5000, "crop": 1}, "no preprocessing flavour"),
        ({"flavour": "caffe-warp256", "crop": 300}, "window of 300 pixels does not fit"),
        ({"flavour": "caffe-warp256", "crop": 227, "std": [1, 1, 1]}, "divides by no std"),
        ({"flavour": "caffe-warp256", "crop": 227, "mean": [1, 2]}, "one number or three"),
        ({"flavour": "caffe-warp256", "crop": 227, "mean_image": True}, "no file with it was given"),
        ({"flavour": "torch7-bicubic256", "crop": 224, "scale": 2}, "knows no scale"),
        ({"flavour": "torch7-bicubic256", "crop": 224, "std": [0.2, 0, 0.2]}, "must be positive"),
        ({"flavour": "torch7-bicubic256", "crop": 224, "mean_image": True}, "subtracts no mean image"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(UsageError, match=message):
        preprocessor(Preprocessing(**settings))
