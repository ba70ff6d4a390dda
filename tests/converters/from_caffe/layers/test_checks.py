"""A bottom with too few or too many axes: one form of message, whatever the layer."""

from __future__ import annotations

from pathlib import Path

import pytest
from reference_nets import layer, write_net

import converters

# Layer types that take images, each with the least parameters that let them come to their bottom.
OF_IMAGES = {
    "LRN": "",
    "Pooling": "pooling_param { kernel_size: 2 }",
    "SPP": "spp_param { pyramid_height: 1 }",
    "ConvolutionDepthwise": "convolution_param { num_output: 2 kernel_size: 1 }",
    "Reshape": "reshape_param { pixelshuffler: 2 }",
    "Tiling": "tiling_param { tile_dim: 2 }",
    "Flip": "flip_param { flip_width: true flip_height: true }",
    "ShuffleChannel": "shuffle_channel_param { group: 2 }",
    "ChannelShuffle": "channel_shuffle_param { group: 2 }",
    "Reorg": "reorg_param { stride: 1 }",
    "ChannelNorm": "",
    "Mean": "mean_param { operation: ADD value: 1 }",
    "Interp": "interp_param { height: 2 width: 2 }",
    "Accum": "",
    "Resample": "resample_param { height: 2 width: 2 }",
    "Downsample": "downsample_param { top_height: 2 top_width: 2 }",
    "Upsample": "upsample_param { scale: 2 }",
    "Slope": "",
    "Gram": "",
    "Local": "local_param { num_output: 1 kernel_size: 1 }",
}


@pytest.mark.parametrize("kind", OF_IMAGES)
@pytest.mark.parametrize(("shape", "text"), [((1, 4, 3), "1x4x3"), ((1, 4, 3, 2, 2), "1x4x3x2x2")])
def test_layers_of_images_take_four_axes(
    tmp_path: Path, kind: str, shape: tuple[int, ...], text: str
) -> None:
    sources = write_net(tmp_path, layer(kind, "x", "y", OF_IMAGES[kind]), {"x": shape})
    wanted = rf"layer 'layer' \({kind}\): takes 4 axes \(num, channels, height, width\), a bottom is {text}$"
    with pytest.raises(converters.FormatError, match=wanted):
        converters.load(*sources)


@pytest.mark.parametrize("kind", ["ROIPooling", "PSROIPooling", "PriorBox"])
def test_of_two_bottoms_the_image_takes_four_axes(tmp_path: Path, kind: str) -> None:
    parameters = {
        "ROIPooling": "roi_pooling_param { pooled_h: 1 pooled_w: 1 }",
        "PSROIPooling": "psroi_pooling_param { output_dim: 1 group_size: 1 spatial_scale: 1 }",
        "PriorBox": "prior_box_param { min_size: 1 }",
    }[kind]
    sources = write_net(tmp_path, layer(kind, "x r", "y", parameters), {"x": (1, 2, 3), "r": (1, 5)})
    with pytest.raises(converters.FormatError, match=r"takes 4 axes .*, a bottom is 1x2x3$"):
        converters.load(*sources)


@pytest.mark.parametrize(
    ("kind", "shape", "wanted"),
    [
        ("PReLU", (2,), "takes 2 to 4 axes, a bottom is 2$"),
        ("PReLU", (1, 2, 3, 4, 5), "takes 2 to 4 axes, a bottom is 1x2x3x4x5$"),
        ("Normalize", (2,), "takes 2 to 4 axes, a bottom is 2$"),
        ("BN", (2,), "takes 2 to 4 axes, a bottom is 2$"),
        ("MVN", (1, 2, 3, 4, 5), "takes at most 4 axes, a bottom is 1x2x3x4x5$"),
        ("BatchNorm", (2,), "takes 2 or more axes, a bottom is 2$"),
        ("ArgMax", (), "takes 1 or more axes, a bottom is scalar$"),
        ("Convolution3D", (1, 2, 3, 4), r"takes 5 axes \(num, channels, length, height, width\)"),
    ],
)
def test_other_numbers_of_axes(tmp_path: Path, kind: str, shape: tuple[int, ...], wanted: str) -> None:
    with pytest.raises(converters.FormatError, match=wanted):
        converters.load(*write_net(tmp_path, layer(kind, "x", "y"), {"x": shape}))
