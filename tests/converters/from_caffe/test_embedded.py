"""A caffemodel without its prototxt: the net stored in it gives what Caffe gave, or is refused."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from caffemodel_writer import blob, field, varint
from corpus_cases import CORPUS, DEFAULT_TOLERANCE, Case, assert_agrees, run_onnx

import converters
from converters.from_caffe import schema

CAFFE = CORPUS / "caffe"
CASES = sorted(
    path.parent.name
    for path in CAFFE.glob("*/net.caffemodel")
    if json.loads((path.parent / "case.json").read_text())["inputs"]
)
# Caffemodels written by hand that hold no net, part of one, or another one, with what the error says.
NO_NET = "holds weights by layer name and no network"
NOT_CONVERTED = {
    **dict.fromkeys(
        ["v1-model-only", "wire-chunks", "wire-diff", "wire-dims-split", "wire-dims-unpacked", "wire-double"],
        NO_NET,
    ),
    **dict.fromkeys(
        ["wire-double-and-float", "wire-double-unpacked", "wire-legacy4d", "wire-order", "wire-overlong"],
        NO_NET,
    ),
    "wire-unpacked": NO_NET,
    "match-missing": "no blob 'fc_new'",
    "match-missing-zero": "no blob 'fc_new'",
    "match-order": "reads the blob 'c2', which no layer before it makes",
    "match-type-ignored": "num_output must be positive",
    "share-owner-only": "no blob 'cb'",
    "share-sharer-only": "no blob 'ca'",
    "wire-input-fields": "no blob 'fc'",
    "wire-unknown": "the parameter field 900",
}


@pytest.mark.parametrize("name", [name for name in CASES if name not in NOT_CONVERTED])
def test_the_stored_net_gives_what_caffe_gave(name: str, tmp_path: Path) -> None:
    case = Case.load(CAFFE / name)
    out = tmp_path / "net.onnx"
    converters.convert([case.folder / "net.caffemodel"], out, outputs=list(case.outputs))
    assert_agrees(run_onnx(out, case.inputs), case.outputs, DEFAULT_TOLERANCE)


@pytest.mark.parametrize("name", NOT_CONVERTED)
def test_a_caffemodel_without_its_net_is_refused(name: str) -> None:
    case = Case.load(CAFFE / name)
    with pytest.raises(converters.ConverterError, match=NOT_CONVERTED[name]):
        converters.load(case.folder / "net.caffemodel", outputs=list(case.outputs))


def stored_net(folder: Path, *layers: bytes) -> Path:
    path = folder / "net.caffemodel"
    path.write_bytes(b"".join(field(100, layer) for layer in layers))
    return path


def stored_layer(name: str, kind: str, bottom: str, top: str, *rest: bytes) -> bytes:
    head = field(1, name.encode()) + field(2, kind.encode())
    return head + (field(3, bottom.encode()) if bottom else b"") + field(4, top.encode()) + b"".join(rest)


INPUT = stored_layer("data", "Input", "", "data", field(143, field(1, field(1, b"\x01\x02\x03\x04"))))


def test_a_parameter_at_a_number_of_no_dialect_is_refused(tmp_path: Path) -> None:
    power = stored_layer("p", "Power", "data", "p", field(777, b"\x08\x01"))
    with pytest.raises(
        converters.UnsupportedError,
        match=r"layer 'p' \(Power\): no dialect of Caffe declares the parameter field 777",
    ):
        converters.load(stored_net(tmp_path, INPUT, power))


def test_a_field_that_bvlc_does_not_declare_is_refused(tmp_path: Path) -> None:
    """Field 19 of a fork's ConvolutionParameter could be a fused ReLU: it must not be guessed."""
    conv = field(106, varint(1 << 3) + b"\x01" + varint(4 << 3) + b"\x01" + varint(19 << 3) + b"\x01")
    weights = [field(7, blob(np.ones((1, 2, 1, 1)))), field(7, blob(np.ones(1)))]
    layer = stored_layer("c", "Convolution", "data", "c", conv, *weights)
    with pytest.raises(converters.UnsupportedError, match="convolution_param field 19"):
        converters.load(stored_net(tmp_path, INPUT, layer))


def test_the_parameters_of_a_fork_are_never_dropped(tmp_path: Path) -> None:
    """BVLC has other messages at 145 and 149; in yutkin's fork, 149 holds the axis of Reverse."""
    reverse = stored_layer("r", "Reverse", "data", "r", field(149, b"\x08\x02"))
    (node,) = converters.load(stored_net(tmp_path, INPUT, reverse)).graph
    assert node.op_type == "Slice"
    assert node.inputs[3].const_value.numpy().tolist() == [2]
    for number in (145, 147):
        other = stored_layer("r", "Reverse", "data", "r", field(number, b"\x08\x02"))
        with pytest.raises(converters.UnsupportedError, match=f"parameter field {number}"):
            converters.load(stored_net(tmp_path, INPUT, other))


