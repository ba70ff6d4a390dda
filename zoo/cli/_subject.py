"""What a command is about: a model of the zoo, or files of one's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import IntegrityError, UsageError
from zoo.files import require_file

if TYPE_CHECKING:
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Subject:
    """The files of a net under their own names, in conversion order, and what the zoo knows about it.

    `name` is what results call it; `cache` is the root of the user's cache, where converted forms are kept.
    """

    name: str
    files: dict[str, Path]
    cache: Path
    manifest: Manifest | None = None
    mean_image: Path | None = None
    expected: Mapping[str, str | None] = field(default_factory=dict)
    """Name to the sha256 on record; None where there is none."""

    @property
    def sources(self) -> list[Path]:
        """The files that the converter reads."""
        return list(self.files.values())

    def image_shape(self, crop: int) -> Sequence[int]:
        """(channels, height, width) of an image that enters the net; files of one's own take colours."""
        return (3, crop, crop) if self.manifest is None else self.manifest.input_shape

    def hashes(self) -> dict[str, str]:
        """Name to sha256 of the files. IntegrityError if one has changed since it was verified."""
        from zoo.files import sha256

        found = {name: sha256(path) for name, path in self.files.items()}
        for name, digest in found.items():
            if self.expected.get(name) not in (None, digest):
                raise IntegrityError(
                    f"{self.files[name]}: {name} of {self.name} is not the file that was verified\n"
                    f"  sha256: expected {self.expected[name]}, came {digest}\n"
                    f"  what is wrong with it: dsd-zoo verify {self.name}"
                )
        return found


def find_subject(arguments: Sequence[str], manifests: Sequence[Path] | None = None) -> Subject:
    """The model that the only argument names, or else the files that all of them name.

    The catalog is asked first: the name of a model may look like that of a file (squeezenet-v1.0).

    Raises:
        UsageError: no such model (with suggestions) or file, or a model's file is not in the cache yet.
    """
    from zoo.store.cache import Cache

    cache, catalog = Cache(), load_catalog(manifests)
    if len(arguments) > 1:
        return _own_files([Path(argument) for argument in arguments], cache.root)
    found = file_or_model(arguments[0], catalog)
    if isinstance(found, Path):
        return _own_files([found], cache.root)
    files = {file.name: cache.require(found, file.role) for file in found.source_files()}
    expected = {file.name: cache.expected_sha256(found, file) for file in found.source_files()}
    mean = cache.require(found, "mean") if found.preprocessing.mean_image else None
    return Subject(found.name, files, cache.root, found, mean, expected)


def file_or_model(argument: str, catalog: Catalog) -> Path | Manifest:
    """The model of that name, or else the file. UsageError if there is neither."""
    path = Path(argument)
    if argument in catalog:
        return catalog.get(argument)
    if path.exists():
        return path
    if path.name != argument:
        raise UsageError(f"no such file: {argument}")
    if path.suffix:
        raise UsageError(f"no such file: {argument}, nor is a model called so\n{catalog.advice(argument)}")
    return catalog.get(argument)


def _own_files(paths: Sequence[Path], cache: Path) -> Subject:
    for path in paths:
        require_file(path)
    # A result lists the hashes of a net's files by name: none may stand for another.
    if len({path.name for path in paths}) < len(paths):
        raise UsageError(
            f"several files of one name: {', '.join(map(str, paths))}\n"
            "  name each file of the net once, or rename one of them"
        )
    return Subject(paths[-1].stem, {path.name: path for path in paths}, cache)


def shipped_data(subject: Subject) -> Path:
    """The images that ship with the zoo, for a model that was tested on them."""
    from zoo.bundled import embedded_images
    from zoo.datasets import kinds_of_sources

    found = None if subject.manifest is None else embedded_images(subject.manifest.dataset)
    if found is None:
        raise UsageError(
            "say where the images are: --data SRC, such as ILSVRC2012_img_val.tar with the 50,000\n"
            f"  validation images of ImageNet, {kinds_of_sources()}"
        )
    return found


def load_catalog(manifests: Sequence[Path] | None = None) -> Catalog:
    """The bundled models and those of the folders given with `--manifests`."""
    from zoo.catalog.catalog import Catalog

    return Catalog.load(manifests or ())


def resolve_model(name: str, manifests: Sequence[Path] | None = None) -> Manifest:
    """The manifest of the model `name`; UsageError with suggestions if there is none."""
    return load_catalog(manifests).get(name)
