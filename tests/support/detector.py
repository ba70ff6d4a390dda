"""A detector whose every box is known beforehand: it finds the cells of a 4x4 grid that are green."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from caffemodel_writer import write_caffemodel

# The input is 32x32, a cell 8x8; a box is the cell it is found in.
SIDE, CELLS = 32, 4
PROTOTXT = """
name: "green-cells"
input: "data" input_shape { dim: 1 dim: 3 dim: 32 dim: 32 }
layer { name: "cells" type: "Pooling" bottom: "data" top: "cells"
  pooling_param { pool: AVE kernel_size: 8 stride: 8 } }
layer { name: "loc" type: "Convolution" bottom: "cells" top: "loc"
  convolution_param { num_output: 4 kernel_size: 1 } }
layer { name: "loc_perm" type: "Permute" bottom: "loc" top: "loc_perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "loc_flat" type: "Flatten" bottom: "loc_perm" top: "loc_flat" }
layer { name: "conf" type: "Convolution" bottom: "cells" top: "conf"
  convolution_param { num_output: 3 kernel_size: 1 } }
layer { name: "conf_perm" type: "Permute" bottom: "conf" top: "conf_perm"
  permute_param { order: 0 order: 2 order: 3 order: 1 } }
layer { name: "conf_rows" type: "Reshape" bottom: "conf_perm" top: "conf_rows"
  reshape_param { shape { dim: 0 dim: -1 dim: 3 } } }
layer { name: "conf_soft" type: "Softmax" bottom: "conf_rows" top: "conf_soft" softmax_param { axis: 2 } }
layer { name: "conf_flat" type: "Flatten" bottom: "conf_soft" top: "conf_flat" }
layer { name: "priors" type: "PriorBox" bottom: "cells" bottom: "data" top: "priors"
  prior_box_param { min_size: 8 step: 8 } }
layer { name: "detection_out" type: "DetectionOutput" bottom: "loc_flat" bottom: "conf_flat" bottom: "priors"
  top: "detection_out" detection_output_param { num_classes: 3 nms_param { nms_threshold: 0.45 top_k: 400 }
    code_type: CENTER_SIZE keep_top_k: 200 confidence_threshold: 0.1 } }
"""
# Class 1 is "green", class 2 is "blue"; a mean of 127 and a scale of 1/127 come before.
WEIGHT = 6.0


def write_detector(folder: Path) -> list[Path]:
    """net.prototxt and net.caffemodel."""
    conf = np.zeros((3, 3, 1, 1), np.float32)
    conf[1, :, 0, 0] = -WEIGHT, WEIGHT, -WEIGHT
    conf[2, :, 0, 0] = WEIGHT, -WEIGHT, -WEIGHT
    layers = {
        "loc": [np.zeros((4, 3, 1, 1), np.float32), np.zeros(4, np.float32)],
        "conf": [conf, np.float32([0, -15, -15])],
    }
    definition = folder / "net.prototxt"
    definition.write_text(PROTOTXT, encoding="utf-8")
    return [definition, write_caffemodel(folder / "net.caffemodel", layers)]


def score(pixel: tuple[int, int, int], label: int, mean: float = 127.0, scale: float = 1 / 127) -> float:
    """The score of a cell of one colour, BGR, for class 1 or 2."""
    b, g, r = ((value - mean) * scale for value in pixel)
    green, blue = WEIGHT * (g - b - r) - 15, WEIGHT * (b - g - r) - 15
    total = 1 + math.exp(green) + math.exp(blue)
    return math.exp({1: green, 2: blue}[label]) / total


def grid_image(cell: tuple[int, int], colours: dict[tuple[int, int], tuple[int, int, int]]) -> np.ndarray:
    """An image of 4x4 cells of (height, width) pixels, black but for the cells (row, column) in `colours`."""
    image = np.zeros((CELLS * cell[0], CELLS * cell[1], 3), np.uint8)
    for (row, column), colour in colours.items():
        image[row * cell[0] : (row + 1) * cell[0], column * cell[1] : (column + 1) * cell[1]] = colour
    return image
