"""The evidence of a run under way: an interruption loses no more than the batch being computed.

An unfinished run has a folder `partial` in the folder of its result:

`plan.json` says what is being measured. Only a run of the same plan can be resumed.
`*.jsonl`, one file per process, have one line per finished batch: the batch's number, the evidence rows of
every variant (the cells of evidence.csv) and the images that could not be read. A last line without its line
end is an incomplete write and is ignored.

Only the order of the images decides which batch an image is in, so no score depends on which process computes
a batch, or when.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.errors import DataError, UsageError, excerpt
from zoo.evidence.row_text import cells_json, rows_from_cells
from zoo.evidence.rows import Row, Rows
from zoo.evidence.run import read_run
from zoo.files import cannot_write, parse_json

FOLDER_NAME = "partial"
PLAN_NAME = "plan.json"
SUFFIX = ".jsonl"
# What to do about a full disk.
RESUME = "what has been ranked is kept: free some space, then the same command with --resume goes on"


@dataclass(frozen=True, slots=True)
class Batch:
    """The outcome of one batch: the rows of every variant and the names of unreadable images.

    `rotated` is the number of images whose EXIF orientation was ignored.
    """

    number: int
    rows: tuple[Rows, ...]
    unreadable: tuple[str, ...] = ()
    rotated: int = 0

    def __init__(
        self, number: int, rows: Iterable[Iterable[Row]], unreadable: tuple[str, ...] = (), rotated: int = 0
    ) -> None:
        object.__setattr__(self, "number", number)
        object.__setattr__(self, "rows", tuple(map(Rows.of, rows)))
        object.__setattr__(self, "unreadable", unreadable)
        object.__setattr__(self, "rotated", rotated)


class Journal:
    """The file to which one process appends its batches."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / FOLDER_NAME / f"{name}-{secrets.token_hex(4)}{SUFFIX}"
        try:
            self._file = self._path.open("xb", buffering=0)
        except OSError as error:
            raise cannot_write(self._path, "the evidence", error, RESUME) from error

    def append(self, batch: Batch) -> None:
        """Write a batch; from then on it survives the end of the process. UsageError if the disk is full."""
        rows = ",".join(map(cells_json, batch.rows))
        unreadable = json.dumps(batch.unreadable, ensure_ascii=False, separators=(",", ":"))
        line = (
            f'{{"batch":{batch.number},"rows":[{rows}],"unreadable":{unreadable},"rotated":{batch.rotated}}}'
        )
        content = f"{line}\n".encode()
        try:
            while content:
                content = content[self._file.write(content) :]
        except OSError as error:
            raise cannot_write(self._path, "the evidence", error, RESUME) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def start(
    folder: Path, plan: Mapping[str, Any], resume: bool = False, restart: bool = False
) -> dict[int, Batch]:
    """Prepare `folder` for a run of `plan` and return the batches that are already done.

    resume: go on with an unfinished run there. restart: delete it. A finished run stays until it is replaced.

    Raises:
        UsageError: neither was chosen and an unfinished run has evidence, the unfinished run has another plan
            (the message says what differs), a finished run saw more images than this one will or
            preprocessed them differently, or the folder is not writable.
        DataError: the unfinished run is damaged.
    """
    partial = folder / FOLDER_NAME
    if check(folder, plan, resume, restart):
        return read(folder)
    try:
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        temporary = partial / f".{PLAN_NAME}.part"
        temporary.write_text(json.dumps(plan, indent=2) + "\n", encoding="utf-8")
        temporary.replace(partial / PLAN_NAME)
    except FileExistsError as error:
        raise UsageError(
            f"{folder}: another run is starting there; choose another folder with --out"
        ) from error
    except OSError as error:
        raise cannot_write(folder, "the evidence", error) from error
    return {}


def check(folder: Path, plan: Mapping[str, Any], resume: bool = False, restart: bool = False) -> bool:
    """Whether `start` would go on with an unfinished run; errors as there. Nothing is changed."""
    _protect_finished_run(folder, plan)
    if not resume and not restart:
        _protect_unfinished_run(folder)
    before = read_plan(folder) if resume else None
    if before is None:
        return False
    _check_plan(folder / FOLDER_NAME, before, plan)
    return True


def _protect_unfinished_run(folder: Path) -> None:
    """UsageError if an unfinished run in `folder` has evidence; one that ranked no image yet has none."""
    count = images_kept(folder)
    if count:
        raise UsageError(
            f"{folder} holds an unfinished run with the evidence of {count:,} "
            f"{'image' if count == 1 else 'images'}\n"
            "  --resume goes on with it; --restart throws it away and starts from the first image"
        )


