"""The schema of a manifest: one TOML file per model, data only.

A manifest says what a model is, which files it consists of and what identifies them, how images are
preprocessed for it, and what was claimed for it, each claim with its source. `Manifest.read` reads and checks
it; whatever does not fit the schema is an error that names the file and the field.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, PrivateAttr, ValidationError, ValidationInfo, field_validator, model_validator

from zoo.bundled import KNOWN_DATASETS, LABEL_ORDERS, TASKS
from zoo.catalog.claim import Claim, Conflict, Loss, PublishedMeasurement
from zoo.catalog.file import MOST_COUNT, File, Role
from zoo.catalog.interface import Input, Output, Size
from zoo.catalog.names import DatasetName, EntryOf, LabelOrderName, TaskName
from zoo.catalog.reported import Reported
from zoo.errors import UsageError, excerpt
from zoo.preprocessing.settings import Preprocessing
from zoo.schema import Data, Name, Url
from zoo.vocabulary import Metric

# Roles that several files of a model may have.
SEVERAL: frozenset[Role] = frozenset({"data", "alternative"})
# Ten times the longest one. The time for a key of many parts grows with their square.
MOST_BYTES = 1 << 17
MOST_KEY_PARTS = 20
# Lines of a message.
MOST_PROBLEMS = 20
KEY_PART = re.compile("""[\\w"'-]*""")


class License(Data):
    """Under which licence the files may be used; `name` is an SPDX id where there is one."""

    name: str
    url: Url | None = None


