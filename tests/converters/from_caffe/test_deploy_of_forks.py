"""Training definitions in the style of Caffe's forks: what remains for inference."""

from __future__ import annotations

from pathlib import Path

import pytest

import converters

BODY = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 8 FILLER kernel_size: 3 pad: 1 stride: 8 } }
"""
SSD = (
    """
layer { name: "data" type: "AnnotatedData" top: "data" top: "label" include { phase: TRAIN }
  transform_param { mirror: true mean_value: 104 mean_value: 117 mean_value: 123
    resize_param { prob: 1 resize_mode: WARP height: 300 width: 300 interp_mode: LINEAR interp_mode: AREA }
    emit_constraint { emit_type: CENTER }
    distort_param { brightness_prob: 0.5 brightness_delta: 32 contrast_prob: 0.5 contrast_lower: 0.5
      contrast_upper: 1.5 hue_prob: 0.5 hue_delta: 18 saturation_prob: 0.5 saturation_lower: 0.5
      saturation_upper: 1.5 random_order_prob: 0 }
    expand_param { prob: 0.5 max_expand_ratio: 4 } }
  data_param { source: "trainval_lmdb" batch_size: 32 backend: LMDB }
  annotated_data_param { batch_sampler { max_sample: 1 max_trials: 1 }
    batch_sampler { sampler { min_scale: 0.3 max_scale: 1 min_aspect_ratio: 0.5 max_aspect_ratio: 2 }
      sample_constraint { min_jaccard_overlap: 0.1 } max_sample: 1 max_trials: 50 }
    label_map_file: "labelmap_voc.prototxt" } }
layer { name: "data" type: "AnnotatedData" top: "data" top: "label" include { phase: TEST }
  transform_param { mean_value: 104 mean_value: 117 mean_value: 123
    resize_param { prob: 1 resize_mode: WARP height: 300 width: 300 interp_mode: LINEAR } }
  data_param { source: "test_lmdb" batch_size: 8 backend: LMDB }
  annotated_data_param { batch_sampler { } label_map_file: "labelmap_voc.prototxt" } }
"""
    + BODY
    + """
layer { name: "loc" type: "Convolution" bottom: "conv" top: "loc"
  convolution_param { num_output: 4 FILLER kernel_size: 1 } }
layer { name: "loc_perm" type: "Permute" bottom: "loc" top: "loc_perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc_perm" top: "loc_flat" }
layer { name: "conf" type: "Convolution" bottom: "conv" top: "conf"
  convolution_param { num_output: 2 FILLER kernel_size: 1 } }
layer { name: "conf_perm" type: "Permute" bottom: "conf" top: "conf_perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "conf_flat" type: "Flatten" bottom: "conf_perm" top: "conf_flat" }
layer { name: "priors" type: "PriorBox" bottom: "conv" bottom: "data" top: "priors"
  prior_box_param { min_size: 30 } }
layer { name: "mbox_loss" type: "MultiBoxLoss" bottom: "loc_flat" bottom: "conf_flat" bottom: "priors"
  bottom: "label" top: "mbox_loss" include { phase: TRAIN } loss_param { normalization: VALID }
  multibox_loss_param { loc_loss_type: SMOOTH_L1 conf_loss_type: SOFTMAX loc_weight: 1 num_classes: 2
    match_type: PER_PREDICTION code_type: CENTER_SIZE mining_type: MAX_NEGATIVE neg_pos_ratio: 3 } }
layer { name: "detection_out" type: "DetectionOutput" bottom: "loc_flat" bottom: "conf_flat"
  bottom: "priors" top: "detection_out" include { phase: TEST }
  detection_output_param { num_classes: 2 nms_param { nms_threshold: 0.45 top_k: 400 }
    save_output_param { output_directory: "results" output_format: "VOC" num_test_image: 4952 }
    code_type: CENTER_SIZE keep_top_k: 200 confidence_threshold: 0.01 } }
layer { name: "detection_eval" type: "DetectionEvaluate" bottom: "detection_out" bottom: "label"
  top: "detection_eval" include { phase: TEST }
  detection_evaluate_param { num_classes: 2 overlap_threshold: 0.5 name_size_file: "sizes.txt" } }
"""
)
DEEPLAB = (
    """
layer { name: "data" type: "ImageSegData" top: "data" top: "fc8_mat" top: "data_dim"
  transform_param { crop_size: 33 mean_value: 104 mean_value: 117 mean_value: 123 mirror: false }
  image_data_param { root_folder: "" source: "list/val.txt" batch_size: 1 label_type: NONE } }
"""
    + BODY
    + """
layer { name: "interp" type: "Interp" bottom: "conv" top: "interp" interp_param { zoom_factor: 8 } }
layer { name: "mat" type: "MatWrite" bottom: "interp" include { phase: TEST }
  mat_write_param { prefix: "features/fc8" source: "list/val_id.txt" strip: 0 period: 1 } }
layer { name: "silence" type: "Silence" bottom: "fc8_mat" bottom: "data_dim" include { phase: TEST } }
"""
)
RFCN = (
    'input: "data" input_shape { dim: 1 dim: 3 dim: 40 dim: 40 } '
    'input: "labels" input_shape { dim: 4 }\n'
    + BODY
    + """
layer { name: "scores" type: "InnerProduct" bottom: "conv" top: "scores"
  inner_product_param { num_output: 3 FILLER } }
layer { name: "loss" type: "SoftmaxWithLossOHEM" bottom: "scores" bottom: "labels" top: "loss" }
layer { name: "ohem" type: "BoxAnnotatorOHEM" bottom: "scores" bottom: "labels" top: "chosen"
  box_annotator_ohem_param { roi_per_img: 128 } }
"""
)


def convert(folder: Path, text: str) -> converters.ConversionReport:
    source = folder / "train_val.prototxt"
    source.write_text(text.replace("FILLER", 'weight_filler { type: "constant" }'))
    return converters.convert([source], folder / "net.onnx")


@pytest.mark.parametrize(
    ("text", "inputs", "outputs", "dropped"),
    [
        (SSD, {"data": "Nx3x300x300"}, ["detection_out"], ["AnnotatedData", "DetectionEvaluate"]),
        (DEEPLAB, {"data": "Nx3x33x33"}, ["interp"], ["ImageSegData", "MatWrite", "Silence"]),
        (RFCN, {"data": "Nx3x40x40"}, ["scores"], ["SoftmaxWithLossOHEM", "BoxAnnotatorOHEM"]),
    ],
)
def test_a_training_definition(
    tmp_path: Path, text: str, inputs: dict[str, str], outputs: list[str], dropped: list[str]
) -> None:
    report = convert(tmp_path, text)
    assert report.inputs == inputs
    assert list(report.outputs) == outputs
    assert [layer.type for layer in report.dropped] == dropped


def test_preprocessing_of_ssd(tmp_path: Path) -> None:
    preprocessing = convert(tmp_path, SSD).preprocessing
    assert preprocessing is not None
    assert (preprocessing["resize"], preprocessing["mean"]) == ([300, 300], [104, 117, 123])
