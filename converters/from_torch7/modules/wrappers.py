"""Modules around another module that change nothing, or only its weight."""

from __future__ import annotations

import numpy as np

from converters.errors import FormatError, MismatchError
from converters.from_torch7.expectation import PASS, Expected
from converters.from_torch7.handles import Nest
from converters.from_torch7.module import Module
from converters.from_torch7.net import Net
from converters.from_torch7.registry import Ask, also, structure


def wrapped(m: Module) -> Module:
    """The module inside."""
    children = m.children() if m.has("modules") else []
    return children[0] if children else m.child("module")


def wrapped_expects(m: Module, ask: Ask, after: Expected) -> Expected:
    """What the module inside wants."""
    return ask(wrapped(m), after)


@structure(
    "Decorator",
    "DontCast",
    "GPU",
    "NaN",
    "Profile",
    "Serial",
    "NoBackprop",
    expects=wrapped_expects,
)
def transparent(net: Net, m: Module, x: Nest) -> Nest:
    """The module inside."""
    return net.run(wrapped(m), x)


replicated = also(
    transparent,
    "DataParallelTable",
    "DataParallel",
    summary="The module inside; of its copies on several GPUs the first",
)
fire_module = also(
    transparent, "FireModule", summary="SqueezeNet's fire module, as the modules stored inside (dpnn)"
)
inception = also(
    transparent, "Inception", summary="Columns joined by a DepthConcat, as the modules stored inside (dpnn)"
)
bi_sequencer = also(
    transparent,
    "BiSequencer",
    summary="One Sequencer from the first step on and one from the last, merged at each step (rnn)",
)


@structure("Copy", replaces_methods=True, expects=PASS)
def copy(net: Net, m: Module, x: Nest) -> Nest:
    """A copy in another number type; between equal types (an updateOutput is stored then) the input."""
    if m.has("updateOutput"):
        return x
    if isinstance(x, list):
        raise m.error(FormatError, "takes a tensor, but a table arrives")
    return net.output_of(m, x.read())


@structure("WeightNorm", expects=lambda m, ask, after: ask(normed(m), after))
def weight_norm(net: Net, m: Module, x: Nest) -> Nest:
    """The module inside with weight = g * v / sqrt(|v|^2 + 1e-4) for each output."""
    return net.run(normed(m), x)


def normed(m: Module) -> Module:
    """The module inside with its weight computed; the file leaves it out, as Torch does on writing.

    v keeps the dimension of the outputs (outputDim) in front, as viewOut does; the weight has it in its own
    place.
    """
    inside, v = wrapped(m), m.tensor("v")
    outputs, place = v.shape[0], m.integer("outputDim", 1, least=1) - 1
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
