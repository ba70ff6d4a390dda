"""Classes that change the shape of their last output when they run again, which no converted net can show."""

from __future__ import annotations

from collections.abc import Callable

import onnx_ir as ir

from converters.from_torch7.backward_shape_inference import Expected
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import Conversion, ModuleClass
from converters.from_torch7.module import Module
from converters.from_torch7.module_classes import Kind, check_input_kind
from converters.from_torch7.registry import structure
from converters.from_torch7.tensor_references import NestedTensors, NestedValues, read_values


def single_run(
    *classes: str,
    name: str,
    takes: Kind = "tensor",
    expects: Expected = None,
    reshapes: Callable[[Module, NestedValues], bool] = lambda m, x: True,
) -> Callable[[Callable[..., ir.Value]], ModuleClass]:
    """Register a class as `registry.module` does, whose modules may run only once in a net.

    Such a class ends in self.output = self.output:reshape(...), or transpose, or select. Its next run resizes
    that same tensor, which other modules may still hold.
    reshapes: whether a module does so for this input.
    """

    def register(function: Callable[[Builder, Module, NestedValues], ir.Value]) -> ModuleClass:
        def run(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
            check_input_kind(m, x, takes)
            value = read_values(x)
            if m.torch_object in conversion.last_outputs and reshapes(m, value):
                raise m.unsupported(
                    "it runs more than once, and one run then changes the shape of the other's output"
                )
            with conversion.layer(m, name) as layer:
                result = function(conversion.graph, m, value)
                layer.set_output(value, result)
            return conversion.output_of(m, result)

        run.__doc__ = function.__doc__
        return structure(*classes, expects=expects)(run)

    return register
