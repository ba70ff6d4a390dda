"""Rows as text: the cells of evidence.csv, which the journal of a run holds as JSON.

The cells of a row are those of `HEADER`: image, label, rank (of the true class among all classes, from 1),
id1..id5 (the five best classes, best first), score1..score5 (the shortest decimals that read back to the same
float32), sha256 (of the source image's bytes). A net with fewer than five classes leaves the last ids and
scores empty; rank and sha256 are empty if unknown.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zoo.errors import excerpt
from zoo.evidence.rows import NO_CLASS, NO_RANK, NO_SCORE, Rows
from zoo.vocabulary import BEST

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

IDS = tuple(f"id{i + 1}" for i in range(BEST))
SCORES = tuple(f"score{i + 1}" for i in range(BEST))
HEADER = ["image", "label", "rank", *IDS, *SCORES, "sha256"]
# Each followed by a line end.
SHA256S = re.compile("(?:(?:[0-9a-f]{64})?\n)*")
NEEDS_QUOTES = re.compile('[",\r\n]')


def csv_lines(rows: Rows) -> str:
    """The rows as lines of evidence.csv, without the line of names."""
    if NEEDS_QUOTES.search("".join(rows.images)) or NEEDS_QUOTES.search("".join(rows.sha256)):
        lines = io.StringIO()
        writer = csv.writer(lines, lineterminator="\n")
        for image, text, digest in _texts(rows):
            writer.writerow([image, *text.split(","), digest])
        return lines.getvalue()
    return "".join(f"{image},{text},{digest}\n" for image, text, digest in _texts(rows))


def cells_json(rows: Rows) -> str:
    """The cells of each row as JSON: a list of lists of strings."""
    quoted = json.JSONEncoder(ensure_ascii=False).encode
    lists = [
        f'[{quoted(image)},"{numbers}",{quoted(digest)}]'
        for image, numbers, digest in zip(
            rows.images, (text.replace(",", '","') for text in rows.texts()), rows.sha256, strict=True
        )
    ]
    return f"[{','.join(lists)}]"


def _texts(rows: Rows) -> Iterator[tuple[str, str, str]]:
    """Image, numbers and hash of each row."""
    return zip(rows.images, rows.texts(), rows.sha256, strict=True)


class BadRowError(ValueError):
    """A row that is none; `place` is its place among the rows, from 0."""

    def __init__(self, place: int, problem: str) -> None:
        super().__init__(problem)
        self.place = place


def rows_from_lines(text: str) -> Rows | None:
    """The rows of whole lines of evidence.csv that quote nothing; None if that is not all they are.

    Then `rows_from_cells` says what they are: this takes a third of its time, as no list of cells is made.
    """
    if '"' in text or "\r" in text or not text.endswith("\n"):
        return None
    width = len(HEADER) + 1
    cells = text.replace("\n", ",\n,").split(",")[:-1]
    if len(cells) % width or cells[width - 1 :: width] != ["\n"] * (len(cells) // width):
        return None
    try:
        return _checked([cells[column::width] for column in range(len(HEADER))])
    except (ValueError, OverflowError):
        return None


def rows_from_cells(lines: Sequence[Sequence[str]]) -> Rows:
    """The rows whose cells these are. BadRowError names the first that is wrong."""
    try:
        for cells in lines:
            if len(cells) != len(HEADER):
                raise ValueError(f"{len(cells)} columns instead of {len(HEADER)}")
        return _checked(list(zip(*lines, strict=True)) or [()] * len(HEADER))
    except (ValueError, OverflowError) as error:
        if len(lines) == 1:
            raise BadRowError(0, excerpt(error)) from error
    # Half by half to the first wrong row: together that costs no more than reading all once more.
    half = len(lines) // 2
    rows_from_cells(lines[:half])
    try:
        rows_from_cells(lines[half:])
    except BadRowError as error:
        raise BadRowError(half + error.place, str(error)) from error
    raise AssertionError("each row is right, and all together are not")


def _checked(columns: Sequence[Sequence[str]]) -> Rows:
    """The rows of these columns. ValueError if a row is wrong; of a single row it says what."""
    import numpy as np

    images, labels, ranks, *numbers, digests = columns
    ids, scores = numbers[:BEST], numbers[BEST:]
    with np.errstate(over="ignore"):
        rounded = np.array([_parsed(float, cells, NO_SCORE) for cells in scores]).astype(np.float32)
    rows = Rows.from_columns(
        images,
        np.array(list(map(int, labels)), np.int64),
        np.array([_parsed(int, cells, NO_CLASS) for cells in ids]).T,
        rounded.T,
        _parsed(int, ranks, NO_RANK),
        digests,
    )
    if np.isnan(rounded).sum() != sum(cells.count("") for cells in scores) or not _decrease(rows):
        raise ValueError(f"the scores {' '.join(cells[0] for cells in scores)} do not decrease")
    if not _distinct_and_scored(rows):
        raise ValueError("the classes are not distinct, or do not have one score each")
    if not _ranks_fit(rows, np.array([cell != "" for cell in ranks], np.bool_)):
        raise ValueError(f"the rank {ranks[0]} of class {labels[0]} contradicts the five best classes")
    if not SHA256S.fullmatch("\n".join([*digests, ""])) or any("\n" in digest for digest in digests):
        raise ValueError(f"'{digests[0]}' is no sha256")
    return rows


def _parsed(kind: type[int] | type[float], cells: Sequence[str], empty: float) -> NDArray[Any]:
    """The numbers in these cells: int64 or float64."""
    import numpy as np

    full: Iterable[str] = cells if "" not in cells else (cell or str(empty) for cell in cells)
    return np.fromiter(map(kind, full), np.int64 if kind is int else np.float64, len(cells))


def _decrease(rows: Rows) -> bool:
    """Whether the scores of each row do, apart from what fills them up."""
    import numpy as np

    worse = rows.scores[:, 1:]
    return bool(((rows.scores[:, :-1] >= worse) | np.isnan(worse)).all())


def _distinct_and_scored(rows: Rows) -> bool:
    """Whether each row has different classes, then empty columns, and as many scores."""
    import numpy as np

    known, ordered = rows.ids != NO_CLASS, np.sort(rows.ids, axis=1)
    distinct = (ordered[:, 1:] != ordered[:, :-1]) | (ordered[:, 1:] == NO_CLASS)
    return bool(
        distinct.all() and (known[:, :-1] >= known[:, 1:]).all() and (known == ~np.isnan(rows.scores)).all()
    )


def _ranks_fit(rows: Rows, given: NDArray[np.bool_]) -> bool:
    """Whether the rank of each row that gives one is the place of the true class among the five best.

    A true class that is not among them has a rank beyond their number.
    """
    import numpy as np

    true = rows.ids == rows.labels[:, None]
    fit = np.where(true.any(axis=1), rows.ranks == true.argmax(axis=1) + 1, rows.ranks > BEST)
    return bool((fit | ~given).all())
