"""The rows of a run: one per image, held as columns.

A run over ImageNet has 50,000 rows. As columns they are a few arrays, which are counted, compared, sent to
other processes and written as a whole; a `Row` is made when somebody asks for one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self, overload

from zoo.vocabulary import BEST, Metric

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Fill the columns of rows with fewer than five classes, and of rows without a rank.
NO_CLASS, NO_SCORE, NO_RANK = -(1 << 63), float("nan"), 0


@dataclass(frozen=True, slots=True)
class Row:
    """One image: its name, its true class, and the five best classes with their scores, best first.

    `rank` is the rank of the true class among all classes, from 1 (None: unknown), `sha256` the hash of the
    source image's bytes ("": unknown).
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
        """Whether the image is right by this metric."""
        return self.top1_correct if metric == "top1" else self.top5_correct


@dataclass(frozen=True, eq=False)
class Rows(Sequence[Row]):
    """The rows of a run or of a part of it, as columns of equal length.

    images, sha256: strings. labels, ranks: (rows,) int64, ranks 0 where unknown. ids, scores: (rows, 5) int64
    and float64 (the values of float32 numbers), filled up with `NO_CLASS` and `NO_SCORE`.
    """

    images: list[str]
    labels: NDArray[np.int64]
    ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    ranks: NDArray[np.int64]
    sha256: list[str]
    _texts: list[str] | None = field(default=None, init=False)

    @classmethod
    def of(cls, rows: Iterable[Row]) -> Self:
        """These rows as columns."""
        if isinstance(rows, cls):
            return rows
        found = list(rows)
        return cls.from_columns(
            [row.image for row in found],
            [row.label for row in found],
            [[*row.top5, *[NO_CLASS] * (BEST - len(row.top5))] for row in found],
            [[*row.scores, *[NO_SCORE] * (BEST - len(row.scores))] for row in found],
            [row.rank or NO_RANK for row in found],
            [row.sha256 for row in found],
        )

    @classmethod
    def from_columns(
        cls,
        images: Sequence[str],
        labels: Sequence[int] | NDArray[np.int64],
        ids: Sequence[Sequence[int]] | NDArray[np.int64],
        scores: Sequence[Sequence[float]] | NDArray[np.floating[Any]],
        ranks: Sequence[int] | NDArray[np.int64],
        sha256: Sequence[str],
    ) -> Self:
        """The rows of these columns; ids and scores may have fewer than five columns. Errors as in numpy."""
        import numpy as np

        return cls(
            list(images),
            np.asarray(labels, np.int64),
            _five_columns(np.asarray(ids, np.int64), NO_CLASS),
            _five_columns(np.asarray(scores, np.float64), NO_SCORE),
            np.asarray(ranks, np.int64),
            list(sha256),
        )

    @classmethod
    def joined(cls, parts: Sequence[Rows]) -> Self:
        """The rows of all parts, one after the other."""
        import numpy as np

        if not parts:
            return cls.of(())
        joined = cls(
            [image for part in parts for image in part.images],
            np.concatenate([part.labels for part in parts]),
            np.concatenate([part.ids for part in parts]),
            np.concatenate([part.scores for part in parts]),
            np.concatenate([part.ranks for part in parts]),
            [digest for part in parts for digest in part.sha256],
        )
        texts = [part._texts for part in parts if part._texts is not None]
        if len(texts) == len(parts):
            object.__setattr__(joined, "_texts", [text for part in texts for text in part])
        return joined

    def taken(self, places: Sequence[int]) -> Rows:
        """The rows at these places, in that order."""
        import numpy as np

        at = np.asarray(places, np.intp)
        return Rows(
            [self.images[place] for place in places],
            self.labels[at],
            self.ids[at],
            self.scores[at],
            self.ranks[at],
            [self.sha256[place] for place in places],
        )

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, place: int) -> Row: ...
    @overload
    def __getitem__(self, place: slice) -> Rows: ...
    def __getitem__(self, place: int | slice) -> Row | Rows:
        if isinstance(place, slice):
            return self.taken(range(len(self))[place])
        return next(iter(self.taken([range(len(self))[place]])))

    def __iter__(self) -> Iterator[Row]:
        columns = (self.ids.tolist(), self.scores.tolist(), self.ranks.tolist(), self.sha256)
        for image, label, ids, scores, rank, digest in zip(
            self.images, self.labels.tolist(), *columns, strict=True
        ):
            top5 = tuple(number for number in ids if number != NO_CLASS)
            # What fills up is no number, and so unlike itself.
            yield Row(
                image, label, top5, tuple(score for score in scores if score == score), rank or None, digest
            )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def correct(self, metric: Metric) -> NDArray[np.bool_]:
        """Which images are right by this metric: (rows,) bool."""
        counted = self.ids[:, :1] if metric == "top1" else self.ids
        right: NDArray[np.bool_] = (counted == self.labels[:, None]).any(axis=1)
        return right

    def count_correct(self, metric: Metric) -> int:
        """How many images are right by this metric."""
        return int(self.correct(metric).sum())

    def texts(self) -> list[str]:
        """Label, rank, classes and scores of each row as text, with commas between.

        They are made once: the journal of a run and its evidence.csv hold the same.
        """
        if self._texts is None:
            object.__setattr__(self, "_texts", list(map(",".join, zip(*self._columns(), strict=True))))
        assert self._texts is not None
        return self._texts

    def _columns(self) -> Iterator[Iterable[str]]:
        import numpy as np

        yield map(str, self.labels.tolist())
        yield from _text_columns(self.ranks[None], self.ranks[None] == NO_RANK)
        yield from _text_columns(self.ids.T, self.ids.T == NO_CLASS)
        # numpy writes the shortest decimals that read back to the same float32.
        yield from _text_columns(self.scores.T.astype(np.float32).astype(str), np.isnan(self.scores.T))


def _text_columns(columns: NDArray[Any], empty: NDArray[np.bool_]) -> list[list[str]]:
    """The text of each number in each column; none where it is empty."""
    texts = [list(map(str, column)) for column in columns.tolist()]
    for column, place in zip(*(where.tolist() for where in empty.nonzero()), strict=True):
        texts[column][place] = ""
    return texts


def _five_columns(numbers: NDArray[Any], fill: float) -> NDArray[Any]:
    import numpy as np

    rows = numbers.reshape(len(numbers), -1) if numbers.size else numbers.reshape(len(numbers), 0)
    missing = BEST - rows.shape[1]
    return np.pad(rows, ((0, 0), (0, missing)), constant_values=fill) if missing else rows
