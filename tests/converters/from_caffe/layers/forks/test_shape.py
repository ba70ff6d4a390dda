"""Layers of Caffe's forks that rearrange or reduce axes, against float64 references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_shapes as reference
from reference_nets import assert_close, computed, layer, rng, write_net

import converters


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


@pytest.mark.parametrize(
    ("parameters", "message"),
    [("tiling_param { tile_dim: 2 }", "does not divide the 6 channels"), ("", "0 squared")],
)
def test_tiling_refuses(tmp_path: Path, parameters: str, message: str) -> None:
    net = layer("Tiling", "x", "y", parameters)
    with pytest.raises(converters.FormatError, match=message):
        converters.load(*write_net(tmp_path, net, {"x": (1, 6, 4, 4)}))


def test_batch_reduction_over_a_diagonal(tmp_path: Path) -> None:
    x = rng().normal(size=(2, 3, 3, 4))
    text = "batch_reduction_param { pos: true reduction_param { axis: 1 } }"
    got = computed(tmp_path, layer("BatchReduction", "x", "y", text), {"x": x})
    assert_close(got["y"], x[:, 0, 0] + x[:, 1, 1] + x[:, 2, 2])


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("BatchReduction", "batch_reduction_param { pos: true reduction_param { axis: 1 } }", "equal size"),
        (
            "BatchReduction",
            "batch_reduction_param { reduction_param { operation: TOPK axis: 1 k: 4 } }",
            "k is 4",
        ),
        ("Reduction", "reduction_param { operation: TOPK }", "of BatchReduction only"),
    ],
)
def test_reductions_that_are_refused(tmp_path: Path, kind: str, text: str, message: str) -> None:
    with pytest.raises(converters.ConverterError, match=message):
        converters.load(*write_net(tmp_path, layer(kind, "x", "y", text), {"x": (2, 3, 4)}))
