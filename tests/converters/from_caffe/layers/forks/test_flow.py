"""FlowNet's layers against float64 references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference_flow as reference
from reference_nets import assert_close, computed, layer, write_net

import converters


def pair(*shape: int) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(0)
    return {"a": generator.normal(size=shape), "b": generator.normal(size=shape)}


def steps(reach: int, stride: int) -> list[int]:
    return [k * stride for k in range(-reach, reach + 1)]


@pytest.mark.parametrize(
    ("text", "shape", "meant"),
    [
        (
            "pad: 4 kernel_size: 1 max_displacement: 4 stride_2: 2",
            (2, 3, 6, 7),
            {"pads": (4, 4), "kernel": 1, "reach": (4, 4), "rows": steps(2, 2), "columns": steps(2, 2)},
        ),
        (
            "pad: 3 kernel_size: 3 max_displacement: 2",
            (1, 2, 5, 8),
            {"pads": (3, 3), "kernel": 3, "reach": (2, 2), "rows": steps(2, 1), "columns": steps(2, 1)},
        ),
        (
            "pad: 1 kernel_size: 3 max_displacement: 3 stride_1: 2 stride_2: 2",
            (2, 1, 9, 10),
            {
                "pads": (1, 1), "kernel": 3, "reach": (3, 3), "stride": 2,
                "rows": steps(1, 2), "columns": steps(1, 2),
            },
        ),
        (
            "kernel_size: 1 max_displacement: 0 stride_1: 3 do_abs: true",
            (1, 4, 7, 5),
            {"pads": (0, 0), "kernel": 1, "reach": (0, 0), "stride": 3, "rows": [0], "columns": [0]},
        ),
        (
            "pad: 2 kernel_size: 5 max_displacement: 1 correlation_type: SUBTRACT",
            (1, 3, 6, 6),
            {
                "pads": (2, 2), "kernel": 5, "reach": (1, 1), "rows": steps(1, 1), "columns": steps(1, 1),
                "subtract": True,
            },
        ),
        (
            "pad: 5 kernel_size: 1 max_displacement: 5 stride_2: 3",
            (1, 1, 1, 1),
            {"pads": (5, 5), "kernel": 1, "reach": (5, 5), "rows": steps(1, 3), "columns": steps(1, 3)},
        ),
    ],
)  # fmt: skip
def test_correlation(tmp_path: Path, text: str, shape: tuple[int, ...], meant: dict[str, Any]) -> None:
    x = pair(*shape)
    declared = dict.fromkeys(x, (1, *shape[1:]))
    got = computed(
        tmp_path, layer("Correlation", "a b", "y", f"correlation_param {{ {text} }}"), x, declared=declared
    )
    assert_close(got["y"], reference.correlation(x["a"], x["b"], **{"stride": 1, **meant}))


@pytest.mark.parametrize(
    ("text", "shape", "meant"),
    [
        (
            "pad: 3 kernel_size: 1 max_displacement: 3",
            (2, 2, 4, 6),
            {"pads": (0, 3), "kernel": 1, "reach": (0, 3), "columns": steps(3, 1)},
        ),
        (
            "pad: 4 kernel_size: 3 max_displacement: 4 stride_2: 2 single_direction: 1",
            (1, 2, 5, 7),
            {"pads": (0, 4), "kernel": 3, "reach": (0, 4), "columns": [0, 2, 4]},
        ),
        (
            "pad: 4 kernel_size: 1 max_displacement: 4 stride_2: 2 single_direction: -1",
            (1, 2, 3, 7),
            {"pads": (0, 4), "kernel": 1, "reach": (0, 4), "columns": [-6, -4, -2]},
        ),
        (
            "pad: 2 kernel_size: 1 max_displacement: 2 single_direction: -1 stride_1: 2",
            (2, 3, 5, 8),
            {"pads": (0, 2), "kernel": 1, "reach": (0, 2), "stride": 2, "columns": [-3, -2, -1]},
        ),
        (
            "kernel_size: 3 max_displacement: 1 correlation_type: SUBTRACT",
            (1, 2, 4, 9),
            {"pads": (0, 0), "kernel": 3, "reach": (0, 1), "columns": steps(1, 1), "subtract": True},
        ),
    ],
)
def test_correlation_1d(tmp_path: Path, text: str, shape: tuple[int, ...], meant: dict[str, Any]) -> None:
    x = pair(*shape)
    got = computed(tmp_path, layer("Correlation1D", "a b", "y", f"correlation_param {{ {text} }}"), x)
    assert_close(got["y"], reference.correlation(x["a"], x["b"], **{"stride": 1, "rows": [0], **meant}))


@pytest.mark.parametrize(
    ("kind", "text", "error", "message"),
    [
        ("Correlation", "kernel_size: 1", "FormatError", "needs kernel_size"),
        ("Correlation", "kernel_size: 2 max_displacement: 1", "FormatError", "must be odd"),
        ("Correlation", "kernel_size: 1 max_displacement: 4", "FormatError", "do not fit"),
        ("Correlation", "kernel_size: 1 max_displacement: 0 stride_2: 0", "FormatError", "must be positive"),
        (
            "Correlation1D",
            "kernel_size: 1 max_displacement: 1 single_direction: -1",
            "UnsupportedError",
            "row above",
        ),
        (
            "Correlation1D",
            "kernel_size: 1 max_displacement: 1 single_direction: 2",
            "FormatError",
            "-1, 0 or 1",
        ),
    ],
)
def test_correlation_refuses(tmp_path: Path, kind: str, text: str, error: str, message: str) -> None:
    net = layer(kind, "a b", "y", f"correlation_param {{ {text} }}")
    with pytest.raises(getattr(converters, error), match=message):
        converters.load(*write_net(tmp_path, net, {"a": (1, 2, 4, 5), "b": (1, 2, 4, 5)}))


@pytest.mark.parametrize("fill", ["ZERO", "NOT_A_NUMBER"])
@pytest.mark.parametrize(
    ("shape", "spread"),
    [
        ((2, 3, 5, 7), 2.0),
        ((1, 1, 1, 6), 1.0),
        ((3, 2, 4, 4), 0.3),
        ((1, 2, 6, 5), 100.0),
        ((1, 1, 1, 1), 0.5),
    ],
)
def test_flow_warp(tmp_path: Path, shape: tuple[int, ...], spread: float, fill: str) -> None:
    generator = np.random.default_rng(0)
    image = generator.normal(size=shape)
    flow = generator.uniform(-spread, spread, (shape[0], 2, *shape[2:])).astype(np.float32).astype(float)
    flow[:, :, 0, ::2] = np.round(flow[:, :, 0, ::2])
    x = {"image": image, "flow": flow}
    net = layer("FlowWarp", "image flow", "y", f"flow_warp_param {{ fill_value: {fill} }}")
    got = computed(tmp_path, net, x, declared={name: (1, *array.shape[1:]) for name, array in x.items()})
    assert_close(got["y"], reference.warped(image, flow, 0.0 if fill == "ZERO" else np.nan))


def test_flow_warp_reads_the_last_pixel_but_nothing_beyond(tmp_path: Path) -> None:
    """A target between the last pixel and the end of the image gets the last pixel alone."""
    image = np.arange(6.0).reshape(1, 1, 2, 3)
    flow = np.zeros((1, 2, 2, 3))
    flow[0, 0] = [[2.5, 1.999, 0.5], [-0.5, -1.5, -2.0]]
    got = computed(tmp_path, layer("FlowWarp", "image flow", "y"), {"image": image, "flow": flow})
    assert_close(got["y"], np.array([[[[2, 2, 2], [0, 0, 3]]]]))
    assert_close(got["y"], reference.warped(image, flow, 0.0))


def test_flow_warp_refuses_another_flow(tmp_path: Path) -> None:
    shapes = {"image": (1, 2, 4, 5), "flow": (1, 3, 4, 5)}
    with pytest.raises(converters.FormatError, match="two channels"):
        converters.load(*write_net(tmp_path, layer("FlowWarp", "image flow", "y"), shapes))
