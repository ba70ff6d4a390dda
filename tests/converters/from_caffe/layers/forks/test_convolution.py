"""Convolutions of forks, against float64 references."""

from __future__ import annotations

from pathlib import Path

import pytest
import reference_windows as reference
from reference_nets import assert_close, computed, layer, normal, write_net

import converters


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
    """A data layer states no channels: they follow from the weights, with `group` and without."""
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


REFUSED = [
    ("kernel_depth: 1", IMAGE, "FormatError", "5 axes"),
    ("", VOLUME, "FormatError", "must be positive"),
    ("kernel_depth: 4", VOLUME, "FormatError", "does not fit"),
    ("kernel_depth: 1 group: 2", VOLUME, "UnsupportedError", "group"),
]


@pytest.mark.parametrize(("text", "shape", "error", "message"), REFUSED)
def test_convolution_3d_refuses(
    tmp_path: Path, text: str, shape: tuple[int, ...], error: str, message: str
) -> None:
    net = layer("Convolution3D", "x", "y", f"convolution3d_param {{ num_output: 2 kernel_size: 1 {text} }}")
    with pytest.raises(getattr(converters, error), match=message):
        converters.load(*write_net(tmp_path, net, {"x": shape}))
