"""Opens the labelled images at a path of any kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from zoo.bundled import KNOWN_DATASETS
from zoo.datasets.dataset import Dataset, Samples
from zoo.datasets.labels import label_images
from zoo.datasets.registry import all_sources, expected_sources
from zoo.datasets.source import Files, ImageSource, Records
from zoo.datasets.sources.folder import Folder
from zoo.errors import DataError, UsageError, excerpt
from zoo.files import printable

if TYPE_CHECKING:
    from zoo.preprocessing.decode import Content

# Hugging Face's copy of ImageNet adds the synset to the names of the validation images.
# No photograph is as large; a path in the result of other people may lead to any file.
MOST_IMAGE_BYTES = 1 << 28
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


@dataclass(frozen=True)
class ImagesByName:
    """Images without labels, to be read by name in any order. Call `close` at the end."""

    readers: Mapping[str, Callable[[], Content]]
    close: Callable[[], None]

    def read(self, name: str) -> Content:
        """The content of one of them. DataError if it cannot be read."""
        return self.readers[name]()


def open_images(path: Path, names: Collection[str]) -> ImagesByName:
    """Those of the images `names` that are at a path that `open_dataset` takes; no labels are needed.

    A folder of files is not listed: it may be one of many others by now, as paths in results of long ago are.

    Raises:
        UsageError: nothing usable there. DataError: the place is damaged.
    """
    if path.is_dir() and (files := _files_below(path, names)):
        return ImagesByName(files, lambda: None)
    for source in all_sources() if path.exists() else []:
        if not source.accepts(path) or source is Folder:
            continue
        place = source(path)
        found: dict[str, Callable[[], Content]] = {}
        if isinstance(place, Records):
            records = enumerate(place.records)
            found = {printable(record.name): partial(place.read, at) for at, record in records}
        elif isinstance(place, Files):
            found = {printable(name): partial(place.read, name) for name in place.names}
        return ImagesByName({name: found[name] for name in names if name in found}, place.close)
    raise UsageError(f"{path}: expected {expected_sources()}, with images that were asked for")


def _files_below(folder: Path, names: Collection[str]) -> dict[str, Callable[[], Content]]:
    """Readers of the files of these names. A name that leads out of the folder is none of its images."""
    inside = [
        name for name in names if not PurePosixPath(name).is_absolute() and ".." not in Path(name).parts
    ]
    files = {name: folder / name for name in inside if (folder / name).is_file()}
    return {name: path.read_bytes for name, path in files.items() if path.stat().st_size <= MOST_IMAGE_BYTES}


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
