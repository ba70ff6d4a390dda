"""The channels of an input behind a data layer, told by the weights through the layers between."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
from reference_nets import write_net
from training_nets import CONV, CROPPED, DATA, PRODUCT, blocks, chain, diamonds

import converters


def between(kind: str, text: str = "", top: str = '"x"') -> str:
    tops = " ".join(f"top: {name}" for name in top.split())
    return f'layer {{ name: "between" type: "{kind}" bottom: "data" {tops} {text} }} '


def input_shape(folder: Path, text: str, weights: dict[str, list[np.ndarray]]) -> str:
    inputs: dict[str, str] = converters.load(*write_net(folder, text, {}, weights)).meta["report"].inputs
    return inputs["data"]


CONV_OF = {k: [np.ones((2, k, 1, 1))] for k in range(1, 20)}


@pytest.mark.parametrize(
    ("layers", "stored", "wanted"),
    [
        ("", 3, "Nx3x8x8"),
        (between("ReLU"), 3, "Nx3x8x8"),
        (between("Tile", "tile_param { axis: 1 tiles: 2 }"), 6, "Nx3x8x8"),
        (between("Concat", 'bottom: "data" concat_param { axis: 1 }'), 6, "Nx3x8x8"),
        (between("Concat", 'bottom: "data" concat_param { axis: 2 }'), 3, "Nx3x8x8"),
        (between("Permute", "permute_param { order: 0 order: 1 order: 3 order: 2 }"), 3, "Nx3x8x8"),
        (between("Permute", "permute_param { order: 0 order: 3 order: 1 order: 2 }"), 8, None),
        (between("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"), 8, None),
        (between("Reorg", "reorg_param { stride: 2 }"), 16, "Nx4x8x8"),
        (between("Slice", "slice_param { axis: 1 slice_point: 2 }", '"first" "x"'), 3, "Nx5x8x8"),
        (between("Slice", "slice_param { axis: 1 }", '"first" "x" "third"'), 2, "Nx6x8x8"),
        (between("Tile", "tile_param { axis: 1 tiles: 2 }"), 5, None),
        (between("Reduction", "reduction_param { axis: 1 }"), 3, None),
        (between("Scale", "scale_param { filler { value: 2 } }"), 3, "Nx3x8x8"),
    ],
)
def test_channels_by_a_convolution(tmp_path: Path, layers: str, stored: int, wanted: str | None) -> None:
    text = CROPPED + layers + CONV.format("x" if layers else "data", "")
    if wanted is not None:
        assert input_shape(tmp_path, text, {"conv": CONV_OF[stored]}) == wanted
        return
    with pytest.raises(converters.UsageError, match="--input-shape data=N,C,H,W"):
        converters.load(*write_net(tmp_path, text, {}, {"conv": CONV_OF[stored]}))


@pytest.mark.parametrize(
    ("layers", "parameters", "stored", "wanted"),
    [
        ("", "", (2, 192), "Nx3x8x8"),
        ("", "transpose: true", (192, 2), "Nx3x8x8"),
        (between("Flatten"), "", (2, 192), "Nx3x8x8"),
        (between("Pooling", "pooling_param { kernel_size: 3 stride: 2 }"), "", (2, 48), "Nx3x8x8"),
        (between("Permute", "permute_param { order: 0 order: 2 order: 3 order: 1 }"), "", (2, 64), "Nx1x8x8"),
        (between("Tile", "tile_param { axis: 2 tiles: 3 }"), "", (2, 192), "Nx1x8x8"),
        ("", "", (2, 100), None),
    ],
)
def test_channels_by_a_matrix_product(
    tmp_path: Path, layers: str, parameters: str, stored: tuple[int, ...], wanted: str | None
) -> None:
    text = CROPPED + layers + PRODUCT.format("x" if layers else "data", parameters)
    if wanted is not None:
        assert input_shape(tmp_path, text, {"fc": [np.ones(stored)]}) == wanted
        return
    with pytest.raises(converters.UsageError, match="--input-shape data=N,C,H,W"):
        converters.load(*write_net(tmp_path, text, {}, {"fc": [np.ones(stored)]}))


def test_a_matrix_product_on_images_of_unknown_size_tells_nothing(tmp_path: Path) -> None:
    text = DATA.format("") + PRODUCT.format("data", "")
    with pytest.raises(converters.UsageError, match="--input-shape data=N,C,H,W"):
        converters.load(*write_net(tmp_path, text, {}, {"fc": [np.ones((2, 49))]}))


def test_a_convolution_on_images_of_unknown_size_tells_the_channels(tmp_path: Path) -> None:
    text = DATA.format("") + between("Pooling", "pooling_param { kernel_size: 2 }") + CONV.format("x", "")
    assert input_shape(tmp_path, text, {"conv": CONV_OF[3]}) == "Nx3xdata_2xdata_3"


def test_a_first_layer_that_the_weights_lack_is_named(tmp_path: Path) -> None:
    text = CROPPED + CONV.format("data", "").replace('"conv"', '"conv_new"')
    with pytest.raises(converters.MismatchError, match=r"'conv_new' \(Convolution\).*closest .* is 'conv'"):
        converters.load(*write_net(tmp_path, text, {}, {"conv": CONV_OF[3]}))


@pytest.mark.parametrize("wiring", [chain, blocks, diamonds])
def test_the_weights_of_another_net_are_refused_without_walking_every_path(
    tmp_path: Path, wiring: object
) -> None:
    """Each path of such a net on its own would take longer than the age of the universe."""
    assert callable(wiring)
    files = write_net(tmp_path, CROPPED + wiring(300), {}, {"other": [np.ones((2, 2, 1, 1))]})
    started = time.process_time()
    with pytest.raises(converters.ConverterError):
        converters.load(*files)
    assert time.process_time() - started < 20
