"""A preparation of images in the terms of the tools that do it, for code that works without the zoo."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from converters import ImagePreparation
from zoo.preprocessing.registry import all_flavours, resolve

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


def settings_of(preparation: ImagePreparation) -> dict[str, Any] | None:
    """The settings, as in `Preprocessing`, that have this preparation; None if no flavour has it."""
    for family in all_flavours().values():
        flavour = family(preparation.size or 0)
        steps = flavour.steps()
        if steps is None or any(getattr(preparation, name) != value for name, value in steps.items()):
            continue
        if (preparation.resize is None) == flavour.has_size or preparation.square != steps.get(
            "square", False
        ):
            continue
        white = flavour.normalisation_max_value
        if (preparation.channels, preparation.white) == (flavour.channels, white):
            return {
                "flavour": flavour.name,
                "crop": preparation.crop,
                "mean": None if preparation.mean is None else list(preparation.mean),
                "std": None if preparation.std is None else list(preparation.std),
                "scale": preparation.scale,
            }
    return None
