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
from dataclasses import replace
from typing import TypeVar

import onnx_ir as ir

from converters.from_torch7.backward_shape_inference import Expected
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import Conversion, Infer, ModuleClass
from converters.from_torch7.module import Module
from converters.from_torch7.module_classes import (
    ComputingClass,
    Expects,
    Kind,
    StructuralClass,
    Unsupported,
    ViewClass,
)
from converters.from_torch7.tensor_references import (
    NestedTensors,
    NestedValues,
    Part,
)
from converters.registry import Registry
from converters.sizes import Shape

CLASSES: Registry[ModuleClass] = Registry("Torch7 module class")

_C = TypeVar("_C", bound=ModuleClass)


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
    returns_input: Callable[[Module], bool] = lambda m: False,
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
    returns_input: whether a module in place returns the input tensor itself, not its own output tensor
    pointed at the same storage.
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
        ComputingClass(
            classes,
            short,
            False,
            first_line(function),
            function,
            takes,
            rank,
            supports_inplace,
            returns_input,
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
        ViewClass(
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
        StructuralClass(classes, short, stores_methods, first_line(function), function, expects)
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
