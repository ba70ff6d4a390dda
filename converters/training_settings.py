"""What a source says about training its net: kept in the `meta` of values and nodes, for the PyTorch form.

None of it changes what inference computes, and none is written to .onnx files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import onnx_ir as ir

_MULTIPLIERS, _STORED_STATISTICS = "multipliers", "uses_stored_statistics"


class Multipliers(NamedTuple):
    """Factors on the learning rate and the weight decay of one weight: Caffe's lr_mult and decay_mult.

    A weight whose learning rate has the factor 0 is frozen.
    """

    learning_rate: float = 1.0
    weight_decay: float = 1.0


NO_MULTIPLIERS = Multipliers()


def set_multipliers(value: ir.Value, multipliers: Multipliers) -> None:
    """Records with which factors the source trains a weight."""
    value.meta[_MULTIPLIERS] = multipliers


def multipliers_of(value: ir.Value) -> Multipliers:
    """The factors with which the source trains a weight; both are 1 where it says nothing."""
    found: Multipliers | None = value.meta.get(_MULTIPLIERS)
    return found or NO_MULTIPLIERS


def train_with_stored_statistics(result: ir.Value) -> ir.Value:
    """Records of the BatchNormalization that makes `result` that it never uses statistics of a batch."""
    node = result.producer()
    assert node is not None
    node.meta[_STORED_STATISTICS] = True
    return result


def trains_with_stored_statistics(node: ir.Node) -> bool:
    """Whether a BatchNormalization uses, and leaves alone, its stored statistics in training too."""
    return bool(node.meta.get(_STORED_STATISTICS))
