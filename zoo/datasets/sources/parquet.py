"""Hugging Face style parquet shards: a column `image` with encoded bytes and a column `label`.

Needs pyarrow, which comes with the extra `data`.
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict
from collections.abc import Iterator
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from converters import SourceFile, extras
from zoo.datasets.registry import register_source
from zoo.datasets.source import Record, Records
from zoo.errors import DataError, UsageError, excerpt

if TYPE_CHECKING:
    from pyarrow.parquet import ParquetFile

MAGIC = b"PAR1"
# Several threads read in order, so two row groups are in use at a border.
GROUPS_KEPT = 2
VALIDATION = "validation"
ROWS_AT_A_TIME = 16
# No image file is shorter.
LEAST_IMAGE_BYTES = 32
# What rows may take beside their bytes in the file: a column may store one value once, for all rows.
UNPACKED_OF_ANY, UNPACKED_OF_A_BYTE = 1 << 26, 16
OUT_OF_PROPORTION = "its rows take far more than the file's own bytes: damaged, or made to do harm"


@register_source
class Parquet(Records):
    """One shard, or all shards of one split in a folder (or its subfolder `data`), ordered by name.

    If a folder holds several splits, such as `train-00000-of-00294.parquet` beside
    `validation-00000-of-00014.parquet`, only the validation split is read.
    """

    kind: ClassVar[str] = "parquet shards"
    description: ClassVar[str] = "parquet shards"
    labels_source = "the column 'label'"

    def __init__(self, path: Path) -> None:
        try:
            import pyarrow.parquet as arrow
            from pyarrow import ArrowException
        except ImportError as error:
            raise UsageError(extras.missing("pyarrow", f"{path}: reading parquet")) from error
        self._lock = threading.Lock()
        self._groups: OrderedDict[tuple[int, int], list[Any]] = OrderedDict()
        self._files: list[ParquetFile] = []
        self._opened: list[SourceFile] = []
        # Of every record: the shard, the row group and the row in that group.
        self._locations: list[tuple[int, int, int]] = []
        self.records = []
        for shard in _split(path, _shards(path)):
            try:
                self._opened.append(SourceFile(shard))
                # Not mapped: a file that is cut off meanwhile would end the process.
                file = arrow.ParquetFile(shard)
                self._files.append(file)
                self._index(file, shard)
                self._opened[-1].check()
            except (OSError, ValueError, LookupError, ArrowException) as error:
                raise DataError(f"{shard}: the parquet file cannot be read: {excerpt(error)}") from error
        names = Counter(record.name for record in self.records)
        name, count = max(names.items(), key=itemgetter(1), default=("", 0))
        if count > 1:
            raise DataError(f"{path}: {count} images are called {excerpt(name)} in the column 'image'")

    @classmethod
    def accepts(cls, path: Path) -> bool:
        """A folder with *.parquet inside, or a file that begins with the format's magic bytes."""
        if path.is_dir():
            return bool(_shards(path))
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC

    def read(self, index: int) -> bytes:
        """The encoded image of a row. DataError if there is none, or the file is damaged.

        converters.SourceChangedError if the shard has changed since it was opened.
        """
        shard, group, row = self._locations[index]
        from pyarrow import ArrowException

        try:
            image = self._group(shard, group)[row]
        except (OSError, ValueError, LookupError, ArrowException) as error:
            self._opened[shard].check_content()
            raise DataError(f"its row group cannot be read, the file is damaged: {excerpt(error)}") from error
        self._opened[shard].check_content()
        if not isinstance(image, bytes):
            raise DataError("the row has no image bytes")
        return image

    def close(self) -> None:
        """Close the shards."""
        for file in (*self._files, *self._opened):
            file.close()

    def _group(self, shard: int, group: int) -> list[Any]:
        """The images of a row group. A run that reads records in order reads each group once."""
        with self._lock:
            if (shard, group) not in self._groups:
                images: list[Any] = []
                for batch in self._batches(shard, ["image"], [group]):
                    column = batch.column(0)
                    images += (column if _is_binary(column.type) else column.field("bytes")).to_pylist()
                self._groups[shard, group] = images
                while len(self._groups) > GROUPS_KEPT:
                    self._groups.popitem(last=False)
            return self._groups[shard, group]

    def _batches(self, shard: int, columns: list[str], groups: list[int] | None = None) -> Iterator[Any]:
        """Some rows at a time. DataError out of proportion: one stored value may be that of all rows."""
        most = UNPACKED_OF_ANY + UNPACKED_OF_A_BYTE * self._opened[shard].state.size
        # What is stated to be out of proportion is not unpacked to see it.
        if _stated_bytes(self._files[shard], columns, groups) > most:
            raise DataError(OUT_OF_PROPORTION)
        for batch in self._files[shard].iter_batches(ROWS_AT_A_TIME, row_groups=groups, columns=columns):
            most -= batch.nbytes
            if most < 0:
                raise DataError(OUT_OF_PROPORTION)
            yield batch

    def _index(self, file: ParquetFile, shard: Path) -> None:
        """Names and labels; the images are not read."""
        has_path = _check_columns(file.schema_arrow, shard)
        number = len(self._files) - 1
        size = self._opened[number].state.size
        if file.metadata.num_rows * LEAST_IMAGE_BYTES > size:
            raise DataError(f"{shard}: {file.metadata.num_rows:,} images in {size:,} bytes")
        labels: list[Any] = []
        paths: list[Any] = []
        for batch in self._batches(number, ["label", "image.path"] if has_path else ["label"]):
            labels += batch.column("label").to_pylist()
            paths += batch.column("image").field("path").to_pylist() if has_path else [None] * batch.num_rows
        rows = (
            (group, row)
            for group in range(file.num_row_groups)
            for row in range(file.metadata.row_group(group).num_rows)
        )
        for at, (path, label, (group, row)) in enumerate(zip(paths, labels, rows, strict=True)):
            if not isinstance(label, int) or isinstance(label, bool) or label < 0:
                raise DataError(
                    f"{shard}, row {at}: expected a class number from 0, the label is {excerpt(repr(label))}"
                )
            self.records.append(Record(str(path or f"{shard.stem}-{at:06d}"), label))
            self._locations.append((number, group, row))


