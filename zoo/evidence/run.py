"""What a validation run leaves behind: one row per image and a result with counts, hashes and circumstances.

A run is a folder with two files.

`result.json` is `Result`: integer counts and everything the number rests on.
`evidence.csv` has one line per image, in the dataset's order: image, label, rank (place of the true class
among all classes, from 1), id1..id5 (the five best classes, best first), score1..score5 (shortest decimals
that give the float32 back), sha256 (of the source image's bytes). Nets with fewer than five classes leave the
last ids and scores empty; rank and sha256 are empty where they are unknown.

`read_run` counts the rows again, so a result can never say more than its evidence.
"""

from __future__ import annotations

import csv
import io
import itertools
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from zoo.errors import DataError, UsageError
from zoo.files import printable, replacing
from zoo.schema import BEST, Metric, Precision

RESULT_NAME = "result.json"
ROWS_NAME = "evidence.csv"
IDS = tuple(f"id{i + 1}" for i in range(BEST))
SCORES = tuple(f"score{i + 1}" for i in range(BEST))
SHA256 = re.compile("(?:[0-9a-f]{64})?")
HEADER = ["image", "label", "rank", *IDS, *SCORES, "sha256"]


@dataclass(frozen=True, slots=True)
class Row:
    """One image: its name and true class, the five best classes and their scores, best first.

    `rank` is the place of the true class among all classes, from 1, `sha256` that of the source image's
    bytes; None and "" where they are unknown.
    """

    image: str
    label: int
    top5: tuple[int, ...]
    scores: tuple[float, ...]
    rank: int | None = None
    sha256: str = ""

    @property
    def top1_correct(self) -> bool:
        """Whether the best class is the true one."""
        return self.top5[:1] == (self.label,)

    @property
    def top5_correct(self) -> bool:
        """Whether the true class is among the five best."""
        return self.label in self.top5

    def correct(self, metric: Metric) -> bool:
        """Either of the two."""
        return self.top1_correct if metric == "top1" else self.top5_correct


class Result(BaseModel):
    """A run in numbers, and everything they rest on; the content of result.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    model: str
    n: int = Field(ge=0)
    """Images that were ranked."""
    n_dataset: int = Field(ge=0)
    """Images in the dataset; more than `n` if only a part of it ran or some could not be read."""
    top1_correct: int = Field(ge=0)
    top5_correct: int = Field(ge=0)
    dataset: str
    dataset_source: str
    labels: str
    flavour: str
    preprocessing: dict[str, Any]
    """The settings as a manifest has them: flavour, crop, mean, mean_image, std, scale. `meant_for` names the
    flavour whose channels and numbers the net takes, where the images came by another one."""
    runtime: Literal["onnx", "pytorch"]
    device: str
    precision: Precision
    batch_size: int | None = None
    files: dict[str, str]
    """Name to sha256 of every file the number rests on: sources, mean image, converted form."""
    environment: dict[str, str]
    command: str
    started: str
    """ISO 8601, UTC."""
    seconds: float = Field(ge=0, allow_inf_nan=False)
    """From the first image read to the last one ranked, in the slowest process."""
    images_per_second: float = Field(ge=0, allow_inf_nan=False)
    processes: int = 1
    """How many processes shared the images."""
    resumed: int = 0
    """Images ranked before an interruption; `seconds` and `images_per_second` are without them."""
    unreadable: list[str] = []
    """Images that were left out because they could not be decoded; not part of `n`."""
    exif_rotated: int = 0
    """Images whose EXIF orientation was ignored, as the original tools did."""

    def correct(self, metric: Metric) -> int:
        """How many images are right by this metric."""
        return self.top1_correct if metric == "top1" else self.top5_correct

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:  # noqa: ANN401 - what is to be checked
        return _printable(data)


@dataclass(frozen=True, slots=True)
class Run:
    """A run in memory: its result, and its rows in the dataset's order."""

    result: Result
    rows: list[Row]


