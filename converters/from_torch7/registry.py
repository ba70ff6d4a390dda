"""How a module class is registered: one decorated function that says what the class computes.

    @module("SpatialConvolution", name="conv", rank=4)
    def spatial_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value: ...

`module` is for classes that compute new tensors, `view` for those whose output shares the storage of the
input, `structure` for containers and classes that only rearrange tables. `alias` gives a registered class
further names with another summary; `unsupported` registers classes that are known and not converted. Every
file in `modules/` is searched. The decorated name is then a `ModuleClass`. A function describes evaluation:
what a class does only in training is left out. The first line of its docstring is the summary for users.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

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
from converters.graph import Shape, dims, shape_text
from converters.registry import Registry

CLASSES: Registry[ModuleClass] = Registry("Torch7 module class")

# The position of the copy that a view makes of an input that is not contiguous.
COPY_OF_INPUT = (-1,)

# What a class expects as input: always the same, or read from the fields of the module.
Expects = Expected | Callable[[Module], Expected]
Kind = Literal["tensor", "table", "any"]
_C = TypeVar("_C", bound=ModuleClass)


@dataclass(frozen=True)
class _ComputingClass(ModuleClass):
    """A class whose output is a new tensor (or table of tensors)."""

    function: Callable[..., NestedValues]
    takes: Kind
    rank: int | None
    supports_inplace: bool
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
            output.replace(result)
            return conversion.output_set(m, output)
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
            output = conversion.output_set(m, tensors[0])
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
class _ViewClass(ModuleClass):
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
class _StructuralClass(ModuleClass):
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


def register(module_class: _C) -> _C:
    """Add a class under each of its names; ValueError if one of them is registered already."""
    for name in module_class.classes:
        CLASSES.add(name, module_class)
    return module_class


def module(
    *classes: str,
    name: str | None = None,
    takes: Kind = "tensor",
    rank: int | None = None,
    supports_inplace: bool = False,
    may_overwrite: bool = False,
    new_output: Callable[[NestedValues], bool] = lambda x: False,
    batches_input: int | None = None,
    expects: Expects = None,
) -> Callable[[Callable[..., NestedValues]], ModuleClass]:
    """Register a class that computes new tensors from the value of its input.

    name: what its layers are called, followed by a number; the class name in lower case by default.
    takes: the kind of input; a table arrives as a nested list of values.
    rank: the function gets input of this rank; input of one dimension less is a single sample, which gets a
    batch dimension of 1 before and loses it after.
    supports_inplace: with its field `inplace` set, a module writes its output to its (first) input.
    may_overwrite: Torch's result is right also if its output lies in the memory of the (first) input; always
    so with `supports_inplace`. Other classes are refused where that happens: one object twice in a row.
    new_output: whether for this input, Torch makes the output a new tensor and leaves other numbers in that
    of the run before, which then cannot be read any more.
    batches_input: input of one dimension less than this is a single sample. As Torch does, the input tensor
    itself gets the batch dimension, for all that read it later.
    expects: the input that a module expects, as far as its fields say.
    """
    short = name or layer_name(classes[0])
    return lambda function: register(
        _ComputingClass(
            classes,
            short,
            False,
            first_line(function),
            function,
            takes,
            rank,
            supports_inplace,
            may_overwrite or supports_inplace,
            new_output,
            batches_input,
            expects,
        )
    )


def view(
    *classes: str,
    write_through: Callable[[Builder, Module, ir.Value, ir.Value], ir.Value],
    name: str | None = None,
    part: Callable[[Module, Shape], Part] = lambda m, shape: None,
    copies_unless_contiguous: bool = False,
    expects: Expects = None,
) -> Callable[[Callable[[Builder, Module, ir.Value], ir.Value]], ModuleClass]:
    """Register a class whose output is a view: another shape or part of the input, in the same storage.

    The function computes the value of the view from the value of the input.
    write_through: the value of the input after a new value is written to the view; it gets the old value of
    the input and the new value of the view.
    part: what the view shows, by the shape of the input; None for all elements in the same order.
    copies_unless_contiguous: Torch copies an input that is not contiguous, so that nothing is shared.
    """
    short = name or layer_name(classes[0])
    return lambda function: register(
        _ViewClass(
            classes,
            short,
            False,
            first_line(function),
            function,
            write_through,
            part,
            copies_unless_contiguous,
            expects,
        )
    )


def structure(
    *classes: str,
    expects: Expected | Callable[[Module, Infer, Expected], Expected] = None,
    stores_methods: bool = False,
) -> Callable[[Callable[[Conversion, Module, NestedTensors], NestedTensors]], ModuleClass]:
    """Register a class that passes its tensors on, possibly through modules inside it.

    stores_methods: see `ModuleClass`.
    """
    short = layer_name(classes[0])
    return lambda function: register(
        _StructuralClass(classes, short, stores_methods, first_line(function), function, expects)
    )


def alias(module_class: ModuleClass, *classes: str, summary: str) -> ModuleClass:
    """Register classes that are converted like another class; only their summary for users differs."""
    return register(replace(module_class, classes=classes, summary=summary))


def unsupported(*classes: str, reason: str) -> Unsupported:
    """Register classes that are known and not converted."""
    short = layer_name(classes[0])
    return register(Unsupported(classes, short, False, f"not converted: {reason}", reason))


def layer_name(class_name: str) -> str:
    """What layers of a class are called by default: SpatialCrossMapLRN -> crossmaplrn."""
    name = class_name.split(".")[-1]
    for prefix in ("Spatial", "Volumetric", "Temporal"):
        name = name.removeprefix(prefix)
    return name.lower()


def first_line(function: Callable[..., object]) -> str:
    """The first line of a docstring, without its full stop."""
    return (function.__doc__ or "").partition("\n")[0].removesuffix(".")


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
