"""A small builder over onnx_ir, used by both readers.

For each layer a reader opens `Graph.layer(name)` and calls `Graph.node`. The builder gives every value a
shape and a type, and every node and value a unique name. It stores the arrays of weights as they are, and
copies none.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from converters.errors import StaticSizeRequired
from converters.graph_bounds import GraphBounds, check_shape, filled
from converters.sizes import Dim, Shape, Symbol, dims, shape_text
from converters.training_settings import FROZEN, Multipliers, set_multipliers
from converters.weights import mark_weight

# Opset 18 in IR version 8 loads in ONNX Runtime 1.14 and later, OpenCV 5 and TensorRT 8.6 and later.
OPSET = 18
IR_VERSION = 8

# Constants up to this many elements (pads, shapes, axes) are shared by content.
SHARED_CONSTANT_SIZE = 64


def scalar(value: float) -> np.ndarray:
    """`value` as a float32 array without axes; infinity, as in C, where it is too large for float32."""
    with np.errstate(over="ignore"):
        return np.array(value, np.float32)


class Graph:
    """An ONNX graph under construction.

    stored_bytes: as for `GraphBounds`, which the graph keeps: LimitError otherwise.
    """

    def __init__(self, name: str, stored_bytes: int | None = 0) -> None:
        self.name = name
        self._bounds = GraphBounds(stored_bytes)
        self._nodes: list[ir.Node] = []
        self._inputs: list[ir.Value] = []
        self._initializers: list[ir.Value] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], ir.Value] = {}
        self._parameters: dict[tuple[int, str, tuple[int, ...], tuple[int, ...]], ir.Value] = {}
        self._node_names = UniqueNames()
        self._value_names = UniqueNames()
        self._layer = ""
        self._layer_doc = ""
        self._layer_multipliers: Mapping[str, Multipliers] | None = None

    def input(self, name: str, shape: Sequence[Dim], dtype: ir.DataType = ir.DataType.FLOAT) -> ir.Value:
        """A graph input of exactly this name."""
        self._bounds.count_input()
        value = self._value(ir.Value(name=self._value_names.unique(name)), tuple(shape), dtype)
        self._inputs.append(value)
        return value

    @property
    def fits_without_weights(self) -> bool:
        """Whether a net without stored weights may have as many nodes and initializers as this one so far."""
        return self._bounds.fit_without_weights

    @property
    def inputs(self) -> Sequence[ir.Value]:
        """The inputs added so far."""
        return self._inputs

    def parameter(self, name: str, array: np.ndarray) -> ir.Value:
        """A weight of the current layer, named `<layer>.<name>`; the array is not copied.

        An array that several layers share is stored once, under the name that the first layer gives it.
        """
        # The initializer keeps the array alive, so no other array can get its address.
        memory = array.ctypes.data, array.dtype.str, array.shape, array.strides
        if memory not in self._parameters:
            full_name = f"{self._layer}.{name}" if self._layer else name
            self._parameters[memory] = self._initializer(full_name, array, is_weight=True)
            if self._layer_multipliers is not None:
                multipliers = self._layer_multipliers.get(name, FROZEN)
                set_multipliers(self._parameters[memory], multipliers)
        return self._parameters[memory]

    def constant(self, array: np.ndarray) -> ir.Value:
        """A constant such as pads or axes; small ones with equal content share one initializer."""
        if array.size > SHARED_CONSTANT_SIZE:
            return self._initializer(f"{self._layer}/constant", array, is_weight=False)
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = self._initializer(name, array, is_weight=False)
        return self._constants[key]

    def constant_per_channel(self, channels: int, value: float) -> ir.Value:
        """A float32 vector of one value per channel, all equal; equal vectors share one initializer."""
        key = ("channel", (channels,), np.float32(value).tobytes())
        if key not in self._constants:
            name = f"constant_{len(self._constants)}"
            self._constants[key] = self._initializer(name, filled((channels,), value), is_weight=False)
        return self._constants[key]

    def node(
        self,
        op_type: str,
        *inputs: ir.Value | np.ndarray | None,
        shape: Sequence[Dim] | None = None,
        dtype: ir.DataType | None = None,
        **attributes: Any,  # noqa: ANN401
    ) -> ir.Value:
        """Appends a node with one output.

        Arrays among the inputs become constants. Without `shape` and `dtype` the output has those of the
        first input (elementwise operators). Attributes that are None are left out.
        """
        first = next(x for x in inputs if isinstance(x, ir.Value))
        out_shape = dims(first) if shape is None else tuple(shape)
        return self.nodes(op_type, *inputs, shapes=[out_shape], dtypes=[dtype or first.dtype], **attributes)[
            0
        ]

    def nodes(
        self,
        op_type: str,
        *inputs: ir.Value | np.ndarray | None,
        shapes: Sequence[Sequence[Dim]],
        dtypes: Sequence[ir.DataType | None] | None = None,
        **attributes: Any,  # noqa: ANN401
    ) -> list[ir.Value]:
        """Appends a node with one output per entry of `shapes`; their types default to float32."""
        self._bounds.count_node(len(shapes))
        values = [self.constant(x) if isinstance(x, np.ndarray) else x for x in inputs]
        name = self._node_names.unique(f"{self._layer}/{op_type}" if self._layer else op_type)
        node = ir.Node(
            "",
            op_type,
            values,
            [_attribute(key, value) for key, value in attributes.items() if value is not None],
            num_outputs=len(shapes),
            name=name,
            doc_string=self._layer_doc or None,
        )
        types = dtypes or [ir.DataType.FLOAT] * len(shapes)
        for k, (output, shape, dtype) in enumerate(zip(node.outputs, shapes, types, strict=True)):
            output.name = self._value_names.unique(name if k == 0 else f"{name}:{k}")
            self._value(output, tuple(shape), dtype or ir.DataType.FLOAT)
        self._nodes.append(node)
        return list(node.outputs)

    def cast(self, x: ir.Value, dtype: ir.DataType) -> ir.Value:
        """x cast to another element type, if it has not that type already."""
        return x if x.dtype == dtype else self.node("Cast", x, dtype=dtype, to=dtype.value)

    def reshape(self, x: ir.Value, shape: Sequence[Dim]) -> ir.Value:
        """x in another shape. Symbolic sizes are copied from x or inferred; only one can be inferred.

        StaticSizeRequired if that is not enough.
        """
        wanted = tuple(shape)
        if wanted == dims(x):
            return x
        return self.node("Reshape", x, self._reshape_target(dims(x), wanted), shape=wanted)

    @staticmethod
    def _reshape_target(current: Shape, wanted: Shape) -> np.ndarray:
        target, inferred = [], 0
        for axis, size in enumerate(wanted):
            if not isinstance(size, Symbol):
                target.append(size)
            elif inferred == 0 and sum(isinstance(s, Symbol) for s in wanted) == 1:
                target.append(-1)
                inferred += 1
            elif axis < len(current) and current[axis] == size:
                target.append(0)
            elif inferred == 0:
                target.append(-1)
                inferred += 1
            else:
                raise StaticSizeRequired(
                    f"a reshape from {shape_text(current)} to {shape_text(wanted)} leaves two sizes open"
                )
        return np.array(target, np.int64)

    @contextlib.contextmanager
    def layer(
        self, name: str, doc: str = "", multipliers: Mapping[str, Multipliers] | None = None
    ) -> Iterator[None]:
        """Nodes and weights added inside are named after this layer; `doc` becomes their doc string.

        multipliers: those of its weights, by the name that `parameter` gets; may be filled inside. What is
        not named there is frozen, such as the ones and zeros with which a convolution copies. None: the
        source trains all alike.
        """
        previous = self._layer, self._layer_doc, self._layer_multipliers
        self._layer, self._layer_doc = name, doc
        self._layer_multipliers = multipliers
        try:
            yield
        finally:
            self._layer, self._layer_doc, self._layer_multipliers = previous

    def name_result(self, value: ir.Value, node_name: str | None, value_name: str | None) -> None:
        """Gives these names to the result of a layer and to its node; a name that is taken is not given."""
        node = value.producer()
        if node is None:
            return
        if node_name is not None and node_name not in self._node_names:
            node.name = self._node_names.unique(node_name)
        if value_name is not None and value_name not in self._value_names:
            value.name = self._value_names.unique(value_name)

    def model(self, outputs: Mapping[str, ir.Value], metadata: Mapping[str, str] | None = None) -> ir.Model:
        """The finished model; its outputs have the names given as keys.

        ONNX does not allow an output with the name of an input: it is called `<name>_out`.
        """
        taken = {value.name for value in self._inputs if outputs.get(str(value.name), value) is not value}
        known = {str(value.name): value for value in self._all_values()}
        results_by_name = {
            name: self._output(name, value, known) for name, value in outputs.items() if name not in taken
        }
        for name in outputs:
            if name in taken:
                free = self._value_names.unique(f"{name}_out")
                results_by_name[name] = self._output(free, outputs[name], known)
        results = [results_by_name[name] for name in outputs]
        used = {v for node in self._nodes for v in node.inputs} | set(results)
        graph = ir.Graph(
            self._inputs,
            results,
            nodes=self._nodes,
            initializers=[v for v in self._initializers if v in used],
            opset_imports={"": OPSET},
            name=self.name or "net",
        )
        model = ir.Model(graph, ir_version=IR_VERSION, producer_name="dsd-zoo")
        model.metadata_props.update(metadata or {})
        return model

    def _output(self, name: str, value: ir.Value, known: dict[str, ir.Value]) -> ir.Value:
        """The value under this name. known: all values by name, of which some may be renamed by now."""
        if value.name != name:
            holder = known.get(name)
            if holder is not None and holder.name == name:
                holder.name = self._value_names.unique(f"{name}:inner")
            if value.producer() is None or value.meta.get("is_output"):
                # An input or an output keeps its name: a new node gives the value a second one.
                value = self.node("Identity", value)
            value.name = name
            known[name] = value
            self._value_names.add(name)
        value.meta["is_output"] = True
        return value

    def _all_values(self) -> Iterator[ir.Value]:
        yield from self._inputs
        yield from self._initializers
        for node in self._nodes:
            yield from node.outputs

    def _initializer(self, name: str, array: np.ndarray, *, is_weight: bool) -> ir.Value:
        self._bounds.count_array(array)
        name = self._value_names.unique(name)
        tensor = ir.Tensor(array, name=name)
        value = self._value(ir.Value(name=name, const_value=tensor), tuple(array.shape), tensor.dtype)
        mark_weight(value, is_weight)
        self._initializers.append(value)
        return value

    @staticmethod
    def _value(value: ir.Value, shape: Shape, dtype: ir.DataType) -> ir.Value:
        check_shape(shape)
        value.meta["dims"] = shape
        value.shape = ir.Shape([str(s) if isinstance(s, Symbol) else s for s in shape])
        value.type = ir.TensorType(dtype)
        return value


def _attribute(name: str, value: Any) -> ir.Attr:  # noqa: ANN401
    """An attribute; onnx_ir takes a tenth of a millisecond to find out the type of each."""
    if type(value) is int:
        return ir.AttrInt64(name, value)
    if type(value) is str:
        return ir.AttrString(name, value)
    if type(value) in (list, tuple) and value and all(type(entry) is int for entry in value):
        return ir.AttrInt64s(name, value)
    return ir.convenience.convert_attribute(name, value)


class UniqueNames:
    """Gives out names, each only once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)
        # by wanted name: the last number that was tried behind it
        self._numbers: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._taken

    def add(self, name: str) -> None:
        """Take a name as it is."""
        self._taken.add(name)

    def unique(self, wanted: str) -> str:
        """`wanted`, or if it is taken `wanted_2`, `wanted_3`, ...; takes the result."""
        name = wanted
        while name in self._taken:
            number = self._numbers[wanted] = self._numbers.get(wanted, 1) + 1
            name = f"{wanted}_{number}"
        self._taken.add(name)
        return name
