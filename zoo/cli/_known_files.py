"""What the zoo knows of files of the user's own, on the terminal and as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from zoo.cli._output import counted

if TYPE_CHECKING:
    from zoo.catalog.manifest import ModelFile
    from zoo.store.known_net import KnownNet
    from zoo.store.recognition import KnownContent, Recognition, Recognizer
    from zoo.store.subject import Subject

# So many models or versions are named; a definition may be shared by dozens.
MOST_NAMED = 5
# The first digits of a hash tell files apart.
DIGITS_SHOWN = 16


def known_fields(subject: Subject) -> list[tuple[str, str]]:
    """Lines for `print_fields`: which file of which model each file is, and the licence of the model."""
    known = subject.known_net()
    lines = [line for one in subject.recognize() for line in known_lines(one, known)]
    licence = "" if known is None else known.manifest.license.name
    return [("known as", "\n".join(lines)), ("licence", licence)]


def known_lines(one: Recognition, known: KnownNet | None = None) -> list[str]:
    """One line for each file of a model that the file is or holds. `known`: the model that counts, if any."""
    files = [file for file in one.known_as if known is None or file.model == known.manifest.name]
    lines = [
        str(file) if file.name == one.path.name else f"{one.path.name} is {file}"
        for file in files or one.known_as
    ]
    lines += [f"{one.path.name} is the archive of {file}" for file in one.archive_of]
    more = len(lines) - MOST_NAMED
    return lines if more < 1 else [*lines[:MOST_NAMED], f"and {counted(more, 'more file')} of other models"]


def warn_of_namesakes(recognized: Iterable[Recognition]) -> None:
    """Say on stderr which files have the name of a known file, and other content."""
    for one in recognized:
        if one.namesakes:
            print(f"dsd-zoo: warning: {namesake_text(one)}", file=sys.stderr)


def namesake_text(one: Recognition) -> str:
    """That a file is not the known one of its name: sizes and hashes of both, and what to do."""
    kinds = [kind for kind in one.hashes if any(kind in known.hashes for known in one.namesakes)][:1]
    models = list(dict.fromkeys(known.file.model for known in one.namesakes))
    lines = [
        f"{one.path}: has the name of a known file, and other content",
        f"  this one: {_identity(one.bytes, one.hashes, kinds)}",
        *(
            f"  known:    {_identity(known.bytes, known.hashes, kinds)}: {_what(known)}"
            for known in one.namesakes[:MOST_NAMED]
        ),
        f"  if it should be that file, it is damaged or was changed: dsd-zoo fetch {models[0]}",
    ]
    return "\n".join(lines)


def warn_of_manifests(recognizer: Recognizer | None) -> None:
    """Say on stderr which manifests could not be read, and so could not be compared with."""
    for problem in [] if recognizer is None else recognizer.unreadable:
        print(f"dsd-zoo: warning: {problem}", file=sys.stderr)


def known_json(subject: Subject) -> dict[str, Any]:
    """`model`: the name of the model that the net is, or None; `files`: what is known of each file."""
    known = subject.known_net()
    return {
        "model": None if known is None else known.manifest.name,
        "licence": None if known is None else known.manifest.license.name,
        "definition_published": None if known is None else known.published,
        "files": [file_json(one) for one in subject.recognize()],
    }


def file_json(one: Recognition) -> dict[str, Any]:
    """The file, its size and hashes, which known files it is or holds, and which others have its name."""
    return {
        "file": str(one.path),
        "bytes": one.bytes,
        **one.hashes,
        "known_as": _names(one.known_as),
        "archive_of": _names(one.archive_of),
        "other_versions": [
            {**_name(known.file), "bytes": known.bytes, **known.hashes} for known in one.namesakes
        ],
    }


def _names(files: Sequence[ModelFile]) -> list[dict[str, str]]:
    return [_name(file) for file in files]


def _name(file: ModelFile) -> dict[str, str]:
    return {"model": file.model, "name": file.name, "role": file.entry.role}


def _what(known: KnownContent) -> str:
    return f"the archive of {known.file}" if known.is_archive else str(known.file)


def _identity(size: int | None, hashes: Mapping[str, str], kinds: Sequence[str]) -> str:
    """Size and one hash, of one of these kinds if there is one."""
    shown = next((kind for kind in [*kinds, *hashes] if kind in hashes), None)
    digest = [] if shown is None else [f"{shown} {hashes[shown][:DIGITS_SHOWN]}..."]
    return ", ".join(["of unknown size" if size is None else f"{size:,} bytes", *digest])
