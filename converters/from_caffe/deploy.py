"""Any definition -> the net that computes at inference: inputs, layers, outputs, preprocessing.

Rules for a training definition: layers outside phase TEST, data, accuracy, loss and output layers go; the
last SoftmaxWithLoss becomes a Softmax whose top is `prob`; other heads end at their scores; what only fed a
dropped layer (labels, class weights) goes too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from converters.errors import UsageError
from converters.from_caffe import schema, wiring
from converters.from_caffe.inputs import DATA_LAYERS, Inputs, find_inputs
from converters.report import Dropped

__all__ = ["DATA_LAYERS", "EVALUATION", "LOSSES", "OUTPUT_WRITERS", "Net", "prepare"]

LOSSES = frozenset(
    {
        "SoftmaxWithLoss",
        "SigmoidCrossEntropyLoss",
        "EuclideanLoss",
        "HingeLoss",
        "InfogainLoss",
        "MultinomialLogisticLoss",
        "ContrastiveLoss",
        "SmoothL1Loss",
        "MultiBoxLoss",
        "L1Loss",
        "CenterLoss",
        "WarpCTCLoss",
        "CTCLoss",
        "CtcLoss",
        "RegionLoss",
        "Yolov3",
        "SoftmaxLoss",
        "SoftmaxWithLossOHEM",
        "SmoothL1LossOHEM",
        "BoxAnnotatorOHEM",
        "FocalLoss",
        "MultiBoxFocalLoss",
        "TripletLoss",
        "LpqLoss",
    }
)
EVALUATION = frozenset(
    {
        "Accuracy",
        "SegAccuracy",
        "DetectionEvaluate",
        "EvalDetection",
        "LabelsequenceAccuracy",
        "SegmentationEvaluate",
    }
)
OUTPUT_WRITERS = frozenset(
    {"HDF5Output", "Silence", "MatWrite", "ImgWriter", "FloatWriter", "FLOWriter", "PFMWriter"}
)
# Losses whose first bottom becomes a probability, and the layer that makes it one.
_PROBABILITY = {"SoftmaxWithLoss": "Softmax", "InfogainLoss": "Softmax", "SigmoidCrossEntropyLoss": "Sigmoid"}
PROBABILITIES = "prob"


@dataclass
class Net:
    """What is left for inference.

    declared: every layer of phase TEST; layers: those that compute the outputs.
    """

    name: str
    inputs: Inputs
    declared: Sequence[schema.Message]
    layers: list[schema.Message]
    outputs: list[str]
    dropped: list[Dropped]

    @property
    def preprocessing(self) -> dict[str, Any] | None:
        """What the data layer does to its images, if the definition has one."""
        return self.inputs.preprocessing


def prepare(name: str, layers: Sequence[schema.Message], wanted: Sequence[str] | None) -> Net:
    """The inference net among the layers of phase TEST; `wanted` names its outputs, None means its own."""
    wiring.check(layers)
    inputs, rest = find_inputs(layers)
    dropped = [
        Dropped(layer.name, layer.type, "data layer: its first top becomes an input")
        for layer in inputs.layers
    ]
    kept, heads = _without_training(rest, dropped, wanted)
    outputs = list(wanted) if wanted is not None else _unconsumed(inputs, kept, heads)
    _check_outputs(outputs, kept, inputs)
    needed, unneeded = _needed(kept, outputs)
    inputs = inputs.restricted({bottom for layer in needed for bottom in layer.bottom} | set(outputs))
    dropped += [Dropped(layer.name, layer.type, "nothing that is left reads its tops") for layer in unneeded]
    return Net(name, inputs, layers, needed, outputs, dropped)


def _without_training(
    layers: Sequence[schema.Message], dropped: list[Dropped], wanted: Sequence[str] | None
) -> tuple[list[schema.Message], set[str]]:
    """(layers without losses, evaluation and output writers; blobs that must not become outputs)."""
    predictions = _learned(layers)
    last = _last_probability(layers, wanted)
    kept: list[schema.Message] = []
    not_outputs: set[str] = set()
    lost: set[str] = set()
    for layer in layers:
        if last is not None and layer is last:
            kept.append(_probability_layer(layer))
            dropped.append(Dropped(layer.name, layer.type, f"loss: replaced by {_PROBABILITY[layer.type]}"))
            lost |= set(layer.top) - set(kept[-1].top)
        elif layer.type in LOSSES | EVALUATION | OUTPUT_WRITERS:
            dropped.append(Dropped(layer.name, layer.type, _why(layer)))
            lost |= set(layer.top)
        elif lost.intersection(layer.bottom):
            dropped.append(Dropped(layer.name, layer.type, "computed from a loss or an evaluation"))
            lost |= set(layer.top)
        else:
            kept.append(layer)
            continue
        silenced = layer.type == "Silence"
        not_outputs |= {bottom for bottom in layer.bottom if silenced or bottom not in predictions}
    return kept, not_outputs


def _why(layer: schema.Message) -> str:
    if layer.type in LOSSES:
        return "loss: means nothing at inference; its scores remain"
    return "evaluation" if layer.type in EVALUATION else "makes nothing that is computed with"


def _learned(layers: Sequence[schema.Message]) -> set[str]:
    """Blobs that depend on more than sources: what a loss reads of these are scores, the rest labels."""
    passive = {
        "Slice",
        "Split",
        "Flatten",
        "Reshape",
        "Concat",
        "Power",
        "Crop",
        "Eltwise",
        "Silence",
        "Reduction",
    }
    learned: set[str] = set()
    for layer in layers:
        active = layer.type not in passive | {"DummyData"} and len(layer.bottom) > 0
        if active or any(bottom in learned for bottom in layer.bottom):
            learned |= set(layer.top)
    return learned


def _last_probability(
    layers: Sequence[schema.Message], wanted: Sequence[str] | None
) -> schema.Message | None:
    """The loss that turns into probabilities: the last SoftmaxWithLoss, or what makes a wanted `prob`."""
    made = {top for layer in layers if layer.type not in LOSSES for top in layer.top}
    already = {layer.bottom[0] for layer in layers if layer.type == "Softmax" and len(layer.bottom)}
    possible = [
        layer
        for layer in reversed(layers)
        if layer.type in _PROBABILITY
        and len(layer.bottom)
        and _probability_top(layer) not in made
        and layer.bottom[0] not in already
    ]
    by_itself = [layer for layer in possible if layer.type == "SoftmaxWithLoss" or len(layer.top) > 1]
    asked_for = [layer for layer in possible if wanted is not None and _probability_top(layer) in wanted]
    return next(iter(by_itself + asked_for), None)


def _probability_top(loss: schema.Message) -> str:
    """`prob`, unless the loss itself names its probabilities as a second top."""
    return str(loss.top[1]) if len(loss.top) > 1 else PROBABILITIES


def _probability_layer(loss: schema.Message) -> schema.Message:
    layer = schema.new("LayerParameter")
    layer.name, layer.type = _probability_top(loss), _PROBABILITY[loss.type]
    layer.bottom.append(loss.bottom[0])
    layer.top.append(_probability_top(loss))
    if layer.type == "Softmax":
        axis = loss.infogain_loss_param.axis if loss.type == "InfogainLoss" else loss.softmax_param.axis
        layer.softmax_param.axis = axis
    return layer


def _unconsumed(inputs: Inputs, layers: Sequence[schema.Message], not_outputs: set[str]) -> list[str]:
    """Tops that no layer reads, in net order; to Caffe an unread Input is one of them."""
    from_data = {top for layer in inputs.layers for top in layer.top}
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
            import difflib

            close = difflib.get_close_matches(name, known, n=3)
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

    An in-place layer counts for every blob in the memory that it changes.
    """
    *places, last = wiring.memories(layers)
    wanted = set(outputs)
    memories = {last[name] for name in outputs if name in last}
    needed, unneeded = [], []
    for layer, place in zip(reversed(layers), reversed(places), strict=True):
        changed = {place[top] for top in wiring.in_place_tops(layer)}
        if wanted.isdisjoint(layer.top) and memories.isdisjoint(changed):
            unneeded.append(layer)
            continue
        wanted = (wanted - set(layer.top)) | set(layer.bottom)
        memories |= {place[bottom] for bottom in layer.bottom}
        needed.append(layer)
    return needed[::-1], unneeded[::-1]
