"""How images were prepared for a number, and which numbers may be held against each other.

A gain is a difference of two accuracies. It says something about two nets only if the images came to both in
the same way, so a gain is computed inside one preparation only. Two are the same by this rule:

1. Both are known in the zoo's terms: if flavour and crop are equal, and the numbers (mean, standard
   deviation, scale) are either equal or each net's own. A net's own numbers belong to it like its weights.
2. One is known in words only: if resize and crop are the same in words. The kernels of two tools, and their
   rounding, may still differ.
3. One that is not stated is the same as no other; only numbers of one party on one page share it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.catalog.claim import Claim, PublishedMeasurement
    from zoo.catalog.manifest import Manifest
    from zoo.evidence.run import Result
    from zoo.preprocessing.settings import Preprocessing


@dataclass(frozen=True, slots=True)
class Preparation:
    """A way from an image file to the input of a net.

    words: resize and crop, `shorter side 256, crop 224`; None: not stated.
    terms: the same in the zoo's terms where it is known exactly: `caffe-short256, crop 224`, followed by
        mean, standard deviation and scale if they are not the net's own; None: known in words only.
    """

    words: str | None = None
    terms: str | None = None

    def is_same_as(self, other: Preparation) -> bool:
        """Whether numbers under the two may be held against each other, by the rule above."""
        if self.terms is not None and other.terms is not None:
            return self.terms == other.terms
        return self.words is not None and self.words == other.words

    def shared_with(self, other: Preparation) -> Preparation:
        """What is known of two that are the same."""
        return self if self == other else Preparation(self.words if self.words == other.words else None)


NOT_STATED = Preparation()


def of_claim(claim: Claim, manifest: Manifest) -> Preparation:
    """The preparation of a claim: the model's own, if the source of the claim states it."""
    if not claim.preparation_stated or manifest.preprocessing is None:
        return NOT_STATED
    return _known(manifest.preprocessing, manifest)


def of_measurement(found: PublishedMeasurement, manifest: Manifest) -> Preparation:
    """The preparation of what somebody else measured."""
    if found.preprocessing is None:
        return Preparation(found.preparation)
    return _known(found.preprocessing, manifest)


def of_run(result: Result, manifest: Manifest) -> Preparation:
    """The preparation of a run; `meant_for` changes no pixel and counts for nothing here.

    Not stated if the result says it in another way than runs of this version do.
    """
    from pydantic import ValidationError

    from zoo.preprocessing.settings import Preprocessing

    given = {name: value for name, value in result.preprocessing.items() if name != "meant_for"}
    try:
        return _known(Preprocessing.model_validate(given), manifest)
    except (ValidationError, UsageError):
        return NOT_STATED


def _known(settings: Preprocessing, manifest: Manifest) -> Preparation:
    from zoo.preprocessing import resolve
    from zoo.preprocessing.settings import in_words

    given = settings.model_dump()
    own = None if manifest.preprocessing is None else _numbers(manifest.preprocessing.model_dump())
    if _numbers(given) == own:
        given = {name: given[name] for name in ("flavour", "crop")}
    return Preparation(resolve(settings.flavour).in_words(settings.crop), in_words(given))


def _numbers(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name not in ("flavour", "crop")}
