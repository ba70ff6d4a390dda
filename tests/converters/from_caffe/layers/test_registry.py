"""The facts of each layer type are at its function, and a new type needs only its own file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from reference_nets import assert_close, computed, layer

from converters.from_caffe import schema
from converters.from_caffe.layers import forks, layer_types
from converters.from_caffe.layers import registry as layer_registry
from converters.from_caffe.layers.registry import LAYER_TYPES

# The layer types of BVLC Caffe's last revision that compute something at inference.
BVLC = {
    "AbsVal", "ArgMax", "BatchNorm", "BatchReindex", "Bias", "BNLL", "Clip", "Concat", "Convolution",
    "Crop", "Deconvolution", "Dropout", "DummyData", "Eltwise", "ELU", "Embed", "Exp", "Filter",
    "Flatten", "Im2col", "InnerProduct", "Log", "LRN", "LSTM", "LSTMUnit", "MVN", "Parameter", "Pooling",
    "Power", "PReLU", "Reduction", "ReLU", "Reshape", "RNN", "Scale", "Sigmoid", "Silence", "Slice",
    "Softmax", "Split", "SPP", "Swish", "TanH", "Threshold", "Tile",
}  # fmt: skip


def types_with(fact: str) -> set[str]:
    """The layer types for which a fact of LayerType is not its default."""
    return {name for name, entry in layer_types().items() if getattr(entry, fact) not in (None, 0, False)}


def message(kind: str, bottoms: int = 1, tops: int = 1, text: str = "") -> schema.Message:
    """A LayerParameter with bottoms b0, b1, ... and tops t0, t1, ..."""
    from google.protobuf import text_format

    parsed = schema.new("LayerParameter")
    text_format.Parse(text, parsed)
    parsed.type = kind
    parsed.bottom.extend(f"b{k}" for k in range(bottoms))
    parsed.top.extend(f"t{k}" for k in range(tops))
    return parsed


def test_types_lie_in_the_folder_of_the_caffe_that_has_them() -> None:
    for name, entry in layer_types().items():
        folder = "bvlc" if name in BVLC else "forks"
        assert entry.function.__module__.startswith(f"converters.from_caffe.layers.{folder}."), name
    assert layer_types().keys() >= BVLC


def test_types_of_bvlc_take_parameters_that_bvlc_declares() -> None:
    """Fields that only forks declare have numbers from 20000 on in the schema."""
    fields = schema.new("LayerParameter").DESCRIPTOR.fields_by_name
    for name in BVLC:
        param = layer_types()[name].param
        assert param is None or fields[param].number < 20000, name


def test_a_second_type_of_one_name_is_refused() -> None:
    first = layer_types()["ReLU"]
    with pytest.raises(ValueError, match="two entries of the kind 'layer type' are named 'ReLU'"):
        layer_registry.layer("ReLU")(lambda g, layer, x: x)
    assert layer_types()["ReLU"] is first


TOY = '''
from converters.from_caffe.layers.registry import layer


@layer("OnlyInThisTest", param="power_param", keeps_time=True)
def toy(g, layer, x, y=None):
    """x + x."""
    return g.node("Add", x, x)
'''


@pytest.fixture
def toy_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A file that lies, during one test, in the folder of the forks' layers."""
    folder = tmp_path / "added"
    folder.mkdir()
    (folder / "only_in_this_test.py").write_text(TOY)
    layer_types()
    monkeypatch.setattr(LAYER_TYPES, "_entries", dict(LAYER_TYPES))
    monkeypatch.setattr(forks, "__path__", [*forks.__path__, str(folder)])
    layer_types.cache_clear()
    yield folder / "only_in_this_test.py"
    sys.modules.pop("converters.from_caffe.layers.forks.only_in_this_test", None)
    vars(forks).pop("only_in_this_test", None)
    layer_types.cache_clear()


def test_one_file_is_enough_for_a_new_type(tmp_path: Path, toy_module: Path) -> None:
    x = np.arange(6.0).reshape(2, 3)
    assert_close(computed(tmp_path, layer("OnlyInThisTest", "x", "y"), {"x": x})["y"], 2 * x)
    entry = layer_types()["OnlyInThisTest"]
    assert (entry.bottoms, entry.tops, entry.keeps_time) == ((1, 2), (1, 1), True)


def test_the_new_type_is_gone_after_that_test() -> None:
    assert "OnlyInThisTest" not in layer_types()


def test_which_bottoms_are_time_major() -> None:
    assert types_with("time_major_bottoms") >= {"LSTM", "RNN", "Lstm", "ReverseTime", "CTCGreedyDecoder"}
    exposed = "recurrent_param { expose_hidden: true }"
    for kind, bottoms, text, wanted in (
        ("LSTM", 3, "", ["b0", "b1"]),  # the third is x_static
        ("LSTM", 5, exposed, ["b0", "b1", "b3", "b4"]),
        ("LSTM", 4, exposed, ["b0", "b1", "b2", "b3"]),
        ("RNN", 4, exposed, ["b0", "b1", "b3"]),
        ("RNN", 3, "", ["b0", "b1"]),
        ("Lstm", 1, "", ["b0"]),
        ("ReverseTime", 2, "", ["b0"]),
        ("CTCGreedyDecoder", 2, "", ["b0", "b1"]),
        ("ReLU", 1, "", []),
    ):
        assert list(layer_types()[kind].time_major(message(kind, bottoms, text=text))) == wanted


