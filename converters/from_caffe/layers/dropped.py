"""Layer types that inference does not need: a conversion leaves them out and says so in its report."""

from __future__ import annotations

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
# Losses whose first bottom becomes a probability, and the layer type that computes it.
PROBABILITY_OF_LOSS = {
    "SoftmaxWithLoss": "Softmax",
    "InfogainLoss": "Softmax",
    "SigmoidCrossEntropyLoss": "Sigmoid",
}
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
    {
        "HDF5Output",
        "Silence",
        "MatWrite",
        "ImgWriter",
        "FloatWriter",
        "FLOWriter",
        "PFMWriter",
    }
)
DROPPED = LOSSES | EVALUATION | OUTPUT_WRITERS


def is_loss(layer_type: str) -> bool:
    """Whether a layer of this type is a loss: a known one, or by the end of its name."""
    return layer_type in LOSSES or layer_type.endswith(("Loss", "LossOHEM"))


def is_dropped(layer_type: str) -> bool:
    """Whether inference does not need layers of this type."""
    return layer_type in DROPPED or is_loss(layer_type) or layer_type.endswith("Accuracy")


def why_dropped(layer_type: str) -> str:
    """The reason that the report gives for a layer of one of these types."""
    if is_loss(layer_type):
        return "loss: means nothing at inference; its scores remain"
    if layer_type in OUTPUT_WRITERS:
        return "makes nothing that is computed with"
    return "evaluation"
