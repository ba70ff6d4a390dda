"""Pooling layers of BVLC: rules that no recorded case shows."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_windows as reference
from reference_nets import assert_close, computed, layer, normal

X = np.random.default_rng(0).standard_normal((2, 3, 4, 6))


def windows(x: np.ndarray, rows: list[slice], columns: list[slice], reduce: object) -> np.ndarray:
    """Each window of the last two axes reduced by a function of (block, axes)."""
    return np.stack(
        [np.stack([reduce(x[..., r, c], (-2, -1)) for c in columns], -1) for r in rows],  # type: ignore[operator]
        -2,
    )


ROWS = [slice(0, 1), slice(1, 3), slice(3, 4)]


POOLING_CASES = {
    # With padding on one axis, Caffe drops a last window on the other axis too: columns 6 and 7 do not exist.
    "pooling-drops-on-both-axes": (
        "Pooling",
        "pooling_param { pool: MAX kernel_h: 2 kernel_w: 1 stride_h: 2 stride_w: 4 pad_h: 1 pad_w: 0 }",
        X[..., :4],
        windows(X, ROWS, [slice(0, 1)], np.max),
    ),
}


@pytest.mark.parametrize("name", POOLING_CASES)
def test_pooling_case(name: str, tmp_path: Path) -> None:
    kind, parameters, x, wanted = POOLING_CASES[name]
    assert_close(computed(tmp_path, layer(kind, "x", "y", parameters), {"x": x})["y"], wanted)


LOWEST = float(np.finfo(np.float32).min)


@pytest.mark.parametrize(
    ("parameters", "stride", "edge"),
    [
        ("pool: MAX kernel_size: 1 stride: 2", 2, LOWEST),
        ("pool: AVE kernel_size: 1 stride: 2", 2, np.nan),
        ("pool: MAX kernel_size: 1 stride: 5", 5, LOWEST),
        ("pool: AVE kernel_size: 1 stride: 5", 5, 0),
    ],
)
def test_pooling_windows_outside_the_image(parameters: str, stride: int, edge: float, tmp_path: Path) -> None:
    """One row and one column of windows start outside: they hold -FLT_MAX, 0 / 0 or 0 / a negative size."""
    x = X if stride == 2 else X[:, :, :, :4]
    got = computed(tmp_path, layer("Pooling", "x", "y", f"pooling_param {{ {parameters} }}"), {"x": x})["y"]
    inside = x[:, :, ::stride, ::stride]
    assert_close(got[..., :-1, :-1], inside)
    wanted = np.pad(inside, ((0, 0), (0, 0), (0, 1), (0, 1)), constant_values=edge)
    assert got.shape == wanted.shape
    np.testing.assert_array_equal(got[..., -1, :], wanted[..., -1, :].astype(np.float32))
    np.testing.assert_array_equal(got[..., -1], wanted[..., -1].astype(np.float32))


def test_the_place_of_a_maximum_outside_the_image_is_none(tmp_path: Path) -> None:
    text = layer("Pooling", "x", "y m", "pooling_param { pool: MAX kernel_size: 1 stride: 2 }")
    places = computed(tmp_path, text, {"x": X})["m"]
    inside = np.arange(24).reshape(4, 6)[::2, ::2]
    wanted = np.pad(inside, ((0, 1), (0, 1)), constant_values=-1)
    np.testing.assert_array_equal(places, np.broadcast_to(wanted, (2, 3, 3, 4)))


POOLINGS: list[tuple[tuple[int, int], int, int, int]] = [
    ((6, 7), 3, 2, 0),
    ((5, 8), 2, 2, 1),
    ((7, 7), 3, 3, 1),
    ((4, 9), 4, 3, 2),
    ((6, 6), 2, 1, 1),
    ((8, 5), 3, 2, 1),
]


@pytest.mark.parametrize("pool", ["MAX", "AVE"])
@pytest.mark.parametrize(
    "switch", ["torch_pooling: true", "ceil_mode: false", "round_mode: FLOOR", "ceil_mode: true"]
)
@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), POOLINGS)
def test_pooling_rounds_as_the_switch_says(
    tmp_path: Path, size: tuple[int, int], kernel: int, stride: int, pad: int, switch: str, pool: str
) -> None:
    x = normal(2, 3, *size)
    text = f"pooling_param {{ pool: {pool} kernel_size: {kernel} stride: {stride} pad: {pad} {switch} }}"
    got = computed(tmp_path, layer("Pooling", "x", "y", text), {"x": x}, declared={"x": (1, 3, *size)})
    wanted = reference.pooled(
        x, (kernel,) * 2, (stride,) * 2, (pad,) * 2, maximum=pool == "MAX", floor=switch != "ceil_mode: true"
    )
    assert_close(got["y"], wanted)


@pytest.mark.parametrize("floor", [False, True])
@pytest.mark.parametrize(("size", "kernel", "stride", "pad"), POOLINGS)
def test_pooling_leaves_the_padding_out(
    tmp_path: Path, size: tuple[int, int], kernel: int, stride: int, pad: int, floor: bool
) -> None:
    x = normal(2, 3, *size)
    text = f"pool: AVE kernel_size: {kernel} stride: {stride} pad: {pad} avg_include_pad: false"
    rounding = "ceil_mode: false" if floor else ""
    got = computed(tmp_path, layer("Pooling", "x", "y", f"pooling_param {{ {text} {rounding} }}"), {"x": x})
    wanted = reference.pooled(
        x, (kernel,) * 2, (stride,) * 2, (pad,) * 2, maximum=False, floor=floor, count_padding=False
    )
    assert_close(got["y"], wanted)
