"""What was measured on this machine, for `list` and `show`: the results of runs, without their rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zoo.errors import DataError

if TYPE_CHECKING:
    from zoo.evidence import Result

EvidenceOption = Annotated[
    Path, typer.Option("--evidence", metavar="DIR", help="Where the runs of `dsd-zoo validate` lie.")
]
EVIDENCE_DEFAULT = Path("results")


def read_results(folder: Path) -> dict[str, list[Result]]:
    """The results of all runs below `folder`, by model; none if there is no such folder.

    The rows are not counted again here; `dsd-zoo audit --evidence` does. DataError names a broken result.
    """
    found: dict[str, list[Result]] = {}
    if not folder.is_dir():
        return found
    from pydantic import ValidationError

    from zoo.evidence import RESULT_NAME, Result, find_runs

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


def in_short(result: Result) -> str:
    """`98.40 onnx`, with the number of images where it is not all, and the device where it is not the CPU."""
    parts = [f"{100 * result.top1_correct / result.n:.2f}", result.runtime]
    parts += [] if result.device == "cpu" else [f"on {result.device}"]
    parts += [] if result.n == result.n_dataset else [f"of {result.n} images"]
    return " ".join(parts)


def as_json(result: Result) -> dict[str, object]:
    """The fields of a result that tell what was measured, and how."""
    fields = {
        "runtime",
        "device",
        "precision",
        "flavour",
        "dataset",
        "n",
        "n_dataset",
        "top1_correct",
        "top5_correct",
    }
    return result.model_dump(mode="json", include=fields)
