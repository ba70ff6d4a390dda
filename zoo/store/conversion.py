"""Converts a model of the catalog, or files of the user's own with what the catalog knows of them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import converters
from zoo.catalog.metadata import metadata_of
from zoo.files import sha256
from zoo.preprocessing.mean_image import read_mean_image
from zoo.store.known_net import KnownNet, input_shapes, with_advice

if TYPE_CHECKING:
    from converters import ConversionReport
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
    if known is None:
        metadata = None if subject.manifest is None else metadata_of(subject.manifest)
        given, notes = {"metadata": metadata}, []
    else:
        given, notes = known.metadata(), known.notes()
    if options.get("embed_preprocessing"):
        mean_image = mean_image or (subject.mean_image if known is None else known.mean_image)
    chosen = {**given, **options}
    if mean_image is not None:
        chosen["mean_image"] = read_mean_image(mean_image, None)
    with with_advice(recognized, known):
        report = _convert(subject, known, out, chosen)
    report.notes += notes
    if known is not None:
        report.preprocessing = report.preprocessing or given["metadata"].get("preprocessing")
    return report


def _convert(
    subject: Subject, known: KnownNet | None, out: Path, options: Mapping[str, Any]
) -> ConversionReport:
    """Convert; if a Torch7 net needs a size that no option gives, once more with that of the model."""
    added = [] if known is None or known.added_source is None else [known.added_source]
    sources = [*added, *subject.sources]
    hashes = [*map(sha256, added), *subject.hashes.values()]
    try:
        return converters.convert(sources, out, sha256=hashes, **options)
    except converters.StaticSizeRequired:
        manifest = subject.manifest if known is None else known.manifest
        shapes = None if manifest is None else input_shapes(manifest)
        if shapes is None or options.get("input_shapes"):
            raise
        report = converters.convert(sources, out, sha256=hashes, **{**options, "input_shapes": shapes})
        sizes = ", ".join(f"{name} {'x'.join(map(str, shape))}" for name, shape in shapes.items())
        report.notes.append(f"the net needs the size of its input: {sizes}, as known of {manifest.name}")
        return report
