"""The metadata of a converted net: what the manifest of its model says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zoo.bundled import LABEL_ORDERS
from zoo.preprocessing.registry import resolve

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest


def metadata_of(manifest: Manifest) -> dict[str, Any]:
    """What travels in a converted net: the task, how its input is made, claims, labels, licence, citation.

    `preprocessing` is None, and `inputs` say what is known, where no flavour of the zoo makes the input.
    `channel_order` ("BGR") and `value_range` (lowest and highest value of a pixel before mean and scale) are
    those of the image that the net takes; None where no source tells them.
    `labels` are the names of the classes in the order of the outputs; None where that is not known.
    """
    claims = [
        claim.model_dump(include={"metric", "n", "correct", "percent", "published", "source"})
        for claim in manifest.claims
    ]
    return {
        "model": manifest.name,
        "task": manifest.task,
        "preprocessing": None if manifest.preprocessing is None else manifest.preprocessing.model_dump(),
        **_pixels(manifest),
        "inputs": [given.model_dump(exclude_none=True) for given in manifest.inputs],
        "outputs": [output.model_dump(exclude_none=True) for output in manifest.outputs],
        "claims": claims,
        "labels": _label_names(manifest),
        "licence": manifest.license.name,
        "citation": manifest.citation,
    }


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


def _label_names(manifest: Manifest) -> list[str] | None:
    return None if manifest.label_order is None else LABEL_ORDERS[manifest.label_order].class_names()
