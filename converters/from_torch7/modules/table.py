"""Modules that take or rearrange tables of tensors."""

from __future__ import annotations

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.builder import Builder, broadcast
from converters.from_torch7.handles import Nest
from converters.from_torch7.module import Module
from converters.from_torch7.net import Net
from converters.from_torch7.registry import PASS, module, structure
from converters.graph import dims


@structure("Identity", expects=lambda m, ask: PASS)
def identity(net: Net, m: Module, x: Nest) -> Nest:
    """The input itself."""
    return x


def tensors(m: Module, x: list[ir.Value], least: int = 1) -> list[ir.Value]:
    """The entries of a table that must all be tensors."""
    if len(x) < least or not all(isinstance(part, ir.Value) for part in x):
        raise m.error(FormatError, f"takes a table of {least} or more tensors")
    return x


def elementwise(g: Builder, m: Module, op_type: str, x: list[ir.Value]) -> ir.Value:
    """An n-ary elementwise operator."""
    parts = tensors(m, x)
    shape = dims(parts[0])
    for part in parts[1:]:
        shape = broadcast(shape, dims(part))
    return parts[0] if len(parts) == 1 else g.node(op_type, *parts, shape=shape)


@module("CAddTable", name="add", takes="table", overwrites=True)
def c_add_table(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """The sum of all."""
    return elementwise(g, m, "Sum" if len(x) > 2 else "Add", x)
