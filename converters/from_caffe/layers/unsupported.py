"""Layer types that are known and not converted, and why."""

from __future__ import annotations

from collections.abc import Mapping

_SEVERAL = "forks define different layers with this name, and nothing in a definition tells them apart"
_SOLVER = "it smooths each image in steps that depend on the image; apply it to the output of the net"
_FILES = "it reads its blob from a file beside the net; make that blob an input"
_TRAINING = "it prepares training examples; convert the deploy definition of the net"
_LABELS = "it changes scores by their labels, which only training knows; remove it"
_PROCESSES = "it moves blobs between the processes of a training run; remove it"
_QUANTISED = "it rounds to fixed point by its own rule"


def _each(types: str, why: str) -> dict[str, str]:
    return dict.fromkeys(types.split(), why)


UNSUPPORTED: Mapping[str, str] = {
    **_each("Resize ImResize Nms Region Transformer SpatialTransformer SubRegion", _SEVERAL),
    "ROIAlign": f"{_SEVERAL}: a bin is sampled once, at several points, bicubically, or by its maximum",
    "Python": "its computation is in a Python file; of these only Faster R-CNN's rpn.proposal_layer is known "
    "(--proposal)",
    "DenseBlock": "it is many layers in one; write out its BatchNorm, ReLU, Convolution and Concat layers",
    "MKLBatchNorm": "write it as a BatchNorm and a Scale",
    "TRT": "it holds a network that was compiled for one GPU",
    **_each("DenseCRF DomainTransform DomainTransformForwardOnly", _SOLVER),
    **_each("MatRead ImgReader FloatReader", _FILES),
    **_each("DataAugmentation DetectNetTransformation GenerateAugmentationParameters", _TRAINING),
    **_each("UniqueLabel BiasChannel AdaptiveBiasChannel LabelSpecificAdd", _LABELS),
    **_each("Gather Scatter MnActivation", _PROCESSES),
    **_each("FixedNeuron FixedConvolution FixedBatchNorm deephi_resize", _QUANTISED),
}
