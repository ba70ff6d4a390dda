"""Layers that change the size of an image, against float64 references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import reference_resampling as reference
from reference_nets import assert_close, computed, image, layer, one_item, write_net

import converters


@pytest.mark.parametrize(
    ("text", "meant", "shape"),
    [
        ("height: 7 width: 4", {"size": (7, 4)}, (2, 3, 3, 5)),
        ("height: 3 width: 5", {"size": (3, 5)}, (1, 2, 3, 5)),
        ("height: 2 width: 11", {"size": (2, 11)}, (2, 1, 9, 4)),
        ("height: 1 width: 1", {"size": (1, 1)}, (1, 2, 4, 4)),
        ("height: 6 width: 3", {"size": (6, 3)}, (1, 2, 1, 1)),
        ("zoom_factor: 8", {"zoom": 8}, (2, 2, 3, 2)),
        ("shrink_factor: 2", {"shrink": 2}, (2, 2, 8, 5)),
        ("shrink_factor: 3 zoom_factor: 2", {"shrink": 3, "zoom": 2}, (1, 2, 11, 7)),
        ("zoom_factor: 3 pad_beg: -1 pad_end: -2", {"zoom": 3, "pad": (-1, -2)}, (1, 2, 6, 5)),
        ("height: 6 width: 3 zoom_factor: 2", {"zoom": 2}, (1, 2, 4, 5)),
        ("height: 6 width: 3 zoom_factor: 2 shrink_factor: 2", {"size": (6, 3)}, (1, 2, 4, 5)),
        ("height: 4 width: 9 pad_end: -1", {"size": (4, 9), "pad": (0, -1)}, (2, 2, 6, 5)),
    ],
)
def test_interp(tmp_path: Path, text: str, meant: dict[str, Any], shape: tuple[int, ...]) -> None:
    x = image(*shape)
    net = layer("Interp", "x", "y", f"interp_param {{ {text} }}") + layer("Power", "y", "z", name="z")
    got = computed(tmp_path, net, {"x": x}, declared=one_item(x))
    assert_close(got["z"], reference.interp(x, **meant))


def test_interp_to_the_size_of_another_blob(tmp_path: Path) -> None:
    x, like = image(2, 3, 4, 3), image(2, 1, 5, 8)
    got = computed(
        tmp_path, layer("Interp", "x like", "y", "interp_param { pad_beg: -1 }"), {"x": x, "like": like}
    )
    assert_close(got["y"], reference.interp(x, size=(5, 8), pad=(-1, 0)))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "either height and width"),
        ("height: 3", "either height and width"),
        ("height: 3 zoom_factor: 0", "must be positive"),
        ("zoom_factor: 0", "must be positive"),
        ("zoom_factor: 2 pad_beg: 1", "must not be positive"),
        ("zoom_factor: 2 pad_beg: -3 pad_end: -1", "cropping leaves"),
    ],
)
def test_interp_refuses(tmp_path: Path, text: str, message: str) -> None:
    net = layer("Interp", "x", "y", f"interp_param {{ {text} }}")
    with pytest.raises(converters.FormatError, match=message):
        converters.load(*write_net(tmp_path, net, {"x": (1, 2, 4, 5)}))


@pytest.mark.parametrize(
    ("shapes", "text", "size"),
    [
        ([(1, 2, 3, 4), (1, 3, 6, 5)], "", (6, 5)),
        ([(2, 2, 7, 2), (2, 1, 3, 5)], "", (7, 5)),
        ([(1, 2, 3, 4)], "top_height: 9 top_width: 8", (9, 8)),
        ([(1, 2, 3, 4)], "top_height: 9 top_width: 2", (3, 4)),
        ([(1, 2, 3, 4), (1, 1, 5, 9)], "size_divisible_by: 4", (8, 12)),
        ([(1, 2, 3, 4), (1, 3, 6, 5)], "have_reference: true", (6, 5)),
    ],
)
def test_accum(tmp_path: Path, shapes: list[tuple[int, ...]], text: str, size: tuple[int, int]) -> None:
    images = {f"x{k}": image(*shape, seed=k) for k, shape in enumerate(shapes)}
    got = computed(tmp_path, layer("Accum", " ".join(images), "y", f"accum_param {{ {text} }}"), images)
    joined = list(images.values())[:-1] if "reference" in text else list(images.values())
    assert_close(got["y"], reference.accumulated(joined, size))


@pytest.mark.parametrize("kind", ["LINEAR", "CUBIC"])
@pytest.mark.parametrize(
    ("shape", "size", "antialias"),
    [
        ((2, 2, 4, 4), (7, 9), True),
        ((1, 2, 9, 7), (4, 4), True),
        ((1, 2, 9, 7), (4, 4), False),
        ((2, 1, 8, 3), (4, 6), True),
        ((1, 1, 5, 5), (5, 5), True),
        ((1, 2, 6, 10), (2, 3), True),
    ],
)
def test_resample(
    tmp_path: Path, shape: tuple[int, ...], size: tuple[int, int], antialias: bool, kind: str
) -> None:
    x = image(*shape)
    text = f"height: {size[0]} width: {size[1]} type: {kind} antialias: {str(antialias).lower()}"
    net = layer("Resample", "x", "y", f"resample_param {{ {text} }}")
    got = computed(tmp_path, net, {"x": x}, declared=one_item(x))
    assert_close(got["y"], reference.resampled(x, size, kind, antialias))


@pytest.mark.parametrize(
    ("shape", "size"),
    [((1, 2, 4, 4), (8, 8)), ((2, 1, 6, 6), (3, 3)), ((1, 1, 6, 9), (4, 6)), ((1, 2, 5, 5), (5, 5))],
)
def test_resample_to_the_nearest(tmp_path: Path, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    x = image(*shape)
    net = layer(
        "Resample", "x", "y", f"resample_param {{ height: {size[0]} width: {size[1]} type: NEAREST }}"
    )
    got = computed(tmp_path, net + layer("Power", "y", "z", name="z"), {"x": x})
    assert_close(got["z"], reference.resampled(x, size, "NEAREST"))


def test_resample_to_the_size_of_another_blob(tmp_path: Path) -> None:
    x, like = image(2, 2, 4, 6), image(2, 1, 7, 5)
    net = layer("Resample", "x like", "y", "resample_param { type: LINEAR }")
    assert_close(
        computed(tmp_path, net, {"x": x, "like": like})["y"], reference.resampled(x, (7, 5), "LINEAR")
    )


def test_resample_refuses_to_read_outside_the_image(tmp_path: Path) -> None:
    net = layer("Resample", "x", "y", "resample_param { height: 2 width: 24 type: NEAREST }")
    with pytest.raises(converters.UnsupportedError, match="outside the image"):
        converters.load(*write_net(tmp_path, net, {"x": (1, 2, 12, 3)}))


@pytest.mark.parametrize(
    ("shape", "size"),
    [
        ((2, 2, 8, 8), (4, 4)),
        ((1, 1, 9, 5), (3, 5)),
        ((1, 2, 7, 11), (2, 6)),
        ((1, 1, 4, 4), (4, 4)),
        ((2, 1, 13, 6), (5, 3)),
    ],
)
def test_downsample(tmp_path: Path, shape: tuple[int, ...], size: tuple[int, int]) -> None:
    x, like = image(*shape), image(shape[0], 1, *size)
    by_size = layer(
        "Downsample", "x", "y", f"downsample_param {{ top_height: {size[0]} top_width: {size[1]} }}"
    )
    net = (
        by_size
        + layer("Downsample", "x like", "z", name="by_reference")
        + layer("Eltwise", "y z", "sum", name="sum")
    )
    got = computed(tmp_path, net, {"x": x, "like": like})
    assert_close(got["sum"], 2 * reference.downsampled(x, size))
