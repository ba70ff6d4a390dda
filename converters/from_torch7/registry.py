"""How a module class is declared: one decorated function that says what the class computes.

    @module("SpatialConvolution", name="conv", rank=4)
    def spatial_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value: ...

`module` is for classes that compute new tensors, `view` for those whose output shares the input's memory,
`structure` for containers and classes that only rearrange tables. The decorated name is then an `Entry`.
Functions are written for evaluation: what a class does only in training is left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.builder import Builder
from converters.from_torch7.expectation import Expected, completed
from converters.from_torch7.handles import Memory, Nest, ValueNest, View, flat, values
from converters.from_torch7.module import Module
from converters.graph import Shape, dims, shape_text

if TYPE_CHECKING:
    from converters.from_torch7.net import Net

# What a module wants before a successor that wants something; see `expectation`.
Ask = Callable[[Module, Expected], Expected]
Expects = Expected | Callable[[Module], Expected]


@dataclass(frozen=True)
class Entry(ABC):
    """A declared class. `classes` without prefix stand for nn and its twins (cudnn, cunn, ...).

    replaces_methods: objects of this class may come with an updateOutput of their own.
    summary: what it computes, for the list of what is supported.
    """

    classes: tuple[str, ...]
    name: str
    replaces_methods: bool
    summary: str

    @abstractmethod
    def run(self, net: Net, m: Module, x: Nest) -> Nest:
        """The output for an input."""

    @abstractmethod
    def expected(self, m: Module, ask: Ask, after: Expected) -> Expected:
        """What the module wants as input, before a successor that wants `after`."""


@dataclass(frozen=True)
class _Computing(Entry):
    """A class whose output is a new tensor (or table of tensors)."""

    function: Callable[..., ValueNest]
    takes: Literal["tensor", "table", "any"]
    rank: int | None
    overwrites: bool
    expects: Expects

    def run(self, net: Net, m: Module, x: Nest) -> Nest:
        """The function's result as new tensors, or in the input's own memory."""
        check_kind(m, x, self.takes)
        with net.layer(m, self.name) as layer:
            value = values(x)
            result = self._computed(net.graph, m, value)
            layer.results(value, result)
        if self.overwrites and m.flag("inplace"):
            target = flat(x)[0]
            assert isinstance(result, ir.Value)
            target.write(result)
            return target
        return net.output_of(m, result)

    def _computed(self, g: Builder, m: Module, x: ValueNest) -> ValueNest:
        """The function's result; a single sample gets a batch dimension for it, where that is asked for."""
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

    def expected(self, m: Module, ask: Ask, after: Expected) -> Expected:
        """What is declared, completed by what follows."""
        return completed(self.expects(m) if callable(self.expects) else self.expects, after)


@dataclass(frozen=True)
class _Viewing(Entry):
    """A class whose output shows the input's memory in another way.

    put: given the value below and a new value of the view, the new value below.
    contiguous: whether the view of a contiguous tensor of this shape is contiguous.
    copies: a tensor that is not contiguous is copied first, so nothing is shared.
    """

    function: Callable[[Builder, Module, ir.Value], ir.Value]
    put: Callable[[Builder, Module, ir.Value, ir.Value], ir.Value]
    contiguous: Callable[[Module, Shape], bool]
    copies: bool
    expects: Expects

    def run(self, net: Net, m: Module, x: Nest) -> Nest:
        """A view of the input's memory."""
        check_kind(m, x, "tensor")
        assert not isinstance(x, list)
        with net.layer(m, self.name) as layer:
            g = net.graph
            if self.copies and not x.contiguous:
                result = self.function(g, m, x.read())
                layer.results(x.read(), result)
                return Memory(result)
            view = View(
                x,
                lambda below: self.function(g, m, below),
                lambda below, seen: self.put(g, m, below, seen),
                x.contiguous and self.contiguous(m, dims(x.read())),
            )
            layer.results(x.read(), view.read())
            return view

    def expected(self, m: Module, ask: Ask, after: Expected) -> Expected:
        """What is declared, completed by what follows."""
        return completed(self.expects(m) if callable(self.expects) else self.expects, after)


