"""Classes that are known and not converted, each with the reason."""

from __future__ import annotations

from converters.from_torch7.registry import refusal

fractional_pooling = refusal(
    "SpatialFractionalMaxPooling",
    "VolumetricFractionalMaxPooling",
    why="its pooling regions are random by nature, in evaluation too",
)
recurrent = refusal(
    "cudnn.RNN",
    "cudnn.RNNReLU",
    "cudnn.RNNTanh",
    "cudnn.LSTM",
    "cudnn.GRU",
    "cudnn.BLSTM",
    "cudnn.BGRU",
    why="its weights are stored in a layout that only the cuDNN that wrote them knows",
)
divisive = refusal(
    "cudnn.SpatialDivisiveNormalization",
    why="it is not nn's class of that name and has no counterpart outside cuDNN",
)
batch_last = refusal(
    "ccn2.SpatialConvolution",
    "ccn2.SpatialConvolutionLocal",
    "ccn2.SpatialMaxPooling",
    "ccn2.SpatialAvgPooling",
    "ccn2.SpatialCrossMaxPooling",
    "ccn2.SpatialCrossResponseNormalization",
    why="its maps have the batch last, as only cuda-convnet2 has them",
)
criterion = refusal(
    "ModuleFromCriterion",
    why="it computes a training loss, which has no place at inference",
)
