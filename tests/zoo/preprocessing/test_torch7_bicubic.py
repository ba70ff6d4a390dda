"""torch7-bicubic against recordings of real Torch7 and a scalar implementation of its written rules."""

from __future__ import annotations

import json
import math

import cv2
import numpy as np
import pytest

from zoo.errors import DataError
from zoo.preprocessing import preprocessor, resolve
from zoo.preprocessing.flavours.torch7_bicubic import scaled_size
from zoo.preprocessing.settings import Preprocessing

F = np.float32
IMAGENET = Preprocessing(
    flavour="torch7-bicubic256", crop=224, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]
)


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def one_axis(samples: list[np.float32], length: int) -> list[np.float32]:
    """`image.scale` along one line of pixels, a sample at a time, as its C code goes."""
    last = len(samples) - 1
    if length == len(samples):
        return list(samples)
    ratio = F(last) / F(length - 1) if length > 1 else F(last)
    result = []
    for target in range(length - 1):
        position = F(target) * ratio
        i = math.floor(position)
        x = F(position - F(i))
        p1, p2 = samples[i], samples[i + 1]
        p0 = samples[i - 1] if i > 0 else F(2) * p1 - p2
        p3 = samples[i + 2] if i + 2 <= last else F(2) * p2 - p1
        inner = (p2 - p0) + x * ((F(2) * p0 - F(5) * p1 + F(4) * p2 - p3) + x * (F(3) * (p1 - p2) + p3 - p0))
        result.append(F(float(p1) + 0.5 * float(x) * float(inner)))
    return [*result, samples[last]]


def scaled(pixels: np.ndarray, height: int, width: int) -> np.ndarray:
    """Rows first, then columns, per channel; RGB out of BGR."""
    source = pixels[:, :, ::-1].astype(F) * F(1 / 255)
    result = np.empty((height, width, 3), F)
    for channel in range(3):
        rows = [one_axis(list(line), width) for line in source[:, :, channel]]
        columns = [one_axis([row[i] for row in rows], height) for i in range(width)]
        result[:, :, channel] = np.array(columns, F).T
    return result


@pytest.mark.parametrize(
    ("height", "width", "size"),
    [(23, 31, 16), (31, 23, 16), (9, 12, 20), (40, 40, 13), (2, 5, 7), (50, 17, 16)],
)
def test_scaling_is_torch7_sample_by_sample(height, width, size):
    image = np.random.default_rng(height).integers(0, 256, (height, width, 3), np.uint8)
    result = resolve(f"torch7-bicubic{size}").resize(png(image))
    np.testing.assert_array_equal(result, scaled(image, *scaled_size(height, width, size)))


def test_digits_reach_the_net_as_in_real_torch7(corpus):
    prepare = preprocessor(Preprocessing(flavour="torch7-bicubic36", crop=32, mean=[0.5], std=[0.25]))
    with np.load(corpus / "preprocessing" / "digits.npz") as recorded:
        for i, expected in enumerate(recorded["torch7_input"]):
            np.testing.assert_array_equal(prepare(recorded[f"png_{i}"].tobytes()), expected)


def test_photographs_reach_the_net_as_in_real_torch7(shared):
    prepare = preprocessor(IMAGENET)
    seen = 0
    for case in sorted((shared / "corpus" / "preprocess-torch7").glob("*.bicubic.npz")):
        with np.load(case) as recorded:
            photograph = shared / "imagenet-sample" / str(recorded["in"])
            if photograph.exists():
                seen += 1
                np.testing.assert_array_equal(prepare(photograph.read_bytes()), recorded["out"])
    assert seen, "none of the recorded photographs is there"


def test_output_sizes_of_the_recorded_photographs(shared):
    index = json.loads((shared / "corpus" / "preprocess-torch7" / "index.json").read_text())
    for image in index["images"]:
        expected = image["scaled_height"], image["scaled_width"]
        assert scaled_size(image["height"], image["width"], 256) == expected


