"""The class of each image: from a list, or from the names of files and folders.

Labels count from 0. ImageNet's follow the order of the sorted synset ids (the order of Caffe's
synset_words.txt and of torchvision), not the devkit's own numbering.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from zoo.bundled import ILSVRC2012_VAL, devkit_order, ilsvrc2012_val_labels, imagenet_synsets
from zoo.datasets.source import Files
from zoo.errors import DataError, UsageError, excerpt

IMAGE_SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".bmp"})
LIST_NAMES = ("labels.txt", "val.txt")
# A list of all of ImageNet takes 50 MB.
MOST_LIST_BYTES = 1 << 27
MOST_LABEL_DIGITS = 9
# Names that a message shows.
NAMES_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Labelled:
    """Image names with their labels, in the order of the dataset, and where the labels came from.

    `order` is the name of the order that the labels count in, where the source tells it.
    """

    labels: Mapping[str, int]
    source: str
    order: str | None = None


def label_images(files: Files, where: str, labels: Path | None = None) -> Labelled:
    """Labels for the images among `files`; `where` names the place in messages.

    With a list (`labels`, or a labels.txt or val.txt at the top of the place) the list says which images
    there are and in which order. Otherwise all images are taken in the order of their names, and the names
    must tell the labels: files named as in ILSVRC2012's validation set, folders or files with synset ids.

    Raises:
        UsageError: neither a list nor names tell the labels, or there are two lists.
        DataError: the list is damaged or does not fit the images.
    """
    if labels is not None:
        return _from_list(files, where, read_list(labels), str(labels))
    lists = [name for name in LIST_NAMES if name in files.names]
    if len(lists) > 1:
        raise UsageError(f"{where} holds both {' and '.join(lists)}: say with --labels FILE which one counts")
    if lists:
        listed = _parse(files.read(lists[0]), f"{where}: {lists[0]}")
        return _from_list(files, where, listed, lists[0])
    return _from_names(files, where)


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_LIST_BYTES:
            raise DataError(f"{path}: far too large for a list of labels")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: the list of labels cannot be read: {error.strerror}") from error


def read_list(path: Path) -> dict[str, int]:
    """Names, unchanged, and labels of a list on disk. Errors as in `label_images`."""
    return _parse(_read(path), str(path))


def _parse(content: bytes, source: str) -> dict[str, int]:
    """A list as convert_imageset reads it: one `name label` a line, the label after the last blank."""
    labels: dict[str, int] = {}
    try:
        # Editors on Windows begin a file with a mark. Names may contain other characters that end lines.
        lines = re.split(r"\r\n?|\n", content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DataError(f"{source}: a list of labels is UTF-8 text; byte {error.start} is none") from error
    for number, line in enumerate(lines, 1):
        if not (text := line.strip()):
            continue
        # No regular expression: one that finds the last blank tries all the others first.
        name, *label = text.rsplit(maxsplit=1)
        if not label or not label[0].isdecimal() or len(label[0]) > MOST_LABEL_DIGITS:
            raise DataError(
                f"{source}, line {number}: expected 'NAME LABEL' with a label from 0, came {line[:80]!r}"
            )
        name = name.removeprefix("./") or name
        if name in labels:
            raise DataError(f"{source}, line {number}: {excerpt(name)} is listed a second time")
        labels[name] = int(label[0])
    if not labels:
        raise DataError(f"{source}: the list of labels is empty")
    return labels


def missing_images(source: str, where: str, some: Sequence[str], count: str, total: int) -> DataError:
    """The error to raise for images that the list `source` names and that are not in `where`."""
    names = ", ".join(map(excerpt, some[:NAMES_SHOWN]))
    return DataError(
        f"{source}: {count} of the {total:,} images it lists are not in {where}: "
        f"{names}{', ...' if count != str(len(some)) else ''}"
    )


def _from_list(files: Files, where: str, listed: Mapping[str, int], source: str) -> Labelled:
    """The images of a list. A name may begin with a slash, as for convert_imageset."""
    labels = {
        name if name in files.names else name.removeprefix("/"): label for name, label in listed.items()
    }
    missing = [name for name in labels if name not in files.names]
    if missing:
        raise missing_images(source, where, missing[:NAMES_SHOWN], f"{len(missing):,}", len(labels))
    others = sum(_is_image(name) and name not in labels for name in files.names)
    said = f"{source}, which leaves out {others} of the images there" if others else source
    return Labelled(labels, said, _order_by_names(labels))


def _order_by_names(labels: Mapping[str, int]) -> str | None:
    """The order in which a list numbers ImageNet's classes, where all its images are named by synset ids."""
    synsets = imagenet_synsets()
    sorted_labels = {}
    for name in labels:
        path = PurePosixPath(name)
        label = synsets.get(path.parent.name, synsets.get(path.name.partition("_")[0]))
        if label is None:
            return None
        sorted_labels[name] = label
    if labels == sorted_labels:
        return "sorted-synsets"
    of_2015 = {label: number for number, label in enumerate(devkit_order())}
    return "ilsvrc2015" if labels == {name: of_2015[label] for name, label in sorted_labels.items()} else None


def _from_names(files: Files, where: str) -> Labelled:
    """Labels from names: all rules that apply to every image are used, and they must agree."""
    names = sorted(filter(_is_image, files.names))
    if not names:
        raise DataError(f"{where}: no images there (looked for {', '.join(sorted(IMAGE_SUFFIXES))})")
    answers = []
    for source, rule in _rules().items():
        labels = {name: label for name in names if (label := rule(name)) is not None}
        if len(labels) == len(names):
            answers.append(Labelled(labels, source, "sorted-synsets"))
    if not answers:
        raise UsageError(_no_labels(where, names))
    for other in answers[1:]:
        if other.labels != answers[0].labels:
            name = next(name for name in names if other.labels[name] != answers[0].labels[name])
            raise DataError(
                f"{where}: {excerpt(name)} is class {answers[0].labels[name]} by its {answers[0].source} "
                f"and {other.labels[name]} by its {other.source}"
            )
    return answers[0]


def _is_image(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _rules() -> dict[str, Callable[[str], int | None]]:
    """The rules from a name to a label. Results call them as here."""
    synsets, validation = imagenet_synsets(), ilsvrc2012_val_labels()

    def by_folder(name: str) -> int | None:
        return synsets.get(PurePosixPath(name).parent.name)

    def by_prefix(name: str) -> int | None:
        return synsets.get(PurePosixPath(name).name.partition("_")[0])

    def by_number(name: str) -> int | None:
        match = ILSVRC2012_VAL.fullmatch(PurePosixPath(name).name)
        return validation[int(match[1]) - 1] if match and 1 <= int(match[1]) <= len(validation) else None

    return {
        "file name in the ILSVRC2012 validation set": by_number,
        "synset folder": by_folder,
        "synset prefix of the file name": by_prefix,
    }


def _no_labels(where: str, names: list[str]) -> str:
    return (
        f"{where}: nothing says what its {len(names)} images show (the first is {excerpt(names[0])})\n"
        f"  looked for a list {' or '.join(LIST_NAMES)} inside; for names such as "
        "ILSVRC2012_val_00000001.JPEG,\n"
        "  n01440764/any.JPEG or n01440764_any.JPEG in all images\n"
        "  give a list of lines 'NAME LABEL', labels counting from 0: --labels FILE"
    )
