"""Opens the labelled images at a path of any kind."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from zoo.bundled import KNOWN_DATASETS
from zoo.datasets.dataset import Dataset, Samples
from zoo.datasets.labels import label_images
from zoo.datasets.registry import all_sources, expected_sources
from zoo.datasets.source import Files, ImageSource, Records
from zoo.errors import DataError, UsageError, excerpt
from zoo.files import printable

# Hugging Face's copy of ImageNet adds the synset to the names of the validation images.
SYNSET_SUFFIX = re.compile(r"_n\d{8}(?=\.JPEG$)")


def open_dataset(spec: str | Path, labels: Path | None = None, indexes: Path | None = None) -> Dataset:
    """The labelled images at `spec`, in a fixed order.

    Sources of files, such as folders and tars, take the labels from a list of lines "NAME LABEL" or from the
    files' names (`zoo.datasets.labels`); `labels` gives that list. Sources of records, such as LMDBs, carry
    the labels. `indexes` is a folder in which the names of a folder's files are kept, so that it is listed
    once. No image is read yet. Close the dataset, or use it in a with statement.

    Raises:
        UsageError: nothing usable at `spec`, no labels, or a second source of labels.
        DataError: the list and the images do not fit together, or the place is damaged.
    """
    path = Path(spec)
    if not (path.is_dir() or path.is_file()):
        raise UsageError(f"{path}: no such folder or file of images")
    for source in _sources(path, indexes):
        if not source.accepts(path):
            continue
        if issubclass(source, Records):
            if labels is not None:
                raise UsageError(f"{path}: its images carry their labels; --labels {labels} is not for it")
            return _with_different_names(_of_records(path, source(path)))
        if issubclass(source, Files):
            place = source(path) if indexes is None else source.indexed(path, indexes)
            return _with_different_names(_of_files(path, place, labels))
    raise UsageError(f"{path}: expected {expected_sources()}")


def _sources(path: Path, indexes: Path | None) -> list[type[ImageSource]]:
    """The sources in the order in which they are tried; first the one that knows the place already.

    The others list a folder to see what it is.
    """
    sources = all_sources()
    if indexes is not None:
        sources.sort(key=lambda s: not (issubclass(s, Files) and s.is_indexed(path, indexes)))
    return sources


def _with_different_names(data: Dataset) -> Dataset:
    """The dataset. DataError if two images have one name: evidence has one row for each name."""
    names = data.samples.names
    if len(set(names)) == len(data):
        return data
    data.close()
    name, count = Counter(names).most_common(1)[0]
    raise DataError(f"{data.source}: {count} images are called {excerpt(name)}; each needs a name of its own")


def _of_records(path: Path, place: Records) -> Dataset:
    records = place.records
    if not records:
        place.close()
        raise UsageError(f"{path}: no images there")
    samples = Samples(
        [printable(record.name) for record in records],
        [record.label for record in records],
        place.read,
        place.read_together if place.is_read_together else None,
    )
    known = _known(samples)
    name, order = known or path.resolve().name, _label_order(known)
    return Dataset(name, str(path), place.labels_source, samples, place.close, place.flavour, order)


def _of_files(path: Path, place: Files, labels: Path | None) -> Dataset:
    try:
        labelled = label_images(place, str(path), labels or place.labels_file)
    except BaseException:
        place.close()
        raise
    files = list(labelled.labels)
    samples = Samples(
        [printable(name) for name in files], list(labelled.labels.values()), lambda at: place.read(files[at])
    )
    known = _known(samples)
    return Dataset(
        known or path.resolve().name,
        str(path),
        labelled.source,
        samples,
        place.close,
        label_order=_label_order(known) or labelled.order,
    )


def _label_order(known: str | None) -> str | None:
    return None if known is None else KNOWN_DATASETS[known].label_order


def _known(samples: Samples) -> str | None:
    """The zoo's dataset that contains all these images with these labels; None if there is none."""
    names = {
        SYNSET_SUFFIX.sub("", name.rpartition("/")[2]): label
        for name, label in zip(samples.names, samples.labels, strict=True)
    }
    first = next(iter(names))
    if len(names) < len(samples):
        return None
    for name, known in KNOWN_DATASETS.items():
        if known.file_name.fullmatch(first) and names.items() <= known.labels().items():
            return name
    return None
