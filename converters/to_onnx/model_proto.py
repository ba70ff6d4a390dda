"""The model as ONNX protobuf messages, without the data of its weights. Only this module creates them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from converters.tensor_file import ExternalData
from converters.weights_record import METADATA_KEY

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

# Smaller tensors stay inside the model: a reference to another file takes about as many bytes.
MIN_EXTERNAL_BYTES = 256


def initializer_arrays(model: ir.Model) -> Iterable[tuple[str, np.ndarray]]:
    """(name, array) of every initializer; the arrays are not copied."""
    for name, value in model.graph.initializers.items():
        assert value.const_value is not None
        yield name, value.const_value.numpy()


def proto_without_initializers(model: ir.Model) -> onnx.ModelProto:
    """The model as protobuf, without its initializers and without the record of its weights file."""
    import onnx_ir as ir

    graph = model.graph
    view = ir.GraphView(
        graph.inputs,
        graph.outputs,
        nodes=list(graph),
        opset_imports=graph.opset_imports,
        name=graph.name,
        doc_string=graph.doc_string,
    )
    bare = ir.Model(
        view,  # type: ignore[arg-type]  # serialisation accepts the protocol, not only the class
        ir_version=model.ir_version,
        producer_name=model.producer_name,
        producer_version=model.producer_version,
    )
    proto = ir.serde.serialize_model(bare)
    set_metadata(proto, model)
    return proto


def set_metadata(proto: onnx.ModelProto, model: ir.Model) -> None:
    """Give the message the metadata that the model has now, without the record of its weights file.

    That record is about the files that the weights were read from, not those they are written to.
    """
    proto.ClearField("metadata_props")
    for key, value in model.metadata_props.items():
        if key != METADATA_KEY:
            proto.metadata_props.add(key=key, value=value)


def fields_around_graph(proto: onnx.ModelProto, *, before: bool) -> onnx.ModelProto:
    """The fields whose numbers are below that of the graph, or above it."""
    import onnx

    part = onnx.ModelProto()
    part.CopyFrom(proto)
    number = part.DESCRIPTOR.fields_by_name["graph"].number
    for field in part.DESCRIPTOR.fields:
        if field.number == number or (field.number < number) != before:
            part.ClearField(field.name)
    return part


def tensor_header(name: str, array: np.ndarray, reference: ExternalData | None = None) -> onnx.TensorProto:
    """A TensorProto with name, type and shape, and if given the reference, but without values."""
    import onnx
    import onnx_ir as ir

    header = onnx.TensorProto(
        name=name, dims=array.shape, data_type=ir.DataType.from_numpy(array.dtype).value
    )
    if reference is not None:
        header.data_location = onnx.TensorProto.EXTERNAL
        for key in ("location", "offset", "length"):
            header.external_data.add(key=key, value=str(getattr(reference, key)))
    return header