@pytest.mark.parametrize(
    ("height", "width", "expected"),
    [
        (303, 445, (256, 375)),  # 375.97 is truncated
        (256, 300, (256, 300)),  # the shorter side fits: untouched
        (300, 256, (300, 256)),
        (500, 500, (256, 256)),
        (10, 5, (512, 256)),
    ],
)
def test_the_other_side_is_truncated(height, width, expected):
    assert scaled_size(height, width, 256) == expected


def test_an_image_of_the_right_size_is_not_touched():
    image = np.random.default_rng(0).integers(0, 256, (8, 11, 3), np.uint8)
    expected = image[:, :, ::-1].astype(F) * F(1 / 255)
    np.testing.assert_array_equal(resolve("torch7-bicubic8").resize(png(image)), expected)


def test_an_odd_surplus_moves_the_window_right_and_down():
    image = np.random.default_rng(0).integers(0, 256, (8, 11, 3), np.uint8)
    flavour = resolve("torch7-bicubic8")
    prepare = preprocessor(Preprocessing(flavour="torch7-bicubic8", crop=6))
    np.testing.assert_array_equal(
        prepare(png(image)), flavour.resize(png(image))[1:7, 3:9].transpose(2, 0, 1)
    )


@pytest.mark.parametrize(
    ("height", "width", "crop"),
    [
        (23, 31, 11),
        (31, 23, 16),
        (16, 16, 16),
        (9, 12, 1),
        (16, 40, 15),
        (40, 16, 16),
        (1, 5, 9),
        (300, 500, 16),
    ],
)
def test_the_window_alone_is_what_the_whole_image_has_there(height, width, crop):
    image = np.random.default_rng(width).integers(0, 256, (height, width, 3), np.uint8)
    flavour = resolve("torch7-bicubic16")
    whole = flavour.scale(image)
    rows, columns = flavour.window(*whole.shape[:2], crop)
    np.testing.assert_array_equal(flavour.scale_window(image, crop), whole[rows, columns])


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(DataError, match="torch7-bicubic16 made it 16x20: smaller than the 17x17 window"):
        resolve("torch7-bicubic16").scale_window(np.zeros((32, 40, 3), np.uint8), 17)


def test_one_pixel_is_spread_and_the_result_has_no_uninitialised_memory():
    pixel = np.full((1, 1, 3), 51, np.uint8)
    np.testing.assert_array_equal(
        resolve("torch7-bicubic4").resize(png(pixel)), np.full((4, 4, 3), F(51) * F(1 / 255))
    )


def test_nothing_is_clamped():
    edge = np.zeros((16, 16, 3), np.uint8)
    edge[:, 8:] = 255
    result = resolve("torch7-bicubic40").resize(png(edge))
    assert result.min() < 0
    assert result.max() > 1


def test_sixteen_bit_files_are_divided_by_65535():
    image = np.random.default_rng(0).integers(0, 65536, (8, 8, 3), np.uint16)
    expected = image[:, :, ::-1].astype(np.float64) / 65535
    np.testing.assert_allclose(resolve("torch7-bicubic8").resize(png(image)), expected, atol=1e-7)


def test_cmyk_is_refused_by_name():
    # SOI and a frame header with four components: T.81, B.2.2.
    header = bytes.fromhex("ffd8 ffc0 0014 08 0008 0008 04 011100 021100 031100 041100")
    with pytest.raises(DataError, match="CMYK"):
        resolve("torch7-bicubic8").resize(header)


def test_a_thread_of_pixels_is_refused_before_it_is_blown_up():
    with pytest.raises(DataError, match="would make it 256x1048576: too long and narrow"):
        resolve("torch7-bicubic256").resize(png(np.zeros((1, 4096, 3), np.uint8)))


def test_a_stage_one_array_smaller_than_the_window_is_refused():
    flavour = resolve("torch7-bicubic8")
    numbers = preprocessor(Preprocessing(flavour="torch7-bicubic8", crop=8)).normalisation
    with pytest.raises(DataError, match="smaller than the 8x8 window"):
        flavour.finish(np.zeros((7, 9, 3), F), numbers)
