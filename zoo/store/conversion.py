"""Converts, and inspects, models of the catalog and files of the user's own with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import converters
from zoo.files import sha256
from zoo.preprocessing.mean_image import read_mean_image
from zoo.store.known_net import KnownNet, net_notes, stated_metadata, with_advice

if TYPE_CHECKING:
    from converters import ConversionReport, Inspection
    from zoo.catalog.manifest import Manifest
    from zoo.store.subject import Subject


def convert_subject(
    subject: Subject, out: Path, mean_image: Path | None, options: Mapping[str, Any]
) -> ConversionReport:
    """Convert the net of `subject` to `out`; see `zoo.api.convert`.

    mean_image: the file of the mean image to embed; None: that of the model, if it has one.
    options: those of `converters.convert`, which win over what is known of the model.
    """
    recognized = subject.recognize(also=["sha256"])
    known = subject.known_net()
    embedded = bool(options.get("embed_preprocessing"))
    given = _given(subject.manifest, known, embedded)
    if embedded:
        given = _embeddable(given, subject.manifest if known is None else known.manifest)
        mean_image = mean_image or (subject.mean_image if known is None else known.mean_image)
    if mean_image is not None:
        given["mean_image"] = read_mean_image(mean_image, None)
    added = _added_sources(known)
    hashes = [*map(sha256, added), *subject.hashes.values()]
    with with_advice(recognized, known):
        report = converters.convert(
            [*added, *subject.sources], out, sha256=hashes, kept=subject.kept, **{**given, **options}
        )
    report.notes += net_notes(recognized, known)
    report.preprocessing = _reported_preprocessing(report, given.get("metadata", {}))
    return report


def _reported_preprocessing(report: ConversionReport, metadata: Mapping[str, Any]) -> dict[str, Any] | None:
    """The preprocessing that the files state, else that of the model; with channel order and value range."""
    stated = report.preprocessing or metadata.get("preprocessing")
    if stated is None:
        return None
    pixels = {name: metadata[name] for name in ("channel_order", "value_range") if name in metadata}
    return {**stated, **{name: value for name, value in pixels.items() if stated.get(name) is None}}


def inspect_subject(subject: Subject, **options: Any) -> Inspection:  # noqa: ANN401 - handed on
    """What is in the files of `subject`, and what would convert; `options` are those of `converters.inspect`.

    What a conversion would take from the model that the net is known to be, this takes too.
    """
    recognized, known = subject.recognize(), subject.known_net()
    sources = [*_added_sources(known), *subject.sources]
    options = {"kept": subject.kept or converters.KeptSources(), **options}
    with with_advice(recognized, known):
        found = converters.inspect(*sources, **options)
        shapes = None if options.get("input_shapes") else _missing_shape(found, subject.manifest, known)
        if shapes is not None:
            sized = converters.inspect(*sources, **{**options, "input_shapes": shapes})
            if sized.complete and sized.outputs:
                (shape,) = shapes.values()
                size = "x".join(map(str, shape[1:]))
                sized.notes.append(f"the size of its input is that of the model: {size}")
                found = sized
    found.notes += net_notes(recognized, known)
    return found


def _missing_shape(
    found: Inspection, manifest: Manifest | None, known: KnownNet | None
) -> dict[str, tuple[int | str, ...]] | None:
    """The shape of the only input, by its name, if the net must know it and the model tells it."""
    if known is not None:
        framework, shape = known.manifest.framework, known.image_shape
    elif manifest is not None:
        framework, shape = manifest.framework, manifest.image_shape
    else:
        return None
    if found.complete and found.outputs:
        return None
    names = ["input"] if framework == "torch7" else list(found.inputs)
    return {names[0]: ("N", *shape)} if shape and len(names) == 1 else None


def _added_sources(known: KnownNet | None) -> list[Path]:
    """The published definition, where it was not given and the cache has it."""
    return [] if known is None or known.added_source is None else [known.added_source]


def _given(manifest: Manifest | None, known: KnownNet | None, embedded: bool) -> dict[str, Any]:
    """Options of `converters.convert` from what is known of the model."""
    if known is not None:
        return {**known.metadata(embedded=embedded), "image_shape": known.image_shape}
    if manifest is not None:
        return {"metadata": stated_metadata(manifest, embedded=embedded), "image_shape": manifest.image_shape}
    return {}


def _embeddable(given: dict[str, Any], manifest: Manifest | None) -> dict[str, Any]:
    """The same options, where mean and scale are those of the only input and move into the net."""
    if manifest is None or manifest.preprocessing is not None or len(manifest.inputs) != 1:
        return given
    (whole,) = given["metadata"]["inputs"]
    numbers = {name: whole[name] for name in ("mean", "scale") if name in whole}
    left = {name: value for name, value in whole.items() if name not in numbers}
    metadata = {**given["metadata"], "inputs": [left]}
    return {**given, "metadata": metadata, "default_preprocessing": numbers}
