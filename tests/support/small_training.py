"""A training of seconds: three classes of coloured noise, a net of a few hundred weights, a short recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np

from zoo.datasets import Dataset, open_dataset
from zoo.evaluation.settings import Settings
from zoo.preprocessing.settings import Preprocessing
from zoo.training.job import TrainingJob
from zoo.training.net import Source
from zoo.training.recipe import Recipe

CLASSES = 3
DEFINITION = """
name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
  num_output: 6 kernel_size: 3 weight_filler { type: "msra" } } }
NORM
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "drop" type: "Dropout" bottom: "conv" top: "conv" dropout_param { dropout_ratio: 0.25 } }
layer { name: "fc" type: "InnerProduct" bottom: "conv" top: "fc" inner_product_param {
  num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" }
"""
NORM = """
layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
"""
# A recipe file with one epoch a phase, for nets of any kind.
SHORT_RECIPE = """
schema_version = 1
title = "short"
source = "a test"
seeds = [1, 2]
batch_size = 8
[augmentation]
crop = "random"
[pruning]
sparsity = 0.5
[dense]
epochs = 1
learning_rate = { policy = "fixed", base = 0.05 }
[sparse]
epochs = 1
learning_rate = { policy = "fixed", base = 0.02 }
[redense]
epochs = 1
learning_rate = { policy = "fixed", base = 0.01 }
"""
RECIPE: dict[str, Any] = {
    "schema_version": 1,
    "title": "small",
    "source": "a test",
    "seeds": [3],
    "batch_size": 7,
    "weight_decay": 0.01,
    "augmentation": {"crop": "random", "mirror": True},
    "pruning": {"sparsity": 0.4},
    "dense": {"epochs": 2, "learning_rate": {"policy": "fixed", "base": 0.05}},
    "sparse": {"epochs": 2, "learning_rate": {"policy": "poly", "base": 0.02}},
    "redense": {"epochs": 1, "learning_rate": {"policy": "fixed", "base": 0.005}},
}
PREPROCESSING = Preprocessing(flavour="caffe-warp10", crop=8, mean=[127.0], scale=0.0078125)


def write_definition(path: Path, *, norm: bool = True) -> Path:
    path.write_text(DEFINITION.replace("NORM", NORM if norm else ""))
    return path


def write_images(folder: Path, count: int, seed: int = 0) -> Path:
    """Noise with one channel of three brighter: which, is the class."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    lines = []
    for k in range(count):
        image = rng.integers(0, 160, (12, 12, 3), np.uint8)
        image[..., k % CLASSES] += 60
        (folder / f"{k:03}.png").write_bytes(cv2.imencode(".png", image)[1].tobytes())
        lines.append(f"{k:03}.png {k % CLASSES}\n")
    (folder / "labels.txt").write_text("".join(lines))
    return folder


def small_recipe(**changes: Any) -> Recipe:
    return Recipe.model_validate({**RECIPE, **changes})


def small_data(tmp_path: Path, count: int = 24) -> tuple[Dataset, Dataset]:
    """Training and test images, opened."""
    return (
        open_dataset(write_images(tmp_path / "images", count)),
        open_dataset(write_images(tmp_path / "test", 15, seed=1)),
    )


def small_job(tmp_path: Path, *, norm: bool = True, **changes: Any) -> TrainingJob:
    """The training in a folder that is made for it."""
    definition = write_definition(tmp_path / "small.prototxt", norm=norm)
    data, test = small_data(tmp_path)
    values: dict[str, Any] = {
        "name": "small",
        "source": Source([definition]),
        "hashes": {definition.name: "0" * 64},
        "settings": Settings(PREPROCESSING),
        "data": data,
        "test": test,
        "recipe": small_recipe(),
    }
    return TrainingJob(**{**values, **changes})