def test_a_field_of_another_wire_type_than_the_forks_is_refused(tmp_path: Path) -> None:
    """Field 3 of PSPNet's bn_param is a float, its momentum; SegNet's is a whole number, its bn_mode."""
    blobs = [field(7, blob(np.ones((1, 2, 1, 1)))) for _ in range(4)]
    layer = stored_layer("b", "BN", "data", "b", field(152, b"\x18\x01"), *blobs)
    with pytest.raises(converters.UnsupportedError, match="bn_param field 3"):
        converters.load(stored_net(tmp_path, INPUT, layer))


def test_settings_of_a_fork_do_not_matter(tmp_path: Path) -> None:
    """NVCaffe stores its element types (numbers) where BVLC stores parameters (messages)."""
    relu = stored_layer("r", "ReLU", "data", "r", varint(145 << 3) + b"\x01", varint(146 << 3) + b"\x01")
    assert [node.op_type for node in converters.load(stored_net(tmp_path, INPUT, relu)).graph] == ["Relu"]


@pytest.mark.parametrize("number", [137, 147, 149, 150])
@pytest.mark.parametrize("scale", [b"\x08\x03", b"\x0d\x00\x00\x40\x40"])
def test_a_scale_of_3_as_a_whole_or_a_real_number(number: int, scale: bytes, tmp_path: Path) -> None:
    """SegNet, ENet and the YOLO forks store Upsample's scale as an integer, MNN as a float."""
    upsample = stored_layer("up", "Upsample", "data", "up", field(number, scale))
    (output,) = converters.load(stored_net(tmp_path, INPUT, upsample)).graph.outputs
    assert list(output.shape or [])[1:] == [2, 9, 12]


def test_a_negative_whole_number_is_not_taken_for_a_real_one(tmp_path: Path) -> None:
    minus_one = b"\x08" + b"\xff" * 9 + b"\x01"
    upsample = stored_layer("up", "Upsample", "data", "up", field(149, minus_one))
    with pytest.raises(converters.UnsupportedError, match="upsample_param field 1"):
        converters.load(stored_net(tmp_path, INPUT, upsample))


def test_stored_phases_are_the_nets_own(tmp_path: Path) -> None:
    """A net saved while training has the phase TRAIN in every layer; inference still uses its statistics."""
    net = schema.new("NetParameter")
    net.MergeFromString(stored_net(tmp_path, INPUT).read_bytes())
    layer = net.layer.add(name="bn", type="BatchNorm", bottom=["data"], top=["bn"], phase=0)
    for size in (2, 2, 1):
        stored = layer.blobs.add(data=[1.0] * size)
        stored.shape.dim.append(size)
    path = tmp_path / "trained.caffemodel"
    path.write_bytes(net.SerializeToString())
    assert [node.op_type for node in converters.load(path).graph] == ["BatchNormalization"]


def test_what_forks_store_in_layers_that_are_left_out_does_not_matter(tmp_path: Path) -> None:
    """A snapshot of an SSD training: annotated_data_param (200) and multibox_loss_param (201)."""
    ones = [field(7, blob(np.ones((1, 3, 1, 1)))), field(7, blob(np.ones(1)))]
    transform = field(100, varint(3 << 3) + b"\x08" + field(8, b"\x08\x01"))  # crop_size 8, and resize_param
    data = stored_layer(
        "d", "AnnotatedData", "", "data", transform, field(200, b"\x08\x01"), field(140, b"\x08\x01")
    )
    conv = stored_layer("c", "Convolution", "data", "c", field(106, b"\x08\x01\x20\x01"), *ones)
    loss = stored_layer("l", "MultiBoxLoss", "c", "l", field(201, b"\x08\x01"))
    model = converters.load(stored_net(tmp_path, data, conv, loss))
    assert list(model.graph.inputs[0].shape or [])[1:] == [3, 8, 8]
    assert [value.name for value in model.graph.outputs] == ["c"]


def test_the_recorded_snapshot_with_annotated_data(tmp_path: Path) -> None:
    folder = CORPUS / "field-caffe" / "caffemodel-alone-annotated"
    case = Case.load(folder)
    converters.convert([folder / "net.caffemodel"], tmp_path / "net.onnx")
    assert_agrees(run_onnx(tmp_path / "net.onnx", case.inputs), case.outputs, DEFAULT_TOLERANCE)
