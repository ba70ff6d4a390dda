"""Rearranging, combining and elementwise layers of Caffe's forks, against float64 references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_shapes as reference
from reference_nets import assert_close, computed, layer, write_net

import converters


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((2, 3, 4, 5), [0, 2, 3, 1]),
        ((2, 3, 4, 5), [3, 1]),
        ((2, 3, 4, 5), []),
        ((1, 6, 2), [2, 0, 1]),
        ((3, 2), [1]),
        ((2, 3, 2, 2, 3), [0, 4]),
    ],
)
def test_permute(tmp_path: Path, shape: tuple[int, ...], order: list[int]) -> None:
    x = rng().normal(size=shape)
    text = f"permute_param {{ {' '.join(f'order: {k}' for k in order)} }}"
    got = computed(tmp_path, layer("Permute", "x", "y", text) + layer("Power", "y", "z", name="z"), {"x": x})
    assert_close(got["z"], reference.permute(x, order))


@pytest.mark.parametrize("order", ["order: 4", "order: 1 order: 1"])
def test_permute_refuses_what_is_no_order(tmp_path: Path, order: str) -> None:
    sources = write_net(
        tmp_path, layer("Permute", "x", "y", f"permute_param {{ {order} }}"), {"x": (1, 2, 3, 4)}
    )
    with pytest.raises(converters.FormatError, match="order"):
        converters.load(*sources)


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 0, 3, 2), (3, 0, 1, 2)])
def test_transpose(tmp_path: Path, order: tuple[int, ...]) -> None:
    x = rng().normal(size=(2, 3, 4, 5))
    text = f"transpose_param {{ {' '.join(f'dim: {k}' for k in order)} }}"
    got = computed(
        tmp_path, layer("Transpose", "x", "y", text) + layer("Power", "y", "z", name="z"), {"x": x}
    )
    assert_close(got["z"], reference.permute(x, list(order)))


def test_transpose_names_every_axis(tmp_path: Path) -> None:
    sources = write_net(tmp_path, layer("Transpose", "x", "y", "transpose_param { dim: 1 }"), {"x": (2, 3)})
    with pytest.raises(converters.FormatError, match="each of the 2 axes once"):
        converters.load(*sources)


@pytest.mark.parametrize(("shape", "axis"), [((2, 3, 4), 0), ((2, 3, 4), 1), ((1, 2, 3, 4), 3), ((5,), 0)])
def test_reverse(tmp_path: Path, shape: tuple[int, ...], axis: int) -> None:
    x = rng().normal(size=shape)
    got = computed(tmp_path, layer("Reverse", "x", "y", f"reverse_param {{ axis: {axis} }}"), {"x": x})
    wanted = np.stack([np.take(x, k, axis) for k in reversed(range(shape[axis]))], axis)
    assert_close(got["y"], wanted)


@pytest.mark.parametrize(("width", "height"), [(True, False), (False, True), (True, True)])
def test_flip(tmp_path: Path, width: bool, height: bool) -> None:
    x = rng().normal(size=(2, 3, 4, 5))
    text = f"flip_param {{ flip_width: {str(width).lower()} flip_height: {str(height).lower()} }}"
    wanted = x.copy()
    for h in range(4):
        for w in range(5):
            wanted[:, :, h, w] = x[:, :, 3 - h if height else h, 4 - w if width else w]
    assert_close(computed(tmp_path, layer("Flip", "x", "y", text), {"x": x})["y"], wanted)


@pytest.mark.parametrize("lengths", [[4, 2, 1], [0, 4, 3], [4, 4, 4]])
def test_reverse_time(tmp_path: Path, lengths: list[int]) -> None:
    x = rng().normal(size=(4, 3, 2))
    wanted = x.copy()
    for n, length in enumerate(lengths):
        for t in range(length):
            wanted[t, n] = x[length - 1 - t, n]
    text = layer("ReverseTime", "x lengths", "y", "reverse_time_param { copy_remaining: true }")
    assert_close(computed(tmp_path, text, {"x": x, "lengths": np.array(lengths, float)})["y"], wanted)


@pytest.mark.parametrize(
    "kind", ["ShuffleChannel shuffle_channel_param", "ChannelShuffle channel_shuffle_param"]
)
@pytest.mark.parametrize(("channels", "group"), [(6, 2), (6, 3), (12, 4), (4, 1), (4, 4)])
def test_shuffle_channel(tmp_path: Path, kind: str, channels: int, group: int) -> None:
    x = rng().normal(size=(2, channels, 2, 3))
    name, param = kind.split()
    net = layer(name, "x", "y", f"{param} {{ group: {group} }}") + layer("Power", "y", "z", name="z")
    assert_close(computed(tmp_path, net, {"x": x})["z"], reference.shuffle_channel(x, group))


def test_shuffle_channel_needs_a_divisor(tmp_path: Path) -> None:
    text = layer("ShuffleChannel", "x", "y", "shuffle_channel_param { group: 4 }")
    with pytest.raises(converters.FormatError, match="does not divide"):
        converters.load(*write_net(tmp_path, text, {"x": (1, 6, 2, 2)}))


@pytest.mark.parametrize(
    ("shape", "stride", "reverse"),
    [
        ((2, 4, 4, 6), 2, False),
        ((1, 8, 2, 2), 2, False),
        ((1, 9, 6, 3), 3, False),
        ((2, 8, 3, 2), 2, True),
        ((1, 18, 1, 2), 3, True),
        ((1, 64, 26, 26), 2, False),
    ],
)
def test_reorg(tmp_path: Path, shape: tuple[int, ...], stride: int, reverse: bool) -> None:
    x = rng().normal(size=shape)
    text = f"reorg_param {{ stride: {stride} reverse: {str(reverse).lower()} }}"
    got = computed(tmp_path, layer("Reorg", "x", "y", text), {"x": x})
    assert_close(got["y"], reference.reorg(x, stride, reverse))


@pytest.mark.parametrize(
    ("shape", "scale_shape"),
    [
        ((2, 3, 4, 5), (2, 3, 1, 1)),
        ((2, 3, 4, 5), (2, 3)),
        ((1, 6, 2), (1, 6)),
        ((3, 4), (3, 4)),
        ((2, 1, 1, 1), (2, 1, 1, 1)),
    ],
)
def test_axpy(tmp_path: Path, shape: tuple[int, ...], scale_shape: tuple[int, ...]) -> None:
    s, x, y = rng().normal(size=scale_shape), rng(1).normal(size=shape), rng(2).normal(size=shape)
    got = computed(tmp_path, layer("Axpy", "s x y", "out"), {"s": s, "x": x, "y": y})
    assert_close(got["out"], reference.axpy(s, x, y))


def test_axpy_refuses_other_shapes(tmp_path: Path) -> None:
    shapes = {"s": (2, 3), "x": (2, 4, 1, 1), "y": (2, 4, 1, 1)}
    with pytest.raises(converters.FormatError, match="the scale must be"):
        converters.load(*write_net(tmp_path, layer("Axpy", "s x y", "out"), shapes))


@pytest.mark.parametrize("slope", [0, 0.1, -0.5])
def test_relu6(tmp_path: Path, slope: float) -> None:
    x = np.linspace(-9, 9, 37).reshape(1, 37)
    text = layer("ReLU6", "x", "y", f"relu6_param {{ negative_slope: {slope} }}")
    wanted = np.minimum(np.maximum(x, 0) + slope * np.minimum(x, 0), 6)
    assert_close(computed(tmp_path, text, {"x": x})["y"], wanted)


def test_relu6_in_place_and_without_parameters(tmp_path: Path) -> None:
    x = rng().normal(size=(2, 3)) * 8
    got = computed(tmp_path, layer("Power", "x", "y") + layer("ReLU6", "y", "y", name="r"), {"x": x})
    assert_close(got["y"], np.clip(x, 0, 6))


@pytest.mark.parametrize("slope", [0, 0.25])
def test_neg_relu(tmp_path: Path, slope: float) -> None:
    x = rng().normal(size=(2, 5))
    text = layer("NegReLU", "x", "y", f"relu_param {{ negative_slope: {slope} }}")
    assert_close(computed(tmp_path, text, {"x": x})["y"], np.where(x < 0, x, x * slope))


def test_cosine_and_spatial_dropout(tmp_path: Path) -> None:
    x = rng().normal(size=(2, 3, 2, 2)) * 4
    text = layer("SpatialDropout", "x", "d", "spatial_dropout_param { dropout_ratio: 0.9 }", name="d")
    got = computed(tmp_path, text + layer("Cosine", "d", "y"), {"x": x})
    assert_close(got["y"], np.cos(x))


@pytest.mark.parametrize(
    ("parameters", "wanted"),
    [
        ("operation: SUBTRACT value: 1 value: 2 value: 3", lambda x, c: x - (c % 3 + 1)),
        ("operation: ADD value: 0.5", lambda x, c: x + 0.5),
        (
            "operation: SUBTRACT value: 2 value: 4 mean_scale: 0.5 input_scale: 0.25 output_scale: 3",
            lambda x, c: 3 * (0.25 * x - 0.5 * (2 if c % 2 == 0 else 4)),
        ),
    ],
)
def test_mean(tmp_path: Path, parameters: str, wanted) -> None:
    x, y = rng().normal(size=(2, 6, 3, 2)), rng(1).normal(size=(1, 6, 2, 2))
    got = computed(tmp_path, layer("Mean", "x y", "a b", f"mean_param {{ {parameters} }}"), {"x": x, "y": y})
    for top, bottom in (("a", x), ("b", y)):
        assert_close(got[top], np.stack([wanted(bottom[:, c], c) for c in range(6)], axis=1))


def test_mean_from_a_file_is_refused(tmp_path: Path) -> None:
    text = layer("Mean", "x", "y", 'mean_param { operation: ADD file: "mean.binaryproto" }')
    with pytest.raises(converters.UnsupportedError, match=r"mean\.binaryproto"):
        converters.load(*write_net(tmp_path, text, {"x": (1, 3, 2, 2)}))


@pytest.mark.parametrize(
    ("parameters", "axis", "parts"),
    [
        ("reduction_param { operation: MEAN axis: 1 }", 1, None),
        ("reduction_param { operation: SUM axis: 2 } level: 1", 2, None),
        ("level: 1 level: 2 reduction_param { operation: MEAN axis: 1 }", 1, (1, 4)),
        ("level: 2 level: 1 reduction_param { operation: SUM axis: -1 }", 2, (4, 1)),
    ],
)
def test_batch_reduction(tmp_path: Path, parameters: str, axis: int, parts: tuple[int, ...] | None) -> None:
    x = rng().normal(size=(2, 5, 5))
    reduce = np.mean if "MEAN" in parameters else np.sum
    if parts is None:
        wanted = reduce(x, axis=axis)
    else:
        cut = np.split(x, np.cumsum(parts)[:-1], axis=axis)
        wanted = np.stack([reduce(piece, axis=axis) for piece in cut], axis=axis)
    text = layer("BatchReduction", "x", "y", f"batch_reduction_param {{ {parameters} }}")
    assert_close(computed(tmp_path, text, {"x": x})["y"], wanted)


def test_batch_reduction_of_a_single_part(tmp_path: Path) -> None:
    x = rng().normal(size=(2, 4, 3))
    text = layer("BatchReduction", "x", "y", "batch_reduction_param { level: 2 reduction_param { axis: 1 } }")
    assert_close(computed(tmp_path, text, {"x": x})["y"], x.sum(axis=1, keepdims=True))


def test_continuation_indicator(tmp_path: Path) -> None:
    x = rng().normal(size=(3, 2))
    text = layer(
        "ContinuationIndicator",
        "",
        "c",
        "continuation_indicator_param { time_step: 3 batch_size: 2 }",
        name="c",
    )
    eltwise = layer("Eltwise", "x c", "y", "eltwise_param { operation: PROD }")
    got = computed(tmp_path, text + eltwise, {"x": x})
    assert_close(got["y"], np.concatenate([np.zeros((1, 2)), x[1:]]))


@pytest.mark.parametrize(
    ("shape", "size"),
    [((2, 4, 3, 2), 2), ((1, 9, 1, 4), 3), ((3, 5, 2, 2), 1), ((1, 8, 5, 1), 2), ((2, 32, 1, 1), 4)],
)
def test_tiling(tmp_path: Path, shape: tuple[int, ...], size: int) -> None:
    x = rng().normal(size=shape)
    n, channels, height, width = shape
    wanted = np.zeros((n, channels // size**2, height * size, width * size))
    for c, row, column in np.ndindex(wanted.shape[1:]):
        source = (c * size + row % size) * size + column % size
        wanted[:, c, row, column] = x[:, source, row // size, column // size]
    net = layer("Tiling", "x", "y", f"tiling_param {{ tile_dim: {size} }}")
    if size > 1:
        net += layer("Reshape", "x", "z", f"reshape_param {{ pixelshuffler: {size} }}", name="reshape")
    for got in computed(tmp_path, net, {"x": x}, declared={"x": (1, *shape[1:])}).values():
        assert_close(got, wanted)


@pytest.mark.parametrize(("alpha", "factor"), [(1, 1), (1.6733, 1.0507), (0.5, -2), (2, 0.25), (1, 3)])
def test_elu_of_nvidia(tmp_path: Path, alpha: float, factor: float) -> None:
    x = rng().normal(size=(2, 3, 4))
    net = layer("ELU", "x", "y", f"elu_param {{ alpha: {alpha} lambda: {factor} }}")
    wanted = factor * np.where(x > 0, x, alpha * (np.exp(x) - 1))
    assert_close(computed(tmp_path, net, {"x": x})["y"], wanted)


@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (1, 1, 2, 2), (3, 2, 1, 7), (2, 4, 3, 1), (1, 5, 1, 1)])
def test_spatial_product(tmp_path: Path, shape: tuple[int, ...]) -> None:
    x, scale = rng().normal(size=shape), rng(1).normal(size=(shape[0], 1, *shape[2:]))
    got = computed(tmp_path, layer("SpatialProduct", "x s", "y"), {"x": x, "s": scale})
    assert_close(got["y"], x * scale)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        (layer("Tiling", "x", "y", "tiling_param { tile_dim: 2 }"), "does not divide the 6 channels"),
        (layer("Tiling", "x", "y"), "0 squared"),
        (layer("SpatialProduct", "x x", "y"), "the scale must be 1x1x4x4"),
    ],
)
def test_tiling_and_spatial_product_refuse(tmp_path: Path, net: str, message: str) -> None:
    with pytest.raises(converters.FormatError, match=message):
        converters.load(*write_net(tmp_path, net, {"x": (1, 6, 4, 4)}))
