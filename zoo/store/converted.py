"""Nets in the form that a runtime needs, converted once and kept: net.onnx, or net.py for PyTorch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import converters
from zoo.errors import UsageError
from zoo.files import disk_errors_explained, require_file, sha256
from zoo.vocabulary import Form

if TYPE_CHECKING:
    import onnx_ir as ir

    from zoo.catalog.manifest import Manifest
    from zoo.store.cache import Cache

FORM_NAMES: dict[Form, str] = {"onnx": "net.onnx", "pytorch": "net.py"}
# Beside a converted net: the preprocessing that its sources state, as JSON.
PREPROCESSING_NAME = "preprocessing.json"
# The version of the contents of such a folder.
LAYOUT = 2


@dataclass(frozen=True)
class SourceNet:
    """A net in the files that `converters.load` takes; they are read and hashed at most once.

    output: the output to keep, if the net has several.
    image_shape: (channels, height, width), for a net that must know it and does not state it.
    known_hashes: the sha256 of each source, in order; computed by default.
    known_states: what each source was when it was hashed; by default, what it is before it is hashed here.
    kept: what was read of these files, if they are read for something else too.
    """

    sources: Sequence[Path]
    output: str | None = None
    image_shape: Sequence[int] | None = None
    known_hashes: Sequence[str] | None = None
    known_states: Sequence[converters.FileState] | None = None
    kept: converters.KeptSources | None = None

    @cached_property
    def states(self) -> list[converters.FileState]:
        """What each source was when it was hashed."""
        if self.known_states is not None:
            return list(self.known_states)
        return [converters.FileState.of(source) for source in self.sources]

    @cached_property
    def hashes(self) -> list[str]:
        """The sha256 of each source, in order. UsageError for one that is not a file."""
        for source in self.sources:
            require_file(source)
        _ = self.states  # before the files are read
        if self.known_hashes is not None:
            return list(self.known_hashes)
        return [sha256(source) for source in self.sources]

    @cached_property
    def model(self) -> ir.Model:
        """The net as read. Raises converters.ConverterError."""
        return converters.load(
            *self.sources,
            outputs=self._outputs,
            image_shape=self.image_shape,
            sha256=self.hashes,
            kept=self.kept,
        )

    def converted(self, form: Form, cache_root: Path) -> Path:
        """The net in the form that a runtime needs, kept in <cache_root>/converted/.

        The key includes the content of the sources and of the converter, so it is never stale. A file that
        already has the form is returned unchanged.

        Raises:
            UsageError: a .py file cannot become anything else, or the cache cannot be written.
            converters.ConverterError: the net cannot be converted.
        """
        name = FORM_NAMES[form]
        if [source.suffix for source in self.sources] == [Path(name).suffix]:
            return self.sources[0]
        for source in self.sources:
            if source.suffix == ".py":
                raise UsageError(f"{source}: a net.py runs in PyTorch only; use --runtime pytorch")
            require_file(source)
        folder = self._existing(form, cache_root)
        if folder is None:
            with disk_errors_explained(cache_root):
                folder = self._convert(form, cache_root)
        return folder / name

    def _folder(self, form: Form, cache_root: Path, shape: Sequence[int] | None) -> Path:
        return cache_root / "converted" / self._key(shape) / form

    def _existing(self, form: Form, cache_root: Path) -> Path | None:
        """Most nets state all their sizes. The shape is part of the key only where it is used."""
        shapes = [None] if self.image_shape is None else [None, self.image_shape]
        folders = (self._folder(form, cache_root, shape) for shape in shapes)
        return next(filter(Path.is_dir, folders), None)

    def _convert(self, form: Form, cache_root: Path) -> Path:
        """Create the folder of a converted net with one rename, so that it is complete whenever it exists.

        One process creates it while others wait. What killed processes left of any net is removed first.
        """
        from filelock import FileLock

        first = self._folder(form, cache_root, None)
        first.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(first.with_name(f".{form}.lock")):
            if (existing := self._existing(form, cache_root)) is not None:
                return existing
            used = self.model.meta.get("image_shape_used")
            folder = self._folder(form, cache_root, self.image_shape if used else None)
            folder.parent.mkdir(exist_ok=True)
            with converters.temporary_folder(folder.parent.parent) as temporary:
                incoming = temporary / form
                incoming.mkdir()
                self.write(incoming / FORM_NAMES[form])
                incoming.rename(folder)
        return folder

    def write(self, out: Path) -> None:
        """Write the net to `out`, its preprocessing beside it."""
        try:
            converters.save(self.model, out)
        except converters.UsageError as error:
            # The user did not choose this folder; `disk_errors_explained` says what to do about the cache.
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from error
            raise
        preprocessing = json.dumps(converters.preprocessing_of(self.model))
        out.with_name(PREPROCESSING_NAME).write_text(preprocessing, encoding="utf-8")
        # The key says which content this is the net of.
        for state in self.states:
            state.check()

    @property
    def _outputs(self) -> list[str] | None:
        """An .onnx keeps all its outputs."""
        return None if self.output is None or self.sources[0].suffix == ".onnx" else [self.output]

    def _key(self, shape: Sequence[int] | None) -> str:
        """The key in the cache: a hash of the sources, the converter, the outputs and the shape."""
        key = [LAYOUT, _converter(), *self.hashes, self._outputs, None if shape is None else list(shape)]
        return hashlib.sha256(json.dumps(key).encode()).hexdigest()


def source_net(manifest: Manifest, cache: Cache, hashes: Sequence[str] | None = None) -> SourceNet:
    """The net of a model, up to the output that ranks the classes.

    hashes: the sha256 of each source file, in order; computed by default.
    Raises UsageError if a file is not in the cache.
    """
    return SourceNet(cache.sources(manifest), manifest.scores, manifest.image_shape, hashes)


def recorded_preprocessing(form: Path) -> dict[str, Any] | None:
    """The preprocessing that the sources of a `SourceNet.converted` state; None if they state none."""
    found: dict[str, Any] | None = json.loads(form.with_name(PREPROCESSING_NAME).read_text(encoding="utf-8"))
    return found


def _converter() -> str:
    """A hash of the converter's own files, as its code may change within one version."""
    folder = Path(converters.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
