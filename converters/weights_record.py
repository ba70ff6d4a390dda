"""Which file an .onnx was written with, where its weights lie in another file.

The metadata of the model has a record for each such file, by its location:

    {"net.caffemodel": {"bytes": 243862414, "sha256": "...", "sample": "...", "modified_ns": 1600000000}}

`sample` is a SHA-256 of a few blocks. `modified_ns` is there for the original file that a model is linked to:
if size, time and sample are as recorded, the file counts as unchanged; otherwise all of it is hashed.
`sha256` is null for a file that was not hashed when the model was written, as asked (--no-hash).
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from converters.errors import FormatError, UnverifiedWarning
from converters.source_files import SourceFile

METADATA_KEY = "dsd-zoo.weights"
_BLOCKS, _BLOCK_BYTES = 16, 4096
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class WeightsRecord:
    """What is on record of a file; see above.

    sha256: None if the file was not hashed, as asked. modified_ns: None if only the content counts.
    """

    bytes: int
    sha256: str | None
    sample: str
    modified_ns: int | None = None

    @classmethod
    def of(cls, file: SourceFile, sha256: str | None, *, with_time: bool) -> WeightsRecord:
        """The record of an open file with this SHA-256."""
        modified = file.state.modified_ns if with_time else None
        return cls(file.state.size, sha256, sample_of(file), modified)

    def check(self, file: SourceFile, net: Path, *, verify: bool = False) -> None:
        """FormatError if `file` is not the one on record. verify: hash it whatever size and time say.

        Warns (UnverifiedWarning) where the hash would decide and is not on record.
        """
        if file.state.size != self.bytes:
            raise _not_on_record(file, net, f"{self.bytes:,} bytes", f"{file.state.size:,}")
        sample = sample_of(file)
        if sample != self.sample:
            raise _not_on_record(file, net, f"a sample with the sha256 {self.sample}", sample)
        if not verify and file.state.modified_ns == self.modified_ns:
            return
        if self.sha256 is None:
            warnings.warn(_not_hashed(file, net), UnverifiedWarning, stacklevel=2)
            return
        sha256 = hash_of(file)
        if sha256 != self.sha256:
            raise _not_on_record(file, net, f"the sha256 {self.sha256}", sha256)


def _not_on_record(file: SourceFile, net: Path, expected: str, came: str) -> FormatError:
    return FormatError(
        f"{file.path}: not the weights that {net} was written with: expected {expected}, came {came}; "
        f"put the original file there, or convert again"
    )


def _not_hashed(file: SourceFile, net: Path) -> str:
    return (
        f"{file.path}: cannot be verified: it was not hashed when {net} was written (--no-hash); its size "
        "and a sample of its bytes are as recorded; to be certain, convert again without --no-hash"
    )


def write_records(records: Mapping[str, WeightsRecord]) -> str:
    """The records by location as the text of the metadata."""
    rows = {
        location: {
            key: value for key, value in asdict(record).items() if value is not None or key == "sha256"
        }
        for location, record in records.items()
    }
    return json.dumps(rows)


def read_records(text: str | None, net: Path) -> dict[str, WeightsRecord]:
    """The records in the metadata of `net`; none where it has none. FormatError if they are damaged."""
    try:
        records = {location: WeightsRecord(**row) for location, row in json.loads(text or "{}").items()}
        if not all(type(record.bytes) is int for record in records.values()):
            raise TypeError("a size is no whole number")
        return records
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise FormatError(f"{net}: the record of its weights file is damaged: {error}") from error


def sample_of(file: SourceFile) -> str:
    """The SHA-256 of blocks spread evenly over the file, its first and its last bytes among them."""
    digest = hashlib.sha256()
    size, last = min(_BLOCK_BYTES, file.state.size), max(0, file.state.size - _BLOCK_BYTES)
    for k in range(_BLOCKS):
        digest.update(file.read(last * k // (_BLOCKS - 1), size))
    return digest.hexdigest()


def hash_of(file: SourceFile) -> str:
    """The SHA-256 of an open file."""
    digest = hashlib.sha256()
    buffer = memoryview(bytearray(min(_CHUNK_BYTES, file.state.size)))
    for offset in range(0, file.state.size, _CHUNK_BYTES):
        chunk = buffer[: file.state.size - offset]
        file.read_into(chunk, offset)
        digest.update(chunk)
    return digest.hexdigest()
