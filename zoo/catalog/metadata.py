"""The metadata of a converted net: what the manifest of its model says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.bundled import LABEL_ORDERS
from zoo.preprocessing.registry import resolve

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest
    from zoo.preprocessing.settings import Preprocessing

# What SSD and its relatives take: the whole image, warped to a square.
DETECTION = frozenset({"object-detection", "face-detection"})


def metadata_of(manifest: Manifest, *, embedded: bool = False) -> dict[str, Any]:
    """What travels in a converted net: the task, how its input is made, claims, labels, licence, citation.

    `preprocessing` is None, and `inputs` say what is known, where no flavour of the zoo makes the input.
    `channel_order` ("BGR") and `value_range` (lowest and highest value of a pixel before mean and scale) are
    those of the image that the net takes; None where no source tells them.
    `preparation` is the same as a `converters.ImagePreparation`, from which net.py gets `preprocess(image)`;
    None where a mean image is subtracted outside of the net. `labels` are the names of the classes in the
    order of the outputs; None where that is not known.

    embedded: whether the net itself subtracts the mean.
    """
    claims = [
        claim.model_dump(include={"metric", "n", "correct", "percent", "published", "source"})
        for claim in manifest.claims
    ]
    return {
        "model": manifest.name,
        "task": manifest.task,
        "preprocessing": None if manifest.preprocessing is None else manifest.preprocessing.model_dump(),
        "preparation": _preparation(manifest, embedded),
        **_pixels(manifest),
        "inputs": [given.model_dump(exclude_none=True) for given in manifest.inputs],
        "outputs": [output.model_dump(exclude_none=True) for output in manifest.outputs],
        "claims": claims,
        "labels": label_names(manifest),
        "licence": manifest.license.name,
        "citation": manifest.citation,
    }


def image_settings(manifest: Manifest) -> Preprocessing | None:
    """How an image becomes the only input of a model: as stated, or as its task and its [[inputs]] tell.

    A net that finds objects and states a square image with its mean takes whole images, warped to that
    square: its boxes are shares of width and height. None for all others.
    """
    from zoo.preprocessing.settings import Preprocessing

    if manifest.preprocessing is not None or manifest.task not in DETECTION or len(manifest.inputs) != 1:
        return manifest.preprocessing
    (given,) = manifest.inputs
    if (
        given.mean is None
        or (given.layout, given.channels, given.range) != ("CHW", "BGR", [0, 255])
        or given.shape is None
        or given.shape[1] != given.shape[2]
    ):
        return None
    size = given.shape[1]
    return Preprocessing(
        flavour=f"caffe-warp{size}",
        crop=size,
        mean=given.mean,
        scale=1.0 if given.scale is None else given.scale,
    )


def _pixels(manifest: Manifest) -> dict[str, Any]:
    """Channel order and range of the pixels: those of the flavour, or of the only input of the manifest."""
    if manifest.preprocessing is not None:
        flavour = resolve(manifest.preprocessing.flavour)
        shape = manifest.image_shape
        in_colour = shape is None or shape[0] == len(flavour.channels)
        order = flavour.channels if in_colour else None
        return {"channel_order": order, "value_range": [0, flavour.normalisation_max_value]}
    if len(manifest.inputs) != 1:
        return {"channel_order": None, "value_range": None}
    (given,) = manifest.inputs
    return {"channel_order": given.channels, "value_range": given.range}


def label_names(manifest: Manifest) -> list[str] | None:
    """The names of the classes in the order of the outputs; None where that is not known."""
    return None if manifest.label_order is None else LABEL_ORDERS[manifest.label_order].class_names()


def _preparation(manifest: Manifest, embedded: bool) -> dict[str, Any] | None:
    from zoo.preprocessing.preparation import image_preparation

    settings = image_settings(manifest)
    if settings is None or (settings.mean_image and not embedded):
        return None
    found = image_preparation(settings)
    return None if found is None else found.to_dict()
