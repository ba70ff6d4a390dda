"""Converts a graph to another opset version.

The readers write opset 18. From 13 to 24, revisions of an operator added element types, attributes,
attribute values and optional inputs: a node keeps its meaning if the target version has all that it uses.
Exceptions are reductions, whose axes were an attribute before 18, and the operators in _REDEFINED.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters.errors import UnsupportedError, UsageError

if TYPE_CHECKING:
    import onnx_ir as ir

MIN_OPSET, MAX_OPSET = 13, 24
# Their axes are an input from opset 18 on, and were an attribute before.
_REDUCTIONS = frozenset(
    {
        "ReduceL1",
        "ReduceL2",
        "ReduceLogSumExp",
        "ReduceMax",
        "ReduceMean",
        "ReduceMin",
        "ReduceProd",
        "ReduceSumSquare",
    }
)
# Operators whose meaning changed between opset 13 and 24: at this version, or (None) with every revision.
_REDEFINED = {"DequantizeLinear": None, "GroupNormalization": None, "QuantizeLinear": None, "RoiAlign": 16}
# Attribute values that not every version of the attribute has, and the versions that have them.
_ATTRIBUTE_VALUES = {
    ("GridSample", "mode", "bicubic"): range(16, 20),
    ("GridSample", "mode", "bilinear"): range(16, 20),
    ("GridSample", "mode", "cubic"): range(20, 25),
    ("GridSample", "mode", "linear"): range(20, 25),
    ("Pad", "mode", "wrap"): range(19, 25),
    ("Resize", "coordinate_transformation_mode", "half_pixel_symmetric"): range(19, 25),
    ("ScatterElements", "reduction", "max"): range(18, 25),
    ("ScatterElements", "reduction", "min"): range(18, 25),
    ("ScatterND", "reduction", "max"): range(18, 25),
    ("ScatterND", "reduction", "min"): range(18, 25),
}


def change_opset(model: ir.Model, opset: int) -> None:
    """Converts `model`, in place, to this opset version.

    UsageError outside 13..24, UnsupportedError for a node that would change its meaning.
    """
    import onnx

    if not MIN_OPSET <= opset <= MAX_OPSET:
        raise UsageError(f"--opset {opset}: supported are {MIN_OPSET} to {MAX_OPSET}")
    current = model.graph.opset_imports[""]
    for node in model.graph:
        if opset < 18 <= current and node.op_type in _REDUCTIONS and len(node.inputs) > 1:
            _axes_to_attribute(node)
        if not node.domain and not _keeps_its_meaning(node, current, opset):
            raise UnsupportedError(
                f"node {node.name!r}: the operator {node.op_type} means something else in opset {opset} than "
                f"in {current}; choose another --opset"
            )
    model.graph.opset_imports[""] = opset
    model.ir_version = max(8, onnx.helper.find_min_ir_version_for([onnx.helper.make_opsetid("", opset)]))


def _keeps_its_meaning(node: ir.Node, current: int, opset: int) -> bool:
    import onnx_ir as ir
    from onnx import defs

    try:
        source, target = (defs.get_schema(node.op_type, version, "") for version in (current, opset))
    except defs.SchemaError:
        return False
    if source.since_version == target.since_version:
        return True
    if not set(target.attributes) >= set(node.attributes) or len(node.inputs) > target.max_input:
        return False
    for attribute in node.attributes.values():
        if attribute.type is ir.AttributeType.STRING:
            versions = _ATTRIBUTE_VALUES.get((node.op_type, attribute.name, attribute.as_string()))
            if versions is not None and opset not in versions:
                return False
    since = _REDEFINED.get(node.op_type, 0)
    return since is not None and (current < since) == (opset < since)


def _axes_to_attribute(node: ir.Node) -> None:
    import onnx_ir as ir

    axes = node.inputs[1]
    if axes is not None:
        if axes.const_value is None:
            raise UnsupportedError(
                f"node {node.name!r}: its axes are computed, which needs --opset 18 or later"
            )
        node.attributes["axes"] = ir.AttrInt64s("axes", [int(axis) for axis in axes.const_value.numpy()])
    node.replace_input_with(1, None)
    node.resize_inputs(1)
