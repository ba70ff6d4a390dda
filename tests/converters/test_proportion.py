"""Deep and long nets of Caffe: answered, by both writers, and at a cost in proportion to their size.

Where a cost once grew with the square of the length, or faster, the nets here are so long that the old way
would take minutes, gigabytes, or more Python stack than there is.
"""
# ruff: noqa: E501

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from caffemodel_writer import write_caffemodel

import converters
from converters.from_caffe.conversion import Conversion

LAYERS = 5_000
DATA = (
    'layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST } '
    "transform_param { crop_size: 4 mean_value: 1 mean_value: 2 mean_value: 3 } data_param { batch_size: 8 } }\n"
)
LOSS = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "b%d" bottom: "label" top: "loss" }\n'
UNIT = 'convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "constant" } }'
PRODUCT = "inner_product_param { num_output: 3 bias_term: false }"
VECTOR = 'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }\n'


def chain(kind: str, parameters: str = "", count: int = LAYERS, head: str = DATA, tail: str = LOSS) -> str:
    """A definition in which each layer reads the one before."""
    layers = [
        f'layer {{ name: "b{k}" type: "{kind}" bottom: "{f"b{k - 1}" if k else "data"}" top: "b{k}" {parameters} }}\n'
        for k in range(count)
    ]
    return head + "".join(layers) + (tail % (count - 1) if tail else "")


def converted(paths: list[Path], folder: Path, layers: int) -> None:
    """Both forms are written, the Python one compiles, and an inspection lists every layer."""
    model = converters.load(*paths)
    assert model.meta["report"].layers >= layers
    converters.save(model, folder / "net.onnx")
    converters.save(model, folder / "net.py")
    compile((folder / "net.py").read_text(), "net.py", "exec")
    assert len(converters.inspect(*paths).layers) >= layers


