"""Two runs, image by image: the rows of one beside the rows of the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoo.errors import UsageError, excerpt
from zoo.evidence.rows import Row, Rows


def pair_rows(rows: Sequence[Row], others: Sequence[Row], *, same_files: bool = False) -> tuple[Rows, Rows]:
    """The rows of two runs, those of the other run in the order of `rows`: each place is one image.

    same_files: also require that each image is the same file in both runs, where both know its SHA-256.

    Raises:
        UsageError: the runs are not over the same images, labels or files.
    """
    difference = find_difference(rows, others, same_files=same_files)
    if difference is not None:
        raise UsageError(f"two runs are compared image by image: {difference}")
    return Rows.of(rows), _in_order_of(Rows.of(rows), Rows.of(others))


def find_difference(rows: Sequence[Row], others: Sequence[Row], *, same_files: bool = False) -> str | None:
    """Why two runs cannot be paired, as a clause; None if they can. Arguments as for `pair_rows`."""
    ours, theirs = Rows.of(rows), Rows.of(others)
    if ours.images != theirs.images or (ours.labels != theirs.labels).any():
        difference = find_label_difference(_labels(ours), _labels(theirs))
        if difference is not None:
            return difference
    if not same_files:
        return None
    theirs = _in_order_of(ours, theirs)
    for image, digest, other in zip(ours.images, ours.sha256, theirs.sha256, strict=True):
        if digest != other and digest and other:
            name = excerpt(image)
            return f"both must see the same image files, {name} has another SHA-256 in the other run"
    return None


def _labels(rows: Rows) -> dict[str, int]:
    return dict(zip(rows.images, rows.labels.tolist(), strict=True))


def _in_order_of(rows: Rows, others: Rows) -> Rows:
    """The other rows, in the order of `rows`; both have the same images."""
    if rows.images == others.images:
        return others
    places = {image: place for place, image in enumerate(others.images)}
    return others.taken([places[image] for image in rows.images])


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
