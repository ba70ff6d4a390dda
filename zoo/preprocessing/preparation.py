"""A preparation of images in the terms of the tools that do it, for code that works without the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from converters import ImagePreparation
from zoo.preprocessing.registry import resolve

if TYPE_CHECKING:
    from zoo.preprocessing.settings import Preprocessing


def image_preparation(preprocessing: Preprocessing, meant_for: str | None = None) -> ImagePreparation | None:
    """The settings as `converters.ImagePreparation`; None where the flavour has no such terms.

    A mean image is not part of it: the mean is None then.

    meant_for: as for `zoo.preprocessing.preprocessor`.
    """
    flavour = resolve(preprocessing.flavour)
    net_flavour = flavour if meant_for is None else resolve(meant_for)
    steps = flavour.steps()
    if steps is None:
        return None
    return ImagePreparation(
        crop=preprocessing.crop,
        channels=net_flavour.channels,
        white=255 if net_flavour.normalisation_max_value == 255 else 1,
        mean=preprocessing.mean,
        std=preprocessing.std,
        scale=preprocessing.scale,
        **steps,
    )
