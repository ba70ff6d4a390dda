"""Converts, and inspects, models of the catalog and files of the user's own with what is known of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import converters
from zoo.errors import UsageError
from zoo.files import sha256
from zoo.preprocessing.mean_image import read_mean_image
from zoo.store.embedding import SETTINGS, Embedding, embedded_numbers, full_embedding
from zoo.store.known_net import KnownNet, net_notes, stated_metadata, with_advice

if TYPE_CHECKING:
    from converters import ConversionReport, Inspection
    from zoo.catalog.manifest import Manifest
    from zoo.store.subject import Subject


def convert_subject(
    subject: Subject, out: Path, mean_image: Path | None, options: Mapping[str, Any]
) -> ConversionReport:
    """Convert the net of `subject` to `out`; see `zoo.api.convert`.

    The files are hashed while the net is written. What is known by their hashes is waited for beforehand only
    where it decides how the net is read.

    mean_image: the file of the mean image to embed; None: that of the model, if it has one.
    options: those of `converters.convert`, which win over what is known of the model; and `flavour`, `crop`,
        `mean` (numbers, or the file of a mean image), `std` and `scale`, which win over what is stated of the
        preparation that is embedded.
    """
    options, chosen = _split(options)
    if isinstance(chosen.get("mean"), Path):
        mean_image = chosen.pop("mean")
    embedded = bool(options.get("embed_preprocessing"))
    if embedded:
        subject = subject.read_once()
    hashed = options.get("hash_sources", True)
    if hashed:
        subject.hash_in_background()
    else:
        subject = subject.unhashed()
    with with_advice(lambda: (subject.recognize(), subject.known_net())):
        given: dict[str, Any] = {"image_shape": lambda: _image_shape(subject)}
        added: list[Path] = []
        if embedded or _may_lack_its_definition(subject):
            known = subject.known_net()
            added = _added_sources(known)
            given = _given(subject.manifest, known, embedded)
            if embedded:
                given, options, mean_image = _with_embedded(
                    subject, known, [*added, *subject.sources], given, options, chosen, mean_image
                )
        if mean_image is not None and "mean_image" not in given:
            given["mean_image"] = read_mean_image(mean_image, None)

        def late() -> dict[str, Any]:
            told = {} if embedded else _told(subject, options)
            return {**told, "sha256": _checked_hashes(subject, added)} if hashed else told

        report = converters.convert(
            [*added, *subject.sources], out, late=late, kept=subject.kept, **{**given, **options}
        )
    recognized, known = subject.recognize(), subject.known_net()
    report.notes += net_notes(recognized, known)
    if options.get("embed_preprocessing") == "full":
        return report
    metadata = given.get("metadata") or _told(subject, {}).get("metadata", {})
    report.preprocessing = _reported_preprocessing(report, metadata)
    return report


def _with_embedded(
    subject: Subject,
    known: KnownNet | None,
    sources: Sequence[Path],
    given: dict[str, Any],
    options: dict[str, Any],
    chosen: Mapping[str, Any],
    mean_image: Path | None,
) -> tuple[dict[str, Any], dict[str, Any], Path | None]:
    """The options of what is known and those of the user, with what is embedded; and the mean image."""
    if "mean" not in chosen:
        mean_image = mean_image or (subject.mean_image if known is None else known.mean_image)
    reading = {**given, **options, "kept": subject.kept}
    if options["embed_preprocessing"] == "full":
        found = full_embedding(sources, subject.manifest, known, chosen, mean_image, reading)
        if found.input_shapes is not None:
            options = {**options, "input_shapes": found.input_shapes}
        return _with_embedding(given, found), options, mean_image
    given = _embeddable(given, subject.manifest if known is None else known.manifest)
    if chosen:
        stated = embedded_numbers(sources, given, chosen, reading)
        given = {**given, "metadata": {**given.get("metadata", {}), "preprocessing": stated}}
    return given, options, mean_image


def _may_lack_its_definition(subject: Subject) -> bool:
    """Whether the files are weights of Caffe alone, which the cache may have the definition for."""
    kinds = {converters.identify(path) for path in subject.sources}
    complete = {converters.Kind.PROTOTXT, converters.Kind.TORCH7, converters.Kind.ONNX}
    return subject.manifest is None and not kinds & complete


def _image_shape(subject: Subject) -> Sequence[int] | None:
    known = subject.known_net()
    if known is not None:
        return known.image_shape
    return None if subject.manifest is None else subject.manifest.image_shape


def _told(subject: Subject, options: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of the model: "metadata" and "default_preprocessing", unless `options` have them."""
    found = _given(subject.manifest, subject.known_net(), embedded=False)
    return {name: value for name, value in found.items() if name != "image_shape" and name not in options}


def _checked_hashes(subject: Subject, added: Sequence[Path]) -> list[str]:
    """The hashes of the sources; SourceChangedError if one has changed since before it was hashed."""
    hashes = [*map(sha256, added), *subject.hashes.values()]
    for state in subject.states:
        state.check()
    return hashes


def _split(options: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The options of `converters.convert`, and those of the preparation that were chosen.

    UsageError for what would be ignored silently.
    """
    chosen = {name: options[name] for name in SETTINGS if options.get(name) is not None}
    mode = options.get("embed_preprocessing")
    usable = SETTINGS if mode == "full" else ("mean", "std", "scale") if mode else ()
    if unused := [f"--{name}" for name in chosen if name not in usable]:
        wanted = "--embed-preprocessing full" if mode or unused != ["--mean"] else "--embed-preprocessing"
        raise UsageError(
            f"{' and '.join(unused)}: about the images of a net that prepares them itself; "
            f"give {wanted}, too, or leave it out"
        )
    return {name: value for name, value in options.items() if name not in SETTINGS}, chosen


def _with_embedding(given: dict[str, Any], found: Embedding) -> dict[str, Any]:
    """The same options, with what is embedded."""
    metadata = {
        **given.get("metadata", {}),
        "preprocessing": found.preprocessing,
        "preparation": found.preparation,
    }
    return {**given, "metadata": metadata, "mean_image": found.mean_image}


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
    with with_advice(lambda: (recognized, known)):
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