class Manifest(Data):
    """Everything the zoo knows about one model beforehand."""

    schema_version: Literal[1]
    name: Name
    """`architecture-recipe`; the TOML file has the same name."""
    aliases: list[str] = []
    """Names under which others list the same files."""
    title: str
    summary: str
    architecture: str
    recipe: str
    framework: Literal["caffe", "torch7", "pytorch"]
    """Where its weights were trained. pytorch: here, by `dsd-zoo train`."""
    task: TaskName = "classification"
    dataset: DatasetName | Annotated[str, Field(min_length=1)] | None = None
    """The labelled images that the claims are about. A net that was trained here may name others than the zoo
    knows, by their folder or file."""
    classes: Annotated[int, Field(gt=1, le=MOST_COUNT)] | None = None
    """How many classes the outputs tell apart, a background class included, where that is known."""
    label_order: LabelOrderName | None = None
    """What class k means. sorted-synsets: the k-th of the 1000 synset ids of ILSVRC2012 in sorted order;
    digits: the digit k. None: not stated anywhere."""
    input_shape: Annotated[list[Size], Field(min_length=3, max_length=3)] | None = None
    """Channels, height, width of a net whose only input is an image that `preprocessing` makes."""
    inputs: list[Input] = []
    """The inputs of any other net, in their order; instead of `input_shape` and `preprocessing`."""
    outputs: list[Output] = []
    """The outputs in words. Needed for all but classification."""
    parameters: Annotated[int, Field(gt=0, le=MOST_COUNT)] | None = None
    """How many numbers the net for inference holds, running statistics included, where that is known."""
    scores: str | None = None
    """Name of the output that ranks the classes; None: the only output."""
    recorded: dict[str, str] = {}
    """For each output, the array in the file with role `recorded` that holds what the original framework
    computed for it: one row per test image, in the order of the dataset's own list."""
    baseline: Name | None = None
    license: License
    citation: str
    preprocessing: Preprocessing | None = None
    """How an image file becomes the input, where one of the zoo's flavours does exactly that."""
    files: Annotated[list[File], Field(min_length=1)]
    definition_note: str | None = None
    """Why no definition is among the files although the weights need one."""
    claims: list[Claim] = []
    loss: Loss | None = None
    measurements: list[PublishedMeasurement] = []
    """What others measured with the same weights, each under the preparation that it states."""
    conflicts: list[Conflict] = []
    reported: list[Reported] = []
    """Figures of other kinds, as published. The zoo cannot check them."""
    references: list[Url] = []
    notes: list[str] = []

    _directory: Path = PrivateAttr(default=Path())

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """The manifest in the TOML file `path`. UsageError says what does not fit, and where."""
        try:
            manifest = cls.model_validate(tomllib.loads(_text(path)))
        except OSError as error:
            raise UsageError(f"{path}: the manifest cannot be read: {error.strerror}") from error
        except ValidationError as error:
            raise UsageError(f"{path}: the manifest does not fit the schema\n{_explain(error)}") from error
        except (ValueError, RecursionError) as error:  # RecursionError: nested too deeply
            raise UsageError(f"{path}: not a TOML file: {excerpt(error)}") from error
        if manifest.name != path.stem:
            raise UsageError(
                f"{path}: the manifest is of '{excerpt(manifest.name)}'; "
                f"rename the file to {excerpt(manifest.name)}.toml"
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

    @property
    def is_counted(self) -> bool:
        """Whether answers are right or wrong by a label, so that the zoo can measure the accuracy."""
        return TASKS[self.task].is_counted

    @property
    def image_shape(self) -> list[int] | None:
        """The sizes of the only input, if it is an image and they are stated: in the order of its layout."""
        if self.input_shape is not None or len(self.inputs) != 1:
            return self.input_shape
        (given,) = self.inputs
        return None if given.layout is None else given.shape

    def input_shapes(self) -> list[list[int] | None]:
        """The shape per image of every input in order; None where it is not stated."""
        return [given.shape for given in self.inputs] or [self.input_shape]

    def claim(self, metric: Metric) -> Claim | None:
        """The claim for this metric, or None."""
        return next((claim for claim in self.claims if claim.metric == metric), None)

    @field_validator("dataset")
    @classmethod
    def _known_dataset(cls, name: str | None, info: ValidationInfo) -> str | None:
        trained_here = info.data.get("framework") == "pytorch"
        return name if name is None or trained_here else EntryOf(KNOWN_DATASETS).check(name)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        _refuse_duplicates("file name", (file.name for file in self.files))
        _refuse_duplicates("file role", (file.role for file in self.files if file.role not in SEVERAL))
        _refuse_duplicates("claim", (claim.metric for claim in self.claims))
        _refuse_duplicates("measurement", (found.identity for found in self.measurements))
        if self.definition_note is not None and self.file("definition") is not None:
            raise ValueError("definition_note: a file has the role 'definition', so nothing is missing")
        if self.file("weights") is None:
            raise ValueError("no file has the role 'weights'")
        if bool(self.recorded) != (self.file("recorded") is not None):
            raise ValueError("a file with the role 'recorded' and the table [recorded] go together")
        if self.baseline == self.name:
            raise ValueError("a model cannot be its own baseline")
        if self.label_order is not None and self.classes != LABEL_ORDERS[self.label_order].classes:
            raise ValueError(
                f"label_order {self.label_order} is one of {LABEL_ORDERS[self.label_order].classes} classes, "
                f"not of {self.classes}"
            )
        return self

    @model_validator(mode="after")
    def _measurements_are_of_these_weights(self) -> Self:
        weights = self.file("weights")
        for found in self.measurements:
            measured = {} if found.weights is None else found.weights.hashes
            for kind, digest in measured.items():
                if weights is not None and weights.hashes.get(kind, digest) != digest:
                    raise ValueError(
                        f"measurements: {found.identity} is of weights with {kind} {digest}, "
                        f"those of this model have {weights.hashes[kind]}"
                    )
        return self

    @model_validator(mode="after")
    def _task_fits(self) -> Self:
        """Accuracies are about images with labels; other tasks say what their nets take and give."""
        if not TASKS[self.task].is_counted:
            if wrong := [
                name for name in ("dataset", "claims", "measurements", "loss") if getattr(self, name)
            ]:
                raise ValueError(
                    f"{', '.join(wrong)}: of a net for {self.task}, which is not right or wrong by a label of"
                    " the image; give its figures as [[reported]]"
                )
            if not self.outputs:
                raise ValueError(f"[[outputs]] is missing: say what a net for {self.task} gives")
            return self
        missing = [name for name in ("dataset", "classes") if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{', '.join(missing)}: missing; needed for {self.task}")
        return self

    @model_validator(mode="after")
    def _inputs_are_known(self) -> Self:
        """Either the zoo makes the input from an image, or the manifest says in words what it is."""
        _refuse_duplicates("input", (given.name for given in self.inputs if given.name))
        _refuse_duplicates("output", (output.name for output in self.outputs if output.name))
        image = [name for name in ("input_shape", "preprocessing") if getattr(self, name) is not None]
        if image and self.inputs:
            raise ValueError(f"[[inputs]] and {' and '.join(image)} exclude each other")
        if not self.inputs and len(image) < 2:
            raise ValueError("expected input_shape with preprocessing, or [[inputs]]")
        return self

    @model_validator(mode="after")
    def _images_fit(self) -> Self:
        from zoo.preprocessing import problems

        if self.preprocessing is None or self.input_shape is None:
            return self
        if self.preprocessing.mean_image and self.file("mean") is None:
            raise ValueError("preprocessing.mean_image needs a file with the role 'mean'")
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


def _text(path: Path) -> str:
    """The text of a manifest. ValueError for one that would take tomllib minutes."""
    if path.stat().st_size > MOST_BYTES:
        raise ValueError(f"a manifest has at most {MOST_BYTES:,} bytes")
    text = path.read_text(encoding="utf-8")
    joined = 0
    for part in text.split("."):
        joined = joined + 1 if KEY_PART.fullmatch(part.strip()) else 0
        if joined > MOST_KEY_PARTS:
            raise ValueError(f"more than {MOST_KEY_PARTS} names joined by dots")
    return text


def _refuse_duplicates(what: str, values: Iterable[str]) -> None:
    if duplicates := sorted(value for value, count in Counter(values).items() if count > 1):
        raise ValueError(f"{what} given twice: {excerpt(', '.join(duplicates))}")


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "manifest"
        came = (
            "" if problem["type"] == "missing" or not problem["loc"] else f" (came: {problem['input']!r:.80})"
        )
        lines.append(f"  {excerpt(where)}: {problem['msg'].removeprefix('Value error, ')}{came}")
    return "\n".join(lines[:MOST_PROBLEMS])
