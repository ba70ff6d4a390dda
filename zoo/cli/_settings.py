"""From the options of `validate` to what is measured, and where it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.cli._subject import Subject
from zoo.errors import UsageError
from zoo.evaluation.variants import _other_convention

if TYPE_CHECKING:
    from zoo.preprocessing.settings import Preprocessing


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


def _metadata(subject: Subject) -> dict[str, Any] | None:
    """What the files say themselves; a generated net.py says it to people only, a .t7 not at all."""
    import converters

    first = subject.sources[0]
    if first.suffix == ".py" or converters.identify(first) is converters.Kind.TORCH7:
        return None
    return converters.preprocessing_of(converters.load(*subject.sources))
