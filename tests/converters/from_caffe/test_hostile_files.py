"""Damaged and hostile Caffe files: one clear error, no huge allocation, no other exception."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from caffemodel_writer import field, write_caffemodel
from corpus_cases import CORPUS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from limited import memory_limit

import converters
from converters.wire import MAX_FIELDS

CAFFE = CORPUS / "caffe"
INPUT = 'layer { name: "data" type: "Input" top: "data" input_param { shape { %s } } }\n'


def dims(*sizes: int) -> str:
    return INPUT % " ".join(f"dim: {size}" for size in sizes)


def layer(kind: str, params: str, bottom: str = 'bottom: "data"') -> str:
    return f'layer {{ name: "x" type: "{kind}" {bottom} top: "x" {params} }}\n'


HUGE = 2**40
BOMBS = {
    "huge constant": dims(1, 2) + layer("DummyData", f"dummy_data_param {{ shape {{ dim: {HUGE} }} }}", ""),
    "huge kernel": dims(1, 1, 9, 9) + layer("Im2col", "convolution_param { kernel_size: 30000 pad: 30000 }"),
    "huge layer": dims(1, 2) + layer("InnerProduct", "inner_product_param { num_output: 4294967295 }"),
    "endless sequence": dims(2**30, 1, 1)
    + 'layer { name: "c" type: "Input" top: "c" input_param { shape { dim: 1073741824 dim: 1 } } }\n'
    + layer("RNN", "recurrent_param { num_output: 1 }", 'bottom: "data" bottom: "c"'),
    "huge input": dims(HUGE, HUGE) + layer("BatchNorm", ""),
    "tall pyramid": dims(1, 1, 9, 9) + layer("SPP", "spp_param { pyramid_height: 4000000000 }"),
    "many prior boxes": dims(1, 1, 2000, 2000)
    + layer("PriorBox", "prior_box_param { min_size: 5 }", 'bottom: "data" bottom: "data"'),
    "prior boxes of all shapes": dims(1, 1, 2, 2)
    + layer(
        "PriorBox",
        "prior_box_param { min_size: 5 "
        + "".join(f"aspect_ratio: {2 + k / 100} " for k in range(20_000))
        + "}",
        'bottom: "data" bottom: "data"',
    ),
    "many constants": "".join(
        layer("DummyData", f"dummy_data_param {{ shape {{ dim: {2**22} }} }}", "").replace('"x"', f'"x{k}"')
        for k in range(50)
    ),
    "places of a huge image": dims(1, 1, 40_000, 50_000) + layer("Slope", ""),
    "axes": INPUT % ("dim: 1 " * 10_000) + layer("ReLU", ""),
    "a huge size beside an open one": dims(1, 2**62) + layer("ReLU", ""),
    "a sequence of sums": dims(1, 2) + layer("Eltwise", "", 'bottom: "data" ' * 40_000),
    "many tops": dims(1, 2)
    + layer("Split", "").replace('top: "x"', "".join(f'top: "x{k}" ' for k in range(20_000))),
    "many inputs": "".join(f'input: "x{k}" input_shape {{ dim: 1 }} ' for k in range(10_000)),
    "lines without end": dims(1, 2) + "\n" * 500_000 + layer("ReLU", "unknown: 1 : junk"),
    "blanks behind a layer": dims(1, 2) + "layer" + " " * 500_000 + "junk : junk",
    "escaped quotes": dims(1, 2) + layer("ReLU", "unknown: 1") + 'name: "' + '\\"' * 200_000,
    "unknown fields in a long layer": dims(1, 2)
    + layer("ReLU", ("param { lr_mult: 1 } " * 20 + "odd: 1 ") * 900),
    "ways to write false": dims(1, 2)
    + "".join(
        layer("Convolution", f"convolution_param {{ bias_term: {'0' * (k + 2)} }}").replace('"x"', f'"x{k}"')
        for k in range(300)
    ),
    "cycle": 'layer { name: "a" type: "ReLU" bottom: "b" top: "a" }\n'
    'layer { name: "b" type: "ReLU" bottom: "a" top: "b" }\n',
    "deep nesting": "layer { " * 30_000,
    "deep list": "name: " + "[" * 100_000,
    "no layers": 'name: "nothing"\n',
    "empty shape": dims(0, 3) + layer("Softmax", ""),
    "negative shape": dims(-5, 3) + layer("Softmax", ""),
    "division by zero": dims(1, 0, 4) + layer("Reshape", "reshape_param { shape { dim: -1 dim: 0 } }"),
}


@pytest.mark.parametrize("name", sorted(BOMBS))
def test_a_definition_that_asks_for_the_absurd(tmp_path: Path, name: str) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(BOMBS[name])
    with memory_limit(200 * 2**20), pytest.raises(converters.ConverterError) as caught:
        converters.load(path)
    assert len(str(caught.value)) < 1000


def test_more_fields_than_any_net_has(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel"
    path.write_bytes(field(1, b"net") + b"\xa2\x06\x00" * (MAX_FIELDS + 10))
    with pytest.raises(converters.FormatError, match=f"more than {MAX_FIELDS:,} fields"):
        converters.load(CAFFE / "arch-vgg" / "net.prototxt", path)


def test_an_hdf5_file_that_unfolds(tmp_path: Path) -> None:
    path = tmp_path / "net.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/conv/0", shape=(HUGE,), dtype="f4", chunks=(1024,), compression="gzip")
    with (
        memory_limit(200 * 2**20),
        pytest.raises(converters.FormatError, match="far more than the file holds"),
    ):
        converters.load(CAFFE / "arch-vgg" / "net.prototxt", path)


NETS = [
    (CAFFE / name / "net.prototxt").read_bytes()
    for name in ("arch-alexnet", "v0-padding", "v1-caffenet", "tv-aux-always")
]
MODELS = [
    (CAFFE / name / "net.caffemodel").read_bytes()
    for name in ("arch-vgg", "v0-padding", "v1-basic", "wire-unknown")
]


@st.composite
def damaged(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """A real file cut short, or with bytes changed, removed, doubled or inserted."""
    data = bytearray(draw(st.sampled_from(originals)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        match draw(st.sampled_from(["flip", "cut", "insert", "double", "remove"])):
            case "flip":
                data[at : at + 1] = bytes([draw(st.integers(0, 255))])
            case "cut":
                del data[at:]
            case "insert":
                data[at:at] = draw(st.binary(min_size=1, max_size=8))
            case "double":
                data[at:at] = data[at : at + draw(st.integers(1, 64))]
            case "remove":
                del data[at : at + draw(st.integers(1, 64))]
    return bytes(data)


BOUNDED = settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@BOUNDED
@given(damaged(NETS))
def test_damaged_definitions(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.prototxt"
        path.write_bytes(data)
        only_our_errors(path)


@BOUNDED
@given(damaged(MODELS), st.booleans())
def test_damaged_weights(data: bytes, alone: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "net.caffemodel"
        path.write_bytes(data)
        only_our_errors(*([path] if alone else [CAFFE / "arch-vgg" / "net.prototxt", path]))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name in ("net.prototxt", "net.caffemodel", "net.net"):
            path = Path(folder) / name
            path.write_bytes(data)
            only_our_errors(path)
            only_our_errors(CAFFE / "arch-vgg" / "net.prototxt", path)


def only_our_errors(*paths: Path) -> None:
    """Loading and inspecting either succeed or raise a ConverterError."""
    for function in (converters.load, converters.inspect):
        with contextlib.suppress(converters.ConverterError):
            function(*paths)


def test_weights_beyond_the_definition_are_never_read(tmp_path: Path) -> None:
    """A shape whose product overflows is an error, not an allocation."""
    weights = write_caffemodel(tmp_path / "net.caffemodel", {"fc": [np.ones((1, 1))]})
    data = weights.read_bytes().replace(
        field(1, b"\x01\x01"), field(1, b"\xff\xff\xff\xff\x0f\xff\xff\xff\xff\x0f")
    )
    weights.write_bytes(data)
    with pytest.raises(converters.FormatError):
        converters.load(CAFFE / "arch-vgg" / "net.prototxt", weights)


@pytest.mark.parametrize(
    ("bottoms", "layer_text"),
    [
        ("x", 'type: "Upsample" upsample_param { scale: inf }'),
        ("x", 'type: "Upsample" upsample_param { scale: nan }'),
        ("x y", 'type: "Upsample" upsample_param { scale: inf }'),
        ("x", 'type: "Upsample" upsample_param { scale: 1e38 }'),
        ("x", 'type: "Interp" interp_param { height: 65536 width: 65536 }'),
        ("x", 'type: "Tile" tile_param { tiles: 2147483647 }'),
        ("x", 'type: "Resample" resample_param { height: 4294967295 width: 3 }'),
        ("x", 'type: "Resample" resample_param { height: 3 width: 4294967295 type: NEAREST }'),
        ("x", 'type: "Downsample" downsample_param { top_height: 3 top_width: 4294967295 }'),
        (
            "x y",
            'type: "Correlation" correlation_param { pad: 2147483647 kernel_size: 1 max_displacement: 3 }',
        ),
        (
            "x y",
            'type: "Correlation" correlation_param { pad: 65536 kernel_size: 1 max_displacement: 65536 }',
        ),
        ("x y", 'type: "PriorBox" prior_box_param { min_size: 5 max_size: inf }'),
        ("x y", 'type: "PriorBox" prior_box_param { min_size: 5 aspect_ratio: inf }'),
        ("x y", 'type: "PriorBox" prior_box_param { min_size: 5 step: nan }'),
        ("x", 'type: "Mean" mean_param { operation: ADD value: 1e38 output_scale: 1e38 }'),
    ],
)
def test_sizes_and_numbers_beyond_all_sense(bottoms: str, layer_text: str, tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    shape = "input_shape { dim: 1 dim: 1 dim: 4 dim: 4 }"
    wired = " ".join(f'bottom: "{name}"' for name in bottoms.split())
    path.write_text(
        f'input: "x" {shape} input: "y" {shape} layer {{ name: "l" top: "t" {wired} {layer_text} }}'
    )
    with pytest.raises(converters.ConverterError, match="'l'"):
        converters.load(path)


def test_an_input_larger_than_any_blob_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(
        'input: "x" input_shape { dim: 2 dim: 2147483647 dim: 4294967295 } '
        'layer { name: "l" type: "Reshape" bottom: "x" top: "y" reshape_param { shape { dim: -1 } } }'
    )
    with pytest.raises(converters.FormatError, match="a bottom would be 2x2147483647x4294967295"):
        converters.load(path)