def test_which_layers_keep_time() -> None:
    always = {"Bias", "Dropout", "Eltwise", "Embed", "ReLU", "Scale", "Sigmoid", "Split", "TanH"}
    assert types_with("keeps_time") >= always | {"InnerProduct", "Concat"}
    assert all(layer_types()[kind].passes_time_on(message(kind)) for kind in always)
    for kind, param in (("InnerProduct", "inner_product_param"), ("Concat", "concat_param")):
        for axis, wanted in ((0, False), (1, False), (2, True), (-1, True)):
            parsed = message(kind, text=f"{param} {{ axis: {axis} }}")
            assert layer_types()[kind].passes_time_on(parsed) is wanted


def test_which_layers_make_labels_of_labels() -> None:
    assert types_with("keeps_labels") >= {
        "Slice", "Split", "Flatten", "Reshape", "Concat", "Power", "Crop", "Eltwise", "Silence", "Reduction",
        "DummyData",
    }  # fmt: skip


def test_whose_tops_share_memory_with_the_bottom() -> None:
    assert types_with("shares_memory") >= {"Flatten", "Reshape", "Split", "Concat", "Slice"}
    for kind in ("Flatten", "Reshape", "Split"):
        assert layer_types()[kind].tops_share_memory(message(kind))
        assert not layer_types()[kind].tops_share_memory(message(kind, bottoms=0))
    for kind in ("Concat", "Slice"):
        assert layer_types()[kind].tops_share_memory(message(kind))
        assert not layer_types()[kind].tops_share_memory(message(kind, bottoms=2))
        assert not layer_types()[kind].tops_share_memory(message(kind, tops=2))


@pytest.mark.parametrize(
    ("kind", "text", "shape", "wanted"),
    [
        ("Convolution", "convolution_param { group: 2 }", (6, 3, 5, 5), (6, 4)),
        ("Convolution", "", (6, 3), None),
        ("Deconvolution", "convolution_param { group: 2 }", (6, 3, 5, 5), (6, 4)),
        ("ConvolutionDepthwise", "", (6, 1, 3, 3), (6, 4)),
        ("ConvolutionDepthwise", "convolution_param { group: 6 }", (6, 1, 3, 3), (6, 4)),
        ("DepthwiseConvolution", "", (6, 1, 3), (6, 3)),
        ("InnerProduct", "", (4, 7), (7, 2)),
        ("InnerProduct", "", (1, 1, 4, 7), (7, 2)),
        ("InnerProduct", "inner_product_param { transpose: true }", (4, 7), (4, 2)),
        ("InnerProduct", "", (4,), None),
        ("BatchNorm", "", (5,), (5, 4)),
        ("Scale", "", (5,), (5, 4)),
        ("Bias", "", (), None),
        ("PReLU", "", (1, 5), (5, 4)),
    ],
)
def test_what_the_first_stored_blob_tells_of_the_bottom(
    kind: str, text: str, shape: tuple[int, ...], wanted: tuple[int, int] | None
) -> None:
    entry = layer_types()[kind]
    assert entry.bottom_of_blob is not None
    assert entry.bottom_of_blob(entry.parameters(message(kind, text=text)), shape) == wanted


def test_of_which_layers_the_first_stored_blob_tells_the_bottom() -> None:
    assert types_with("bottom_of_blob") >= {
        "Convolution", "Deconvolution", "ConvolutionDepthwise", "DepthwiseConvolution", "InnerProduct",
        "BatchNorm", "Scale", "Bias", "PReLU",
    }  # fmt: skip


def test_where_forks_store_parameters() -> None:
    """Field numbers of LayerParameter in the forks' own .proto files, by the field that holds them here."""
    wanted = {
        "accum_param": {160}, "axpy_param": {151, 210}, "batch_reduction_param": {162}, "bias_param": {161},
        "bn_param": {45, 137, 152, 200}, "channel_scale_param": {237}, "channel_shuffle_param": {164},
        "clip_param": {2202}, "continuation_indicator_param": {201}, "convolution3d_param": {147, 6661},
        "correlation_param": {150, 219}, "ctc_decoder_param": {149, 158},
        "detection_output_param": {147, 204, 211}, "downsample_param": {156}, "flip_param": {212},
        "flow_warp_param": {159, 221}, "inner_distance_param": {213},
        "interp_param": {143, 162, 166, 205, 217, 2210}, "local_param": {201},
        "lstm_param": {148, 201, 210, 8266711}, "mean_param": {154}, "norm_param": {134, 149, 204, 206, 214},
        "permute_param": {148, 154, 202, 224}, "prior_box_param": {150, 203, 212},
        "proposal_param": {201, 219, 1200, 8266713},
        "psroi_pooling_param": {149, 153, 207, 220, 10001, 10002}, "recurrent_param": {151},
        "relu6_param": {208, 211, 216, 100000}, "reorg_param": {147, 149, 159}, "resample_param": {155, 220},
        "reshape_param": {136}, "reverse_param": {149, 160}, "reverse_time_param": {161},
        "roi_pooling_param": {147, 150, 154, 204, 208, 212, 1201, 2201, 8266711}, "scale_param": {160},
        "shuffle_channel_param": {145, 164, 212, 213, 224}, "spatial_dropout_param": {149, 155},
        "tile_param": {135}, "transpose_param": {145, 147, 8266710}, "truncation_param": {225},
        "upsample_param": {137, 147, 149, 150, 211, 2203}, "yolo_detection_output_param": {601},
        "yolov3_detection_output_param": {602, 603},
    }  # fmt: skip
    for name, entry in layer_types().items():
        assert entry.fork_field_numbers == wanted.get(entry.param or "", set()), name


def test_every_type_is_described_and_its_parameters_are_in_the_schema() -> None:
    fields = schema.new("LayerParameter").DESCRIPTOR.fields_by_name
    for name, entry in layer_types().items():
        assert entry.function.__doc__, name
        assert entry.param is None or entry.param in fields, name
