"""From the options of `validate` to what is measured, and where it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cli._subject import Subject
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.job import Variant
    from zoo.manifest import Preprocessing
    from zoo.runtimes import Precision


def settings_of(
    subject: Subject, wanted: dict[str, Any], mean: str | None, meant_for: str | None
) -> tuple[Preprocessing, str | None, Path | None]:
    """The settings of a run, the flavour its numbers are made for, and its mean image.

    They are the model's or the files' own, changed by the options. Where the chosen flavour makes images of
    other channels or another white than the net takes, the numbers stay those of the net's own flavour.
    """
    from zoo.preprocessing.settings import carried_settings, settings

    mean_image = subject.mean_image
    if mean is not None and Path(mean).suffix in (".npy", ".binaryproto"):
        wanted["mean_image"], mean_image = True, Path(mean)
    else:
        wanted["mean"] = numbers("mean", mean)
    if subject.manifest is not None:
        own = subject.manifest.preprocessing.model_dump()
    else:
        own = carried_settings(_metadata(subject))
    chosen = settings(wanted, own)
    # What a Caffe definition says of its data layer is meant for Caffe's images, however they are resized.
    made_for = meant_for or own.get("flavour") or ("caffe-stored" if own else None)
    return chosen, None if made_for is None else _other_convention(chosen.flavour, made_for), mean_image


def numbers(option: str, text: str | None) -> list[float] | None:
    """`104,117,123` as numbers."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--{option} takes numbers with commas between them, not '{text}'") from error


def variants_of(
    preprocessing: Preprocessing, meant_for: str | None, precision: Precision, sensitivity: bool
) -> list[Variant]:
    """What one pass measures: the settings first, then what they are to be compared with."""
    from zoo.job import Variant
    from zoo.preprocessing import FAMILIES, resolve

    first = Variant(preprocessing, meant_for, precision)
    if precision != "float32":
        if sensitivity:
            raise UsageError("--sensitivity compares flavours in float32; leave --precision away")
        return [first, Variant(preprocessing, meant_for)]
    if not sensitivity:
        return [first]
    own = resolve(preprocessing.flavour)
    if not own.has_size:
        raise UsageError(f"--sensitivity resizes images, {own.name} takes them as they are")
    others = [f"{family}{own.size}" for family, cls in FAMILIES.items() if cls.has_size]
    made_for = meant_for or preprocessing.flavour
    return [
        first,
        *(
            Variant(preprocessing.model_copy(update={"flavour": name}), _other_convention(name, made_for))
            for name in others
            if name != own.name
        ),
    ]


def folder_of(
    subject: Subject, runtime: str, device: str, variant: Variant, limit: int | None, own_flavour: str
) -> Path:
    """Where the evidence of a variant goes by default; a part or another flavour never replaces the whole."""
    flavour = variant.preprocessing.flavour
    parts = [
        runtime,
        *([] if device == "cpu" else [device.replace(":", "")]),
        *([] if variant.precision == "float32" else [variant.precision]),
        *([] if own_flavour == flavour else [flavour]),
        *([] if limit is None else [f"first{limit}"]),
    ]
    return Path("results", subject.name, "-".join(parts))


def _other_convention(flavour: str, made_for: str) -> str | None:
    """`made_for`, if images by `flavour` come with other channels or another white than its numbers."""
    from zoo.preprocessing import resolve

    ours, theirs = resolve(flavour), resolve(made_for)
    alike = (ours.channels, ours.numbers_white) == (theirs.channels, theirs.numbers_white)
    return None if alike else made_for


def _metadata(subject: Subject) -> dict[str, Any] | None:
    """What the files say themselves; a generated net.py says it to people only, a .t7 not at all."""
    import converters

    first = subject.sources[0]
    if first.suffix == ".py" or converters.identify(first) is converters.Kind.TORCH7:
        return None
    return converters.preprocessing_of(converters.load(*subject.sources))
