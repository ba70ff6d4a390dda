"""Bytes that are looked up are the numbers that the arithmetic gives, bit by bit."""

from __future__ import annotations

import numpy as np
import pytest

from zoo.preprocessing.normalisation import Normalisation, normalise_planes

RANDOM = np.random.default_rng(0)


def of_channels(*values: float) -> np.ndarray:
    return np.array(values, np.float32).reshape(-1, 1, 1)


def expected(pixels: np.ndarray, normalisation: Normalisation) -> np.ndarray:
    """The steps that `Normalisation` describes, one after the other, in float32."""
    planes = np.moveaxis(pixels[..., ::-1] if normalisation.swap_channels else pixels, -1, -3)
    planes = planes.astype(np.float32) * normalisation.multiplier / normalisation.divisor
    if normalisation.mean is not None:
        planes = planes - normalisation.mean
    planes = planes * normalisation.scale
    return planes if normalisation.std is None else planes / normalisation.std


@pytest.mark.parametrize("swap", [False, True])
@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("front", [(), (1,), (4,)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_the_numbers_are_those_of_the_steps(swap, channels, front, dtype):
    pixels = RANDOM.integers(0, 256, (*front, 9, 12, channels)).astype(dtype)[..., 1:8, 2:9, :]
    per_channel = of_channels(*RANDOM.uniform(50, 200, channels))
    image = RANDOM.uniform(0, 255, (channels, 7, 7)).astype(np.float32)
    for mean in (None, of_channels(0), of_channels(103.94), per_channel, image):
        for more in (
            {},
            {"scale": np.float32(0.017)},
            {"std": per_channel / 3, "divisor": np.float32(255), "multiplier": np.float32(3)},
        ):
            normalisation = Normalisation(7, mean, swap_channels=swap, **more)
            planes = np.full((*front, channels, 7, 7), np.nan, np.float32)
            normalise_planes(pixels, planes, normalisation, mean)
            assert planes.tobytes() == expected(pixels, normalisation).tobytes()


def test_places_that_do_not_lie_side_by_side_are_filled_too():
    pixels = RANDOM.integers(0, 256, (2, 7, 7, 3), np.uint8)
    room = np.full((2, 3, 7, 10), -1, np.float32)
    normalisation = Normalisation(7, of_channels(1, 2, 3))
    normalise_planes(pixels, room[..., :7], normalisation, normalisation.mean)
    np.testing.assert_array_equal(room[..., :7], expected(pixels, normalisation))
    assert (room[..., 7:] == -1).all()
