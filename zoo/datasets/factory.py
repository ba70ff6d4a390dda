"""Opens the labelled images at a path, whatever kind of place it is."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path, PurePosixPath

from zoo.bundled import KNOWN_DATASETS
from zoo.datasets.caffe_lmdb import CaffeLmdb
from zoo.datasets.dataset import Dataset, Files, Records, Sample
from zoo.datasets.folder import Folder
from zoo.datasets.labels import label_images
from zoo.datasets.listed import Listed
from zoo.datasets.packed import Packed
from zoo.datasets.parquet import Parquet
from zoo.datasets.tar import Tar
from zoo.datasets.webdataset import WebDataset
from zoo.errors import UsageError
from zoo.files import printable

# In this order: a folder is the last thing that a folder can be.
LABELLED = (CaffeLmdb, Packed, Parquet, WebDataset)
FILES = (Listed, Tar, Folder)
# Hugging Face's copy of ImageNet adds the synset to the names of the validation images.
SYNSET_SUFFIX = re.compile(r"_n\d{8}(?=\.JPEG$)")


def open_dataset(spec: str | Path, labels: Path | None = None) -> Dataset:
    """The labelled images at `spec`, in a fixed order.

    Folders, uncompressed tars and lists of files take their labels from a list of lines "NAME LABEL" or
    from names (`zoo.datasets.labels`); `labels` gives that list. Caffe's LMDBs, parquet shards, WebDataset
    tars and files of `dsd-zoo pack` carry their own. No image is read yet. Close it, or use it in a with
    statement.

    Raises:
        UsageError: nothing usable at `spec`, no labels, or a second source of labels.
        DataError: the list and the images do not fit together, or the place is damaged.
    """
    path = Path(spec)
    if not (path.is_dir() or path.is_file()):
        raise UsageError(f"{path}: no such folder or file of images")
    for labelled in LABELLED:
        if labelled.accepts(path):
            if labels is not None:
                raise UsageError(f"{path}: its images carry their labels; --labels {labels} is not for it")
            return _of_records(path, labelled(path))
    for source in FILES:
        if source.accepts(path):
            return _of_files(path, source(path), labels)
    raise UsageError(
        f"{path}: expected a folder of images, an uncompressed .tar (unpack a compressed one), a Caffe LMDB, "
        "parquet or WebDataset shards, a list of files, or a file of dsd-zoo pack"
    )


def _of_records(path: Path, place: Records) -> Dataset:
    if not place.records:
        place.close()
        raise UsageError(f"{path}: no images there")
    items = tuple(
        Sample(printable(record.name), record.label, partial(place.read, index))
        for index, record in enumerate(place.records)
    )
    name = _known(items) or path.resolve().name
    return Dataset(name, str(path), place.labels_source, items, place.close, place.flavour)


def _of_files(path: Path, place: Files, labels: Path | None) -> Dataset:
    try:
        labelled = label_images(place, str(path), labels or (path if isinstance(place, Listed) else None))
    except BaseException:
        place.close()
        raise
    items = tuple(
        Sample(printable(name), label, partial(place.read, name)) for name, label in labelled.labels.items()
    )
    return Dataset(_known(items) or path.resolve().name, str(path), labelled.source, items, place.close)


def _known(items: tuple[Sample, ...]) -> str | None:
    """The dataset of the zoo that these images are, or are part of: all names and labels are its own."""
    names = {SYNSET_SUFFIX.sub("", PurePosixPath(item.id).name): item.label for item in items}
    first = next(iter(names))
    if len(names) < len(items):
        return None
    for name, known in KNOWN_DATASETS.items():
        if known.file_name.fullmatch(first) and names.items() <= known.labels().items():
            return name
    return None
