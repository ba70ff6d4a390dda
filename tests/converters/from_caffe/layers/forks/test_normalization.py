"""Normalising layers of Caffe's forks, against float64 references."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import reference_shapes as reference
from caffemodel_writer import blob, field
from caffemodel_writer import layer as stored_layer
from corpus_cases import run_onnx
from reference_nets import assert_close, computed, exposed, layer, rng, write_net

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
@pytest.mark.parametrize("blob_shape", [(1, 3, 1, 1), (3,)])
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


def fork_weights(path: Path, kind: str, parameter_field: int, arrays: list[np.ndarray]) -> Path:
    """A caffemodel with one layer "layer", whose (empty) parameters are stored at this field number."""
    stored = stored_layer("layer", kind, [blob(array) for array in arrays])
    path.write_bytes(field(100, stored + field(parameter_field, b"")))
    return path


def running_bn_blobs() -> list[np.ndarray]:
    blobs = [rng(k).normal(size=(1, 3)).astype(np.float32) for k in (1, 2, 3)]
    return [*blobs, rng(4).uniform(0.5, 2, (1, 3)).astype(np.float32)]


@pytest.mark.parametrize("kind", ["BN", "SyncBN"])
@pytest.mark.parametrize("eps", [1e-5, 0.01])
def test_the_fourth_blob_of_yjxiongs_bn_is_the_variance(tmp_path: Path, kind: str, eps: float) -> None:
    x = rng().normal(size=(2, 3, 4, 5)).astype(np.float32)
    slope, bias, mean, variance = (array.ravel() for array in running_bn_blobs())
    weights = fork_weights(tmp_path / "tsn.caffemodel", kind, 137, running_bn_blobs())
    got = exposed(tmp_path, layer(kind, "x", "y", f"bn_param {{ eps: {eps} }}"), x, ["y"], weights)
    assert_close(got["y"], reference.scaled(reference.standardised(x, mean, variance, eps), slope, bias))


def test_the_fourth_blob_of_happynears_bn_is_the_inverse_deviation(tmp_path: Path) -> None:
    """Its bn_layer.cpp multiplies by this blob at inference and reads no eps."""
    x = rng().normal(size=(2, 3, 4, 5)).astype(np.float32)
    slope, bias, mean, inverse = (array.reshape(3, 1, 1) for array in running_bn_blobs())
    weights = fork_weights(tmp_path / "face.caffemodel", "BN", 200, running_bn_blobs())
    got = exposed(tmp_path, layer("BN", "x", "y", "bn_param { eps: 0.5 }"), x, ["y"], weights)
    assert_close(got["y"], (x - mean) * inverse * slope + bias)


def test_bn_that_may_be_of_two_forks_is_refused(tmp_path: Path) -> None:
    sources = write_net(tmp_path, layer("BN", "x", "y"), {"x": (1, 3, 2, 2)}, {"layer": running_bn_blobs()})
    with pytest.raises(converters.UnsupportedError, match="1 / deviation in happynear's"):
        converters.load(*sources)


def beside_weights(folder: Path, normalize: str, shape: tuple[int, ...]) -> list[Path]:
    """A net of an InnerProduct, whose weights are stored, and this Normalize of x."""
    text = layer("InnerProduct", "x", "z", "inner_product_param { num_output: 2 }", "fc")
    blobs = [np.ones((2, int(np.prod(shape[1:])))), np.zeros(2)]
    return write_net(folder, text + normalize, {"x": shape}, {"fc": blobs})


@pytest.mark.parametrize("kind", ["L1", "L2"])
@pytest.mark.parametrize("shape", [(2, 3, 4, 5), (2, 3)])
def test_happynears_normalize(tmp_path: Path, kind: str, shape: tuple[int, ...]) -> None:
    x = rng().normal(0, 1e-3, size=shape).astype(np.float32)
    text = layer("Normalize", "x", "y length", f'normalize_param {{ normalize_type: "{kind}" }}')
    converters.convert(beside_weights(tmp_path, text, shape), tmp_path / "net.onnx", outputs=["y", "length"])
    got = run_onnx(tmp_path / "net.onnx", {"x": x})
    pixels = x.astype(np.float64).reshape(*shape, *(1,) * (4 - len(shape)))
    total = (np.abs(pixels) if kind == "L1" else pixels**2).sum(axis=1, keepdims=True) + 1e-6
    length = total if kind == "L1" else np.sqrt(total)
    assert_close(got["y"], pixels / length)
    assert_close(got["length"], length)


def test_normalize_without_a_stored_scale_is_not_ssds(tmp_path: Path) -> None:
    """The file holds blobs of another layer, and two forks without a scale differ on this bottom."""
    sources = beside_weights(tmp_path, layer("Normalize", "x", "y"), (1, 3, 2, 2))
    with pytest.raises(converters.UnsupportedError, match=r"(?s)not SSD's.*normalize_type.*across_spatial"):
        converters.load(*sources, outputs=["y"])


@pytest.mark.parametrize("filler", ["", "scale_filler { value: 20 }"])
def test_a_missing_scale_of_ssds_comes_only_from_a_filler_of_the_definition(
    tmp_path: Path, filler: str
) -> None:
    x = rng().normal(size=(1, 3, 2, 2)).astype(np.float32)
    text = layer("Normalize", "x", "y", f"norm_param {{ across_spatial: false {filler} }}")
    sources = beside_weights(tmp_path, text, x.shape)
    if not filler:
        with pytest.raises(converters.MismatchError, match="needs its scale"):
            converters.load(*sources, outputs=["y"])
        return
    converters.convert(sources, tmp_path / "net.onnx", outputs=["y"])
    got = run_onnx(tmp_path / "net.onnx", {"x": x})
    assert_close(got["y"], reference.normalize(x, np.array(20.0), 1e-10, False))


@pytest.mark.parametrize(
    ("shape", "text", "noted"),
    [((1, 3, 2, 2), "", True), ((1, 3, 1, 1), "", False), ((1, 3, 2, 2), "norm_param { eps: 1e-9 }", False)],
)
def test_normalize_of_which_nothing_tells_the_fork_is_noted(
    tmp_path: Path, shape: tuple[int, ...], text: str, noted: bool
) -> None:
    model = converters.load(*write_net(tmp_path, layer("Normalize", "x", "y", text), {"x": shape}))
    assert any("which fork's it is" in note for note in model.meta["report"].notes) == noted
