"""Named flavours of preprocessing. Each gives exactly what the tool behind a published number gave.

    prepare = preprocessor(manifest.preprocessing)      # checks the settings, once
    batch[i] = prepare(path.read_bytes())               # (3, crop, crop) float32

A flavour's name is its family and the size that images are resized to: "caffe-warp256". A new family is one
module in `zoo/preprocessing/flavours`.
"""

from __future__ import annotations

from zoo.preprocessing.decode import EncodedImage
from zoo.preprocessing.flavour import Flavour
from zoo.preprocessing.normalisation import Normalisation
from zoo.preprocessing.preprocessor import Preprocessor, preprocessor
from zoo.preprocessing.registry import (
    all_flavours,
    problems,
    register_flavour,
    resizing_flavours,
    resolve,
)

__all__ = [
    "EncodedImage",
    "Flavour",
    "Normalisation",
    "Preprocessor",
    "all_flavours",
    "preprocessor",
    "problems",
    "register_flavour",
    "resizing_flavours",
    "resolve",
]
