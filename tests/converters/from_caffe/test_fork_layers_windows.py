"""Convolutions, products and poolings with what forks of Caffe added to them, against float64 references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_windows as reference
from reference_nets import assert_close, computed, layer, write_net

import converters


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32).astype(float)


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
def test_pooling_rounds_as_it_is_told(
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


@pytest.mark.parametrize(
    ("switch", "slope"),
    [
        ("relu: true", 0.0),
        ("relu: true negative_slope: 0.25", 0.25),
        ("negative_slope: 0.25", None),
        ("relu: false", None),
    ],
)
def test_a_relu_within_the_layer(tmp_path: Path, switch: str, slope: float | None) -> None:
    x, weight, bias = normal(2, 3, 5, 4), normal(4, 3, 3, 3, seed=1), normal(4, seed=2)
    product_weight, product_bias = normal(6, 4 * 3 * 2, seed=3), normal(6, seed=4)
    net = layer(
        "Convolution", "x", "c", f"convolution_param {{ num_output: 4 kernel_size: 3 {switch} }}", name="conv"
    )
    net += layer(
        "InnerProduct", "c", "p", f"inner_product_param {{ num_output: 6 {switch} }}", name="product"
    )
    net += layer("Power", "c", "copy", name="copy")
    got = computed(
        tmp_path, net, {"x": x}, {"conv": [weight, bias], "product": [product_weight, product_bias]}
    )
    wanted = reference.convolved(x, weight, bias, (1, 1), (0, 0))
    wanted = wanted if slope is None else reference.rectified(wanted, slope)
    assert_close(got["copy"], wanted)
    wanted = wanted.reshape(2, -1) @ product_weight.T + product_bias
    assert_close(got["p"], wanted if slope is None else reference.rectified(wanted, slope))


def test_a_relu_within_the_layer_may_have_its_slope_where_relus_do(tmp_path: Path) -> None:
    x, weight = normal(1, 2, 3, 3), normal(2, 2, 1, 1, seed=1)
    text = "convolution_param { num_output: 2 kernel_size: 1 bias_term: false relu: true }"
    text += "relu_param { negative_slope: 0.5 }"
    got = computed(tmp_path, layer("Convolution", "x", "y", text), {"x": x}, {"layer": [weight]})
    assert_close(got["y"], reference.rectified(reference.convolved(x, weight, None, (1, 1), (0, 0)), 0.5))


def test_inner_product_with_weights_of_length_one(tmp_path: Path) -> None:
    x, weight = normal(3, 5), normal(4, 5, seed=1) * [[10], [1], [1e-3], [0]]
    text = "inner_product_param { num_output: 4 bias_term: false normalize: true }"
    got = computed(tmp_path, layer("InnerProduct", "x", "y", text), {"x": x}, {"layer": [weight]})
    assert_close(got["y"], x @ (weight / np.sqrt((weight**2).sum(1, keepdims=True) + 1e-6)).T)


@pytest.mark.parametrize("kind", ["ConvolutionDepthwise", "DepthwiseConvolution"])
@pytest.mark.parametrize(
    ("channels", "text", "strides", "pads", "kernel"),
    [
        (4, "num_output: 4 kernel_size: 3 pad: 1", (1, 1), (1, 1), (3, 3)),
        (3, "num_output: 3 kernel_size: 3 stride: 2 group: 3", (2, 2), (0, 0), (3, 3)),
        (5, "num_output: 5 kernel_h: 1 kernel_w: 4 pad_h: 0 pad_w: 2", (1, 1), (0, 2), (1, 4)),
        (1, "num_output: 1 kernel_size: 2 stride_h: 1 stride_w: 3", (1, 3), (0, 0), (2, 2)),
        (6, "num_output: 6 kernel_size: 5 pad: 2 stride: 2 bias_term: false", (2, 2), (2, 2), (5, 5)),
        (2, "num_output: 6 kernel_size: 3", (1, 1), (0, 0), (3, 3)),
    ],
)
def test_depthwise_convolution(
    tmp_path: Path,
    kind: str,
    channels: int,
    text: str,
    strides: tuple[int, int],
    pads: tuple[int, int],
    kernel: tuple[int, int],
) -> None:
    outputs = int(text.split()[1])
    x, weight, bias = normal(2, channels, 7, 8), normal(outputs, 1, *kernel, seed=1), normal(outputs, seed=2)
    stored = [weight] if "bias_term" in text else [weight, bias]
    net = layer(kind, "x", "y", f"convolution_param {{ {text} }}")
    got = computed(tmp_path, net, {"x": x}, {"layer": stored}, declared={"x": (1, *x.shape[1:])})
    wanted = reference.convolved(x, weight, bias if len(stored) == 2 else None, strides, pads, channels)
    assert_close(got["y"], wanted)


@pytest.mark.parametrize("kind", ["ConvolutionDepthwise", "DepthwiseConvolution"])
def test_depthwise_convolution_tells_the_channels_of_an_input(tmp_path: Path, kind: str) -> None:
    """A data layer names no channels: the weights do, whether or not the layer says `group`."""
    for group in ("", "group: 5"):
        net = 'layer { name: "d" type: "Data" top: "x" data_param { source: "s" batch_size: 2 } '
        net += "transform_param { crop_size: 6 } }"
        net += layer(kind, "x", "y", f"convolution_param {{ num_output: 5 kernel_size: 3 {group} }}")
        loaded = converters.load(*write_net(tmp_path, net, {}, {"layer": [normal(5, 1, 3, 3), normal(5)]}))
        assert [str(size) for size in loaded.graph.inputs[0].shape] == ["N", "5", "6", "6"]


VOLUMES: list[tuple[str, tuple[int, ...], tuple[int, ...], tuple[int, ...], int, int]] = [
    ("pad: 1 temporal_pad: 1", (1, 1, 1), (1, 1, 1), (4, 5, 6), 3, 3),
    ("stride: 2", (1, 2, 2), (0, 0, 0), (3, 6, 5), 1, 2),
    ("temporal_stride: 2", (2, 1, 1), (0, 0, 0), (7, 2, 3), 3, 1),
    ("temporal_pad: 1 bias_term: false", (1, 1, 1), (1, 0, 0), (2, 3, 4), 2, 3),
    ("pad: 2 temporal_pad: 1 stride: 2 temporal_stride: 2", (2, 2, 2), (1, 2, 2), (5, 6, 7), 3, 5),
    ("filter_group: 2", (1, 1, 1), (0, 0, 0), (1, 1, 4), 1, 1),
]


@pytest.mark.parametrize(("text", "strides", "pads", "size", "depth", "kernel"), VOLUMES)
def test_convolution_3d(
    tmp_path: Path,
    text: str,
    strides: tuple[int, ...],
    pads: tuple[int, ...],
    size: tuple[int, ...],
    depth: int,
    kernel: int,
) -> None:
    x, weight, bias = normal(2, 3, *size), normal(4, 3, depth, kernel, kernel, seed=1), normal(4, seed=2)
    with_bias = "bias_term" not in text
    # Its fork stores the bias with five axes.
    stored = [weight, bias.reshape(1, 1, 1, 1, 4)] if with_bias else [weight]
    text = f"convolution3d_param {{ num_output: 4 kernel_depth: {depth} kernel_size: {kernel} {text} }}"
    net = layer("Convolution3D", "x", "y", text)
    got = computed(tmp_path, net, {"x": x}, {"layer": stored}, declared={"x": (1, 3, *size)})
    assert_close(got["y"], reference.convolved(x, weight, bias if with_bias else None, strides, pads))


IMAGE, VOLUME = (1, 2, 3, 4), (1, 2, 3, 4, 4)
REFUSED: list[tuple[str, str, str, tuple[int, ...], str, str]] = [
    ("Convolution", "convolution_param", "tf_pad: true", IMAGE, "UnsupportedError", "tf_pad"),
    (
        "InnerProduct",
        "inner_product_param",
        "normalize: true transpose: true",
        IMAGE,
        "FormatError",
        "transposed",
    ),
    ("Convolution3D", "convolution3d_param", "kernel_depth: 1", IMAGE, "FormatError", "5 axes"),
    ("Convolution3D", "convolution3d_param", "", VOLUME, "FormatError", "must be positive"),
    ("Convolution3D", "convolution3d_param", "kernel_depth: 4", VOLUME, "FormatError", "does not fit"),
    ("Convolution3D", "convolution3d_param", "kernel_depth: 1 group: 2", VOLUME, "UnsupportedError", "group"),
]


@pytest.mark.parametrize(("kind", "field", "text", "shape", "error", "message"), REFUSED)
def test_windows_refused(
    tmp_path: Path, kind: str, field: str, text: str, shape: tuple[int, ...], error: str, message: str
) -> None:
    kernel = "" if kind == "InnerProduct" else "kernel_size: 1"
    net = layer(kind, "x", "y", f"{field} {{ num_output: 2 {kernel} {text} }}")
    with pytest.raises(getattr(converters, error), match=message):
        converters.load(*write_net(tmp_path, net, {"x": shape}))
