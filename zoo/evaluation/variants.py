"""The variants of one pass: the settings that were asked for, others to compare, and the folder of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import UsageError
from zoo.preprocessing.settings import Preprocessing
from zoo.vocabulary import Precision


@dataclass(frozen=True, slots=True)
class Variant:
    """Preprocessing and precision of one run; several variants can share one pass over the images.

    meant_for: the flavour that the net and the numbers are made for, if the images come by another one (see
        `zoo.preprocessing.preprocessor`).
    """

    preprocessing: Preprocessing
    meant_for: str | None = None
    precision: Precision = "float32"

    @property
    def name(self) -> str:
        """The name of its folder beside that of the first variant: the flavour, or the reduced precision."""
        return self.preprocessing.flavour if self.precision == "float32" else self.precision

    def settings(self) -> dict[str, Any]:
        """The preprocessing as results record it, JSON-able."""
        meant_for = {} if self.meant_for is None else {"meant_for": self.meant_for}
        return {**self.preprocessing.model_dump(), **meant_for}


def variants_of(
    preprocessing: Preprocessing, meant_for: str | None, precision: Precision, sensitivity: bool
) -> list[Variant]:
    """The variants of one pass: first the one that was asked for, then those it is compared with."""
    from zoo.preprocessing import resizing_flavours, resolve

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
    made_for = meant_for or preprocessing.flavour
    return [
        first,
        *(
            Variant(preprocessing.model_copy(update={"flavour": name}), made_for_another(name, made_for))
            for name in resizing_flavours(own.size)
            if name != own.name
        ),
    ]


def folders_inside(out: Path, variants: Sequence[Variant]) -> list[Path]:
    """`out` for the first variant; folders in it for the others."""
    return [out, *(out / variant.name for variant in variants[1:])]


def folder_of(
    model: str, runtime: str, device: str, variant: Variant, limit: int | None, own_flavour: str
) -> Path:
    """The default folder for the evidence of a variant; runs with other options get another folder."""
    flavour = variant.preprocessing.flavour
    parts = [
        runtime,
        *([] if device == "cpu" else [device.replace(":", "")]),
        *([] if variant.precision == "float32" else [variant.precision]),
        *([] if own_flavour == flavour else [flavour]),
        *([] if limit is None else [f"first{limit}"]),
    ]
    return Path("results", model, "-".join(parts))


def made_for_another(flavour: str, made_for: str) -> str | None:
    """`made_for`, if images by `flavour` have other channels or another range than its numbers; else None."""
    from zoo.preprocessing import resolve

    return None if resolve(flavour).same_convention(resolve(made_for)) else made_for
