"""The conversion of one net under way: modules become graph nodes in the order in which Torch runs them."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import onnx_ir as ir

from converters.dropout import is_dropout
from converters.errors import ConverterError, FormatError, LimitError
from converters.from_torch7.backward_shape_inference import Expected
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.objects import Function, TorchObject
from converters.from_torch7.tensor_references import (
    NestedTensors,
    NestedValues,
    Overlap,
    TensorReference,
    ValueStorage,
    flatten,
    overlap,
)
from converters.report import Dropped
from converters.suggestions import close_names

# Real nets nest about ten levels deep; a hostile file must not exhaust Python's stack.
MAX_NESTING = 100
# Tables of tensors are walked recursively.
MAX_TABLE_NESTING = 100
# Nets of a thousand layers or time steps stay far below; a net that doubles at each level does not.
MAX_VISITS = 50_000
# The most tensors in one table. Modules pass tables on: all together may pass on as many as they may run.
MAX_TABLE_TENSORS = 20_000

# A class under any of these prefixes computes what nn's class of the same name computes, unless the prefixed
# name is registered itself.
NN_PREFIXES = ("nn.", "cudnn.", "cunn.", "fbcunn.", "fbnn.", "inn.", "clnn.")

# A stored function under one of these names replaces what the class computes.
_COMPUTING_METHODS = ("updateOutput", "forward", "__call__")

OVERWRITES_ITS_INPUT = (
    "the same module object made (part of) its input, so that it overwrites what it still reads; "
    "give each place a module object of its own"
)

# infer(module, successor): what a module expects as input, given what the module after it expects.
Infer = Callable[[Module, Expected], Expected]


@dataclass(frozen=True)
class ModuleClass(ABC):
    """How the objects of a Torch class are converted. `registry` has the kinds of them.

    classes: the names of the class; one without prefix stands for all of `NN_PREFIXES`.
    name: what its layers are called, followed by a number.
    stores_methods: objects of this class may hold a function as updateOutput, which changes nothing.
    summary: what the class computes, for the list of supported classes.
    """

    classes: tuple[str, ...]
    name: str
    stores_methods: bool
    summary: str

    @abstractmethod
    def run(self, conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
        """Add the nodes of module `m` to the graph; x is its input, the result its output."""

    @abstractmethod
    def expected(self, m: Module, infer: Infer, successor: Expected) -> Expected:
        """What module `m` expects as input, given what the module after it expects."""


@dataclass(frozen=True)
class Layer:
    """The layer under construction: the nodes of one module."""

    conversion: Conversion
    module: Module
    name: str

    def set_output(self, given: object, output: NestedValues) -> None:
        """Name the output of the layer after the layer.

        A layer without nodes, whose output is its input `given`, is reported as dropped.
        """
        if not isinstance(output, ir.Value):
            return
        producer = output.producer()
        passed_on = output is given
        if producer is not None and str(producer.name).startswith(f"{self.name}/"):
            self.conversion.graph.name_result(output, self.name, self.name)
            passed_on = is_dropout(producer)
        if passed_on:
            reason = "passes its input on unchanged in evaluation"
            self.conversion.dropped.append(Dropped(self.module.path, self.module.class_name, reason))
        self.conversion.layer_outputs[self.name] = output


class Conversion:
    """A conversion under way.

    graph: the ONNX graph so far.
    layers, layer_outputs: the layers in order, and the output value of each by name.
    last_inputs, last_outputs: the tensor that each module got and gave when it last ran.
    dropped: layers that became no nodes.
    pushed: what each nn.PushTable took out of its table when it last ran.
    visits: how many modules were run or asked for their input, and how many tensors they passed on in tables.
    """

    def __init__(self, name: str, classes: Mapping[str, ModuleClass], stored_bytes: int = 0) -> None:
        self.graph = Builder(name, stored_bytes)
        self.layers: list[Layer] = []
        self.layer_outputs: dict[str, ir.Value] = {}
        self.last_inputs: dict[TorchObject, ir.Value] = {}
        self.last_outputs: dict[TorchObject, ir.Value] = {}
        self.dropped: list[Dropped] = []
        self.pushed: dict[TorchObject, NestedTensors] = {}
        self._classes = classes
        self._layer_counts: Counter[str] = Counter()
        self._clones: list[int] = []
        self._error_names_module = False
        self.visits = 0
        self._active: dict[TorchObject, None] = {}
        self._output_tensors: dict[tuple[object, ...], TensorReference] = {}
        self._recurrent_states: dict[tuple[object, ...], list[NestedTensors]] | None = None

    def run(self, m: Module, x: NestedTensors) -> NestedTensors:
        """The output of a module for the input x, as its updateOutput gives it after evaluate()."""
        if not isinstance(x, list):
            self.last_inputs[m.torch_object] = x.read()
        with self.visit(m) as module_class:
            try:
                output = module_class.run(self, m, x)
            except ConverterError as error:
                named = self._error_names_module or str(error).startswith(m.location)
                self._error_names_module = True
                if named:
                    raise
                # It comes from the builder, which knows no modules: name the innermost one.
                raise m.error(type(error), str(error)) from error
        if isinstance(output, list):
            self._charge(m, _counted(m, output))
        else:
            self.last_outputs[m.torch_object] = output.read()
        return output

    def _charge(self, m: Module, count: int) -> None:
        self.visits += count
        if self.visits > MAX_VISITS:
            raise m.error(LimitError, f"the net runs its modules more than {MAX_VISITS:,} times")

    @contextlib.contextmanager
    def visit(self, m: Module) -> Iterator[ModuleClass]:
        """The class of a module, while the module is run or asked for its input.

        Guards against modules that contain themselves, and against nesting and repetition without end.
        """
        if m.torch_object in self._active:
            raise m.error(FormatError, "the module contains itself")
        if len(self._active) == MAX_NESTING:
            raise m.unsupported(f"modules are nested deeper than {MAX_NESTING}")
        self._charge(m, 1)
        self._active[m.torch_object] = None
        try:
            yield self.class_of(m)
        except (ArithmeticError, LookupError, MemoryError, ValueError) as error:
            # The file may hold any fields; no check foresees every way in which they contradict each other.
            raise m.error(FormatError, f"its fields contradict each other: {error}") from error
        finally:
            self._active.popitem()

    def class_of(self, m: Module, *, suggest: bool = True) -> ModuleClass:
        """The registered class of a module.

        UnsupportedError if there is none, or if the object replaces what its class computes.
        """
        found = self._classes.get(m.class_name)
        prefix = next((p for p in NN_PREFIXES if m.class_name.startswith(p)), None)
        if found is None and prefix:
            found = self._classes.get(m.class_name.removeprefix(prefix))
        if found is None:
            if m.class_name.endswith("Criterion"):
                raise m.unsupported("a training loss has no place in an inference net")
            near = close_names(m.class_name.split(".")[-1], self._classes) if suggest else []
            hint = f" (the nearest known is {near[0]})" if near else ""
            raise m.unsupported(f"no module class of this name is known{hint}")
        for method in _COMPUTING_METHODS:
            if isinstance(m.get(method), Function) and not found.stores_methods:
                raise m.unsupported(
                    f"its method {method!r} was replaced by a stored Lua function, which is never run"
                )
        return found

    @contextlib.contextmanager
    def layer(self, m: Module, name: str) -> Iterator[Layer]:
        """Nodes made inside belong to a new layer of module `m`, called `name` and a number."""
        self._layer_counts[name] += 1
        layer = Layer(self, m, f"{name}{self._layer_counts[name]}")
        self.layers.append(layer)
        with self.graph.layer(layer.name, doc=m.location):
            yield layer

    @contextlib.contextmanager
    def clone(self, number: int) -> Iterator[None]:
        """Modules run inside stand for clones of themselves: their outputs have separate storage."""
        self._clones.append(number)
        try:
            yield
        finally:
            self._clones.pop()

    @contextlib.contextmanager
    def recurrent_scope(self) -> Iterator[None]:
        """Recurrent modules start without state inside, and keep their state between the runs inside."""
        outside, self._recurrent_states = self._recurrent_states, {}
        try:
            yield
        finally:
            self._recurrent_states = outside

    def recurrent_state(self, m: Module) -> list[NestedTensors]:
        """What a recurrent module kept when it last ran in this scope; empty in its first run.

        UnsupportedError outside a `recurrent_scope`: the output then depends on earlier calls of the net.
        """
        if self._recurrent_states is None:
            raise m.unsupported("outside a Sequencer its output depends on the calls before")
        return self._recurrent_states.get((*self._clones, m.torch_object), [])

    def set_recurrent_state(self, m: Module, state: list[NestedTensors]) -> None:
        """Keep the state of a recurrent module for its next run."""
        if self._recurrent_states is not None:
            self._recurrent_states[(*self._clones, m.torch_object)] = state

    def output_of(
        self,
        m: Module,
        output: NestedValues,
        reads: NestedTensors | None = None,
        position: tuple[int, ...] = (),
    ) -> NestedTensors:
        """The output tensors of a module, with these values. As in Torch, its next run overwrites them.

        position: tells several outputs of one module apart. reads: what the module reads while it writes.
        UnsupportedError if that lies in the memory it writes, since Torch then mixes old and new numbers.
        """
        if isinstance(output, list):
            return [self.output_of(m, part, reads, (*position, k)) for k, part in enumerate(output)]
        tensor = self.output_tensor(m, position)
        if tensor is None:
            return self.output_set(m, ValueStorage(output), position)
        for read in flatten([] if reads is None else reads):
            if overlap(tensor, read) is not Overlap.NONE:
                raise m.unsupported(OVERWRITES_ITS_INPUT)
        tensor.resize_and_write(output)
        return tensor

    def output_set(
        self, m: Module, tensor: TensorReference, position: tuple[int, ...] = ()
    ) -> TensorReference:
        """The output tensor of a module, pointed at what `tensor` points at, as Torch's `set` does."""
        output = self._output_tensors.setdefault(
            (*self._clones, m.original, position), TensorReference(tensor.area)
        )
        output.set(tensor)
        return output

    def new_output(self, m: Module, last: TensorReference, output: ir.Value) -> TensorReference:
        """A new output tensor for a module; `last`, that of the run before, cannot be read from now on."""
        last.area.storage.mark_outdated()
        tensor = self._output_tensors[(*self._clones, m.original, ())] = ValueStorage(output)
        return tensor

    def output_tensor(self, m: Module, position: tuple[int, ...] = ()) -> TensorReference | None:
        """The output tensor that a module got in an earlier run; None in its first run."""
        return self._output_tensors.get((*self._clones, m.original, position))


def _counted(m: Module, tensors: NestedTensors) -> int:
    """How many tensors and tables a table holds. LimitError for more, or deeper nested, than any real net.

    Tables that hold the same table several times could hold more than can be counted.
    """
    count, stack = 0, [(tensors, 0)]
    while stack:
        item, depth = stack.pop()
        count += 1
        if count > MAX_TABLE_TENSORS or depth > MAX_TABLE_NESTING:
            raise m.error(
                LimitError,
                f"gives a table of more than {MAX_TABLE_TENSORS:,} tensors, or one nested deeper than "
                f"{MAX_TABLE_NESTING}",
            )
        if isinstance(item, list):
            stack += [(entry, depth + 1) for entry in item]
    return count
