"""Published accuracies of a model: what is claimed, what others measured, and what contradicts it.

A manifest has them as `[[claims]]`, `[[measurements]]` and `[[conflicts]]`. Which is which:

- a claim is the number that the zoo audits, with where it comes from;
- a measurement is what somebody else found for the same weights, under a preparation of images that may be
  another one; it contradicts nothing;
- a conflict is another number for the very thing that is claimed, by the same people;
- the claim rounded, printed elsewhere, is none of these: it stands in `claims.also`.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Annotated, Self

from pydantic import Field, model_validator

from zoo.catalog.file import MOST_COUNT, Identified
from zoo.preprocessing.settings import Preprocessing
from zoo.schema import Data, Pattern, RelativePath, Url
from zoo.vocabulary import Metric

# A count and its published percentage must agree to two digits after the point.
PERCENT_SLACK = Decimal("0.01")
Percent = Annotated[float, Field(ge=0, le=100)]
Count = Annotated[int, Field(ge=0, le=MOST_COUNT)]
Images = Annotated[int, Field(gt=0, le=MOST_COUNT)]
Line = Annotated[str, Pattern(r"\S(?:[^\x00-\x1f]*\S)?", "one line of text without blanks around it")]

# Pages of repositories whose address names a branch, tag or commit, in the group.
REPOSITORY_PAGE = re.compile(
    r"https?://(?:raw\.githubusercontent\.com/[^/]+/[^/]+|"
    r"(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org)/.+?(?:/-)?/(?:blob|tree|raw|src|blame|commit))"
    r"/([^/?#]+)"
)
REPOSITORY = re.compile(r"https?://(?:www\.)?(?:github\.com|gitlab\.com|bitbucket\.org)/[^/]+/[^/]+/?")
COMMIT = re.compile("[0-9a-f]{40}")


class Printing(Data):
    """The number of a claim as another source prints it."""

    published: str
    """Exactly as printed there."""
    percent: Percent
    """The accuracy in percent, to the digits printed there."""
    source: str
    """URL or file."""


class Claim(Data):
    """A published accuracy, with where it comes from and how exactly it is known."""

    metric: Metric
    n: Images
    """Images the number was measured on."""
    correct: Count | None = None
    """Images counted right, where the exact integer is known."""
    published: str
    """Exactly as the source prints it, e.g. `0.617579` or `42.56 % error`."""
    percent: Percent
    """The accuracy in percent, to the digits that were published."""
    source: str
    """URL or file the number comes from."""
    how: str
    """How it was measured and where the exact count comes from."""
    preparation_stated: bool = False
    """Whether the source says how images were prepared, and that is the model's own `preprocessing`."""
    trace: RelativePath | None = None
    """CSV beside the manifest with columns batch, top1_correct, top5_correct and optionally loss."""
    also: list[Printing] = Field(default=[])
    """The same number in other places; a number that does not round to it is a conflict instead."""
    tolerance_images: Count = 0
    """How many images a re-measurement may be off and still count as agreeing."""

    @model_validator(mode="after")
    def _printings_agree(self) -> Self:
        known = {Decimal(str(self.percent))}
        if self.correct is not None:
            known.add(Decimal(100 * self.correct) / self.n)
        for printing in self.also:
            if not any(rounds_to(value, printing.percent) for value in known):
                raise ValueError(
                    f"'{printing.published}' is {printing.percent} %, "
                    f"which {self.percent} % does not round to"
                )
        return self

    @model_validator(mode="after")
    def _count_agrees(self) -> Self:
        check_count(self.correct, self.n, self.percent)
        return self


