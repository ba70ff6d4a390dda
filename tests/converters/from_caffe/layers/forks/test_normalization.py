"""Normalising layers of Caffe's forks, against float64 references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_shapes as reference
from reference_nets import assert_close, computed, layer, rng, write_net

import converters


@pytest.mark.parametrize(
    ("shape", "parameters", "scale_shape"),
    [
        ((2, 3, 4, 5), "across_spatial: false channel_shared: false", (3,)),
        ((2, 3, 4, 5), "across_spatial: false channel_shared: true", ()),
        ((2, 3, 4, 5), "", (1,)),
        ((2, 3, 4, 5), "channel_shared: false eps: 0.5", (3,)),
        ((3, 7), "across_spatial: false channel_shared: false eps: 0.01", (7,)),
        ((2, 3, 4), "across_spatial: false channel_shared: false", (1, 3, 1, 1)),
    ],
)
def test_normalize(
    tmp_path: Path, shape: tuple[int, ...], parameters: str, scale_shape: tuple[int, ...]
) -> None:
    x = rng().normal(size=shape)
    scale = rng(1).uniform(0.5, 20, scale_shape).astype(np.float32)
    eps = float(parameters.split("eps: ")[1]) if "eps" in parameters else 1e-10
    text = layer("Normalize", "x", "y", f"norm_param {{ {parameters} }}")
    got = computed(tmp_path, text, {"x": x}, {"layer": [scale]})
    assert_close(got["y"], reference.normalize(x, scale, eps, "across_spatial: false" not in parameters))


def test_normalize_starts_from_its_filler(tmp_path: Path) -> None:
    x = rng().normal(size=(2, 3, 2, 2))
    text = layer("Normalize", "x", "y", 'norm_param { scale_filler { type: "constant" value: 20 } }')
    got = computed(tmp_path, text, {"x": x})
    assert_close(got["y"], reference.normalize(x, np.array(20.0), 1e-10, True))


def test_channel_norm(tmp_path: Path) -> None:
    x = rng().normal(size=(2, 5, 3, 4))
    got = computed(tmp_path, layer("ChannelNorm", "x", "y"), {"x": x})
    assert_close(got["y"], np.sqrt((x**2).sum(axis=1, keepdims=True)))


@pytest.mark.parametrize("blob_shape", [(1, 3, 1, 1), (3,)])
@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (6, 3)])
def test_segnet_bn_for_inference(tmp_path: Path, blob_shape: tuple[int, ...], shape: tuple[int, ...]) -> None:
    x = rng().normal(size=shape)
    scale, shift = (rng(k).normal(size=blob_shape).astype(np.float32) for k in (1, 2))
    text = layer("BN", "x", "y", "bn_param { bn_mode: INFERENCE }")
    got = computed(tmp_path, text, {"x": x}, {"layer": [scale, shift]})
    assert_close(got["y"], reference.scaled(x, scale.ravel(), shift.ravel()))


@pytest.mark.parametrize("tops", ["y", "y mean", "y mean variance"])
@pytest.mark.parametrize("shape", [(4, 3, 5, 2), (1, 3, 4, 4)])
@pytest.mark.parametrize("parameters", ["bn_mode: LEARN", "scale_filler { value: 1 }"])
def test_segnet_bn_learning(tmp_path: Path, tops: str, shape: tuple[int, ...], parameters: str) -> None:
    x = rng().normal(3, 2, size=shape)
    scale, shift = (rng(k).normal(size=(1, 3, 1, 1)).astype(np.float32) for k in (1, 2))
    text = layer("BN", "x", tops, f"bn_param {{ {parameters} }}")
    got = computed(tmp_path, text, {"x": x}, {"layer": [scale, shift]})
    mean, variance = reference.batch_statistics(x)
    normal = reference.standardised(x, mean, variance, 1e-9)
    assert_close(got["y"], reference.scaled(normal, scale.ravel(), shift.ravel()))
    for top, statistic in (("mean", mean), ("variance", variance)):
        if top in tops:
            assert_close(got[top], statistic.reshape(1, 3, 1, 1))


def test_segnet_bn_has_no_statistics_to_show_for_inference(tmp_path: Path) -> None:
    text = layer("BN", "x", "y mean", "bn_param { bn_mode: INFERENCE }")
    sources = write_net(tmp_path, text, {"x": (1, 3, 2, 2)}, {"layer": [np.ones(3), np.ones(3)]})
    with pytest.raises(converters.UnsupportedError, match="undefined with bn_mode INFERENCE"):
        converters.load(*sources)


@pytest.mark.parametrize("kind", ["BN", "SyncBN"])
@pytest.mark.parametrize("blob_shape", [(1, 3, 1, 1), (1, 3), (3,)])
@pytest.mark.parametrize(
    "parameters", ["", "frozen: true momentum: 0.95", "eps: 0.01 slope_filler { value: 1 }"]
)
def test_pspnet_bn(tmp_path: Path, kind: str, blob_shape: tuple[int, ...], parameters: str) -> None:
    x = rng().normal(size=(2, 3, 4, 5))
    slope, bias, mean = (rng(k).normal(size=blob_shape).astype(np.float32) for k in (1, 2, 3))
    variance = rng(4).uniform(0.01, 2, blob_shape).astype(np.float32)
    eps = 0.01 if "eps" in parameters else 1e-5
    text = layer(kind, "x", "y", f"bn_param {{ {parameters} }}")
    got = computed(tmp_path, text, {"x": x}, {"layer": [slope, bias, mean, variance]})
    normal = reference.standardised(x, mean.ravel(), variance.ravel(), eps)
    assert_close(got["y"], reference.scaled(normal, slope.ravel(), bias.ravel()))


def test_bn_with_the_blobs_of_neither_is_refused(tmp_path: Path) -> None:
    sources = write_net(tmp_path, layer("BN", "x", "y"), {"x": (1, 3, 2, 2)}, {"layer": [np.ones(3)] * 3})
    with pytest.raises(converters.MismatchError, match="4 parameter blob"):
        converters.load(*sources)
