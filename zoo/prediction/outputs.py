"""What a net takes and gives, as its graph tells: which output is the answer, and what the others are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from zoo.errors import UsageError
from zoo.verification.difference import BOX_VALUES

if TYPE_CHECKING:
    import onnx_ir as ir

# What is certain of the outputs of a layer, by its type, whatever the net.
BOXES = "boxes: image, class, score, and corners as shares of width and height"
MEANINGS = {
    "DetectionOutput": BOXES,
    "YoloDetectionOutput": BOXES,
    "Yolov3DetectionOutput": BOXES,
    "Softmax": "shares that add up to 1 along an axis",
}
# Of Faster R-CNN; a second top of the layer has the scores.
PROPOSALS = frozenset({"Proposal", "Python"})
REGION_VALUES = 5
REGIONS = "regions that may hold an object: image, and corners in pixels of the net's input"
SHOWN = (
    "predict shows the classes of classifiers, and the boxes of the layers\n"
    "  DetectionOutput, YoloDetectionOutput and Yolov3DetectionOutput"
)


def answering_output(model: ir.Model, scores: str | None, net: str, known: Mapping[str, str]) -> str | None:
    """The output that answers: `scores`, the only one (None), or of several the only list of boxes.

    known: what is known of the outputs of a model, by their names.

    Raises:
        UsageError: the net has several inputs, or none of its several outputs is certainly the answer. The
            message says what its outputs are.
    """
    inputs = [value for value in model.graph.inputs if value.name not in model.graph.initializers]
    if len(inputs) != 1:
        names = " and ".join(str(value.name) for value in inputs)
        raise UsageError(
            f"{net}: takes {names}, and predict gives a net one image; its outputs:\n"
            f"{_listed(model, known)}\n  {SHOWN}"
        )
    outputs = [str(value.name) for value in model.graph.outputs]
    if scores is not None or len(outputs) == 1:
        return scores
    boxes = [str(value.name) for value in model.graph.outputs if _is_list_of_boxes(value)]
    if len(boxes) == 1:
        return boxes[0]
    raise UsageError(
        f"{net}: say which output ranks the classes (--scores NAME); its outputs:\n"
        f"{_listed(model, known)}\n  {SHOWN}"
    )


def outputs_in_words(model: ir.Model, known: Mapping[str, str]) -> Iterator[str]:
    """A line for each output: name, shape, the type of the layer that makes it, and what is known of it."""
    for value in model.graph.outputs:
        layer = _layer_type(value)
        shape = "unknown" if value.shape is None else "x".join(str(size) for size in value.shape)
        about = known.get(str(value.name)) or _meaning(layer, value)
        by = "" if layer is None else f"  {layer}"
        yield f"{value.name}  {shape}{by}" + ("" if about is None else f": {about}")


def _meaning(layer: str | None, value: ir.Value) -> str | None:
    if layer in PROPOSALS and value.shape is not None and list(value.shape)[1:] == [REGION_VALUES]:
        return REGIONS
    return None if layer is None else MEANINGS.get(layer)


def _listed(model: ir.Model, known: Mapping[str, str]) -> str:
    return "\n".join(f"    {line}" for line in outputs_in_words(model, known))


def _layer_type(value: ir.Value) -> str | None:
    """The type of the Caffe layer that makes a value, as the reader notes it; None: not known."""
    node = value.producer()
    doc = "" if node is None else node.doc_string or ""
    return doc.removeprefix("Caffe ") if doc.startswith("Caffe ") else None


def _is_list_of_boxes(value: ir.Value) -> bool:
    """Whether an output has the shape of what DetectionOutput gives: 1 x 1 x boxes x 7."""
    sizes = list(value.shape or ())
    return len(sizes) == len((1, 1, "boxes", BOX_VALUES)) and sizes[:2] == [1, 1] and sizes[3] == BOX_VALUES
