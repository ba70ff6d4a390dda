"""Layers of happynear's fork for face recognition, against float64 references of one line each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference_nets import assert_close, computed, layer, normal, write_net
from reference_windows import convolved

import converters


@pytest.mark.parametrize(
    ("shape", "scale"),
    [
        ((2, 3, 4, 5), (2, 1, 4, 5)),
        ((2, 3), (2,)),
        ((4, 2), (4, 1)),
        ((1, 2, 3, 1), (1, 3)),
        ((3, 1, 2, 2), (3, 4)),
    ],
)
def test_channel_scale(tmp_path: Path, shape: tuple[int, ...], scale: tuple[int, ...]) -> None:
    x, s = normal(*shape), normal(*scale, seed=1)
    got = computed(tmp_path, layer("ChannelScale", "x s", "y"), {"x": x, "s": s})
    assert_close(got["y"], x * s.reshape(shape[0], 1, *shape[2:]))


def test_channel_scale_that_only_scales_gradients(tmp_path: Path) -> None:
    x, s = normal(2, 3), normal(2, 1, seed=1)
    net = layer("ChannelScale", "x s", "y", "channel_scale_param { do_forward: false }")
    got = computed(tmp_path, net + layer("Power", "y", "z", name="z"), {"x": x, "s": s})
    assert_close(got["z"], x)


@pytest.mark.parametrize(("low", "high"), [(-1, 1), (0, 0.5), (-0.25, 7), (0.5, 0.5), (-9, -0.5)])
def test_truncation(tmp_path: Path, low: float, high: float) -> None:
    x = normal(3, 7)
    net = layer("Truncation", "x", "y", f"truncation_param {{ lower_bound: {low} upper_bound: {high} }}")
    assert_close(computed(tmp_path, net, {"x": x})["y"], np.minimum(np.maximum(x, low), high))


@pytest.mark.parametrize(
    ("text", "low", "high"), [("", 0, 5), ("lower_bound: -1", -1, 5), ("upper_bound: 0.5", 0, 0.5)]
)
def test_truncation_by_default_bounds(tmp_path: Path, text: str, low: float, high: float) -> None:
    x = 4 * normal(3, 7)
    net = layer("Truncation", "x", "y", f"truncation_param {{ {text} }}")
    assert_close(computed(tmp_path, net, {"x": x})["y"], np.clip(x, low, high))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (3, 2, 1, 6), (2, 1, 7, 2), (1, 4, 3, 3)])
def test_slope(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = normal(*shape)
    n, _, height, width = shape
    rows = np.broadcast_to(np.arange(height)[:, None] / height, (n, 1, height, width))
    columns = np.broadcast_to(np.arange(width) / width, (n, 1, height, width))
    got = computed(tmp_path, layer("Slope", "x", "y"), {"x": x}, declared={"x": (1, *shape[1:])})
    assert_close(got["y"], np.concatenate([x, rows, columns], axis=1))


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 1, 1), (3, 2, 1, 6), (2, 5, 7, 2), (1, 4, 1, 1)])
def test_gram(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x = normal(*shape)
    n, channels, height, width = shape
    flat = x.reshape(n, channels, -1)
    wanted = np.einsum("ncp,ndp->ncd", flat, flat) / (channels * height * width)
    got = computed(tmp_path, layer("Gram", "x", "y"), {"x": x}, declared={"x": (1, *shape[1:])})
    assert_close(got["y"], wanted[..., None])


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        ((3, 5), 'distance_type: "L2"'),
        ((2, 3, 2), 'distance_type: "L1"'),
        ((2, 4), 'distance_type: "L2" normalize: true bias_term: false'),
        ((2, 3, 4), 'distance_type: "L1" axis: 2 normalize: true'),
        ((1, 1), 'distance_type: "L2" bias_term: false'),
        ((3, 5), "bias_term: true"),  # declared, and never read: the layer has one blob
    ],
)
def test_inner_distance(tmp_path: Path, shape: tuple[int, ...], text: str) -> None:
    axis = 2 if "axis" in text else 1
    x, weight = normal(*shape), normal(4, int(np.prod(shape[axis:])), seed=1)
    net = layer("InnerDistance", "x", "y", f"inner_distance_param {{ num_output: 4 {text} }}")
    got = computed(tmp_path, net, {"x": x}, {"layer": [weight]})
    if "normalize" in text:
        weight = weight / np.sqrt((weight**2).sum(axis=1, keepdims=True) + 1e-6)
    apart = x.reshape(*shape[:axis], 1, -1) - weight
    assert_close(got["y"], (np.abs(apart) if "L1" in text else apart**2).sum(axis=-1))


@pytest.mark.parametrize(
    ("shape", "outputs", "kernel", "stride", "pad", "bias"),
    [
        ((2, 3, 5, 6), 4, 3, 1, 0, True),
        ((1, 2, 7, 5), 3, 2, 2, 1, True),
        ((3, 1, 4, 4), 1, 4, 1, 0, False),
        ((2, 2, 3, 3), 5, 1, 1, 0, True),
        ((1, 4, 6, 3), 2, 3, 2, 1, False),
    ],
)
def test_local(
    tmp_path: Path, shape: tuple[int, ...], outputs: int, kernel: int, stride: int, pad: int, bias: bool
) -> None:
    x = normal(*shape)
    rows, columns = ((size + 2 * pad - kernel) // stride + 1 for size in shape[2:])
    weight = normal(outputs, 1, shape[1] * kernel**2, rows * columns, seed=1)
    shift = normal(1, 1, outputs, rows * columns, seed=2)
    text = f"num_output: {outputs} kernel_size: {kernel} stride: {stride} pad: {pad}"
    net = layer("Local", "x", "y", f"local_param {{ {text} bias_term: {str(bias).lower()} }}")
    stored = [weight, shift] if bias else [weight]
    got = computed(tmp_path, net, {"x": x}, {"layer": stored}, declared={"x": (1, *shape[1:])})
    wanted = np.zeros((shape[0], outputs, rows, columns))
    for place in range(rows * columns):
        # Of the convolution with the weights of one place, only the value at this place is used.
        here = weight[:, 0, :, place].reshape(outputs, shape[1], kernel, kernel)
        row, column = divmod(place, columns)
        everywhere = convolved(x, here, None, (stride, stride), (pad, pad))
        wanted[:, :, row, column] = everywhere[:, :, row, column]
    assert_close(got["y"], wanted + shift.reshape(outputs, rows, columns) if bias else wanted)


@pytest.mark.parametrize(
    ("kind", "text", "error", "message"),
    [
        ("ChannelScale", "channel_scale_param { global_scale: true }", "MismatchError", "needs its scale"),
        (
            "InnerDistance",
            'inner_distance_param { num_output: 2 distance_type: "L3" }',
            "FormatError",
            "'L3'",
        ),
        ("Local", "local_param { num_output: 2 kernel_size: 9 }", "FormatError", "larger than 4x5"),
        ("Local", "local_param { num_output: 2 }", "FormatError", "must be positive"),
    ],
)
def test_faces_refused(tmp_path: Path, kind: str, text: str, error: str, message: str) -> None:
    net = layer(kind, "x x" if kind == "ChannelScale" else "x", "y", text)
    with pytest.raises(getattr(converters, error), match=message):
        converters.load(*write_net(tmp_path, net, {"x": (1, 2, 4, 5)}))


@pytest.mark.parametrize(
    ("text", "factor"),
    [("", 7.5), ("max_global_scale: 4", 4), ("min_global_scale: 9", 9), ("do_forward: false", 1)],
)
def test_global_scale_is_one_learned_value_within_limits(tmp_path: Path, text: str, factor: float) -> None:
    x = normal(2, 3, 2, 2)
    net = layer("ChannelScale", "x s", "y", f"channel_scale_param {{ global_scale: true {text} }}")
    inputs = {"x": x, "s": normal(2, 1, 2, 2)}
    assert_close(computed(tmp_path, net, inputs, {"layer": [np.array([7.5])]})["y"], factor * x)