@pytest.mark.parametrize(
    ("kind", "parameters", "count"), [("ReLU", "", LAYERS), ("Convolution", UNIT, 1_500), ("TanH", "", 1_500)]
)
def test_long_nets_behind_a_data_layer(kind: str, parameters: str, count: int, tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(chain(kind, parameters, count))
    converted([path], tmp_path, count)


def test_a_long_chain_of_layers_in_place(tmp_path: Path) -> None:
    """On a blob and on other names of its memory."""
    path = tmp_path / "net.prototxt"
    names = [
        f'layer {{ name: "f{k}" type: "Flatten" bottom: "{f"f{k - 1}" if k else "data"}" top: "f{k}" }}\n'
        for k in range(1_500)
    ]
    in_place = [f'layer {{ name: "r{k}" type: "ReLU" bottom: "f1499" top: "f1499" }}\n' for k in range(1_500)]
    path.write_text(VECTOR + "".join([*names, *in_place]))
    model = converters.load(path, outputs=["f7"])
    assert sum(node.op_type == "Relu" for node in model.graph) == 1_500


@pytest.mark.parametrize("stored", ["first", "all"])
def test_a_long_chain_of_shared_inner_products(stored: str, tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(chain("InnerProduct", PRODUCT + ' param { name: "w" }', 1_500, VECTOR, ""))
    names = [f"b{k}" for k in range(1 if stored == "first" else 1_500)]
    weights = write_caffemodel(tmp_path / "net.caffemodel", {name: [np.eye(3)] for name in names})
    model = converters.load(path, weights)
    assert len(model.graph) == 1_500
    assert len([v for v in model.graph.initializers.values() if v.const_value.shape == (3, 3)]) == 1


def test_many_layers_that_are_not_known_or_not_stored(tmp_path: Path) -> None:
    """An inspection does not look for the name that was meant in every row."""
    path = tmp_path / "net.prototxt"
    strange = "".join(
        chain(f"Strange{k}", count=1, head="", tail="").replace("b0", f"s{k}") for k in range(500)
    )
    path.write_text(chain("InnerProduct", PRODUCT, count=500, head=VECTOR, tail="") + strange)
    weights = write_caffemodel(
        tmp_path / "net.caffemodel", {f"layer_{k}": [np.ones((1, 1))] for k in range(500)}
    )
    rows = converters.inspect(path, weights).layers
    assert len(rows) == 1_000
    assert all(row.problem is not None for row in rows)


def test_an_unrolled_sequence_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    many = "".join(
        f'layer {{ name: "r{k}" type: "RNN" bottom: "x" bottom: "c" top: "r{k}" recurrent_param {{ num_output: 1 '
        'weight_filler { type: "constant" } bias_filler { type: "constant" } } }\n'
        for k in range(100)
    )
    inputs = (
        'input: "x" input_shape { dim: 2000 dim: 1 dim: 1 } input: "c" input_shape { dim: 2000 dim: 1 }\n'
    )
    path.write_text(inputs + many)
    with pytest.raises(converters.LimitError, match="operations"):
        converters.load(path)
    assert "operations" in converters.inspect(path).problems[0]


def test_each_size_of_an_empty_blob_is_bounded(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(VECTOR + chain("InnerProduct", PRODUCT, count=1, head="", tail=""))
    weights = tmp_path / "net.caffemodel"
    sizes = b"\x00" + b"\x80" * 8 + b"\x01"  # 0, and 2^56 as a varint
    blob = bytes([0x3A, len(sizes) + 2, 0x0A, len(sizes)]) + sizes
    layer = b"\x0a\x02b0\x3a" + bytes([len(blob)]) + blob
    weights.write_bytes(b"\xa2\x06" + bytes([len(layer)]) + layer)
    with pytest.raises(converters.FormatError, match="0x72057594037927936 and holds 0 values"):
        converters.load(path, weights)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[Conversion]:
    """The conversions that are begun."""
    begun: list[Conversion] = []
    of = Conversion.of

    def counted(*arguments: object, **options: object) -> Conversion:
        begun.append(of(*arguments, **options))  # type: ignore[arg-type]
        return begun[-1]

    monkeypatch.setattr(Conversion, "of", counted)
    return begun


FIXED_BATCH = (
    'layer { name: "r" type: "Reshape" bottom: "b%%d" top: "r" reshape_param { shape { dim: %d dim: 1 } } }\n'
)
SOFTMAX_OVER_ITEMS = 'layer { name: "s" type: "Softmax" bottom: "r" top: "s" softmax_param { axis: 0 } }\n'
FILLED = (
    "inner_product_param { num_output: 3 bias_term: false "
    'weight_filler { type: "%s" value: 1 } } param { name: "" }'
)


@pytest.mark.parametrize(
    ("kind", "parameters", "elements", "wanted"),
    [
        ("TanH", "", 3, 2),  # the batch open, and as declared
        ("TanH", "", 4, 2),  # what fails goes on where it failed
        ("InnerProduct", FILLED % "constant", 3, 2),  # whether weights are needed, the fillers say
        ("InnerProduct", FILLED % "xavier", 3, 2),
    ],
    ids=["batch", "failure", "filled", "random"],
)
def test_a_long_net_is_converted_twice_at_most(
    kind: str, parameters: str, elements: int, wanted: int, conversions: list[Conversion], tmp_path: Path
) -> None:
    path, count = tmp_path / "net.prototxt", 1_100
    tail = FIXED_BATCH % elements + SOFTMAX_OVER_ITEMS
    path.write_text(chain(kind, parameters, count=count, head=VECTOR, tail=tail))
    inspection = converters.inspect(path)
    assert len(conversions) == wanted
    assert inspection.needs_weights == ("xavier" in parameters)
    assert [row.name for row in inspection.layers if row.problem] == (["r", "s"] if elements == 4 else [])


def test_batches_of_several_inputs_are_not_tried_one_by_one_in_a_long_net(
    conversions: list[Conversion], tmp_path: Path
) -> None:
    inputs = "".join(
        f'layer {{ name: "z{k}" type: "Input" top: "z{k}" input_param {{ shape {{ dim: {k + 2} dim: 1 }} }} }}\n'
        for k in range(3)
    )
    tail = FIXED_BATCH % 3 + SOFTMAX_OVER_ITEMS
    path, found = tmp_path / "net.prototxt", {}
    for count in (10, 1_100):
        conversions.clear()
        path.write_text(chain("TanH", count=count, head=inputs + VECTOR, tail=tail))
        converters.load(path)
        found[count] = len(conversions)
    assert found == {10: 6, 1_100: 2}


def test_many_small_blobs_are_refused_before_anything_is_built(
    conversions: list[Conversion], tmp_path: Path
) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(chain("InnerProduct", PRODUCT, count=4_000, head=VECTOR, tail=""))
    weights = write_caffemodel(tmp_path / "net.caffemodel", {f"b{k}": [np.eye(1)] for k in range(4_000)})
    for function in (converters.load, converters.inspect):
        try:
            said = " ".join(function(path, weights).problems)
        except converters.LimitError as error:
            said = str(error)
        assert "8,000 layers and weights: more than 6,144 operations" in said
    assert conversions == []


def test_parameters_that_thousands_of_layers_share(tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    shared = PRODUCT.replace("}", 'weight_filler { type: "constant" } }') + ' param { name: "w" lr_mult: 2 }'
    path.write_text(chain("InnerProduct", shared, count=2_000, head=VECTOR, tail=""))
    assert converters.load(path).meta["report"].layers == 2_000
    path.write_text(
        path.read_text()
        + 'layer { name: "other" type: "InnerProduct" bottom: "data" top: "o" '
        + shared.replace("lr_mult: 2", "lr_mult: 3")
        + " }"
    )
    with pytest.raises(
        converters.FormatError, match=r"share its parameter 'w' state different lr_mult: \[2.0, 3.0\]"
    ):
        converters.load(path)


def test_the_outputs_of_one_node_count_one_by_one(tmp_path: Path) -> None:
    tops = " ".join(f'top: "s{k}"' for k in range(10_000))
    path = tmp_path / "net.prototxt"
    path.write_text(
        'layer { name: "d" type: "Input" top: "d" input_param { shape { dim: 1 dim: 10000 } } }\n'
        f'layer {{ name: "s" type: "Slice" bottom: "d" {tops} }}'
    )
    with pytest.raises(converters.LimitError, match=r"'s' .* more than 6,144 operations"):
        converters.load(path)


def test_thousands_of_inputs_and_outputs(tmp_path: Path) -> None:
    """Each with a note, and each an output."""
    path = tmp_path / "net.prototxt"
    path.write_text(
        "".join(
            f'layer {{ name: "d{k}" type: "Input" top: "d{k}" input_param {{ shape {{ dim: 1 dim: 1 dim: 4 dim: 4 }} }} }}\n'
            for k in range(4_000)
        )
    )
    report = converters.convert([path], tmp_path / "net.onnx")
    assert len(report.outputs) == 4_000
    assert sum("height and width are fixed" in note for note in report.notes) == 4_000


def test_sizes_are_not_tried_open_in_a_long_net(conversions: list[Conversion], tmp_path: Path) -> None:
    """Each trial is one more conversion; they only serve a note."""
    path, found = tmp_path / "net.prototxt", {}
    for layers in (10, 1_100):
        path.write_text(chain("TanH", count=layers))
        conversions.clear()
        converters.convert([path], tmp_path / "net.onnx")
        found[layers] = len(conversions)
    assert found == {10: 3, 1_100: 1}
