"""Converted forms of nets, made once and kept: net.onnx for ONNX Runtime, net.py for PyTorch."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import converters
from zoo.errors import UsageError
from zoo.files import disk_errors_explained, require_file, sha256
from zoo.vocabulary import Form

FORM_NAMES: dict[Form, str] = {"onnx": "net.onnx", "pytorch": "net.py"}


def converted(
    sources: Sequence[Path],
    target: Form,
    cache_root: Path,
    input_shape: Sequence[int] | None = None,
    scores: str | None = None,
) -> Path:
    """The net in `sources` (what `converters.load` takes) in the form that a runtime needs.

    It is kept in <cache_root>/converted/, under a key of the content of the sources and of the converter
    itself, so neither can be stale. A file that already has the form is returned as it is.

    input_shape: (channels, height, width), for a Torch7 net that does not imply it.
    scores: the output to keep, if the net has several.

    Raises:
        UsageError: a .py file cannot become anything else, or the cache cannot be written.
        converters.ConverterError: the net cannot be converted.
    """
    suffix = Path(FORM_NAMES[target]).suffix
    if [source.suffix for source in sources] == [suffix]:
        return sources[0]
    for source in sources:
        if source.suffix == ".py":
            raise UsageError(f"{source}: a net.py runs in PyTorch only; use --runtime pytorch")
        require_file(source)
    outputs = None if scores is None or sources[0].suffix == ".onnx" else [scores]
    shape = None if input_shape is None else list(input_shape)
    key = [_converter(), *map(sha256, sources), outputs, shape]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()
    form = cache_root / "converted" / digest / target
    if not form.is_dir():
        with disk_errors_explained(cache_root):
            _make(form, sources, FORM_NAMES[target], outputs, shape)
    return form / FORM_NAMES[target]


def _make(
    form: Path, sources: Sequence[Path], name: str, outputs: list[str] | None, shape: list[int] | None
) -> None:
    """Make the folder `form` with one rename, so that it is whole from the moment it exists.

    One process does it while others wait, so that what lies under the temporary name is a killed one's.
    """
    from filelock import FileLock

    form.parent.mkdir(parents=True, exist_ok=True)
    incoming = form.with_name(f".incoming-{form.name}")
    with FileLock(form.with_name(f".{form.name}.lock")):
        if form.is_dir():
            return
        shutil.rmtree(incoming, ignore_errors=True)
        incoming.mkdir()
        try:
            _convert(sources, incoming / name, outputs, shape)
            incoming.rename(form)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)


def _convert(sources: Sequence[Path], out: Path, outputs: list[str] | None, shape: list[int] | None) -> None:
    """As the net itself says; where its size must be given, for any batch."""
    try:
        try:
            converters.convert(sources, out, outputs=outputs)
        except converters.StaticSizeRequired:
            if shape is None:
                raise
            converters.convert(sources, out, outputs=outputs, input_shapes={"input": ["N", *shape]})
    except converters.UsageError as error:
        # The folder is the cache's, not one that the user chose: what to do about it is said there.
        if isinstance(error.__cause__, OSError):
            raise error.__cause__ from error
        raise


def _converter() -> str:
    """What the converter is: a digest of its own files, which a version number does not replace."""
    folder = Path(converters.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
