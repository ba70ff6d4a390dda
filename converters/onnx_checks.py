"""What an ONNX file claims, held against what it stores, before anything is computed with it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from converters.errors import FormatError, LimitError
from converters.graph_bounds import MAX_SIZE, MAX_VALUES, SMALL_BYTES
from converters.sizes import shape_text
from converters.source_files import sources_of

if TYPE_CHECKING:
    import onnx
    import onnx_ir as ir

# numpy's limit. Real tensors have up to 8 axes.
MAX_AXES = 64
_TYPED_DATA = ("float_data", "int32_data", "string_data", "int64_data", "double_data", "uint64_data")


def check_model(model: ir.Model, path: Path) -> None:
    """Hold every size and every tensor of a model against what there is.

    FormatError for a tensor whose sizes are not those of the data it stores, and for nodes that are not in
    the order in which they are computed; LimitError for a size that no memory holds.
    """
    for tensor in _tensors(model):
        _check_tensor(tensor, path)
    for value in (*model.graph.inputs, *model.graph.outputs):
        sizes = list(value.shape) if value.shape is not None else []
        if len(sizes) > MAX_AXES or any(isinstance(size, int) and size > MAX_SIZE for size in sizes):
            raise LimitError(
                f"{path}: {value.name!r} would be {shape_text([str(size) for size in sizes[:MAX_AXES]])}; "
                f"a tensor has at most {MAX_AXES} axes, of at most {MAX_SIZE:,}"
            )
    for graph in (*model.graphs(), *model.functions.values()):
        places = {node: place for place, node in enumerate(graph)}
        for node, place in places.items():
            for read in node.inputs:
                maker = read.producer() if read is not None else None
                if read is not None and maker is not None and places.get(maker, -1) >= place:
                    raise FormatError(
                        f"{path}: node {node.name or node.op_type!r} reads {read.name!r}, which a later "
                        "node or itself makes; ONNX wants nodes in the order in which they are computed"
                    )


def check_node_count(model: ir.Model, path: Path) -> None:
    """LimitError for more nodes or initializers than any real net has in as few bytes as these files."""
    stored = path.stat().st_size + sum(file.state.size for file in sources_of(model))
    most = max(MAX_VALUES, MAX_VALUES * stored // SMALL_BYTES)
    for count, what in ((len(model.graph), "nodes"), (len(model.graph.initializers), "initializers")):
        if count > most:
            raise LimitError(
                f"{path}: {count:,} {what}, more than any real net in as few bytes; at most {most:,} "
                f"are converted ({MAX_VALUES:,} for each {SMALL_BYTES:,} bytes)"
            )


def _tensors(model: ir.Model) -> Iterator[ir.TensorProtocol]:
    """Every tensor that is stored: initializers, and those among the attributes of nodes."""
    import onnx_ir as ir

    graphs = list(model.graphs())
    for graph in graphs:
        for value in graph.initializers.values():
            if value.const_value is not None:
                yield value.const_value
    for nodes in (*graphs, *model.functions.values()):
        for node in nodes:
            for attribute in node.attributes.values():
                if attribute.type == ir.AttributeType.TENSOR:
                    yield attribute.value
                elif attribute.type == ir.AttributeType.TENSORS:
                    yield from attribute.value


def _check_tensor(tensor: ir.TensorProtocol, path: Path) -> None:
    import onnx_ir as ir

    sizes = [size for size in tensor.shape if isinstance(size, int)]
    if len(sizes) > MAX_AXES:
        raise FormatError(f"{path}: the tensor {tensor.name!r} has {len(sizes):,} axes: damaged")
    if any(not 0 <= size <= MAX_SIZE for size in sizes):
        raise FormatError(
            f"{path}: the tensor {tensor.name!r} has the shape {shape_text(sizes)}; a size is 0 to "
            f"{MAX_SIZE:,}: damaged"
        )
    if math.prod(size or 1 for size in sizes) > MAX_SIZE:  # beside a size of 0, the others count too
        raise FormatError(f"{path}: the tensor {tensor.name!r} would be {shape_text(sizes)}: damaged")
    if tensor.dtype == ir.DataType.UNDEFINED:
        raise FormatError(f"{path}: the tensor {tensor.name!r} states no type of its values: damaged")
    if isinstance(tensor, ir.serde.TensorProtoTensor):
        _check_data(tensor.raw, math.prod(sizes), tensor.dtype, sizes, path)


def _check_data(
    stored: onnx.TensorProto, count: int, dtype: ir.DataType, sizes: list[int], path: Path
) -> None:
    """FormatError unless the tensor stores `count` values."""
    bits = 8 if stored.data_type == stored.STRING else dtype.bitwidth
    packed = -(-count * bits // 8)
    if stored.HasField("raw_data"):
        has, wanted, unit = len(stored.raw_data), {packed}, "bytes"
    else:
        has = max(len(getattr(stored, field)) for field in _TYPED_DATA)
        # Complex numbers are stored as two, and small ones several in a byte.
        is_complex = stored.data_type in (stored.COMPLEX64, stored.COMPLEX128)
        wanted = {2 * count} if is_complex else {count, packed} if bits < 8 else {count}
        unit = "values"
    if has not in wanted:
        raise FormatError(
            f"{path}: the tensor {stored.name!r} of shape {shape_text(sizes)} needs {min(wanted):,} {unit} "
            f"and has {has:,}: damaged"
        )