@dataclass(frozen=True)
class _Structural(Entry):
    """A container, or a class that passes tensors on as they are."""

    function: Callable[[Net, Module, Nest], Nest]
    expects: Expected | Callable[[Module, Ask, Expected], Expected]

    def run(self, net: Net, m: Module, x: Nest) -> Nest:
        """The function's result."""
        return self.function(net, m, x)

    def expected(self, m: Module, ask: Ask, after: Expected) -> Expected:
        """What is declared, completed by what follows."""
        return completed(self.expects(m, ask, after) if callable(self.expects) else self.expects, after)


@dataclass(frozen=True)
class Refused(Entry):
    """A class that cannot be converted."""

    why: str

    def run(self, net: Net, m: Module, x: Nest) -> Nest:
        """UnsupportedError with the reason."""
        raise m.unsupported(self.why)

    def expected(self, m: Module, ask: Ask, after: Expected) -> Expected:
        """Nothing is known."""
        return None


def refusal(*classes: str, why: str) -> Refused:
    """Declare classes that are known and not converted."""
    return Refused(classes, short_name(classes[0]), False, f"not converted: {why}", why)


def also(entry: Entry, *classes: str, summary: str) -> Entry:
    """Declare classes that run like those of an entry, and mean something else to a reader."""
    return replace(entry, classes=classes, summary=summary)


def module(
    *classes: str,
    name: str | None = None,
    takes: Literal["tensor", "table", "any"] = "tensor",
    rank: int | None = None,
    overwrites: bool = False,
    expects: Expects = None,
) -> Callable[[Callable[..., ValueNest]], Entry]:
    """Declare a class that computes.

    name: what its layers are called, followed by a number; the class name in lower case by default.
    takes: what it accepts as input; a table arrives as a nested list of values.
    rank: input of this rank, or of one less: a single sample, which then gets a batch of one.
    overwrites: with the field `inplace` set it writes to its (first) input.
    expects: the input it wants, as far as its fields say.
    """
    short = name or short_name(classes[0])
    return lambda function: _Computing(
        classes, short, False, first_line(function), function, takes, rank, overwrites, expects
    )


def view(
    *classes: str,
    put: Callable[[Builder, Module, ir.Value, ir.Value], ir.Value],
    name: str | None = None,
    contiguous: Callable[[Module, Shape], bool] = lambda m, shape: True,
    copies: bool = False,
    expects: Expects = None,
) -> Callable[[Callable[[Builder, Module, ir.Value], ir.Value]], Entry]:
    """Declare a class whose output is a view of its input; see `_Viewing`."""
    short = name or short_name(classes[0])
    return lambda function: _Viewing(
        classes, short, False, first_line(function), function, put, contiguous, copies, expects
    )


def structure(
    *classes: str,
    expects: Expected | Callable[[Module, Ask, Expected], Expected] = None,
    replaces_methods: bool = False,
) -> Callable[[Callable[[Net, Module, Nest], Nest]], Entry]:
    """Declare a class that passes its tensors on, possibly through modules inside it.

    replaces_methods: the class itself stores a function as updateOutput.
    """
    short = short_name(classes[0])
    return lambda function: _Structural(
        classes, short, replaces_methods, first_line(function), function, expects
    )


def short_name(class_name: str) -> str:
    """SpatialCrossMapLRN -> crossmaplrn: how layers of a class are called unless it says otherwise."""
    name = class_name.split(".")[-1]
    for prefix in ("Spatial", "Volumetric", "Temporal"):
        name = name.removeprefix(prefix)
    return name.lower()


def first_line(function: Callable[..., object]) -> str:
    """The first line of a docstring, without its full stop."""
    return (function.__doc__ or "").partition("\n")[0].removesuffix(".")


def check_kind(m: Module, x: Nest, takes: Literal["tensor", "table", "any"]) -> None:
    """FormatError if a module gets a table and takes a tensor, or the other way round."""
    came = "table" if isinstance(x, list) else "tensor"
    if takes not in (came, "any"):
        detail = f" of {len(x)}" if isinstance(x, list) else ""
        raise m.error(FormatError, f"takes a {takes}, but a {came}{detail} arrives")
