"""Labelled images from where they lie. A new kind of place is one module and one row in `SOURCES`."""

from __future__ import annotations

from functools import partial
from pathlib import Path, PurePosixPath

from zoo.catalog import bundled_folder
from zoo.datasets.dataset import Dataset, Files, Item
from zoo.datasets.folder import Folder
from zoo.datasets.labels import ILSVRC2012_VAL, Labelled, ilsvrc2012_val_labels, label_images
from zoo.datasets.tar import Tar
from zoo.errors import UsageError

__all__ = ["Dataset", "Item", "open_dataset"]

SOURCES = (Folder, Tar)


def open_dataset(spec: str | Path, labels: Path | None = None) -> Dataset:
    """The images at `spec`, a folder or an uncompressed tar, with their labels, in a fixed order.

    `labels` is a list of lines "NAME LABEL"; without it, see `zoo.datasets.labels` for where labels are
    looked for. Nothing of the images is read yet. Close it, or use it in a with statement.

    Raises:
        UsageError: nothing usable at `spec`, or no labels.
        DataError: the list and the images do not fit together, or the tar is damaged.
    """
    path = Path(spec)
    if not path.exists():
        raise UsageError(f"{path}: no such folder or tar of images")
    source = next((source for source in SOURCES if source.accepts(path)), None)
    if source is None:
        raise UsageError(
            f"{path}: expected a folder of images or an uncompressed .tar (unpack a compressed one)"
        )
    files: Files = source(path)
    try:
        labelled = label_images(files, str(path), labels)
    except BaseException:
        files.close()
        raise
    items = tuple(Item(name, label, partial(files.read, name)) for name, label in labelled.labels.items())
    name = _known(labelled) or path.resolve().name
    return Dataset(name, str(path), labelled.source, items, files.close)


def _known(labelled: Labelled) -> str | None:
    """The dataset of the zoo that these images are, or are part of: all names and labels are its own."""
    names = {PurePosixPath(name).name: label for name, label in labelled.labels.items()}
    if ILSVRC2012_VAL.fullmatch(next(iter(names))):
        known = "ilsvrc2012-val"
        truth = {f"ILSVRC2012_val_{i:08d}.JPEG": label for i, label in enumerate(ilsvrc2012_val_labels(), 1)}
    else:
        known = "digits-test"
        lines = (bundled_folder() / "digits" / "images" / "val.txt").read_text(encoding="ascii").splitlines()
        truth = {name: int(label) for name, label in (line.split() for line in lines)}
    complete = len(names) == len(labelled.labels)
    return known if complete and names.items() <= truth.items() else None
