"""Two runs, image by image: the rows of one beside the rows of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from zoo.errors import UsageError, excerpt

if TYPE_CHECKING:
    from zoo.evidence.run import Row


def pair_rows(
    rows: Sequence[Row], others: Sequence[Row], *, same_files: bool = False
) -> list[tuple[Row, Row]]:
    """Each row of a run with the other run's row for the same image, in the order of `rows`.

    same_files: also require that each image is the same file in both runs, where both know its SHA-256.

    Raises:
        UsageError: the runs are not over the same images, labels or files.
    """
    difference = find_difference(rows, others, same_files=same_files)
    if difference is not None:
        raise UsageError(f"two runs are compared image by image: {difference}")
    by_image = {row.image: row for row in others}
    return [(row, by_image[row.image]) for row in rows]


def find_difference(rows: Sequence[Row], others: Sequence[Row], *, same_files: bool = False) -> str | None:
    """Why two runs cannot be paired, as a clause; None if they can. Arguments as for `pair_rows`."""
    by_image = {row.image: row for row in others}
    difference = find_label_difference(
        {row.image: row.label for row in rows}, {row.image: row.label for row in others}
    )
    if difference is not None:
        return difference
    for row in rows:
        other = by_image[row.image]
        if same_files and row.sha256 and other.sha256 and row.sha256 != other.sha256:
            name = excerpt(row.image)
            return f"both must see the same image files, {name} has another SHA-256 in the other run"
    return None


def find_label_difference(labels: Mapping[str, int], others: Mapping[str, int]) -> str | None:
    """Why runs over images of these names and labels cannot be paired, as a clause; None if they can."""
    unpaired = sorted(labels.keys() ^ others.keys())
    if unpaired:
        one = excerpt(unpaired[0])
        return f"both must see the same images, {len(unpaired)} in only one of them, such as {one}"
    for image, label in labels.items():
        if label != others[image]:
            return (
                f"both must have the same labels, {excerpt(image)} is class {label} in this run "
                f"and {others[image]} in the other"
            )
    return None
