"""From scores to ranks: the best classes of an image and the rank of its true class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from zoo.vocabulary import BEST

if TYPE_CHECKING:
    from torch import Tensor

# Rows of up to so many scores are sorted.
SORTED_CLASSES = 64

Float32 = NDArray[np.float32]
Int64 = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The results of a batch, one row per image, on the host.

    `ids` and `scores` are the best classes and their scores, best first, ties to the smaller class;
    `ranks` are the ranks of the true classes among all, from 1; `finite` is False for scores with a NaN.
    """

    ids: Int64
    scores: Float32
    ranks: Int64
    finite: NDArray[np.bool_]


def rank_scores(scores: Float32, labels: Sequence[int]) -> Ranking:
    """Rank scores (images, classes) with one label per image. Labels must be classes."""
    ids, values = best(scores)
    truth = np.asarray(labels)[:, None]
    own = np.take_along_axis(scores, truth, axis=1)
    ahead = (scores > own) | ((scores == own) & (np.arange(scores.shape[1]) < truth))
    return Ranking(ids, values, 1 + ahead.sum(axis=1), np.asarray(~np.isnan(scores).any(axis=1)))


def rank_tensor(scores: Tensor, labels: Sequence[int]) -> Ranking:
    """`rank_scores` on the device of the scores; only the result is copied to the host."""
    import torch

    # A stable sort, because topk does not define the order of ties.
    values, ids = scores.sort(dim=1, descending=True, stable=True)
    truth = torch.tensor(labels, device=scores.device)[:, None]
    own = scores.gather(1, truth)
    classes = torch.arange(scores.shape[1], device=scores.device)
    ahead = (scores > own) | ((scores == own) & (classes < truth))
    return Ranking(
        ids[:, :BEST].cpu().numpy(),
        values[:, :BEST].cpu().numpy(),
        1 + ahead.sum(1).cpu().numpy(),
        ~scores.isnan().any(1).cpu().numpy(),
    )


def best(scores: Float32, count: int = BEST) -> tuple[Int64, Float32]:
    """The `count` best classes of every row and their scores, best first, ties to the smaller class.

    scores: (images, classes). Returns two arrays (images, min(count, classes)).
    """
    if scores.shape[1] > SORTED_CLASSES:
        ids, values = _largest(scores, count)
        # Of these the largest is not the best, or no class is left: a sort has its own order for them.
        if not (np.isnan(values) | (values == -np.inf)).any():
            return ids, values
    order = np.argsort(-scores, axis=1, kind="stable")[:, :count]
    return order, np.take_along_axis(scores, order, axis=1)


def _largest(scores: Float32, count: int) -> tuple[Int64, Float32]:
    """The `count` largest scores of every row, one after the other: to sort a thousand takes much longer."""
    left, rows = scores.copy(), np.arange(len(scores))
    ids = np.empty((len(scores), count), np.int64)
    for place in range(count):
        # The first of equal ones.
        ids[:, place] = left.argmax(axis=1)
        left[rows, ids[:, place]] = -np.inf
    return ids, np.take_along_axis(scores, ids, axis=1)
