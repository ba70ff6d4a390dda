"""Named flavours of preprocessing, each exact to the tool that a published number was measured with.

    prepare = preprocessor(manifest.preprocessing)      # checks the settings, once
    batch[i] = prepare(path.read_bytes())               # (3, crop, crop) float32

A flavour's name is its family and the size that images are resized to: "caffe-warp256". A new family is one
module with a subclass of `Flavour` and one row in `FAMILIES`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.errors import DataError, UsageError
from zoo.preprocessing.caffe import CaffeShort, CaffeStored, CaffeWarp
from zoo.preprocessing.decode import Picture
from zoo.preprocessing.flavour import Flavour, Float32, Normalisation, Pixels
from zoo.preprocessing.mean_image import read_mean_image
from zoo.preprocessing.pil_bicubic_short import PilBicubicShort
from zoo.preprocessing.torch7_bicubic import Torch7Bicubic

if TYPE_CHECKING:
    from zoo.datasets import Stored
    from zoo.manifest import Preprocessing

__all__ = [
    "FAMILIES",
    "Flavour",
    "Normalisation",
    "Picture",
    "Preprocessor",
    "preprocessor",
    "problems",
    "resolve",
]

FAMILIES: dict[str, type[Flavour]] = {
    cls.family: cls for cls in (CaffeWarp, CaffeShort, CaffeStored, Torch7Bicubic, PilBicubicShort)
}
# Larger than any classification net's input; a typing error must not allocate gigabytes.
LARGEST_SIZE = 4096


@dataclass(frozen=True, slots=True)
class Preprocessor:
    """A flavour with its numbers: both stages in one call."""

    flavour: Flavour
    numbers: Normalisation

    def __call__(self, content: bytes | Picture | Stored) -> Float32:
        """The net's input for one image: (channels, crop, crop) float32; DataError as in the stages."""
        return self.finish(self.resize_window(Picture(content) if isinstance(content, bytes) else content))

    def resize(self, content: Picture | Stored) -> Pixels:
        """Stage 1; DataError as in `decode` and `Flavour.scale`. Packed pixels have it behind them."""
        if not isinstance(content, Picture) and content.flavour == self.flavour.name:
            return content.pixels
        return self.flavour.scale(self.decode(content))

    def resize_window(self, content: Picture | Stored) -> Pixels:
        """What stage 2 needs of stage 1; DataError as in `decode` and `Flavour.scale_window`."""
        if isinstance(content, Picture):
            return self.flavour.scale_window(self.decode(content), self.numbers.crop)
        return self.resize(content)

    def decode(self, content: Picture | Stored) -> Pixels:
        """Decoded pixels: (height, width, channels).

        Raises:
            DataError: no image, or stored pixels that the flavour's tool could not have started from.
        """
        if isinstance(content, Picture):
            return self.flavour.decode(content)
        if content.flavour is not None:
            raise DataError(f"packed by {content.flavour}, of which {self.flavour.name} cannot be made")
        if not self.flavour.takes_pixels:
            raise DataError(
                f"stored as pixels, which {self.flavour.name} does not start from; "
                "use caffe-stored, or the image files"
            )
        return content.pixels

    def finish(self, resized: Pixels) -> Float32:
        """Stage 2."""
        return self.flavour.finish(resized, self.numbers)


def resolve(name: str) -> Flavour:
    """The flavour called `name`, such as "caffe-warp256". UsageError lists what there is."""
    match = re.fullmatch(r"(.*?[^0-9])([1-9][0-9]{0,5})?", name)
    family = FAMILIES.get(match[1]) if match else None
    if match is None or family is None or family.has_size != bool(match[2]):
        known = [f"{family}256" if cls.has_size else family for family, cls in FAMILIES.items()]
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]}? " if close else ""
        raise UsageError(
            f"no preprocessing flavour is called '{name}': {advice}"
            f"there are {', '.join(known)}, with any size to resize to"
        )
    size = int(match[2] or 0)
    if size > LARGEST_SIZE:
        raise UsageError(f"preprocessing flavour '{name}' resizes to more than {LARGEST_SIZE} pixels")
    return family(size)


