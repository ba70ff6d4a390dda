"""The layer types of V0 and V1 definitions, and what became of them and their fields."""

from __future__ import annotations

# V1LayerParameter.LayerType -> the type string of the current form.
V1_TYPES = {
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}

_V0_CONVOLUTION = {
    "num_output": "convolution_param.num_output",
    "biasterm": "convolution_param.bias_term",
    "weight_filler": "convolution_param.weight_filler",
    "bias_filler": "convolution_param.bias_filler",
    "pad": "convolution_param.pad",
    "kernelsize": "convolution_param.kernel_size",
    "group": "convolution_param.group",
    "stride": "convolution_param.stride",
}
_V0_TRANSFORM = {"scale": "scale", "meanfile": "mean_file", "cropsize": "crop_size", "mirror": "mirror"}


def _v0_source(param: str, **fields: str) -> dict[str, str]:
    shared = {"source": "source", "batchsize": "batch_size", **_V0_TRANSFORM, **fields}
    return {old: f"{param}.{new}" for old, new in shared.items()}


# V0 type string -> (V1 type, {V0 field: path of the V1 field}).
V0_TYPES: dict[str, tuple[str, dict[str, str]]] = {
    "accuracy": ("ACCURACY", {}),
    "bnll": ("BNLL", {}),
    "concat": ("CONCAT", {"concat_dim": "concat_param.concat_dim"}),
    "conv": ("CONVOLUTION", _V0_CONVOLUTION),
    "data": ("DATA", _v0_source("data_param", rand_skip="rand_skip")),
    "dropout": ("DROPOUT", {"dropout_ratio": "dropout_param.dropout_ratio"}),
    "euclidean_loss": ("EUCLIDEAN_LOSS", {}),
    "flatten": ("FLATTEN", {}),
    "hdf5_data": (
        "HDF5_DATA",
        {"source": "hdf5_data_param.source", "batchsize": "hdf5_data_param.batch_size"},
    ),
    "hdf5_output": ("HDF5_OUTPUT", {"hdf5_output_param": "hdf5_output_param"}),
    "im2col": ("IM2COL", _V0_CONVOLUTION),
    "images": (
        "IMAGE_DATA",
        _v0_source(
            "image_data_param",
            rand_skip="rand_skip",
            shuffle_images="shuffle",
            new_height="new_height",
            new_width="new_width",
        ),
    ),
    "infogain_loss": ("INFOGAIN_LOSS", {"source": "infogain_loss_param.source"}),
    "innerproduct": (
        "INNER_PRODUCT",
        {
            "num_output": "inner_product_param.num_output",
            "biasterm": "inner_product_param.bias_term",
            "weight_filler": "inner_product_param.weight_filler",
            "bias_filler": "inner_product_param.bias_filler",
        },
    ),
    "lrn": (
        "LRN",
        {
            "local_size": "lrn_param.local_size",
            "alpha": "lrn_param.alpha",
            "beta": "lrn_param.beta",
            "k": "lrn_param.k",
        },
    ),
    "multinomial_logistic_loss": ("MULTINOMIAL_LOGISTIC_LOSS", {}),
    "pool": (
        "POOLING",
        {
            "pool": "pooling_param.pool",
            "pad": "pooling_param.pad",
            "kernelsize": "pooling_param.kernel_size",
            "stride": "pooling_param.stride",
        },
    ),
    "relu": ("RELU", {}),
    "sigmoid": ("SIGMOID", {}),
    "softmax": ("SOFTMAX", {}),
    "softmax_loss": ("SOFTMAX_LOSS", {}),
    "split": ("SPLIT", {}),
    "tanh": ("TANH", {}),
    "window_data": (
        "WINDOW_DATA",
        _v0_source(
            "window_data_param",
            det_fg_threshold="fg_threshold",
            det_bg_threshold="bg_threshold",
            det_fg_fraction="fg_fraction",
            det_context_pad="context_pad",
            det_crop_mode="crop_mode",
        ),
    ),
}
# Fields of V0LayerParameter that every type has: the layer's own, and those for training.
V0_GENERAL_FIELDS = {"name", "type", "blobs", "blobs_lr", "weight_decay"}
