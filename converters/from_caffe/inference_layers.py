"""The layers of a definition at inference, with the data layer of another state where theirs is not there.

Training definitions often have data layers in phase TRAIN only, or in stages. What they read does not matter;
the shape of what they make does.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from converters.errors import UsageError
from converters.from_caffe import schema
from converters.from_caffe.inputs import data_made, is_data_layer
from converters.from_caffe.layers.dropped import PROBABILITY_OF_LOSS, is_dropped
from converters.from_caffe.netstate import TRAIN, filter_net
from converters.shell import quoted


def inference_layers(
    net: schema.Message, stages: Sequence[str], level: int
) -> tuple[list[schema.Message], list[schema.Message], list[str]]:
    """(the layers in phase TEST, with data layers of other states where needed; the other layers; notes).

    UsageError where data layers of several states make a blob that is needed, and not alike.
    """
    layers = filter_net(net, stages, level)
    kept = {id(layer) for layer in layers}
    excluded = [layer for layer in net.layer if id(layer) not in kept]
    notes: list[str] = []
    made = {top for layer in layers for top in layer.top}
    brought: list[schema.Message] = []
    data = _data_layers_by_top(excluded)
    for blob in _missing(layers):
        if blob in made:
            continue  # made by a data layer that an earlier blob has brought
        chosen = _data_layer(blob, data.get(blob, ()))
        if chosen is not None:
            brought.append(chosen)
            made.update(chosen.top)
            notes.append(
                f"input {blob!r} is that of layer {chosen.name!r} ({chosen.type}), which exists only in "
                f"{state_text(chosen)}"
            )
    ids = {id(layer) for layer in brought}
    return [*reversed(brought), *layers], [layer for layer in excluded if id(layer) not in ids], notes


def _data_layers_by_top(layers: Sequence[schema.Message]) -> dict[str, list[schema.Message]]:
    """The layers that read data, by the names of the blobs they make."""
    found: dict[str, list[schema.Message]] = {}
    for layer in layers:
        if layer.type == "Input" or is_data_layer(layer.type, layer):
            for top in dict.fromkeys(layer.top):
                found.setdefault(top, []).append(layer)
    return found


def makers(excluded: Sequence[schema.Message]) -> Mapping[str, str]:
    """For every blob that only layers of another state make: which layer, and in which state."""
    return {
        top: f"layer {layer.name!r} ({layer.type}) makes it only in {state_text(layer)}"
        for layer in reversed(excluded)
        for top in layer.top
    }


def training_loss_notes(outputs: Sequence[str], excluded: Sequence[schema.Message]) -> list[str]:
    """A note for every output that is scores, because the loss that makes probabilities of it is excluded."""
    losses = {
        layer.bottom[0]: layer
        for layer in excluded
        if layer.type in PROBABILITY_OF_LOSS and len(layer.bottom) and layer.bottom[0] in outputs
    }
    return [
        f"output {blob!r} holds scores, not probabilities: its loss {loss.name!r} ({loss.type}) exists only "
        f"in {state_text(loss)}"
        for blob, loss in losses.items()
    ]


def state_text(layer: schema.Message) -> str:
    """The states in which a layer exists, as an error says it."""
    if len(layer.include):
        return " or ".join(_rule_text(rule) for rule in layer.include)
    return "states other than " + " or ".join(_rule_text(rule) for rule in layer.exclude)


def _rule_text(rule: schema.Message) -> str:
    parts = [f"phase {'TRAIN' if rule.phase == TRAIN else 'TEST'}"] if rule.HasField("phase") else []
    parts += [f"stage {stage!r} ({quoted('--stage', stage)})" for stage in rule.stage]
    parts += [f"states without stage {stage!r}" for stage in rule.not_stage]
    if rule.HasField("min_level"):
        parts.append(f"levels from {rule.min_level} on (--level)")
    if rule.HasField("max_level"):
        parts.append(f"levels up to {rule.max_level} (--level)")
    return ", ".join(parts) or "every state"


def _missing(layers: Sequence[schema.Message]) -> list[str]:
    """The blobs that layers needed at inference read before any layer makes them."""
    made: set[str] = set()
    missing: dict[str, None] = {}
    for layer in layers:
        read = layer.bottom[:1] if is_dropped(layer.type) else layer.bottom
        missing |= dict.fromkeys(bottom for bottom in read if bottom not in made)
        made.update(layer.top)
    return list(missing)


def _data_layer(blob: str, data: Sequence[schema.Message]) -> schema.Message | None:
    """The data layer for a blob that all of these make; those of phase TEST come before those of TRAIN."""
    of_test = [layer for layer in data if not all(rule.phase == TRAIN for rule in layer.include)]
    candidates = of_test or list(data)
    if not candidates:
        return None
    first, *others = candidates
    if any(data_made(other) != data_made(first) for other in others):
        states = "; ".join(state_text(layer) for layer in candidates)
        raise UsageError(
            f"the blob {blob!r} is made by several data layers, which are not alike: in {states}; choose one "
            "with --stage or --level"
        )
    return first