def preprocessor(
    preprocessing: Preprocessing, mean_image: Path | None = None, meant_for: str | None = None
) -> Preprocessor:
    """A manifest's preprocessing, ready to run.

    mean_image: the file to subtract, where the settings ask for one (.npy or .binaryproto).
    meant_for: the flavour that the net and its mean, std and scale are made for, where images come by
        another one: its channel order and its white are then restored. None: the flavour itself.

    Raises:
        UsageError: the settings make no sense together, or ask for what the flavour does not do.
        DataError: the mean image cannot be read or has another size than the resized images.
    """
    for _, problem in problems(preprocessing, meant_for):
        raise UsageError(problem)
    flavour = resolve(preprocessing.flavour)
    numbers_of = flavour if meant_for is None else resolve(meant_for)
    crop = preprocessing.crop
    mean = _per_channel(preprocessing.mean)
    if preprocessing.mean_image:
        mean = _mean_image(mean_image, flavour, numbers_of, crop)
    return Preprocessor(
        flavour,
        Normalisation(
            crop=crop,
            mean=mean,
            std=_per_channel(preprocessing.std),
            scale=np.float32(preprocessing.scale),
            flip=flavour.channels != numbers_of.channels,
            times=np.float32(max(1, numbers_of.numbers_white // flavour.white)),
            over=np.float32(max(1, flavour.white // numbers_of.numbers_white)),
        ),
    )


def problems(preprocessing: Preprocessing, meant_for: str | None = None) -> Iterator[tuple[str, str]]:
    """What in the settings makes no sense together, or is not what the flavour does: setting and sentence."""
    try:
        flavour = resolve(preprocessing.flavour)
        numbers_of = flavour if meant_for is None else resolve(meant_for)
    except UsageError as error:
        yield "flavour", str(error)
        return
    crop = preprocessing.crop
    if flavour.has_size and crop > flavour.size:
        yield "crop", f"a window of {crop} pixels does not fit into an image resized by {flavour.name}"
    if preprocessing.std is not None and not numbers_of.takes_std:
        yield "std", f"{numbers_of.name} divides by no std; give scale instead"
    if preprocessing.scale != 1 and not numbers_of.takes_scale:
        yield "scale", f"{numbers_of.name} knows no scale; give std instead"
    if not isfinite(preprocessing.scale) or preprocessing.scale == 0:
        yield "scale", f"scale must be a number other than 0, not {preprocessing.scale}"
    for what, values in (("mean", preprocessing.mean), ("std", preprocessing.std)):
        # Image files have three channels; stored pixels may have any number.
        if values is not None and (
            not values or (flavour.has_size and len(values) not in (1, 3)) or not all(map(isfinite, values))
        ):
            yield what, f"{what} takes one number or three (one per channel), not {values}"
    if any(value <= 0 for value in preprocessing.std or ()):
        yield "std", f"std must be positive, not {preprocessing.std}"
    if preprocessing.mean_image and not numbers_of.takes_mean_image:
        yield "mean_image", f"{numbers_of.name} subtracts no mean image; give mean values instead"


def _per_channel(values: list[float] | None) -> Float32 | None:
    """(channels, 1, 1); one value stands for all channels, as in Caffe."""
    return None if values is None else np.array(values, np.float32).reshape(-1, 1, 1)


def _mean_image(path: Path | None, flavour: Flavour, numbers_of: Flavour, crop: int) -> Float32:
    """The mean image, cut to the crop window where that is at the same place in all images.

    Under another flavour than the one it is made for, its own centre window is subtracted.
    """
    if path is None:
        raise UsageError(
            "the preprocessing subtracts a mean image, but no file with it was given: --mean FILE names it "
            "(.npy or .binaryproto), --mean N,N,N subtracts one number per channel instead"
        )
    mean = read_mean_image(path, numbers_of.size if numbers_of.is_square else None)
    if not flavour.is_square and flavour.name == numbers_of.name:
        return mean
    rows, columns = numbers_of.window(mean.shape[1], mean.shape[2], crop)
    return mean[:, rows, columns]
