"""Definitions as text: what is read from them, and what errors say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from reference_nets import layer, write_net

import converters
from converters.from_caffe.limits import MAX_LAYERS, MAX_TOPS
from converters.from_caffe.prototxt import MAX_BYTES, MAX_FIELDS, MAX_UNUSUAL_FIELDS, parse

NET = """name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 } } }
layer {
  name: "scaled"
  type: "Power"
  bottom: "data"
  top: "scaled"
  power_param { scale: 2 }
}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "net.prototxt"
    path.write_text(text)
    return path


def test_fields_and_defaults(tmp_path: Path) -> None:
    read = parse(write(tmp_path, NET))
    net, ignored = read.net, read.ignored
    assert (net.name, len(net.layer), ignored) == ("small", 2, [])
    power = net.layer[1].power_param
    assert (power.power, power.scale, power.shift) == (1.0, 2.0, 0.0)


def test_an_unknown_field_is_named_with_its_line_and_layer(tmp_path: Path) -> None:
    path = write(tmp_path, NET.replace("scale: 2", "scales: 2"))
    with pytest.raises(converters.UnsupportedError) as caught:
        converters.load(path)
    assert str(caught.value) == (
        f"{path}:8: unknown field 'scales' of PowerParameter in layer 'scaled'; did you mean scale?\n"
        "  If it does not matter at inference, accept it by name: --ignore-field scales"
    )


@pytest.mark.parametrize(
    "field",
    [
        "odd: 3",
        'odd: "a } string"',
        "odd { inner { deeper: 1 } # } comment\n }",
        "odd: [1, 2]",
        "odd < a: 1 >",
        "odd:{a:1}",
    ],
)
def test_an_ignored_field_is_passed_over_and_reported(tmp_path: Path, field: str) -> None:
    path = write(tmp_path, NET.replace("power_param", f"{field}\n  power_param"))
    model = converters.load(path, ignore_fields=["odd"])
    assert model.meta["report"].notes == ["ignored the field odd (line 8), as asked"]
    assert [node.op_type for node in model.graph] == ["Mul"]