def write_run(folder: Path, run: Run) -> None:
    """Write evidence.csv and result.json into `folder`, each whole or not at all, the result last.

    An earlier run there is replaced; its result goes first, so that no result ever stands beside other rows.

    Raises:
        UsageError: the folder cannot be written to.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows(row_to_cells(row) for row in run.rows)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with replacing(folder / ROWS_NAME) as temporary:
            temporary.write_text(text.getvalue(), encoding="utf-8", newline="")
            (folder / RESULT_NAME).unlink(missing_ok=True)
        with replacing(folder / RESULT_NAME) as temporary:
            temporary.write_text(run.result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{folder}: the evidence cannot be written: {error.strerror}") from error


def read_run(path: Path) -> Run:
    """The run in a folder (or a result.json with its rows beside it), its counts checked against its rows.

    Raises:
        DataError: a file is missing or damaged, or the result says something else than the rows.
    """
    file = path if path.suffix == ".json" else path / RESULT_NAME
    folder = file.parent
    try:
        result = Result.model_validate_json(file.read_bytes())
        text = (folder / ROWS_NAME).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = ".".join(map(str, problem["loc"])) or "the file"
        raise DataError(f"{file}: not a result: {where}: {problem['msg']}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{folder / ROWS_NAME}: byte {error.start} is no text") from error
    rows = _parse(text, folder / ROWS_NAME)
    _check(result, rows, folder)
    return Run(result, rows)


def find_runs(folder: Path) -> list[Path]:
    """Every folder at or below `folder` that holds a result.json, sorted."""
    return sorted(path.parent for path in folder.rglob(RESULT_NAME))


def row_to_cells(row: Row) -> list[str]:
    """float32's own shortest decimals: eight digits at most, and exactly the same number when read again."""
    empty = [""] * (BEST - len(row.top5))
    scores = [str(np.float32(score)) for score in row.scores]
    rank = "" if row.rank is None else str(row.rank)
    return [row.image, str(row.label), rank, *map(str, row.top5), *empty, *scores, *empty, row.sha256]


def _parse(text: str, path: Path) -> list[Row]:
    lines = csv.reader(io.StringIO(text, newline=""))
    if next(lines, None) != HEADER:
        raise DataError(f"{path}: expected the columns {','.join(HEADER)}")
    rows: dict[str, Row] = {}
    try:
        for cells in lines:
            row = row_of_cells(cells)
            if row.image in rows:
                raise ValueError(f"{row.image} stands there twice")
            rows[row.image] = row
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path}, line {lines.line_num}: not a row of evidence: {error}") from error
    return list(rows.values())


def _printable(value: Any) -> Any:  # noqa: ANN401
    """All strings inside as text that can be written: names of files need not be."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    return [_printable(inner) for inner in value] if isinstance(value, list) else value


def row_of_cells(cells: list[str]) -> Row:
    """The row of a line of evidence.csv. ValueError says what is wrong with it."""
    if len(cells) != len(HEADER):
        raise ValueError(f"{len(cells)} columns instead of {len(HEADER)}")
    named = dict(zip(HEADER, cells, strict=True))
    label, rank = int(named["label"]), int(named["rank"]) if named["rank"] else None
    top5 = tuple(int(named[name]) for name in IDS if named[name])
    scores = tuple(float(np.float32(named[name])) for name in SCORES if named[name])
    if len(top5) != len(scores) or len(set(top5)) != len(top5):
        raise ValueError("the classes are not distinct, or not one score each")
    if rank is not None and rank != (top5.index(label) + 1 if label in top5 else max(rank, BEST + 1)):
        raise ValueError(f"the rank {rank} of class {label} is not where the five best have it")
    if not all(better >= worse for better, worse in itertools.pairwise(scores)):
        raise ValueError(f"the scores {' '.join(map(str, scores))} do not fall from the best on")
    if not SHA256.fullmatch(named["sha256"]):
        raise ValueError(f"'{named['sha256']}' is no sha256")
    return Row(named["image"], label, top5, scores, rank, named["sha256"])


def _check(result: Result, rows: list[Row], folder: Path) -> None:
    counted = {
        "n": len(rows),
        "top1_correct": sum(row.top1_correct for row in rows),
        "top5_correct": sum(row.top5_correct for row in rows),
    }
    for name, count in counted.items():
        if getattr(result, name) != count:
            raise DataError(
                f"{folder}: {RESULT_NAME} says {name} = {getattr(result, name)}, the rows of {ROWS_NAME} "
                f"say {count}: one of them was changed; run the validation again"
            )
    if result.n + len(result.unreadable) > result.n_dataset:
        raise DataError(
            f"{folder}: {RESULT_NAME} says that {result.n} of {result.n_dataset} images were ranked and "
            f"{len(result.unreadable)} left out: it was changed; run the validation again"
        )


def read_runs(folder: Path) -> list[Run]:
    """All runs at or below `folder`. UsageError if there is none, DataError if one is damaged."""
    found = find_runs(folder)
    if not found:
        raise UsageError(
            f"{folder}: no run (result.json) at or below it\n  dsd-zoo validate MODEL --data ... writes one"
        )
    return [read_run(path) for path in found]


def read_results(folder: Path) -> dict[str, list[Result]]:
    """The results of all runs below `folder`, by model; none if there is no such folder.

    The rows are not counted again here; `dsd-zoo audit --evidence` does. DataError names a broken result.
    """
    found: dict[str, list[Result]] = {}
    if not folder.is_dir():
        return found
    from pydantic import ValidationError

    for run in find_runs(folder):
        path = run / RESULT_NAME
        try:
            result = Result.model_validate_json(path.read_bytes())
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(map(str, first["loc"])) or "the file"
            raise DataError(f"{path}: not the result of a run: {place}: {first['msg']}") from error
        if result.n:
            found.setdefault(result.model, []).append(result)
    return found
