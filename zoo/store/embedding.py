"""How images become the input of a net that is to prepare them itself (`--embed-preprocessing`)."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import converters
from zoo.catalog.metadata import image_settings
from zoo.errors import UsageError
from zoo.preprocessing import resolve
from zoo.preprocessing.mean_image import read_mean_image
from zoo.preprocessing.missing_mean import require_mean
from zoo.preprocessing.preparation import image_preparation, settings_of
from zoo.preprocessing.registry import problems
from zoo.preprocessing.settings import Preprocessing, carried_settings, settings

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir
    from numpy.typing import NDArray

    from zoo.catalog.manifest import Manifest
    from zoo.store.known_net import KnownNet

# The options that say how images are prepared.
SETTINGS = ("flavour", "crop", "mean", "std", "scale")
IMAGE_AXES = 4


@dataclass(frozen=True, slots=True)
class Embedding:
    """What is embedded.

    preprocessing: as in the metadata of a net, completed by the options. preparation: the same in the terms
    of `converters.ImagePreparation`. mean_image: (channels, height, width).
    input_shapes: those that a net gets whose height and width are open.
    """

    preprocessing: dict[str, Any]
    preparation: dict[str, Any]
    mean_image: NDArray[np.float32] | None
    input_shapes: dict[str, tuple[int | str, ...]] | None


def full_embedding(
    sources: Sequence[Path],
    manifest: Manifest | None,
    known: KnownNet | None,
    chosen: Mapping[str, Any],
    mean_image: Path | None,
    options: Mapping[str, Any],
) -> Embedding:
    """What `--embed-preprocessing full` embeds into the net of `sources`.

    manifest, known: the model that it is, if it is one.
    chosen: those of `SETTINGS` that were chosen; `mean` without numbers: none is subtracted.
    mean_image: the file, if a mean image is subtracted.
    options: those of `converters.convert`, with what is known of the model.

    Raises:
        UsageError: a setting is missing, or cannot be embedded.
        DataError: the mean image cannot be read, or has another size.
        converters.ConverterError: the net cannot be read.
    """
    model = _model(sources, chosen, options)
    own = _own(model, manifest, known)
    if mean_image is not None:
        if (other := chosen.get("mean", own.get("mean"))) is not None:
            raise UsageError(
                f"--mean-image: the net has the mean values {list(other)}; a mean image would be the second "
                "mean: leave one of them out"
            )
        chosen = {**chosen, "mean_image": True}
    found = settings(chosen, own)
    require_mean(found, chosen, own)
    made_for = own.get("flavour") or ("caffe-stored" if own else found.flavour)
    for _, problem in problems(found, made_for):
        raise UsageError(problem)
    preparation = image_preparation(found, made_for)
    if preparation is None:
        raise UsageError(f"--embed-preprocessing full: {found.flavour} cannot be written as nodes of a net")
    recorded = found.model_dump()
    if not resolve(found.flavour).same_convention(resolve(made_for)):
        recorded["meant_for"] = made_for
    return Embedding(
        recorded,
        preparation.to_dict(),
        _mean_image(found, made_for, mean_image),
        _input_shapes(model, found.crop, options),
    )


def embedded_numbers(
    sources: Sequence[Path],
    given: Mapping[str, Any],
    chosen: Mapping[str, Any],
    options: Mapping[str, Any],
) -> dict[str, Any]:
    """The preprocessing of which `--embed-preprocessing` embeds mean, scale and std, with those `chosen`.

    given: the options of `converters.convert` from what is known of the model.
    """
    stated = given.get("metadata", {}).get("preprocessing")
    if stated is None:
        model = _model(sources, chosen, options)
        stated = converters.preprocessing_of(model) or given.get("default_preprocessing")
    found = {**(stated or {}), **chosen}
    if "mean" in chosen:
        found |= {"mean": list(chosen["mean"]) or None, "mean_image": False, "mean_file": None}
    return found


def _model(sources: Sequence[Path], chosen: Mapping[str, Any], options: Mapping[str, Any]) -> ir.Model:
    """The net as it would be converted; one that must know its size gets that of the window."""
    known = set(inspect.signature(converters.load).parameters)
    reading = {name: value for name, value in options.items() if name in known}
    if callable(reading.get("image_shape")):
        reading["image_shape"] = reading["image_shape"]()
    if reading.get("image_shape") is None and chosen.get("crop") is not None:
        reading["image_shape"] = (3, chosen["crop"], chosen["crop"])
    # The hashes are computed while the net is written.
    return converters.load(*sources, **{**reading, "sha256": [""] * len(sources)})


def _own(model: ir.Model, manifest: Manifest | None, known: KnownNet | None) -> dict[str, Any]:
    """The settings of the model, or those that the files state; {} if nobody states any."""
    if known is not None and known.published is not False:
        manifest = known.manifest
    stated = None if manifest is None else image_settings(manifest)
    if stated is not None:
        return stated.model_dump()
    if converters.embedded_preprocessing_of(model) is not None:
        raise UsageError(
            "--embed-preprocessing: the net prepares its images already; convert the files that it came from"
        )
    found = carried_settings(converters.preprocessing_of(model))
    if not found and (preparation := converters.preparation_of(model)) is not None:
        found = settings_of(preparation) or {}
    if not found and known is not None and (stated := image_settings(known.manifest)) is not None:
        # Another definition than the published one may be of another size.
        found = {name: value for name, value in stated.model_dump().items() if name != "crop"}
    return found


def _mean_image(found: Preprocessing, made_for: str, path: Path | None) -> NDArray[np.float32] | None:
    if not found.mean_image:
        return None
    if path is None:
        raise UsageError(
            "--embed-preprocessing: this net subtracts a mean image; give its file: --mean-image FILE"
        )
    flavour = resolve(made_for)
    if not flavour.has_size:
        flavour = resolve(found.flavour)
    return read_mean_image(path, flavour.size if flavour.is_square else None)


def _input_shapes(
    model: ir.Model, crop: int, options: Mapping[str, Any]
) -> dict[str, tuple[int | str, ...]] | None:
    """The shape of the only input at the size of the window, if the net leaves its height or width open."""
    report: converters.ConversionReport = model.meta["report"]
    if options.get("input_shapes") or report.framework == "onnx" or len(model.graph.inputs) != 1:
        return None
    (given,) = model.graph.inputs
    sizes = list(given.shape or ())
    if len(sizes) != IMAGE_AXES or all(isinstance(size, int) for size in sizes[1:]):
        return None
    batch, channels = (size if isinstance(size, int) else str(size) for size in sizes[:2])
    return {str(given.name): (batch, channels, crop, crop)}
