"""The walk through a net: every module turned into graph nodes in the order Torch would run them."""

from __future__ import annotations

import contextlib
import difflib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from converters.errors import ConverterError, FormatError
from converters.from_torch7.builder import Builder
from converters.from_torch7.handles import Memory, Nest, ValueNest
from converters.from_torch7.module import Module
from converters.from_torch7.objects import Function, TorchObject
from converters.from_torch7.registry import Entry
from converters.report import Dropped

# Nets nest some ten deep; a hostile file must not exhaust Python's stack.
MAX_NESTING = 100
# Nets of a thousand layers or steps stay far below; one that doubles at each level of nesting does not.
MAX_TURNS = 50_000

# Classes that mirror nn's under a prefix of their own.
TWINS = ("nn.", "cudnn.", "cunn.", "fbcunn.", "fbnn.", "inn.", "clnn.")

# The methods whose replacement by a stored function would change what a module computes.
_METHODS = ("updateOutput", "forward", "__call__")


@dataclass(frozen=True)
class Layer:
    """The layer being built."""

    net: Net
    module: Module
    name: str

    def results(self, given: object, result: ValueNest) -> None:
        """Name the layer's result after it; a layer that only hands its input on is reported as left out."""
        if not isinstance(result, ir.Value):
            return
        producer = result.producer()
        if producer is not None and str(producer.name).startswith(f"{self.name}/"):
            self.net.graph.name_result(result, self.name, self.name)
        elif result is given:
            reason = "passes its input on unchanged in evaluation"
            self.net.dropped.append(Dropped(self.module.path, self.module.class_name, reason))
        self.net.results[self.name] = result


class Net:
    """A conversion under way.

    graph: what is built. layers: its layers in order. results: the value each of them gave.
    inputs, outputs: the tensor that a module last got and gave. dropped: layers that left no trace.
    """

    def __init__(self, name: str, classes: Mapping[str, Entry]) -> None:
        self.graph = Builder(name)
        self.layers: list[Layer] = []
        self.results: dict[str, ir.Value] = {}
        self.inputs: dict[TorchObject, ir.Value] = {}
        self.outputs: dict[TorchObject, ir.Value] = {}
        self.dropped: list[Dropped] = []
        self._classes = classes
        self._numbers: Counter[str] = Counter()
        self._clones: list[int] = []
        self._placed = False
        self._turns = 0
        self._active: list[TorchObject] = []
        self._memories: dict[tuple[object, ...], Memory] = {}
        self._states: dict[tuple[object, ...], list[Nest]] | None = None

    def run(self, m: Module, x: Nest) -> Nest:
        """The output of a module for an input, as its updateOutput gives it after evaluate()."""
        if not isinstance(x, list):
            self.inputs[m.item] = x.read()
        with self.inside(m) as entry:
            try:
                result = entry.run(self, m, x)
            except ConverterError as error:
                placed, self._placed = self._placed or str(error).startswith(m.place), True
                if placed:
                    raise
                # From the builder, which knows of no modules: it is about the innermost one.
                raise m.error(type(error), str(error)) from error
        if not isinstance(result, list):
            self.outputs[m.item] = result.read()
        return result

    @contextlib.contextmanager
    def inside(self, m: Module) -> Iterator[Entry]:
        """The declaration of a module's class, while its turn lasts; no module may contain itself."""
        if m.item in self._active:
            raise m.error(FormatError, "the module contains itself")
        if len(self._active) == MAX_NESTING:
            raise m.unsupported(f"modules are nested deeper than {MAX_NESTING}")
        self._turns += 1
        if self._turns > MAX_TURNS:
            raise m.unsupported(f"the modules of the net have more than {MAX_TURNS:,} turns")
        self._active.append(m.item)
        try:
            yield self.entry(m)
        except (ArithmeticError, LookupError, MemoryError, ValueError) as error:
            # Fields are whatever the file says, and may contradict each other in ways no check foresees.
            raise m.error(FormatError, f"its fields make no sense together: {error}") from error
        finally:
            self._active.pop()

    def entry(self, m: Module) -> Entry:
        """The declaration of a module's class; UnsupportedError if there is none, or it does not hold."""
        found = self._classes.get(m.class_name)
        prefix = next((p for p in TWINS if m.class_name.startswith(p)), None)
        if found is None and prefix:
            found = self._classes.get(m.class_name.removeprefix(prefix))
        if found is None:
            if m.class_name.endswith("Criterion"):
                raise m.unsupported("a training loss has no place in an inference net")
            near = difflib.get_close_matches(m.class_name.split(".")[-1], self._classes, 1)
            hint = f" (the nearest known is {near[0]})" if near else ""
            raise m.unsupported(f"no module class of this name is known{hint}")
        for method in _METHODS:
            if isinstance(m.get(method), Function) and not found.replaces_methods:
                raise m.unsupported(
                    f"its method {method!r} was replaced by a stored Lua function, which is never run"
                )
        return found

    @contextlib.contextmanager
    def layer(self, m: Module, short: str) -> Iterator[Layer]:
        """Nodes made inside belong to a new layer called after `short`."""
        self._numbers[short] += 1
        layer = Layer(self, m, f"{short}{self._numbers[short]}")
        self.layers.append(layer)
        with self.graph.layer(layer.name, doc=m.place):
            yield layer

    @contextlib.contextmanager
    def clone(self, number: int) -> Iterator[None]:
        """Modules run inside stand for clones of themselves, with memory of their own."""
        self._clones.append(number)
        try:
            yield
        finally:
            self._clones.pop()

    @contextlib.contextmanager
    def remembering(self) -> Iterator[None]:
        """Recurrent modules run inside begin anew, and remember from one run to the next."""
        outside, self._states = self._states, {}
        try:
            yield
        finally:
            self._states = outside

    def state(self, m: Module) -> list[Nest]:
        """What a recurrent module kept in its last run; empty in its first.

        UnsupportedError outside `remembering`: what a call gives then depends on the calls before it.
        """
        if self._states is None:
            raise m.unsupported("outside a Sequencer its output depends on the calls before")
        return self._states.get((*self._clones, m.item), [])

    def keep(self, m: Module, state: list[Nest]) -> None:
        """Let a recurrent module remember something for its next run."""
        if self._states is not None:
            self._states[(*self._clones, m.item)] = state

    def output_of(self, m: Module, result: ValueNest, position: int = 0) -> Nest:
        """The module's output tensors, which a later run of the same module overwrites, as in Torch."""
        if isinstance(result, list):
            return [self.output_of(m, part, position + k + 1) for k, part in enumerate(result)]
        key = (*self._clones, m.item, position)
        if key in self._memories:
            self._memories[key].write(result)
        else:
            self._memories[key] = Memory(result)
        return self._memories[key]
