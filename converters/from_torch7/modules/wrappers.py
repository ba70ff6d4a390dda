"""Modules that wrap another module and change nothing, or only its weight."""

from __future__ import annotations

import numpy as np

from converters.errors import FormatError, MismatchError
from converters.from_torch7.backward_shape_inference import ANY, Expected
from converters.from_torch7.conversion import Conversion, Infer
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import as_tensor, tensor_value
from converters.from_torch7.registry import alias, structure
from converters.from_torch7.tensor_references import NestedTensors


def inner_module(m: Module) -> Module:
    """The module inside."""
    children = m.children() if m.has("modules") else []
    return children[0] if children else m.child("module")


def expected_by_inner_module(m: Module, infer: Infer, successor: Expected) -> Expected:
    """What the module inside expects."""
    return infer(inner_module(m), successor)


@structure(
    "Decorator",
    "DontCast",
    "GPU",
    "NaN",
    "Profile",
    "Serial",
    "NoBackprop",
    expects=expected_by_inner_module,
)
def transparent(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The module inside."""
    return conversion.run(inner_module(m), x)


replicated = alias(
    transparent,
    "DataParallelTable",
    "DataParallel",
    summary="The module inside; the first of its copies on several GPUs",
)
fire_module = alias(
    transparent, "FireModule", summary="SqueezeNet's fire module, as the modules stored inside (dpnn)"
)
inception = alias(
    transparent, "Inception", summary="Columns joined by a DepthConcat, as the modules stored inside (dpnn)"
)
bi_sequencer = alias(
    transparent,
    "BiSequencer",
    summary="Two Sequencers, forwards and backwards in time, merged at each step (rnn)",
)
seq_brnn = alias(
    transparent, "SeqBRNN", summary="Two SeqLSTMs, forwards and backwards in time, merged at each step (rnn)"
)


@structure("Copy", stores_methods=True, expects=ANY)
def copy(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """A copy in another number type; the input itself if the types are equal (updateOutput is stored)."""
    if m.has("updateOutput"):
        return x
    return conversion.output_of(m, tensor_value(m, x), x)


@structure("WeightNorm", expects=lambda m, infer, successor: infer(with_computed_weight(m), successor))
def weight_norm(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The module inside with weight = g * v / sqrt(|v|^2 + 1e-4) for each output."""
    return conversion.output_set(m, as_tensor(m, conversion.run(with_computed_weight(m), x)))


def with_computed_weight(m: Module) -> Module:
    """The module inside, with its weight computed: Torch does not write it to the file.

    In v and viewOut, the dimension of the outputs comes first; in the weight, it is at position outputDim.
    """
    inside, v = inner_module(m), m.tensor("v")
    outputs, place = v.shape[0], m.integer("outputDim", 1, minimum=1) - 1
    front = m.sizes("viewOut")
    if place >= len(front) or front[0] != outputs or np.prod(front) != v.size:
        raise m.error(MismatchError, f"tensor 'v' of {v.shape} does not make a weight of {tuple(front)}")
    scale = m.tensor("g").reshape(-1).astype(np.float64)
    if scale.size != outputs:
        raise m.error(FormatError, f"tensor 'g' has {scale.size} elements; expected {outputs}")
    rows = v.reshape(outputs, -1).astype(np.float64)
    rows = rows * (scale / np.sqrt((rows**2).sum(axis=1) + 1e-4))[:, None]
    weight = np.moveaxis(rows.reshape(front), 0, place).astype(np.float32)
    return inside.with_tensor("weight", weight)