def test_ignoring_one_field_does_not_accept_another(tmp_path: Path) -> None:
    path = write(tmp_path, NET.replace("power_param", "odd: 1 even: 2 power_param"))
    with pytest.raises(converters.UnsupportedError, match="unknown field 'even'"):
        converters.load(path, ignore_fields=["odd"])


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("layer {", "net.prototxt:1: "),
        (NET + NET.replace("layer", "layers", 1), "net.prototxt"),
        (NET.replace("scale: 2", "scale: two"), "net.prototxt:8: .*in layer 'scaled'"),
        (NET.replace("scale: 2", "scale: 2 scale: 3"), "should not have multiple"),
        ("\ufeff" + NET, "byte order mark"),
    ],
)
def test_what_caffe_cannot_parse_is_refused(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(converters.FormatError, match=says):
        parse(write(tmp_path, text))


def test_text_larger_than_any_definition_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    with path.open("wb") as file:
        file.write(NET.encode())
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(converters.FormatError, match="is this the file"):
        parse(path)


def test_more_fields_than_any_definition_has_are_refused_unparsed(tmp_path: Path) -> None:
    silent = 'layer { name: "s" type: "Silence" }\n'  # two fields in a message that is a third
    with pytest.raises(
        converters.LimitError, match=r"some 60,003 fields; a definition has at most 60,000: is this the file"
    ):
        parse(write(tmp_path, silent * (MAX_FIELDS // 3 + 1)))


def test_a_larger_text_may_have_more_fields(tmp_path: Path) -> None:
    comment = "#" + "-" * 2_000_000 + "\n"
    with pytest.raises(converters.LimitError, match="layers; a net has at most"):
        parse(write(tmp_path, comment + 'layer { name: "s" type: "Silence" }\n' * (MAX_FIELDS // 3 + 1)))


def test_the_numbers_of_a_list_count_as_fields(tmp_path: Path) -> None:
    dims = ",".join(["1"] * (MAX_FIELDS + 1))
    text = f'layer {{ name: "d" type: "Input" top: "d" input_param {{ shape {{ dim: [{dims}] }} }} }}'
    with pytest.raises(converters.LimitError, match="a definition has at most 60,000"):
        parse(write(tmp_path, text))


def test_a_long_text_in_unusual_forms_has_a_lower_limit(tmp_path: Path) -> None:
    """An error in it is still named."""
    count = MAX_UNUSUAL_FIELDS // 4
    dims = 'layer { name: "d" type: "Input" top: "d" input_param { shape { ' + "dim: 1 " * 4 * count + "} } }"
    assert len(parse(write(tmp_path, dims)).net.layer) == 1
    with pytest.raises(converters.LimitError, match=r"unusual forms among them; .* at most 40,000"):
        parse(write(tmp_path, dims.replace('"d"', '"\\x64"', 1)))
    with pytest.raises(converters.UnsupportedError, match="unknown field 'strange' of BlobShape"):
        parse(write(tmp_path, dims.replace("} } }", "strange: 1 } } }")))


def test_more_layers_than_any_net_has_are_refused(tmp_path: Path) -> None:
    silent = 'layer { name: "s" type: "Silence" }\n'
    assert len(parse(write(tmp_path, silent * MAX_LAYERS)).net.layer) == MAX_LAYERS
    with pytest.raises(converters.LimitError, match=r"5,121 layers; a net has at most 5,120"):
        parse(write(tmp_path, silent * (MAX_LAYERS + 1)))


def test_more_tops_than_any_net_has_are_refused(tmp_path: Path) -> None:
    tops = 'top: "s" ' * (MAX_TOPS - 1)
    text = f'layer {{ name: "d" type: "Input" top: "x" }} layer {{ name: "s" type: "Split" bottom: "x" {tops}'
    assert [len(one.top) for one in parse(write(tmp_path, text + "}")).net.layer] == [1, MAX_TOPS - 1]
    with pytest.raises(converters.LimitError, match=r"16,385 tops of layers; a net has at most 16,384"):
        parse(write(tmp_path, text + 'top: "s" }'))


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(b'name: "caf\xe9"\n')
    with pytest.raises(converters.FormatError, match="byte 10 is not UTF-8"):
        parse(path)


def test_an_unknown_layer_type_names_what_is_close(tmp_path: Path) -> None:
    path = write(tmp_path, NET.replace('"Power"', '"Powr"').replace("power_param { scale: 2 }", ""))
    with pytest.raises(converters.UnsupportedError, match=r"layer 'scaled' has the type 'Powr'.*Power"):
        converters.load(path)


def test_text_that_is_no_definition_is_said_to_be_none(tmp_path: Path) -> None:
    path = write(tmp_path, "hello\n")
    with pytest.raises(converters.UnsupportedError, match="is this a network definition at all"):
        converters.load(path)
    with pytest.raises(converters.UnsupportedError, match=r"net\.prototxt:1: unknown field 'hello'"):
        converters.inspect(path)


@pytest.mark.parametrize(
    "fields",
    [
        'type: "Split" split_param { engine: MKL2017 }',
        'type: "ReLU" relu_param { engine: MKLDNN }',
        'type: "ReLU" engine: "MKLDNN" relu_param { engine: CUDNN }',
        'type: "ReLU6" relu6_param { engine: CAFFE }',
        'type: "Dropout" dropout_param { engine: CUDNN }',
        'type: "Eltwise" bottom: "x" eltwise_param { engine: MKL2017 }',
        'type: "Concat" concat_param { engine: DEFAULT }',
        'type: "Pooling" pooling_param { engine: MKL2017 kernel_size: 1 }',
        'type: "Softmax" softmax_param { engine: MKLDNN }',
        'type: "ReLU" forward_type: FLOAT16 backward_type: FLOAT forward_math: FLOAT cudnn_math_override: 0',
    ],
)
def test_what_forks_compute_with_is_read_as_they_write_it(tmp_path: Path, fields: str) -> None:
    text = (
        'default_forward_type: FLOAT16 default_backward_math: FLOAT input: "x" input_shape { dim: 1 dim: 2 '
        f'dim: 3 dim: 3 }} layer {{ name: "layer" bottom: "x" top: "y" {fields} }}'
    )
    assert converters.load(write(tmp_path, text)).graph.outputs[0].name == "y"


@pytest.mark.parametrize(
    ("kind", "parameters", "blobs"),
    [
        ("BatchNorm", "batch_norm_param { engine: CUDNN }", [(2,), (2,), (1,)]),
        ("BN", "bn_param { engine: CUDNN }", [(2,), (2,), (2,), (2,)]),
        ("InnerProduct", "inner_product_param { engine: MKL2017 num_output: 1 bias_term: false }", [(1, 18)]),
        (
            "Convolution",
            "convolution_param { engine: MKLDNN cudnn_convolution_algo_seeker: FINDEX num_output: 1 "
            "kernel_size: 1 bias_term: false }",
            [(1, 2, 1, 1)],
        ),
    ],
)
def test_the_engine_of_a_layer_with_weights(
    tmp_path: Path, kind: str, parameters: str, blobs: list[tuple[int, ...]]
) -> None:
    weights = {"layer": [np.ones(shape) for shape in blobs]}
    sources = write_net(tmp_path, layer(kind, "x", "y", parameters), {"x": (1, 2, 3, 3)}, weights)
    assert converters.load(*sources).graph.outputs[0].name == "y"
