"""The schema of a manifest: one TOML file per model, data only.

A manifest says what a model is, which files it consists of and what identifies them, how images are
preprocessed for it, and what was claimed for it, each claim with its source. `Manifest.read` reads and checks
it; whatever does not fit the schema is an error that names the file and the field.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, model_validator

from zoo.bundled import KNOWN_DATASETS, LABEL_ORDERS
from zoo.catalog.file import File, Role
from zoo.errors import UsageError
from zoo.preprocessing.settings import Preprocessing
from zoo.schema import Data, Name, RelativePath, Url
from zoo.vocabulary import Metric

# A count and its published percentage must agree to two digits after the point.
PERCENT_SLACK = Decimal("0.01")

if TYPE_CHECKING:
    DatasetName = str
    LabelOrderName = str
else:
    DatasetName = Literal[*KNOWN_DATASETS]
    LabelOrderName = Literal[*LABEL_ORDERS]
Percent = Annotated[float, Field(ge=0, le=100)]


class License(Data):
    """Under which licence the files may be used; `name` is an SPDX id where there is one."""

    name: str
    url: Url | None = None


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
    n: Annotated[int, Field(gt=0)]
    """Images the number was measured on."""
    correct: Annotated[int, Field(ge=0)] | None = None
    """Images counted right, where the exact integer is known."""
    published: str
    """Exactly as the source prints it, e.g. `0.617579` or `42.56 % error`."""
    percent: Percent
    """The accuracy in percent, to the digits that were published."""
    source: str
    """URL or file the number comes from."""
    how: str
    """How it was measured and where the exact count comes from."""
    trace: RelativePath | None = None
    """CSV beside the manifest with columns batch, top1_correct, top5_correct and optionally loss."""
    also: list[Printing] = []
    """The same number in other places; a number that does not round to it is a conflict instead."""
    tolerance_images: Annotated[int, Field(ge=0)] = 0
    """How many images a re-measurement may be off and still count as agreeing."""

    @model_validator(mode="after")
    def _printings_agree(self) -> Self:
        known = {Decimal(str(self.percent))}
        if self.correct is not None:
            known.add(Decimal(100 * self.correct) / self.n)
        for printing in self.also:
            given = Decimal(str(printing.percent))
            if all(value.quantize(given, ROUND_HALF_UP) != given for value in known):
                raise ValueError(
                    f"'{printing.published}' is {given} %, which {self.percent} % does not round to"
                )
        return self

    @model_validator(mode="after")
    def _count_agrees(self) -> Self:
        if self.correct is None:
            return self
        if self.correct > self.n:
            raise ValueError(f"{self.correct} correct of only {self.n} images")
        exact = Decimal(100) * self.correct / self.n
        if abs(exact - Decimal(str(self.percent))) > PERCENT_SLACK:
            raise ValueError(f"{self.correct} of {self.n} is {exact:.4f} %, but percent says {self.percent}")
        return self


class Loss(Data):
    """The average loss that a test run printed beside its accuracies."""

    published: str
    """Exactly as printed, a number."""
    source: str
    """URL or file the number comes from."""
    trace: RelativePath
    """CSV beside the manifest with a column loss, one value per batch as printed."""


class Conflict(Data):
    """Another published value for the same thing."""

    metric: Metric
    published: str
    percent: Percent
    source: str
    note: str


class Manifest(Data):
    """Everything the zoo knows about one model beforehand."""

    schema_version: Literal[1]
    name: Name
    """`architecture-recipe`; the TOML file has the same name."""
    title: str
    summary: str
    architecture: str
    recipe: str
    framework: Literal["caffe", "torch7", "pytorch"]
    """Where its weights were trained. pytorch: here, by `dsd-zoo train`."""
    dataset: DatasetName | Annotated[str, Field(min_length=1)]
    """One that the zoo knows. A net that was trained here may name the user's own, by its folder or file."""
    classes: Annotated[int, Field(gt=1)]
    label_order: LabelOrderName | None = None
    """What output k means. sorted-synsets: the k-th of the 1000 synset ids of ILSVRC2012 in sorted order;
    digits: the digit k. None: not stated anywhere."""
    input_shape: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=3, max_length=3)]
    """Channels, height, width."""
    parameters: Annotated[int, Field(gt=0)] | None = None
    """How many numbers the net for inference holds, running statistics included, where that is known."""
    scores: str | None = None
    """Name of the output that ranks the classes; None: the only output."""
    recorded: dict[str, str] = {}
    """For each output, the array in the file with role `recorded` that holds what the original framework
    computed for it: one row per test image, in the order of the dataset's own list."""
    baseline: Name | None = None
    license: License
    citation: str
    preprocessing: Preprocessing
    files: Annotated[list[File], Field(min_length=1)]
    claims: list[Claim] = []
    loss: Loss | None = None
    conflicts: list[Conflict] = []
    references: list[Url] = []
    notes: list[str] = []

    _directory: Path = PrivateAttr(default=Path())

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest in the TOML file `path`. UsageError says what does not fit, and where."""
        try:
            manifest = cls.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
        except OSError as error:
            raise UsageError(f"{path}: the manifest cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise UsageError(f"{path}: the manifest does not fit the schema\n{_explain(error)}") from error
        except (ValueError, RecursionError) as error:  # RecursionError: nested too deeply
            raise UsageError(f"{path}: not a TOML file: {error}") from error
        if manifest.name != path.stem:
            raise UsageError(
                f"{path}: the manifest is of '{manifest.name}'; rename the file to {manifest.name}.toml"
            )
        manifest._directory = path.parent.resolve()
        return manifest

    @property
    def directory(self) -> Path:
        """The folder the TOML was read from; paths in the manifest are relative to it."""
        return self._directory

    def file(self, role: Role) -> File | None:
        """The file with this role, or None."""
        return next((file for file in self.files if file.role == role), None)

    def model_files(self) -> list[ModelFile]:
        """All files, each with this manifest."""
        return [ModelFile(self, file) for file in self.files]

    def source_files(self) -> list[File]:
        """What the converter reads: the definition (if it is a file of its own), then the weights."""
        return [file for role in ("definition", "weights") for file in self.files if file.role == role]

    def source_model_files(self) -> list[ModelFile]:
        """`source_files`, each with this manifest."""
        return [ModelFile(self, file) for file in self.source_files()]

    def claim(self, metric: Metric) -> Claim | None:
        """The claim for this metric, or None."""
        return next((claim for claim in self.claims if claim.metric == metric), None)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _refuse_duplicates("file name", (file.name for file in self.files))
        _refuse_duplicates("file role", (file.role for file in self.files))
        _refuse_duplicates("claim", (claim.metric for claim in self.claims))
        if self.file("weights") is None:
            raise ValueError("no file has the role 'weights'")
        if self.preprocessing.mean_image and self.file("mean") is None:
            raise ValueError("preprocessing.mean_image needs a file with the role 'mean'")
        if bool(self.recorded) != (self.file("recorded") is not None):
            raise ValueError("a file with the role 'recorded' and the table [recorded] go together")
        if self.framework != "pytorch" and self.dataset not in KNOWN_DATASETS:
            raise ValueError(f"dataset: expected {' or '.join(KNOWN_DATASETS)}, not {self.dataset}")
        if self.baseline == self.name:
            raise ValueError("a model cannot be its own baseline")
        if self.label_order is not None and self.classes != LABEL_ORDERS[self.label_order].classes:
            raise ValueError(
                f"label_order {self.label_order} is one of {LABEL_ORDERS[self.label_order].classes} classes, "
                f"not of {self.classes}"
            )
        return self

    @model_validator(mode="after")
    def _images_fit(self) -> Self:
        from zoo.preprocessing import problems

        if found := list(problems(self.preprocessing)):
            raise ValueError("; ".join(f"preprocessing.{setting}: {sentence}" for setting, sentence in found))
        crop, (_, height, width) = self.preprocessing.crop, self.input_shape
        if (height, width) != (crop, crop):
            raise ValueError(
                f"preprocessing.crop makes images of {crop}x{crop}, input_shape says {height}x{width}"
            )
        return self


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A file together with the model it belongs to; `entry` is the file's entry in `manifest`."""

    manifest: Manifest
    entry: File

    def __str__(self) -> str:
        return f"{self.name} of {self.model}"

    @property
    def model(self) -> str:
        """The name of the model."""
        return self.manifest.name

    @property
    def name(self) -> str:
        """The name of the file, unique in its model."""
        return self.entry.name

    @property
    def hashes(self) -> dict[str, str]:
        """See `File.hashes`."""
        return self.entry.hashes

    @property
    def bundled_path(self) -> Path | None:
        """Where the file lies if it ships with its manifest, else None."""
        return None if self.entry.path is None else self.manifest.directory / self.entry.path


def _refuse_duplicates(what: str, values: Iterable[str]) -> None:
    if duplicates := sorted(value for value, count in Counter(values).items() if count > 1):
        raise ValueError(f"{what} given twice: {', '.join(duplicates)}")


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "manifest"
        came = (
            "" if problem["type"] == "missing" or not problem["loc"] else f" (came: {problem['input']!r:.80})"
        )
        lines.append(f"  {where}: {problem['msg'].removeprefix('Value error, ')}{came}")
    return "\n".join(lines)
