"""The flavours by name, and which settings fit which flavour."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from functools import cache
from math import isfinite
from typing import TYPE_CHECKING, TypeVar

from converters import Registry, modules_in
from zoo.errors import UsageError, excerpt
from zoo.preprocessing.flavour import Flavour

if TYPE_CHECKING:
    from zoo.preprocessing.settings import Preprocessing

FlavourClass = TypeVar("FlavourClass", bound=type[Flavour])

_FAMILIES: Registry[type[Flavour]] = Registry("flavour")
# Larger than any classification net's input, so that a typing error does not allocate gigabytes.
LARGEST_SIZE = 4096


def register_flavour(flavour: FlavourClass) -> FlavourClass:
    """Register the decorated class under its `family`. ValueError if there is a flavour of that family."""
    _FAMILIES.add(flavour.family, flavour)
    return flavour


def all_flavours() -> dict[str, type[Flavour]]:
    """All flavours by family, those of `zoo/preprocessing/flavours` included, in the order of `position`."""
    _import_all()
    return dict(sorted(_FAMILIES.items(), key=lambda entry: (entry[1].position, entry[0])))


@cache
def _import_all() -> None:
    """Once is enough; a manifest is checked against all flavours, and there may be hundreds of manifests."""
    from zoo.preprocessing import flavours

    for _ in modules_in(flavours):
        pass


def resizing_flavours(size: int) -> list[str]:
    """The names of the flavours that resize images, all to this size, as `--sensitivity` compares them."""
    return [cls(size).name for cls in all_flavours().values() if cls.has_size]


def resolve(name: str) -> Flavour:
    """The flavour called `name`, such as "caffe-warp256". UsageError lists all flavours if there is none."""
    families = all_flavours()
    match = re.fullmatch(r"(.*?[^0-9])([1-9][0-9]{0,5})?", name)
    family = families.get(match[1]) if match else None
    if match is None or family is None or family.has_size != bool(match[2]):
        known = [f"{family}256" if cls.has_size else family for family, cls in families.items()]
        close = difflib.get_close_matches(name, known, n=1)
        advice = f"did you mean {close[0]}? " if close else ""
        raise UsageError(
            f"no preprocessing flavour is called '{excerpt(name)}': {advice}"
            f"there are {', '.join(known)}, with any size to resize to"
        )
    size = int(match[2] or 0)
    if size > LARGEST_SIZE:
        raise UsageError(
            f"preprocessing flavour '{excerpt(name)}' resizes to more than {LARGEST_SIZE} pixels"
        )
    return family(size)


def problems(preprocessing: Preprocessing, meant_for: str | None = None) -> Iterator[tuple[str, str]]:
    """(setting, sentence) for all that contradicts another setting or that the flavour does not support."""
    try:
        flavour = resolve(preprocessing.flavour)
        net_flavour = flavour if meant_for is None else resolve(meant_for)
    except UsageError as error:
        yield "flavour", str(error)
        return
    crop = preprocessing.crop
    if flavour.has_size and crop > flavour.size:
        yield "crop", f"a window of {crop} pixels does not fit into an image resized by {flavour.name}"
    if preprocessing.std is not None and not net_flavour.takes_std:
        yield "std", f"{net_flavour.name} divides by no std; give scale instead"
    if preprocessing.scale != 1 and not net_flavour.takes_scale:
        yield "scale", f"{net_flavour.name} knows no scale; give std instead"
    if not isfinite(preprocessing.scale) or preprocessing.scale == 0:
        yield "scale", f"scale must be a number other than 0, not {preprocessing.scale}"
    for what, values in (("mean", preprocessing.mean), ("std", preprocessing.std)):
        # Image files have three channels; stored pixels may have any number.
        if values is not None and (
            not values or (flavour.has_size and len(values) not in (1, 3)) or not all(map(isfinite, values))
        ):
            yield what, f"{what} takes one number or three (one per channel), not {values}"
    if any(value <= 0 for value in preprocessing.std or ()):
        yield "std", f"std must be positive, not {preprocessing.std}"
    if preprocessing.mean_image and not net_flavour.takes_mean_image:
        yield "mean_image", f"{net_flavour.name} subtracts no mean image; give mean values instead"
