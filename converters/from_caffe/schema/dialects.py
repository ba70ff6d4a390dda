"""Where forks of Caffe keep a layer's parameters on the wire, beside BVLC's own numbers.

A field number of LayerParameter means different things in different forks, so it is looked up by the layer's
type: of a Permute layer, only the numbers at which some fork declares `permute_param` can be its parameters.
"""

from __future__ import annotations

FORK_NUMBERS: dict[str, frozenset[int]] = {
    name: frozenset(numbers)
    for name, numbers in {
        "accum_param": (160,),
        "axpy_param": (151, 210),
        "batch_reduction_param": (162,),
        "bias_param": (161,),
        "bn_param": (45, 137, 152, 200),
        "channel_shuffle_param": (164,),
        "clip_param": (2202,),
        "continuation_indicator_param": (201,),
        "convolution3d_param": (147,),
        "correlation_param": (150, 219),
        "ctc_decoder_param": (149, 158),
        "dense_image_data_param": (46, 138),
        "denseblock_param": (147,),
        "detection_output_param": (147, 204, 211),
        "downsample_param": (156,),
        "flow_warp_param": (159, 221),
        "im2seq_param": (207,),
        "interp_param": (143, 162, 166, 205, 217, 2210),
        "lstm_param": (210, 8266711),
        "mean_param": (154,),
        "norm_param": (134, 149, 204, 206),
        "normalize_param": (214,),
        "permute_param": (148, 154, 202, 224),
        "prior_box_param": (150, 203, 212),
        "proposal_param": (201, 219, 1200, 8266713),
        "psroi_pooling_param": (149, 153, 207, 220, 10001, 10002),
        "recurrent_param": (151,),
        "relu6_param": (208, 211, 216, 100000),
        "reorg_param": (147, 149, 159),
        "resample_param": (155, 220),
        "reshape_param": (136,),
        "reverse_param": (160,),
        "reverse_time_param": (161,),
        "roi_align_param": (148,),
        "roi_pooling_param": (147, 150, 154, 204, 208, 212, 1201, 2201, 8266711),
        "scale_param": (160,),
        "shuffle_channel_param": (145, 164, 212, 213, 224),
        "spatial_dropout_param": (155,),
        "tile_param": (135,),
        "transpose_param": (8266710,),
        "upsample_param": (137, 147, 149, 150, 211, 2203),
        "yolo_detection_output_param": (601,),
        "yolov3_detection_output_param": (602, 603),
    }.items()
}

# Numeric and text fields at these numbers choose devices, element types and engines; no fork computes
# something else by them.
SETTINGS = frozenset({*range(12, 21), 95, 96, 97, *range(145, 151)})