def _stated_bytes(file: ParquetFile, columns: list[str], groups: list[int] | None) -> int:
    """What the pages of these columns unpack to in the largest row group, in bytes, as the file states it."""

    def of_group(number: int) -> int:
        group = file.metadata.row_group(number)
        stated = (group.column(k) for k in range(group.num_columns))
        return sum(
            column.total_uncompressed_size
            for column in stated
            if any(f"{column.path_in_schema}.".startswith(f"{name}.") for name in columns)
        )

    return max(map(of_group, range(file.num_row_groups) if groups is None else groups), default=0)


def _check_columns(columns: Any, shard: Path) -> bool:  # noqa: ANN401 - pyarrow's types are not typed
    """Whether the images have paths. DataError unless there are columns of images and labels."""
    if "image" not in columns.names or "label" not in columns.names:
        raise DataError(
            f"{shard}: expected columns image and label, it has {excerpt(', '.join(columns.names))}"
        )
    kind = columns.field("image").type
    parts = {} if _is_binary(kind) else {part.name: part.type for part in getattr(kind, "fields", ())}
    if not _is_binary(parts.get("bytes", kind)):
        raise DataError(
            f"{shard}: expected encoded images (bytes) in the column image, it holds {excerpt(kind)}"
        )
    return "path" in parts


def _split(path: Path, shards: list[Path]) -> list[Path]:
    """The shards of one split; the split is the part of a name before its first `-`."""
    splits: dict[str, list[Path]] = {}
    for shard in shards:
        splits.setdefault(shard.stem.partition("-")[0], []).append(shard)
    if len(splits) == 1:
        return shards
    if VALIDATION not in splits:
        raise UsageError(
            f"{path}: shards of several splits ({', '.join(splits)}) and none is '{VALIDATION}'; "
            "give one shard, or a folder with the shards of one split"
        )
    return splits[VALIDATION]


def _is_binary(kind: Any) -> bool:  # noqa: ANN401 - pyarrow's types are not typed
    import pyarrow

    return bool(pyarrow.types.is_binary(kind) or pyarrow.types.is_large_binary(kind))


def _shards(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return sorted(path.glob("*.parquet")) or sorted((path / "data").glob("*.parquet"))
