"""A finished run on disk: one row per image, and a result with the counts and everything they rest on.

A run is a folder with two files.

`result.json` holds the fields of `Result`.
`evidence.csv` has one line per image, in the dataset's order; `zoo.evidence.row_text` says what it holds.

`read_run` counts the rows again and refuses a result that does not match them.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from converters import atomic_write
from zoo.errors import DataError, UsageError, excerpt
from zoo.evidence.row_text import HEADER, BadRowError, csv_lines, rows_from_cells, rows_from_lines
from zoo.evidence.rows import Row, Rows
from zoo.files import cannot_write, first_problem, printable
from zoo.vocabulary import Metric, Precision, RuntimeName

RESULT_NAME = "result.json"
ROWS_NAME = "evidence.csv"
# How much of evidence.csv is read at a time: as strings, cells take ten times as much memory as in rows.
CHARACTERS_AT_A_TIME, LINES_AT_A_TIME = 1 << 20, 4096


# No dataset has so many images.
Count = Annotated[int, Field(ge=0, le=10**12)]


class Result(BaseModel):
    """The counts of a run and everything they rest on; the content of result.json."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: Literal[1] = 1
    """Within a version fields are added, and none is renamed, removed or given another meaning."""
    model: str
    """The name of the model, or of the net's file without its ending."""
    n: Count
    """Images that were ranked."""
    n_dataset: Count
    """Images in the dataset; more than `n` if only a part of it ran or some images could not be read."""
    top1_correct: Count
    """Images whose label is the class with the highest score."""
    top5_correct: Count
    """Images whose label is among the five classes with the highest scores."""
    dataset: str
    """The name of the dataset, as in a manifest; of images of one's own, that of their folder or file."""
    dataset_source: str
    """Where the images were read from, as it was given."""
    labels: str
    """Where the labels came from."""
    flavour: str
    """The preprocessing by which images were resized and cropped."""
    preprocessing: dict[str, Any]
    """The settings as in a manifest: flavour, crop, mean, mean_image, std, scale. If the images went through
    another flavour than the net's own, `meant_for` names the net's own, to which the numbers refer."""
    runtime: RuntimeName
    """What ran the net: the name for `--runtime`."""
    device: str
    """cpu, cuda or cuda:N."""
    precision: Precision
    """The arithmetic of the net."""
    batch_size: Count | None = None
    """Images per inference; null in runs of versions that did not record it."""
    scores: str | None = None
    """The output that ranks the classes, if it was chosen by name."""
    files: dict[str, str]
    """Name to sha256 of every file the counts rest on: sources, mean image, converted form."""
    environment: dict[str, str]
    """Versions of the software, the platform, the processors and the number of threads."""
    command: str
    """The command of the run, quoted as POSIX shells read it."""
    started: str
    """ISO 8601, UTC."""
    seconds: float = Field(ge=0, allow_inf_nan=False)
    """From the first image read to the last one ranked, in the slowest process."""
    images_per_second: float = Field(ge=0, allow_inf_nan=False)
    """The images ranked in `seconds`, divided by them."""
    processes: Count = 1
    """How many processes shared the images."""
    resumed: Count = 0
    """Images ranked before an interruption; `seconds` and `images_per_second` do not include them."""
    unreadable: list[str] = []
    """Images that could not be decoded; they are not part of `n`."""
    exif_rotated: Count = 0
    """Images whose EXIF orientation was ignored, as the original tools ignored it."""

    def correct(self, metric: Metric) -> int:
        """The number of images that are right by this metric."""
        return self.top1_correct if metric == "top1" else self.top5_correct

    @model_validator(mode="before")
    @classmethod
    def _text(cls, data: Any) -> Any:  # noqa: ANN401 - what is to be checked
        return _printable(data)


@dataclass(frozen=True, slots=True)
class Run:
    """A run in memory: its result, and its rows in the dataset's order (any sequence of `Row` will do)."""

    result: Result
    rows: Rows

    def __init__(self, result: Result, rows: Iterable[Row]) -> None:
        object.__setattr__(self, "result", result)
        object.__setattr__(self, "rows", Rows.of(rows))