def images_kept(folder: Path) -> int:
    """How many images the unfinished run in `folder` has ranked; 0 without one. DataError as for `read`."""
    return sum(len(batch.rows[0]) for batch in read(folder).values())


def _protect_finished_run(folder: Path, plan: Mapping[str, Any]) -> None:
    """UsageError if this run would replace a finished one of more images or of other preprocessing."""
    if not (folder / "result.json").exists():
        return
    with contextlib.suppress(DataError):  # a damaged result may be replaced
        there = read_run(folder).result
        held = None
        if there.n > plan["images"]:
            held = f"a run of {there.n} images, this one sees {plan['images']}"
        elif there.preprocessing != plan["preprocessing"][0]:
            names = sorted(there.preprocessing.keys() | plan["preprocessing"][0].keys())
            differ = [k for k in names if there.preprocessing.get(k) != plan["preprocessing"][0].get(k)]
            held = f"a run of images prepared in another way ({', '.join(differ)})"
        if held is not None:
            raise UsageError(f"{folder} holds {held}: choose another folder with --out, or delete it")


def read(folder: Path) -> dict[int, Batch]:
    """All batches written so far, by number. DataError if a line is not a batch."""
    batches: dict[int, Batch] = {}
    for path in sorted((folder / FOLDER_NAME).glob(f"*{SUFFIX}")):
        for number, line in enumerate(_whole_lines(path), 1):
            try:
                batch = _batch(parse_json(line))
            except (ValueError, LookupError, TypeError, ArithmeticError) as error:
                raise DataError(
                    f"{path}, line {number}: not a batch of evidence: {excerpt(error)}\n"
                    "  --restart throws the unfinished run away"
                ) from error
            batches[batch.number] = batch
    return batches


def read_plan(folder: Path) -> dict[str, Any] | None:
    """The plan of the unfinished run in `folder`, None without one. DataError if the plan is damaged."""
    path = folder / FOLDER_NAME / PLAN_NAME
    if not path.is_file():
        return None
    try:
        plan = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(
            f"{path}: the unfinished run cannot be read: {excerpt(error)}; --restart throws it away"
        ) from error
    return plan if isinstance(plan, dict) else {}


def finish(folder: Path) -> None:
    """Delete the journal; call this once the result is written."""
    shutil.rmtree(folder / FOLDER_NAME, ignore_errors=True)


def _whole_lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        for line in file:
            if line.endswith(b"\n"):
                yield line


def _batch(line: Any) -> Batch:  # noqa: ANN401 - what JSON holds
    return Batch(
        int(line["batch"]),
        tuple(rows_from_cells(rows) for rows in line["rows"]),
        tuple(map(str, line["unreadable"])),
        int(line["rotated"]),
    )


def _check_plan(partial: Path, before: Mapping[str, Any], plan: Mapping[str, Any]) -> None:
    now = json.loads(json.dumps(plan))
    different = [
        f"{excerpt(field)} was {_short(was)} and is {_short(is_now)}"
        for name in sorted({*before, *now})
        for field, was, is_now in _differences(name, before.get(name), now.get(name))
    ]
    if different:
        raise UsageError(
            f"{partial}: the interrupted run cannot be resumed, because this one measures something else\n  "
            + "\n  ".join(different)
            + "\n  give the same options again, or throw the interrupted run away with --restart"
        )


def _differences(name: str, before: object, now: object) -> list[tuple[str, object, object]]:
    """What differs, with both values: of two records the fields, of two lists of one length the entries."""
    if isinstance(before, dict) and isinstance(now, dict):
        return [
            found
            for key in sorted({*before, *now})
            for found in _differences(f"{name}: {key}", before.get(key), now.get(key))
        ]
    if (
        isinstance(before, list)
        and isinstance(now, list)
        and len(before) == len(now)
        and any(isinstance(entry, dict) for entry in now)
    ):
        return [found for pair in zip(before, now, strict=True) for found in _differences(name, *pair)]
    return [] if before == now else [(name, before, now)]


def _short(value: object) -> str:
    """The value in words; long texts, such as hashes, are cut."""
    if value is None:
        return "not given"
    if isinstance(value, list) and not any(isinstance(part, list | dict) for part in value):
        value = " ".join(map(str, value)) or "none"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
