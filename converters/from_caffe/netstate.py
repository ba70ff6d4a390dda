"""Which layers of a definition exist in a NetState: Caffe's include and exclude rules."""

from __future__ import annotations

from collections.abc import Sequence

from converters.errors import FormatError
from converters.from_caffe import schema

TRAIN, TEST = 0, 1


def filter_net(net: schema.Message, stages: Sequence[str], level: int) -> list[schema.Message]:
    """The layers that Caffe instantiates in phase TEST, with these stages and the net's own, at this level.

    FormatError for a layer with both include and exclude rules.
    """
    active = set(net.state.stage) | set(stages)
    return [layer for layer in net.layer if is_included(layer, active, level)]


def is_included(layer: schema.Message, stages: set[str], level: int, phase: int = TEST) -> bool:
    """Whether this layer exists in this phase, with these stages, at this level."""
    if len(layer.include) and len(layer.exclude):
        raise FormatError(f"layer {layer.name!r} has both include and exclude rules; Caffe allows one kind")
    if len(layer.include):
        return any(_meets(rule, stages, level, phase) for rule in layer.include)
    return not any(_meets(rule, stages, level, phase) for rule in layer.exclude)


def training_layers(
    net: schema.Message, layers: Sequence[schema.Message], stages: Sequence[str], level: int
) -> dict[str, schema.Message]:
    """By name, what trains the parameters of those `layers` that do not exist in phase TRAIN.

    It is the layer of the same name and type that exists there: definitions have both where the two phases
    differ, such as in the statistics of a BatchNorm.
    """
    active = set(net.state.stage) | set(stages)
    only_test = {layer.name: layer.type for layer in layers if not is_included(layer, active, level, TRAIN)}
    return {
        layer.name: layer
        for layer in net.layer
        if only_test.get(layer.name) == layer.type and is_included(layer, active, level, TRAIN)
    }


def _meets(rule: schema.Message, stages: set[str], level: int, phase: int) -> bool:
    return (
        not (rule.HasField("phase") and rule.phase != phase)
        and not (rule.HasField("min_level") and level < rule.min_level)
        and not (rule.HasField("max_level") and level > rule.max_level)
        and all(stage in stages for stage in rule.stage)
        and not any(stage in stages for stage in rule.not_stage)
    )
