"""ONNX files that claim more than they store, or have no computable order: our errors, nothing allocated."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import converters
from converters.graph_bounds import MAX_VALUES


def tensor(sizes: list[int], data: bytes | None = b"", kind: int = TensorProto.FLOAT) -> TensorProto:
    made = TensorProto(name="w", dims=sizes, data_type=kind)
    if data is not None:
        made.raw_data = data
    return made


def save(
    path: Path, weights: list[TensorProto], nodes: list[onnx.NodeProto] | None = None, size: int = 3
) -> Path:
    nodes = nodes or [helper.make_node("Add", ["x", "w"], ["y"])]
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, size])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = helper.make_graph(nodes, "net", [x], [y], initializer=weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        (tensor([2**40], bytes(12)), "needs 4,398,046,511,104 bytes and has 12"),
        (tensor([2**62], bytes(12)), "a size is 0 to"),
        (tensor([0, 2**62, 2**62]), "a size is 0 to"),
        (tensor([0, 2**39, 2**39]), "would be 0x"),
        (tensor([-3], bytes(12)), "a size is 0 to"),
        (tensor([-1, -3], bytes(12)), "a size is 0 to"),
        (tensor([1] * 100_000, bytes(4)), "has 100,000 axes"),
        (tensor([3], None), "needs 3 values and has 0"),
        (tensor([3], bytes(12), TensorProto.UNDEFINED), "states no type of its values"),
    ],
    ids=[
        *("huge", "beyond", "empty-beyond", "empty-huge", "negative", "two-negative", "axes", "no-data"),
        "no-type",
    ],
)
@pytest.mark.parametrize("as_attribute", [False, True])
def test_a_tensor_that_claims_other_than_it_stores(
    weight: TensorProto, says: str, as_attribute: bool, tmp_path: Path
) -> None:
    nodes = [helper.make_node("Add", ["x", "w"], ["y"])]
    if as_attribute:
        nodes.insert(0, helper.make_node("Constant", [], ["w"], value=weight))
    path = save(tmp_path / "net.onnx", [] if as_attribute else [weight], nodes)
    with pytest.raises(converters.FormatError, match=says):
        converters.load(path)
    with pytest.raises(converters.FormatError, match=says):
        converters.inspect(path)


@pytest.mark.parametrize("kind", sorted(set(TensorProto.DataType.values()) - {TensorProto.UNDEFINED}))
def test_every_element_type_in_both_ways_to_store_it_is_read(kind: int, tmp_path: Path) -> None:
    """As the onnx package itself writes them."""
    values = [b"a", b"b", b"c"] if kind == TensorProto.STRING else [1, 0, 1]
    try:
        typed = helper.make_tensor("w", kind, [3], values)
    except (TypeError, ValueError, KeyError) as error:
        pytest.skip(f"the installed onnx cannot make it: {error}")
    made = [typed]
    if kind != TensorProto.STRING:
        made.append(numpy_helper.from_array(numpy_helper.to_array(typed), "w"))
    for weight in made:
        nodes = [helper.make_node("Cast", ["w"], ["y"], to=TensorProto.FLOAT)]
        model = converters.load(save(tmp_path / "net.onnx", [weight], nodes))
        assert model.graph.initializers["w"].shape == (3,)


def test_text_in_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(12))
    weight = tensor([3], None, TensorProto.STRING)
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="w.bin")
    path = save(tmp_path / "net.onnx", [weight])
    with pytest.raises(converters.FormatError, match="is text"):
        converters.load(path)
    assert "is text" in converters.inspect(path).problems[0]


def test_a_ring_of_nodes_and_a_wrong_order_are_named(tmp_path: Path) -> None:
    add, relu = helper.make_node("Add", ["x", "y"], ["z"]), helper.make_node("Relu", ["z"], ["y"])
    with pytest.raises(converters.FormatError, match="node 'Add' reads 'y', which a later node"):
        converters.load(save(tmp_path / "ring.onnx", [], [add, relu]))


def test_an_input_larger_than_any_memory_is_refused(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [tensor([3], bytes(12))], size=2**62)
    with pytest.raises(converters.LimitError, match="'x' would be 1x4611686018427387904"):
        converters.load(path)


def test_many_nodes_in_few_bytes_are_refused_and_listed(tmp_path: Path) -> None:
    def chain(count: int) -> list[onnx.NodeProto]:
        names = ["x", *(f"v{k}" for k in range(count - 1)), "y"]
        return [helper.make_node("Relu", [names[k]], [names[k + 1]]) for k in range(count)]

    path = save(tmp_path / "net.onnx", [], chain(MAX_VALUES + 1))
    with pytest.raises(converters.LimitError, match=r"6,145 nodes, more than any real net in as few bytes"):
        converters.load(path)
    assert len(converters.inspect(path).layers) == MAX_VALUES + 1
    weights = np.zeros(300_000, np.float32).tobytes()
    path = save(tmp_path / "net.onnx", [tensor([300_000], weights)], chain(MAX_VALUES + 1))
    assert len(converters.load(path).graph) == MAX_VALUES + 1


def test_initializers_are_bounded_as_nodes_are(tmp_path: Path) -> None:
    weights = []
    for k in range(MAX_VALUES + 1):
        weights.append(tensor([1], bytes(4)))
        weights[-1].name = f"w{k}"
    path = save(tmp_path / "net.onnx", weights, [helper.make_node("Add", ["x", "w0"], ["y"])])
    with pytest.raises(converters.LimitError, match=r"6,145 initializers, more than any real net"):
        converters.load(path)


def test_a_node_that_reads_thousands_of_values_is_an_error_in_python(tmp_path: Path) -> None:
    path = save(tmp_path / "net.onnx", [], [helper.make_node("Sum", ["x"] * 20_000, ["y"])])
    with pytest.raises(converters.LimitError, match="nested too deeply to be written"):
        converters.convert([path], tmp_path / "net.py")
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]
