"""Normalising layers of Caffe's forks, against float64 references."""

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


# SegNet's BN (two blobs)


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


# PSPNet's BN (four blobs)


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


# BatchNorm with a scale and bias of its own


def five_blobs() -> dict[str, np.ndarray]:
    blobs = {name: rng(k).normal(size=3) for k, name in enumerate(("mean", "scale", "bias"), 1)}
    blobs["variance"] = rng(4).uniform(1e-5, 2, 3)
    return {name: values.astype(np.float32) for name, values in blobs.items()}


def expected(x: np.ndarray, b: dict[str, np.ndarray], eps: float, factor: float = 1) -> np.ndarray:
    normal = reference.standardised(x, b["mean"] / factor, b["variance"] / factor, eps)
    return reference.scaled(normal, b["scale"], b["bias"])


@pytest.mark.parametrize(
    ("parameters", "eps"),
    [
        ("scale_bias: true", 1e-5),
        ("scale_bias: true eps: 1e-3", 1e-3),
        ("scale_bias: true eps: 1e-9", 1e-5),
        ("scale_filler { value: 1 }", 1e-5),
        ("bias_filler { value: 0 } use_global_stats: true", 1e-5),
    ],
)
@pytest.mark.parametrize("reserved", [1.0, 0.0])
def test_nvidias_batch_norm(tmp_path: Path, parameters: str, eps: float, reserved: float) -> None:
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    blobs = [b["mean"], b["variance"], np.array([reserved]), b["scale"], b["bias"]]
    text = layer("BatchNorm", "x", "y", f"batch_norm_param {{ {parameters} }}")
    assert_close(computed(tmp_path, text, {"x": x}, {"layer": blobs})["y"], expected(x, b, eps))


@pytest.mark.parametrize("parameters", ["scale_bias: true", ""])
def test_five_blobs_of_four_axes(tmp_path: Path, parameters: str) -> None:
    """As cuDNN's engine stores them."""
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    blobs = [b["mean"], b["variance"], np.ones(1), b["scale"], b["bias"]]
    text = layer("BatchNorm", "x", "y", f"batch_norm_param {{ {parameters} }}")
    got = computed(tmp_path, text, {"x": x}, {"layer": [blob.reshape(1, -1, 1, 1) for blob in blobs]})["y"]
    assert_close(got, expected(x, b, 1e-5))


def test_a_factor_that_nvidias_batch_norm_would_not_divide_by_is_refused(tmp_path: Path) -> None:
    b = five_blobs()
    blobs = [b["mean"], b["variance"], np.array([7.0]), b["scale"], b["bias"]]
    text = layer("BatchNorm", "x", "y", "batch_norm_param { scale_bias: true }")
    sources = write_net(tmp_path, text, {"x": (1, 3, 2, 2)}, {"layer": blobs})
    with pytest.raises(converters.UnsupportedError, match="third blob is 7"):
        converters.load(*sources)


def test_nvidias_batch_norm_in_the_order_of_digits(tmp_path: Path) -> None:
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    blobs = [b["scale"], b["bias"], b["mean"], b["variance"], np.array([5.0])]
    text = layer("BatchNorm", "x", "y", "batch_norm_param { scale_bias: true }")
    assert_close(computed(tmp_path, text, {"x": x}, {"layer": blobs})["y"], expected(x, b, 1e-5))


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("factor", [1.0, 4.0])
@pytest.mark.parametrize("parameters", ["", "use_weight_bias: true bias_term: true", "bias_term: false"])
def test_intels_batch_norm(tmp_path: Path, relu: bool, factor: float, parameters: str) -> None:
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    blobs = [b["mean"], b["variance"], np.array([factor]), b["scale"], b["bias"]]
    if "bias_term: false" in parameters:
        b["bias"] = np.zeros(3)
        blobs.pop()
    text = layer(
        "BatchNorm", "x", "y", f"batch_norm_param {{ {parameters} {'relu: true' if relu else ''} eps: 1e-9 }}"
    )
    wanted = expected(x, b, 1e-9, factor)
    got = computed(tmp_path, text, {"x": x}, {"layer": blobs})["y"]
    assert_close(got, np.maximum(wanted, 0) if relu else wanted)


def test_five_blobs_in_an_order_that_forks_read_differently_are_refused(tmp_path: Path) -> None:
    b = five_blobs()
    blobs = [b["scale"], b["bias"], b["mean"], b["variance"], np.array([5.0])]
    sources = write_net(tmp_path, layer("BatchNorm", "x", "y"), {"x": (1, 3, 2, 2)}, {"layer": blobs})
    with pytest.raises(converters.UnsupportedError, match="scale_bias: true"):
        converters.load(*sources)


def test_five_blobs_of_one_channel_do_not_tell_their_order(tmp_path: Path) -> None:
    text = layer("BatchNorm", "x", "y", "batch_norm_param { scale_bias: true }")
    sources = write_net(tmp_path, text, {"x": (1, 1, 2, 2)}, {"layer": [np.ones(1)] * 5})
    with pytest.raises(converters.UnsupportedError, match="order"):
        converters.load(*sources)


def test_bvlcs_batch_norm_still_divides_by_its_factor(tmp_path: Path) -> None:
    x, b = rng().normal(size=(2, 3, 4, 5)), five_blobs()
    blobs = [b["mean"], b["variance"], np.array([2.0])]
    got = computed(tmp_path, layer("BatchNorm", "x", "y"), {"x": x}, {"layer": blobs})
    assert_close(got["y"], reference.standardised(x, b["mean"] / 2, b["variance"] / 2, 1e-5))
