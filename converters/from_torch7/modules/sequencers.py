"""Modules of Element-Research's rnn that run others over a sequence, besides Sequencer, or reorder it."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import ANY, Repeated
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import Conversion
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import as_table
from converters.from_torch7.modules.single_run import single_run
from converters.from_torch7.modules.table import MAX_ENTRIES
from converters.from_torch7.modules.wrappers import inner_module
from converters.from_torch7.registry import structure
from converters.from_torch7.tensor_references import NestedTensors, ValueStorage, read_values
from converters.sizes import dims

_OPEN_END = np.iinfo(np.int64).min


@single_run("SeqReverseSequence", name="reverse", expects=ANY, reshapes=lambda m, x: m.integer("dim", 1) > 1)
def seq_reverse_sequence(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The entries of dimension `dim` in reverse order (rnn)."""
    axis = m.integer("dim", minimum=1) - 1
    if axis >= len(dims(x)):
        raise m.error(FormatError, f"reverses dimension {axis + 1} of {len(dims(x))}")
    bounds = (np.array([n], np.int64) for n in (-1, _OPEN_END, axis, -1))
    return g.node("Slice", x, *bounds)


@structure("Repeater", expects=lambda m, infer, successor: infer(repeated_module(m), ANY))
def repeater(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The outputs of rho runs of the module inside on one input, starting without state, as a table (rnn)."""
    count = m.integer("rho", minimum=1)
    if count > MAX_ENTRIES:
        raise m.unsupported(f"makes a table of {count:,} entries, more than {MAX_ENTRIES:,}")
    with conversion.recurrent_scope():
        return [
            conversion.output_of(m, read_values(conversion.run(repeated_module(m), x)), position=(k,))
            for k in range(count)
        ]


def repeated_module(m: Module) -> Module:
    """The module inside; old files keep it in the field `rnn`."""
    return inner_module(m) if m.has("modules") or m.has("module") else m.child("rnn")


@structure("BiSequencerLM", expects=Repeated())
def bi_sequencer_lm(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """Two Sequencers that see what comes before and after each step, merged at each step (rnn).

    One runs forwards over all entries but the last, the other backwards over all but the first. Zeros take
    the place of the output that is missing at each end.
    """
    steps, children = as_table(m, x), m.children()
    if len(steps) < 2 or len(children) != 3:
        raise m.error(
            FormatError, f"has {len(children)} modules for {len(steps)} entries; expected 3 for 2 or more"
        )
    forwards = as_table(m, conversion.run(children[0], steps[:-1]))
    backwards = as_table(m, conversion.run(children[1], steps[1:]))
    with conversion.layer(m, "zeros"):
        before, after = zeros_like(conversion, forwards[0]), zeros_like(conversion, backwards[0])
    return conversion.run(children[2], [[before, *forwards], [*backwards, after]])


def zeros_like(conversion: Conversion, x: NestedTensors) -> NestedTensors:
    """Zeros in the shape of a tensor, or of each tensor of a table."""
    if isinstance(x, list):
        return [zeros_like(conversion, part) for part in x]
    value, g = x.read(), conversion.graph
    shape = g.node("Shape", value, shape=(len(dims(value)),), dtype=ir.DataType.INT64)
    zero = g.constant(np.zeros((), np.float32))
    return ValueStorage(g.node("Expand", zero, shape, shape=dims(value)))
