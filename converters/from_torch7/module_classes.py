"""The kinds of module classes: those that compute new tensors, views, and those that pass tensors on.

`registry` has the decorators that make them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import Expected, complete
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import OVERWRITES_ITS_INPUT, Conversion, Infer, ModuleClass
from converters.from_torch7.module import Module
from converters.from_torch7.tensor_references import (
    NestedTensors,
    NestedValues,
    Overlap,
    Part,
    TensorReference,
    View,
    flatten,
    overlap,
    read_values,
)
from converters.sizes import Shape, dims, shape_text

# The position of the copy that a view makes of an input that is not contiguous.
COPY_OF_INPUT = (-1,)

# What a class expects as input: always the same, or read from the fields of the module.
Expects = Expected | Callable[[Module], Expected]
Kind = Literal["tensor", "table", "any"]


@dataclass(frozen=True)
class ComputingClass(ModuleClass):
    """A class whose output is a new tensor (or table of tensors)."""

    function: Callable[..., NestedValues]
    takes: Kind
    rank: int | None
    supports_inplace: bool
    returns_input: Callable[[Module], bool]
    may_overwrite: bool
    new_output: Callable[[NestedValues], bool]
    batches_input: int | None
    expects: Expects

    def run(self, conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
        """The function's result as new tensors, or in the storage of the input."""
        check_input_kind(m, x, self.takes)
        if self.supports_inplace and m.flag("inplace"):
            return self._run_in_place(conversion, m, x)
        with conversion.layer(m, self.name) as layer:
            if self.batches_input is not None:
                assert not isinstance(x, list)
                add_batch_dimension(conversion.graph, x, self.batches_input)
            value = read_values(x)
            result = self._compute(conversion.graph, m, value)
            layer.set_output(value, result)
        if isinstance(result, list):
            return conversion.output_of(m, result, x)
        return self._written(conversion, m, x, result)

    def _written(
        self, conversion: Conversion, m: Module, x: NestedTensors, result: ir.Value
    ) -> NestedTensors:
        """The output tensor with the result; `may_overwrite` says what it may share memory with."""
        output = conversion.output_tensor(m)
        if output is not None and self.new_output(read_values(x)):
            return conversion.new_output(m, output, result)
        tensors = flatten(x)
        if output is None or not tensors or not self.may_overwrite:
            return conversion.output_of(m, result, x)
        first, *others = tensors
        if overlap(output, first) is not Overlap.SAME:
            return conversion.output_of(m, result, x)
        if any(overlap(output, other) is not Overlap.NONE for other in others):
            raise m.unsupported(OVERWRITES_ITS_INPUT)
        if dims(output.read()) != dims(first.read()):
            if not (output.contiguous and first.contiguous):
                raise m.unsupported(OVERWRITES_ITS_INPUT)
            output.set(first)
        output.write(result)
        return output

    def _run_in_place(self, conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
        """The result in the storage of the (first) input.

        The output tensor is pointed at the first input. Where a later entry of a table shares elements with
        it, the entries are taken in one after the other, as Torch does, since each step changes that entry.
        """
        tensors = flatten(x)
        if not tensors:
            raise m.error(FormatError, "takes a table of one or more tensors, but the table is empty")
        with conversion.layer(m, self.name) as layer:
            value = read_values(x)
            output = tensors[0] if self.returns_input(m) else conversion.output_set(m, tensors[0])
            shared = [overlap(output, tensor) for tensor in tensors[1:]]
            if Overlap.OTHER in shared:
                raise m.unsupported("it changes elements of its first input that another input shows in part")
            if Overlap.SAME in shared:
                for tensor in tensors[1:]:
                    result = self._compute(conversion.graph, m, [output.read(), tensor.read()])
                    assert isinstance(result, ir.Value)
                    output.write(result)
            else:
                result = self._compute(conversion.graph, m, value)
                assert isinstance(result, ir.Value)
                output.write(result)
            layer.set_output(value, result)
        return output

    def _compute(self, g: Builder, m: Module, x: NestedValues) -> NestedValues:
        """The function's result. With `rank`, a single sample gets a batch dimension and loses it again."""
        if self.rank is None or isinstance(x, list):
            return self.function(g, m, x)
        rank = len(dims(x))
        if rank == self.rank:
            return self.function(g, m, x)
        if rank != self.rank - 1:
            raise m.error(
                FormatError, f"takes {self.rank - 1}-D or {self.rank}-D input, not {shape_text(dims(x))}"
            )
        result = self.function(g, m, g.unsqueeze(x, 0))
        assert isinstance(result, ir.Value)
        return g.squeeze(result, [0])

    def expected(self, m: Module, infer: Infer, successor: Expected) -> Expected:
        """What `expects` says, completed by what the successor expects."""
        return complete(self.expects(m) if callable(self.expects) else self.expects, successor)


@dataclass(frozen=True)
class ViewClass(ModuleClass):
    """A class whose output is a view of its input; see `view`."""

    function: Callable[[Builder, Module, ir.Value], ir.Value]
    write_through: Callable[[Builder, Module, ir.Value, ir.Value], ir.Value]
    part: Callable[[Module, Shape], Part]
    copies_unless_contiguous: bool
    expects: Expects

    def run(self, conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
        """A view of the input, or a new tensor where Torch copies."""
        check_input_kind(m, x, "tensor")
        assert not isinstance(x, list)
        with conversion.layer(m, self.name) as layer:
            g = conversion.graph
            if self.copies_unless_contiguous and not x.contiguous:
                copied = conversion.output_of(m, x.read(), x, COPY_OF_INPUT)
                assert not isinstance(copied, list)
                x = copied
            output = View(
                x,
                lambda base: self.function(g, m, base),
                lambda base, new: self.write_through(g, m, base, new),
                self.part(m, dims(x.read())),
            )
            layer.set_output(x.read(), output.read())
            return conversion.output_set(m, output)

    def expected(self, m: Module, infer: Infer, successor: Expected) -> Expected:
        """What `expects` says, completed by what the successor expects."""
        return complete(self.expects(m) if callable(self.expects) else self.expects, successor)


@dataclass(frozen=True)
class StructuralClass(ModuleClass):
    """A container, or a class that passes tensors on unchanged."""

    function: Callable[[Conversion, Module, NestedTensors], NestedTensors]
    expects: Expected | Callable[[Module, Infer, Expected], Expected]

    def run(self, conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
        """The function's result."""
        return self.function(conversion, m, x)

    def expected(self, m: Module, infer: Infer, successor: Expected) -> Expected:
        """What `expects` says, completed by what the successor expects."""
        expected = self.expects(m, infer, successor) if callable(self.expects) else self.expects
        return complete(expected, successor)


@dataclass(frozen=True)
class Unsupported(ModuleClass):
    """A class that is known and not converted, for this reason."""

    reason: str

    def run(self, conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
        """Raise UnsupportedError with the reason."""
        raise m.unsupported(self.reason)

    def expected(self, m: Module, infer: Infer, successor: Expected) -> Expected:
        """Unknown."""
        return None


def add_batch_dimension(g: Builder, x: TensorReference, rank: int) -> None:
    """Give a contiguous tensor of one dimension less than `rank` a first dimension of 1.

    Torch copies a tensor that is not contiguous first, and leaves it as it is.
    """
    if len(dims(x.read())) == rank - 1 and x.contiguous:
        x.set(View(x, lambda base: g.unsqueeze(base, 0), lambda base, new: g.reshape(new, dims(base))))


def check_input_kind(m: Module, x: NestedTensors, takes: Kind) -> None:
    """FormatError if a module gets a table and takes a tensor, or the other way round."""
    kind = "table" if isinstance(x, list) else "tensor"
    if takes not in (kind, "any"):
        detail = f" of {len(x)}" if isinstance(x, list) else ""
        raise m.error(FormatError, f"takes a {takes}, but a {kind}{detail} arrives")
