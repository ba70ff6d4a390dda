"""Nets in the form that a runtime needs, converted once and kept: net.onnx, or net.py for PyTorch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import converters
from zoo.errors import UsageError
from zoo.files import disk_errors_explained, require_file, sha256
from zoo.vocabulary import Form

FORM_NAMES: dict[Form, str] = {"onnx": "net.onnx", "pytorch": "net.py"}
# Beside a converted net: the preprocessing that its sources state, as JSON.
PREPROCESSING_NAME = "preprocessing.json"
# The version of the contents of such a folder.
LAYOUT = 2


def converted_model(
    sources: Sequence[Path],
    form: Form,
    cache_root: Path,
    input_shape: Sequence[int] | None = None,
    scores: str | None = None,
    hashes: Sequence[str] | None = None,
    states: Sequence[converters.FileState] | None = None,
) -> Path:
    """The net in `sources` (what `converters.load` takes) in the form that a runtime needs.

    It is kept in <cache_root>/converted/. The key includes the content of the sources and of the converter,
    so it is never stale. A file that already has the form is returned unchanged.

    input_shape: (channels, height, width), for a Torch7 net that does not imply it.
    scores: the output to keep, if the net has several.
    hashes: the sha256 of each source, in order; computed by default.
    states: what each source was when it was hashed; by default, what it is now.

    Raises:
        converters.SourceChangedError: a source has changed since it was hashed.
        UsageError: a .py file cannot become anything else, or the cache cannot be written.
        converters.ConverterError: the net cannot be converted.
    """
    name = FORM_NAMES[form]
    if [source.suffix for source in sources] == [Path(name).suffix]:
        return sources[0]
    for source in sources:
        if source.suffix == ".py":
            raise UsageError(f"{source}: a net.py runs in PyTorch only; use --runtime pytorch")
        require_file(source)
    outputs = None if scores is None or sources[0].suffix == ".onnx" else [scores]
    if states is None:
        states = [converters.FileState.of(source) for source in sources]
    hashes = [sha256(source) for source in sources] if hashes is None else list(hashes)
    net = _Net(sources, hashes, states, outputs)
    # Most nets fix all their sizes. The shape is used, and is part of the key, only for a net that does not.
    shapes = [None] if input_shape is None else [None, list(input_shape)]
    folders = [cache_root / "converted" / net.key(shape) / form for shape in shapes]
    folder = next(filter(Path.is_dir, folders), None)
    if folder is None:
        with disk_errors_explained(cache_root):
            try:
                folder = _make(folders[0], net, name, shapes[0])
            except converters.StaticSizeRequired:
                if input_shape is None:
                    raise
                folder = _make(folders[1], net, name, shapes[1])
    return folder / name


def recorded_preprocessing(form: Path) -> dict[str, Any] | None:
    """The preprocessing that the sources of a `converted_model` state; None if they state none."""
    found: dict[str, Any] | None = json.loads(form.with_name(PREPROCESSING_NAME).read_text(encoding="utf-8"))
    return found


@dataclass(frozen=True, slots=True)
class _Net:
    """The files of a net, their sha256 and states in the same order, and the outputs to keep (None: all)."""

    sources: Sequence[Path]
    hashes: Sequence[str]
    states: Sequence[converters.FileState]
    outputs: list[str] | None

    def key(self, shape: list[int] | None) -> str:
        """The key in the cache: a hash of the sources, the converter, the outputs and the shape."""
        key = [LAYOUT, _converter(), *self.hashes, self.outputs, shape]
        return hashlib.sha256(json.dumps(key).encode()).hexdigest()

    def write(self, out: Path, shape: list[int] | None) -> None:
        """Write the net to `out`, its preprocessing beside it. `shape`: of one image, for any batch."""
        input_shapes: dict[str, list[int | str]] | None = None if shape is None else {"input": ["N", *shape]}
        try:
            model = converters.load(
                *self.sources, outputs=self.outputs, input_shapes=input_shapes, sha256=self.hashes
            )
            converters.save(model, out)
        except converters.UsageError as error:
            # The user did not choose this folder; `disk_errors_explained` says what to do about the cache.
            if isinstance(error.__cause__, OSError):
                raise error.__cause__ from error
            raise
        preprocessing = json.dumps(converters.preprocessing_of(model))
        out.with_name(PREPROCESSING_NAME).write_text(preprocessing, encoding="utf-8")
        # The key says which content this is the net of.
        for state in self.states:
            state.check()


def _make(folder: Path, net: _Net, name: str, shape: list[int] | None) -> Path:
    """Create the folder of a converted net with one rename, so that it is complete whenever it exists.

    One process creates it while others wait. What killed processes left of any net is removed first.
    """
    from filelock import FileLock

    folder.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(folder.with_name(f".{folder.name}.lock")):
        if folder.is_dir():
            return folder
        with converters.temporary_folder(folder.parent.parent) as temporary:
            incoming = temporary / folder.name
            incoming.mkdir()
            net.write(incoming / name, shape)
            incoming.rename(folder)
    return folder


def _converter() -> str:
    """A hash of the converter's own files, as its code may change within one version."""
    folder = Path(converters.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
