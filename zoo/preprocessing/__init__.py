"""Named flavours of preprocessing, each exact to the tool that a published number was measured with.

    prepare = preprocessor(manifest.preprocessing)      # checks the settings, once
    batch[i] = prepare(path.read_bytes())               # (3, crop, crop) float32

A flavour's name is its family and the size that images are resized to: "caffe-warp256". A new family is one
module with a subclass of `Flavour` and one row in `FAMILIES`.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import UsageError
from zoo.preprocessing.caffe_warp import CaffeWarp
from zoo.preprocessing.flavour import Flavour, Float32, Normalisation
from zoo.preprocessing.mean_image import read_mean_image
from zoo.preprocessing.torch7_bicubic import Torch7Bicubic

if TYPE_CHECKING:
    from zoo.manifest import Preprocessing

__all__ = ["FAMILIES", "Flavour", "Normalisation", "Preprocessor", "preprocessor", "resolve"]

FAMILIES: dict[str, type[Flavour]] = {cls.family: cls for cls in (CaffeWarp, Torch7Bicubic)}
# Larger than any classification net's input; a typing error must not allocate gigabytes.
LARGEST_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """A flavour with its numbers: both stages in one call."""

    flavour: Flavour
    numbers: Normalisation

    def __call__(self, data: bytes) -> Float32:
        """The net's input for one encoded image: (3, crop, crop) float32; DataError as in the stages."""
        return self.flavour.finish(self.flavour.resize(data), self.numbers)


def resolve(name: str) -> Flavour:
    """The flavour called `name`, such as "caffe-warp256". UsageError lists what there is."""
    match = re.fullmatch(r"(.*?[^0-9])([1-9][0-9]{0,5})", name)
    family = FAMILIES.get(match[1]) if match else None
    if match is None or family is None:
        known = [f"{family}256" for family in FAMILIES]
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]}? " if close else ""
        raise UsageError(
            f"no preprocessing flavour is called '{name}': {advice}"
            f"flavours are {' and '.join(FAMILIES)}, each followed by the size to resize to"
        )
    if int(match[2]) > LARGEST_SIZE:
        raise UsageError(f"preprocessing flavour '{name}' resizes to more than {LARGEST_SIZE} pixels")
    return family(int(match[2]))


def preprocessor(preprocessing: Preprocessing, mean_image: Path | None = None) -> Preprocessor:
    """A manifest's preprocessing, ready to run. `mean_image` is the file to subtract, where it asks for one.

    Raises:
        UsageError: the settings make no sense together, or ask for what the flavour does not do.
        DataError: the mean image cannot be read or has another size than the resized images.
    """
    flavour = resolve(preprocessing.flavour)
    crop = preprocessing.crop
    if crop > flavour.size:
        raise UsageError(f"a window of {crop} pixels does not fit into an image resized by {flavour.name}")
    if preprocessing.std is not None and not flavour.takes_std:
        raise UsageError(f"{flavour.name} divides by no std; give scale instead")
    if preprocessing.scale != 1 and not flavour.takes_scale:
        raise UsageError(f"{flavour.name} knows no scale; give std instead")
    std = _per_channel("std", preprocessing.std)
    if std is not None and not (std > 0).all():
        raise UsageError(f"std must be positive, not {preprocessing.std}")
    mean = _per_channel("mean", preprocessing.mean)
    if preprocessing.mean_image:
        mean = _window(mean_image, flavour, crop)
    return Preprocessor(flavour, Normalisation(crop, mean, std, np.float32(preprocessing.scale)))


def _per_channel(what: str, values: list[float] | None) -> Float32 | None:
    """(3, 1, 1), one value standing for all channels as in Caffe."""
    if values is None:
        return None
    if len(values) not in (1, 3) or not np.isfinite(values).all():
        raise UsageError(f"{what} takes one number or three (one per channel), not {values}")
    return np.broadcast_to(np.array(values, np.float32).reshape(-1, 1, 1), (3, 1, 1))


def _window(path: Path | None, flavour: Flavour, crop: int) -> Float32:
    """The mean image's part under the crop window, as Caffe's DataTransformer subtracts it."""
    if not flavour.takes_mean_image:
        raise UsageError(f"{flavour.name} subtracts no mean image; give mean values instead")
    if path is None:
        raise UsageError("the preprocessing subtracts a mean image, but no file with it was given")
    start = flavour.offset(flavour.size, crop)
    return read_mean_image(path, flavour.size)[:, start : start + crop, start : start + crop]
