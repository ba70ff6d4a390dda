"""Writes nets beside their weights file so that every net there is whole at every moment, whatever is killed.

No single step can replace several files, so where an earlier net is replaced, the steps are:

1. the new weights come in under an interim name, which holds their hash;
2. each new net takes its name, one rename each, and finds its weights under the interim name;
3. the weights take their own name too, as a second link: nothing needs the old ones any more;
4. a net that names the file of its weights (ONNX) is replaced by the one with that name;
5. the interim name goes.

Before its rename in step 2 a net is the old one with the old weights, afterwards the new one with the new
weights. What a process killed in between leaves under interim names is removed by the next write.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from converters.atomic_writing import staging_folder
from converters.source_files import SourceFile, check_unchanged, sources_of
from converters.temporary_folders import locked
from converters.tensor_file import TensorFile, write_tensors
from converters.weights_record import WeightsRecord

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

HASH_DIGITS = 16
_INTERIM_FOLDER = "interim"


def interim_name(weights: str, sha256: str) -> str:
    """The name of a weights file while it comes in: net.safetensors -> net.0123456789abcdef.safetensors."""
    path = Path(weights)
    return f"{path.stem}.{sha256[:HASH_DIGITS]}{path.suffix}"


class PendingNet:
    """Nets and their weights file, being written into a temporary folder."""

    def __init__(self, model: ir.Model, staging: Path, weights: str) -> None:
        self._sources = sources_of(model)
        self.staging, self.weights = staging, weights
        self.interim = ""

    def write_weights(self, arrays: Mapping[str, np.ndarray]) -> TensorFile:
        """Write the weights file; before the nets, which carry its hash."""
        written = write_tensors(self.staging / self.weights, arrays, self._sources)
        self.interim = interim_name(self.weights, written.sha256)
        return written

    def record(self, written: TensorFile) -> WeightsRecord:
        """What an .onnx records of these weights."""
        file = SourceFile(self.staging / self.weights)
        return WeightsRecord.of(file, written.sha256, with_time=False)

    def write_net(self, name: str, content: Callable[[str], bytes]) -> None:
        """Write a net; `content` makes it for a name of the weights file."""
        final, interim = content(self.weights), content(self.interim)
        (self.staging / name).write_bytes(final)
        if interim != final:
            (self.staging / _INTERIM_FOLDER).mkdir(exist_ok=True)
            (self.staging / _INTERIM_FOLDER / name).write_bytes(interim)


@contextlib.contextmanager
def atomic_write_nets(
    model: ir.Model, folder: Path, names: Sequence[str], weights: str
) -> Iterator[PendingNet]:
    """Yields a `PendingNet`, to which the caller writes the weights and then the nets of these names.

    On success they are moved into `folder` as above; on any failure what was there before is there again.

    Raises:
        SourceChangedError: a file that `model` was read from has changed meanwhile.
        UsageError: the folder cannot be written.
    """
    with staging_folder(folder, [*names, weights]) as staging:
        pending = PendingNet(model, staging, weights)
        yield pending
        check_unchanged(model)
        with locked(folder):
            if any(os.path.lexists(folder / name) for name in (*names, weights)):
                _replace(pending, folder, names)
            else:
                _move_in(staging, folder, [weights, *names])
            _remove_interim(folder, weights, pending.interim)


def _move_in(staging: Path, folder: Path, names: Sequence[str]) -> None:
    """Moves files to names that are free."""
    moved = []
    try:
        for name in names:
            (staging / name).replace(folder / name)
            moved.append(folder / name)
    except BaseException:
        for path in reversed(moved):
            path.unlink(missing_ok=True)
        raise


def _replace(pending: PendingNet, folder: Path, names: Sequence[str]) -> None:
    """The steps that the module's docstring lists. On a failure the old files come back in the same way."""
    staging, weights, interim = pending.staging, pending.weights, folder / pending.interim
    before = staging / "before"
    before.mkdir()
    for name in names:
        if os.path.lexists(folder / name):
            _link(folder / name, before / name)
    had_weights = os.path.lexists(folder / weights)
    in_interim = [name for name in names if (staging / _INTERIM_FOLDER / name).exists()]
    (staging / weights).replace(interim)
    try:
        for name in names:
            new = staging / _INTERIM_FOLDER / name if name in in_interim else staging / name
            new.replace(folder / name)
        _link(interim, staging / weights)
        if had_weights:
            (folder / weights).replace(before / weights)
        (staging / weights).replace(folder / weights)
        for name in in_interim:
            (staging / name).replace(folder / name)
    except BaseException:
        # The weights first: the new nets find theirs under the interim name as long as they are there.
        if had_weights and os.path.lexists(before / weights):
            (before / weights).replace(folder / weights)
        for name in names:
            if os.path.lexists(before / name):
                (before / name).replace(folder / name)
            else:
                (folder / name).unlink(missing_ok=True)
        if not had_weights:
            (folder / weights).unlink(missing_ok=True)
        interim.unlink(missing_ok=True)
        raise


def _link(existing: Path, new: Path) -> None:
    """A second name for a file, or a copy where the disk knows no second names."""
    try:
        os.link(existing, new, follow_symlinks=False)
    except (OSError, NotImplementedError):
        shutil.copy2(existing, new, follow_symlinks=False)


def _remove_interim(folder: Path, weights: str, own: str) -> None:
    """Removes the interim name of these weights, and what killed processes left and no net needs."""
    path = Path(weights)
    pattern = re.compile(rf"{re.escape(path.stem)}\.[0-9a-f]{{{HASH_DIGITS}}}{re.escape(path.suffix)}")
    for found in folder.iterdir():
        if found.name == own or (pattern.fullmatch(found.name) and not _is_needed(found, folder / weights)):
            found.unlink(missing_ok=True)


def _is_needed(interim: Path, weights: Path) -> bool:
    """Whether a net beside it, of another run, is one that finds its weights under this name."""
    from converters.external_weights import external_locations

    sha256 = interim.name.split(".")[-2]
    module, net = weights.with_suffix(".py"), weights.with_suffix(".onnx")
    return (module.is_file() and sha256.encode() in module.read_bytes()) or (
        net.is_file() and interim.name in external_locations(net)
    )
