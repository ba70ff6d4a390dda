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


def why_dropped(layer_type: str) -> str:
    """The reason that the report gives for a layer of one of these types."""
    if layer_type in LOSSES:
        return "loss: means nothing at inference; its scores remain"
    return "evaluation" if layer_type in EVALUATION else "makes nothing that is computed with"