class PublishedMeasurement(Data):
    """The accuracy of the same weights as somebody else measured and published it."""

    metric: Metric
    n: Images
    """Images the number was measured on."""
    correct: Count | None = None
    """Images counted right, where the exact integer is known: it is printed, or only it is printed so."""
    published: Line
    """Exactly as the source prints it, e.g. `70.968%` or `29.03/10.12`."""
    percent: Percent
    """The accuracy in percent, to the digits that were published."""
    who: Line
    """Who measured: a laboratory, a project or a paper."""
    source: Url
    """Where it is published; in a repository with the full commit id."""
    tool: Line | None = None
    """What ran the net and counted, where that is known."""
    preprocessing: Preprocessing | None = None
    """The preparation of images in the zoo's own terms, where a flavour gives exactly their pixels: the same
    decoder, resize, rounding and window, and the same numbers subtracted and multiplied."""
    preparation: Line | None = None
    """Else the preparation in words: `shorter side 256, crop 224` or `warped to 256x256, crop 227` where it
    is of that kind: numbers with the same words are put side by side. Neither: not stated."""
    weights: Identified | None = None
    """What identifies the weights that were measured, where that is published."""
    note: Line | None = None
    """What else a reader must know: how the weights were converted, details of the preparation."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        from zoo.preprocessing import problems

        check_count(self.correct, self.n, self.percent)
        if self.correct is not None and not rounds_to(Decimal(100 * self.correct) / self.n, self.percent):
            raise ValueError(
                f"{self.correct} of {self.n} is {Decimal(100 * self.correct) / self.n} %, "
                f"which does not round to {self.percent}"
            )
        if self.preprocessing is not None and self.preparation is not None:
            raise ValueError(
                "give preprocessing where a flavour is exactly theirs, else preparation in words, not both"
            )
        if self.preprocessing is not None and (found := list(problems(self.preprocessing))):
            raise ValueError("; ".join(f"preprocessing.{setting}: {sentence}" for setting, sentence in found))
        if self.weights is not None and not self.weights.hashes:
            raise ValueError("weights: give one hash or more, or leave it away")
        _check_source(self.source)
        return self

    @property
    def identity(self) -> str:
        """What tells it from the other measurements of the model: `top1 by Open Model Zoo, URL`, and how."""
        how = self.preparation or ("" if self.preprocessing is None else self.preprocessing.flavour)
        return ", ".join(filter(None, (f"{self.metric} by {self.who}", self.source, how)))


class Loss(Data):
    """The average loss that a test run printed beside its accuracies."""

    published: str
    """Exactly as printed, a number."""
    source: str
    """URL or file the number comes from."""
    trace: RelativePath
    """CSV beside the manifest with a column loss, one value per batch as printed."""


class Conflict(Data):
    """Another number that the same people published for the very thing that is claimed."""

    metric: Metric
    published: str
    percent: Percent
    source: str
    note: str


def rounds_to(value: Decimal, printed: float) -> bool:
    """Whether `value`, rounded half up to the digits of `printed`, is `printed`."""
    given = Decimal(str(printed))
    try:
        return value.quantize(given, ROUND_HALF_UP) == given
    except InvalidOperation as error:
        raise ValueError(f"{given} % has far too many digits") from error


def check_count(correct: int | None, n: int, percent: float) -> None:
    """ValueError if the number of right images, where it is known, is not that percentage of `n`."""
    if correct is None:
        return
    if correct > n:
        raise ValueError(f"{correct} correct of only {n} images")
    exact = Decimal(100) * correct / n
    if abs(exact - Decimal(str(percent))) > PERCENT_SLACK:
        raise ValueError(f"{correct} of {n} is {exact:.4f} %, but percent says {percent}")


def _check_source(source: str) -> None:
    """ValueError if the address is of a repository but does not name one commit, so that it may change."""
    page = REPOSITORY_PAGE.match(source)
    if page is not None and not COMMIT.fullmatch(page[1]):
        raise ValueError(f"source: '{page[1]}' may change; give the commit with all 40 hex digits")
    if page is None and REPOSITORY.fullmatch(source):
        raise ValueError(
            "source: a repository changes; give a file in it, at a commit (.../blob/COMMIT/FILE)"
        )
