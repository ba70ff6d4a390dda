"""Arithmetic with constants, and regularisers that evaluation reduces to little or nothing."""

from __future__ import annotations

import onnx_ir as ir

from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.registry import PASS, module


@module("MulConstant", name="mul", overwrites=True, expects=lambda m: PASS)
def mul_constant(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """x * constant_scalar."""
    return g.binary("Mul", x, m.number("constant_scalar"))


@module("Dropout", overwrites=True, expects=lambda m: PASS)
def dropout(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Nothing since version 2 (field v2); before that activations were scaled in evaluation."""
    return x if m.flag("v2") else g.binary("Mul", x, 1 - m.number("p"))