def write_run(folder: Path, run: Run, when_full: str = "") -> None:
    """Write evidence.csv and result.json into `folder`, each completely or not at all.

    An earlier run there is replaced. The old result is deleted before the new rows appear and the new result
    is written after them, so that a result never lies beside the rows of another run.

    when_full: what to do after a full disk, see `zoo.files.cannot_write`.

    Raises:
        UsageError: the folder cannot be written to.
    """
    text = f"{','.join(HEADER)}\n{csv_lines(run.rows)}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / ROWS_NAME) as temporary:
            temporary.write_text(text, encoding="utf-8", newline="")
            (folder / RESULT_NAME).unlink(missing_ok=True)
        with atomic_write(folder / RESULT_NAME) as temporary:
            temporary.write_text(run.result.model_dump_json(indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise cannot_write(folder, "the evidence", error, when_full) from error


def read_run(path: Path) -> Run:
    """Read a run and check its counts against its rows.

    path: the folder of the run, or its result.json.

    Raises:
        DataError: a file is missing or damaged, or the counts are not those of the rows.
    """
    file = path if path.suffix == ".json" else path / RESULT_NAME
    folder = file.parent
    result = _read_result(file)
    try:
        text = (folder / ROWS_NAME).read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"{error.filename}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{folder / ROWS_NAME}: byte {error.start} is not UTF-8 text") from error
    rows = _parse(text, folder / ROWS_NAME)
    _check(result, rows, folder)
    return Run(result, rows)


def find_runs(folder: Path) -> list[Path]:
    """Every folder at or below `folder` that holds a result.json, sorted."""
    return sorted(path.parent for path in folder.rglob(RESULT_NAME))


def _parse(text: str, path: Path) -> Rows:
    rows = _parse_plain(text)
    if rows is None:
        rows = _parse_csv(text, path)
    if len(set(rows.images)) < len(rows):
        name = Counter(rows.images).most_common(1)[0][0]
        place = [place for place, image in enumerate(rows.images) if image == name][1]
        problem = ValueError(f"{excerpt(name)} is there twice")
        raise _not_a_row(path, _line_number(text, place), problem) from problem
    return rows


def _parse_plain(text: str) -> Rows | None:
    """The rows, if nothing is quoted and all is right: then there is a faster way."""
    start = text.find("\n") + 1
    if text[:start] != f"{','.join(HEADER)}\n":
        return None
    parts = []
    while start < len(text):
        end = text.rfind("\n", start, start + CHARACTERS_AT_A_TIME) + 1 or len(text)
        rows = rows_from_lines(text[start:end])
        if rows is None:
            return None
        parts.append(rows)
        start = end
    return Rows.joined(parts)


def _parse_csv(text: str, path: Path) -> Rows:
    """The rows of any CSV. DataError names the line that is wrong."""
    lines = csv.reader(io.StringIO(text, newline=""))
    if next(lines, None) != HEADER:
        raise DataError(f"{path}: expected the columns {','.join(HEADER)}")
    parts: list[Rows] = []
    done = 0
    try:
        while cells := list(itertools.islice(lines, LINES_AT_A_TIME)):
            parts.append(rows_from_cells(cells))
            done += len(cells)
    except csv.Error as error:
        raise _not_a_row(path, lines.line_num, error) from error
    except BadRowError as error:
        raise _not_a_row(path, _line_number(text, done + error.place), error) from error
    return Rows.joined(parts)


def _not_a_row(path: Path, line: int, problem: Exception) -> DataError:
    return DataError(f"{path}, line {line}: not a row of evidence: {excerpt(problem)}")


def _line_number(text: str, row: int) -> int:
    """In which line a row ends; a quoted name may take several lines."""
    lines = csv.reader(io.StringIO(text, newline=""))
    for _ in itertools.islice(lines, row + 2):
        pass
    return lines.line_num


def _printable(value: Any) -> Any:  # noqa: ANN401
    """The value with every string made writable as UTF-8, which the name of a file need not be."""
    if isinstance(value, str):
        return printable(value)
    if isinstance(value, dict):
        return {_printable(key): _printable(inner) for key, inner in value.items()}
    return [_printable(inner) for inner in value] if isinstance(value, list) else value


def _check(result: Result, rows: Rows, folder: Path) -> None:
    counted = {
        "n": len(rows),
        "top1_correct": rows.count_correct("top1"),
        "top5_correct": rows.count_correct("top5"),
    }
    for name, count in counted.items():
        if getattr(result, name) != count:
            raise DataError(
                f"{folder}: {RESULT_NAME} says {name} = {getattr(result, name)}, the rows of {ROWS_NAME} "
                f"give {count}: one of the files was changed; run the validation again"
            )
    if result.n + len(result.unreadable) > result.n_dataset:
        raise DataError(
            f"{folder}: {RESULT_NAME} says that {result.n} of {result.n_dataset} images were ranked and "
            f"{len(result.unreadable)} left out: it was changed; run the validation again"
        )


def read_runs(folder: Path) -> list[Run]:
    """All runs at or below `folder`. UsageError if there are none, DataError if one is damaged."""
    found = find_runs(folder)
    if not found:
        raise UsageError(
            f"{folder}: no run (result.json) at or below it\n  dsd-zoo validate MODEL --data ... writes one"
        )
    return [read_run(path) for path in found]


def read_runs_of(models: Collection[str], folder: Path) -> list[Run]:
    """The runs of these models at or below `folder`, without runs over no image. No such folder means none.

    DataError if a result, or the rows of one of these runs, are damaged.
    """
    results = {path: _read_result(path / RESULT_NAME) for path in find_runs(folder)}
    return [read_run(path) for path, result in results.items() if result.model in models and result.n]


def read_results(folder: Path) -> dict[str, list[Result]]:
    """The results of all runs at or below `folder`, by model, without runs over no image.

    Their counts are not checked against their rows, which `read_runs` does. No such folder means no results.
    DataError if a result is damaged.
    """
    found: dict[str, list[Result]] = {}
    for run in find_runs(folder):
        result = _read_result(run / RESULT_NAME)
        if result.n:
            found.setdefault(result.model, []).append(result)
    return found


def _read_result(path: Path) -> Result:
    try:
        return Result.model_validate_json(path.read_bytes())
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise DataError(f"{path}: not the result of a run: {first_problem(error)}") from error
