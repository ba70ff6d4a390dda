"""What a source says about training its net: kept in the `meta` of values and nodes, for the PyTorch form.

None of it changes what inference computes, and none is written to .onnx files.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import onnx_ir as ir

_MULTIPLIERS, _STORED_STATISTICS = "multipliers", "uses_stored_statistics"
_SINGLE_BIAS = "has_single_bias"


class Multipliers(NamedTuple):
    """Factors on the learning rate and the weight decay of one weight: Caffe's lr_mult and decay_mult.

    A weight whose learning rate has the factor 0 is frozen.
    """

    learning_rate: float = 1.0
    weight_decay: float = 1.0


NO_MULTIPLIERS = Multipliers()
FROZEN = Multipliers(learning_rate=0.0)


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


def mark_single_bias(value: ir.Value) -> ir.Value:
    """Records of the input B of a recurrent node that its source has one bias where ONNX has two.

    The second half is zeros and no weight of the source; trained too, it would double the steps of the first.
    """
    value.meta[_SINGLE_BIAS] = True
    return value


def has_single_bias(value: ir.Value | None) -> bool:
    """Whether the second half of the input B of a recurrent node is no weight of the source."""
    return value is not None and bool(value.meta.get(_SINGLE_BIAS))
