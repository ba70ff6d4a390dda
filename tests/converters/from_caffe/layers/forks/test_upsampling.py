"""The layers named Upsample, against float64 references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_resampling as reference
from reference_nets import assert_close, computed, image, layer, one_item, write_net

import converters


@pytest.mark.parametrize(
    ("shape", "scale"),
    [((1, 2, 3, 4), 2), ((2, 1, 1, 5), 3), ((3, 2, 2, 2), 1), ((1, 1, 7, 1), 4), ((2, 3, 4, 4), 8)],
)
def test_upsample_repeats_pixels(tmp_path: Path, shape: tuple[int, ...], scale: int) -> None:
    x = image(*shape)
    net = layer("Upsample", "x", "y", f"upsample_param {{ scale: {scale} }}")
    assert_close(computed(tmp_path, net, {"x": x}, declared=one_item(x))["y"], reference.repeated(x, scale))


@pytest.mark.parametrize(
    ("shape", "kernel", "text", "size"),
    [
        ((2, 3, 4, 6), 2, "scale: 2", (4, 6)),
        ((2, 3, 4, 6), 2, "", (4, 6)),
        ((1, 2, 5, 7), 2, "scale: 2 pad_out_h: true pad_out_w: true", (5, 7)),
        ((1, 2, 5, 6), 2, "scale_h: 2 scale_w: 2 pad_out_h: true", (5, 6)),
        ((2, 1, 9, 6), 3, "scale: 3", (9, 6)),
        ((3, 2, 8, 7), 3, "upsample_h: 8 upsample_w: 7", (8, 7)),
        ((1, 2, 4, 4), 2, "upsample_w: 5 upsample_h: 6", (6, 5)),
    ],
)
def test_upsample_puts_pixels_where_a_pooling_found_them(
    tmp_path: Path, shape: tuple[int, ...], kernel: int, text: str, size: tuple[int, int]
) -> None:
    x = image(*shape)
    pooling = layer(
        "Pooling", "x", "p mask", f"pooling_param {{ kernel_size: {kernel} stride: {kernel} }}", name="pool"
    )
    net = pooling + layer("Upsample", "p mask", "y", f"upsample_param {{ {text} }}")
    got = computed(tmp_path, net, {"x": x}, declared=one_item(x))
    assert_close(got["y"], reference.unpooled(*reference.pooled_with_places(x, kernel), size))


def test_upsample_by_a_mask_from_outside(tmp_path: Path) -> None:
    x = image(2, 3, 2, 2)
    mask = np.stack([np.random.default_rng(k).permutation(16)[:4] for k in range(6)]).reshape(2, 3, 2, 2)
    got = computed(tmp_path, layer("Upsample", "x mask", "y"), {"x": x, "mask": mask})
    assert_close(got["y"], reference.unpooled(x, mask, (4, 4)))


@pytest.mark.parametrize("pooled", [True, False])
def test_of_several_pixels_for_one_place_the_last_stays(tmp_path: Path, pooled: bool) -> None:
    x = image(2, 3, 7, 6)
    pooling = "pooling_param { kernel_size: 3 stride: 1 }"
    places = np.zeros((2, 3, 5, 4))
    for i, j, row, column in np.ndindex(places.shape):
        down, right = divmod(int(np.argmax(x[i, j, row : row + 3, column : column + 3])), 3)
        places[i, j, row, column] = (row + down) * 6 + column + right
    values = image(2, 3, 5, 4, seed=1)
    assert len(np.unique(places[0, 0])) < places[0, 0].size
    text = layer("Upsample", "v mask", "y", "upsample_param { upsample_h: 7 upsample_w: 6 }")
    given = {"v": values, "mask": places}
    if pooled:
        text = layer("Pooling", "x", "p mask", pooling, name="pool") + text
        given = {"v": values, "x": x}
    got = computed(tmp_path, text, given, declared={name: (1, *v.shape[1:]) for name, v in given.items()})
    assert_close(got["y"], reference.unpooled(values, places, (7, 6)))


@pytest.mark.parametrize(
    ("net", "error", "message"),
    [
        (layer("Upsample", "x", "y"), "FormatError", "needs a scale"),
        (layer("Upsample", "x", "y", "upsample_param { scale: 1.5 }"), "UnsupportedError", "whole number"),
        (layer("Upsample", "x x", "y", "upsample_param { scale_h: 2 }"), "FormatError", "upsample_h and"),
        (
            layer("Upsample", "x x", "y", "upsample_param { scale: 3 pad_out_h: true }"),
            "FormatError",
            "for a scale of 2",
        ),
    ],
)
def test_upsample_refuses(tmp_path: Path, net: str, error: str, message: str) -> None:
    with pytest.raises(getattr(converters, error), match=message):
        converters.load(*write_net(tmp_path, net, {"x": (1, 2, 5, 5)}))
