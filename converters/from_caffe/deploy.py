"""Any definition -> the net that computes at inference: inputs, layers, outputs, preprocessing.

Rules for a training definition: layers outside phase TEST, data, accuracy, loss and output layers are
dropped; the last SoftmaxWithLoss becomes a Softmax whose top is `prob`; other heads end at their scores; what
only a dropped layer reads (labels, class weights) is dropped too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from converters.errors import UsageError
from converters.from_caffe import schema
from converters.from_caffe.blob_aliasing import check_blob_names, in_place_tops, storage_ids
from converters.from_caffe.inference_layers import inference_layers, makers, training_loss_notes
from converters.from_caffe.inputs import Inputs, find_inputs
from converters.from_caffe.layers import layer_types
from converters.from_caffe.layers.dropped import PROBABILITY_OF_LOSS, is_dropped, is_loss, why_dropped
from converters.from_caffe.netstate import training_layers
from converters.report import Dropped
from converters.suggestions import close_names

# What the probabilities of a training definition are called, unless its loss names them.
PROBABILITIES = "prob"


@dataclass
class InferenceNet:
    """The inference net of a definition.

    declared: every layer of phase TEST; layers: those among them that compute the outputs. notes: what a
    person should know about the choice of layers. training: see `netstate.training_layers`.
    """

    name: str
    inputs: Inputs
    declared: Sequence[schema.Message]
    layers: list[schema.Message]
    outputs: list[str]
    dropped: list[Dropped]
    notes: list[str] = field(default_factory=list)
    training: Mapping[str, schema.Message] = field(default_factory=dict)

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """What the data layer does to its images, if the definition has one."""
        return self.inputs.preprocessing


def prepare(
    net: schema.Message, stages: Sequence[str], level: int, wanted: Sequence[str] | None
) -> InferenceNet:
    """The inference net of a definition in phase TEST, with these stages, at this level.

    `wanted` names its outputs; with None they are the tops that no layer reads. FormatError for blob names
    that Caffe refuses, UsageError for outputs that the net does not have, and where the state leaves open
    which data layer makes an input.
    """
    layers, excluded, notes = inference_layers(net, stages, level)
    check_blob_names(layers, makers(excluded))
    inputs, rest = find_inputs(layers)
    dropped = [
        Dropped(layer.name, layer.type, "data layer: its first top becomes an input")
        for layer in inputs.data_layers
    ]
    kept, not_outputs = _without_training(rest, dropped, wanted)
    outputs = list(wanted) if wanted is not None else _unconsumed(inputs, kept, not_outputs)
    _check_outputs(outputs, kept, inputs)
    needed, unneeded = _needed(kept, outputs)
    inputs = inputs.only({bottom for layer in needed for bottom in layer.bottom} | set(outputs))
    dropped += [Dropped(layer.name, layer.type, "nothing that is left reads its tops") for layer in unneeded]
    notes += training_loss_notes(outputs, excluded)
    training = training_layers(net, needed, stages, level)
    return InferenceNet(net.name, inputs, layers, needed, outputs, dropped, notes, training)


def _without_training(
    layers: Sequence[schema.Message], dropped: list[Dropped], wanted: Sequence[str] | None
) -> tuple[list[schema.Message], set[str]]:
    """(layers without losses, evaluation and output writers; blobs that must not become outputs).

    What is dropped is appended to `dropped`.
    """
    predictions = _predictions(layers)
    last = _last_probability(layers, wanted)
    kept: list[schema.Message] = []
    not_outputs: set[str] = set()
    not_computed: set[str] = set()
    for layer in layers:
        if last is not None and layer is last:
            kept.append(_probability_layer(layer))
            dropped.append(
                Dropped(layer.name, layer.type, f"loss: replaced by {PROBABILITY_OF_LOSS[layer.type]}")
            )
            not_computed |= set(layer.top) - set(kept[-1].top)
        elif is_dropped(layer.type):
            dropped.append(Dropped(layer.name, layer.type, why_dropped(layer.type)))
            not_computed |= set(layer.top)
        elif not_computed.intersection(layer.bottom):
            dropped.append(Dropped(layer.name, layer.type, "computed from a loss or an evaluation"))
            not_computed |= set(layer.top)
        else:
            kept.append(layer)
            continue
        silenced = layer.type == "Silence"
        not_outputs |= {bottom for bottom in layer.bottom if silenced or bottom not in predictions}
    return kept, not_outputs


def _predictions(layers: Sequence[schema.Message]) -> set[str]:
    """Blobs that the net computes: where a loss reads one, it is a score; its other bottoms are labels."""
    computed: set[str] = set()
    for layer in layers:
        layer_type = layer_types().get(layer.type)
        computes = len(layer.bottom) > 0 and not (layer_type is not None and layer_type.keeps_labels)
        if computes or any(bottom in computed for bottom in layer.bottom):
            computed |= set(layer.top)
    return computed


def _last_probability(
    layers: Sequence[schema.Message], wanted: Sequence[str] | None
) -> schema.Message | None:
    """The loss that becomes probabilities: the last SoftmaxWithLoss, or the one for an output in `wanted`."""
    made = {top for layer in layers if not is_loss(layer.type) for top in layer.top}
    already = {layer.bottom[0] for layer in layers if layer.type == "Softmax" and len(layer.bottom)}
    possible = [
        layer
        for layer in reversed(layers)
        if layer.type in PROBABILITY_OF_LOSS
        and len(layer.bottom)
        and _probability_top(layer) not in made
        and layer.bottom[0] not in already
    ]
    by_itself = [layer for layer in possible if layer.type == "SoftmaxWithLoss" or len(layer.top) > 1]
    asked_for = [layer for layer in possible if wanted is not None and _probability_top(layer) in wanted]
    return next(iter(by_itself + asked_for), None)


def _probability_top(loss: schema.Message) -> str:
    """The second top of the loss, which holds its probabilities, or `prob` where it has none."""
    return str(loss.top[1]) if len(loss.top) > 1 else PROBABILITIES


def _probability_layer(loss: schema.Message) -> schema.Message:
    layer = schema.new("LayerParameter")
    layer.name, layer.type = _probability_top(loss), PROBABILITY_OF_LOSS[loss.type]
    layer.bottom.append(loss.bottom[0])
    layer.top.append(_probability_top(loss))
    if layer.type == "Softmax":
        axis = loss.infogain_loss_param.axis if loss.type == "InfogainLoss" else loss.softmax_param.axis
        layer.softmax_param.axis = axis
    return layer


def _unconsumed(inputs: Inputs, layers: Sequence[schema.Message], not_outputs: set[str]) -> list[str]:
    """Tops that no layer reads, in net order; as in Caffe, an Input that no layer reads is one of them."""
    from_data = {top for layer in inputs.data_layers for top in layer.top}
    available = dict.fromkeys(name for name in inputs.shapes if name not in from_data)
    for layer in layers:
        for bottom in layer.bottom:
            available.pop(bottom, None)
        for top in layer.top:
            available[top] = None
    return [name for name in available if name not in not_outputs]


def _check_outputs(outputs: Sequence[str], layers: Sequence[schema.Message], inputs: Inputs) -> None:
    made = [top for layer in layers for top in layer.top]
    known = {*made, *inputs.shapes}
    for name in outputs:
        if name not in known:
            close = close_names(name, known, 3)
            blobs = ", ".join(dict.fromkeys(made))
            listed = f"did you mean {', '.join(close)}?" if close else f"blobs of this net: {blobs}"
            raise UsageError(f"the net has no blob {name!r} to use as an output; {listed}")
    if len(set(outputs)) != len(outputs):
        raise UsageError(f"an output is named twice: {', '.join(outputs)}")
    if not outputs:
        raise UsageError("the net has no output: every blob is read by some layer; name one (--output NAME)")


def _needed(
    layers: Sequence[schema.Message], outputs: Sequence[str]
) -> tuple[list[schema.Message], list[schema.Message]]:
    """(layers the outputs depend on, the others), both in net order.

    An in-place layer changes every blob in the same storage, so the readers of all of them depend on it.
    """
    *by_layer, at_the_end = storage_ids(layers)
    wanted = set(outputs)
    storages = {at_the_end[name] for name in outputs if name in at_the_end}
    needed, unneeded = [], []
    for layer, ids in zip(reversed(layers), reversed(by_layer), strict=True):
        changed = {ids[top] for top in in_place_tops(layer)}
        if wanted.isdisjoint(layer.top) and storages.isdisjoint(changed):
            unneeded.append(layer)
            continue
        wanted.difference_update(layer.top)
        wanted.update(layer.bottom)
        storages |= {ids[bottom] for bottom in layer.bottom}
        needed.append(layer)
    return needed[::-1], unneeded[::-1]
