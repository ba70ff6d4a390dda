"""Classes that are known and not converted, each with the reason."""

from __future__ import annotations

from converters.from_torch7.registry import unsupported

fractional_pooling = unsupported(
    "SpatialFractionalMaxPooling",
    "VolumetricFractionalMaxPooling",
    reason="its pooling regions are random, in evaluation too",
)
recurrent = unsupported(
    "cudnn.RNN",
    "cudnn.RNNReLU",
    "cudnn.RNNTanh",
    "cudnn.LSTM",
    "cudnn.GRU",
    "cudnn.BLSTM",
    "cudnn.BGRU",
    reason="its weights are in a layout known only to the cuDNN version that wrote them",
)
divisive = unsupported(
    "cudnn.SpatialDivisiveNormalization",
    reason="it differs from nn's class of that name and has no counterpart outside cuDNN",
)
batch_last = unsupported(
    "ccn2.SpatialConvolution",
    "ccn2.SpatialConvolutionLocal",
    "ccn2.SpatialMaxPooling",
    "ccn2.SpatialAvgPooling",
    "ccn2.SpatialCrossMaxPooling",
    "ccn2.SpatialCrossResponseNormalization",
    reason="the batch is the last dimension of its maps, which only cuda-convnet2 does",
)
language_model = unsupported(
    "LanguageModel",
    reason="it keeps its state from one call to the next, as torch-rnn samples text; its layers are in `net`",
)
criterion = unsupported(
    "ModuleFromCriterion",
    reason="it computes a training loss, which has no place at inference",
)
