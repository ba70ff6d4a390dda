"""An .onnx with its weights in another file: a .safetensors beside it, or the file they were read from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from converters.atomic_writing import atomic_write_group
from converters.errors import UsageError
from converters.net_files import atomic_write_nets
from converters.output_file import OutputBytes
from converters.pending_metadata import complete
from converters.source_files import SourceFile, check_unchanged, sources_of
from converters.tensor_file import ExternalData, write_array
from converters.to_onnx.model_proto import (
    MIN_EXTERNAL_BYTES,
    initializer_arrays,
    proto_without_initializers,
    tensor_header,
)
from converters.weights_record import METADATA_KEY, WeightsRecord, hash_of, write_records

if TYPE_CHECKING:
    import onnx_ir as ir

    from converters.report import ConversionReport


def save_external(model: ir.Model, path: Path) -> list[Path]:
    """Writes `path` and, beside it, `<stem>.safetensors` with the weights under their ONNX names."""
    weights = path.with_suffix(".safetensors")
    large = {name: array for name, array in initializer_arrays(model) if array.nbytes >= MIN_EXTERNAL_BYTES}
    with atomic_write_nets(model, path.parent, [path.name], weights.name) as pending:
        written = pending.write_weights(large)
        complete(model)
        record = pending.record(written)
        pending.write_net(path.name, lambda name: with_weights_file(model, written.places, name, record))
    return [path, weights]


def save_linked(model: ir.Model, path: Path) -> list[Path]:
    """Writes `path` with references into the files the weights were read from.

    Weights that are not one piece of a file (converted, decoded or scattered ones) are stored inside `path`.

    UsageError if such a file is not in or below the folder of `path`, as ONNX allows no other place, or if no
    weight is one piece of a file.
    """
    references: dict[str, ExternalData] = {}
    linked: dict[str, SourceFile] = {}
    large = [(name, array) for name, array in initializer_arrays(model) if array.nbytes >= MIN_EXTERNAL_BYTES]
    for name, array in large:
        for source in sources_of(model):
            if (offset := _offset_in(source, array)) is not None:
                location = _location(source, path.parent)
                references[name] = ExternalData(location, offset, array.nbytes)
                linked[location] = source
    if large and not references:
        raise UsageError(
            f"--link: none of the {len(large)} large weights lies in its file as the ONNX needs it, in one "
            f"piece of the same numbers, such as {large[0][0]} (compressed and converted weights never do)\n"
            "  leave --link out, or use --external for a weights file of its own"
        )
    complete(model)
    records = {
        location: WeightsRecord.of(source, _sha256_of(model, source), with_time=True)
        for location, source in linked.items()
    }
    content = _content(model, references, records)
    with atomic_write_group(path.parent, [path.name]) as temporary:
        (temporary / path.name).write_bytes(content)
        check_unchanged(model)
    return [path]


def with_weights_file(
    model: ir.Model, places: Mapping[str, ExternalData], location: str, record: WeightsRecord
) -> bytes:
    """The .onnx whose initializers named in `places` lie in the weights file `location` beside it."""
    references = {name: ExternalData(location, place.offset, place.length) for name, place in places.items()}
    return _content(model, references, {location: record} if references else {})


def _content(
    model: ir.Model, references: Mapping[str, ExternalData], records: Mapping[str, WeightsRecord]
) -> bytes:
    """The .onnx. Initializers named in `references` refer to that place, the others are stored inside."""
    proto = proto_without_initializers(model)
    if records:
        proto.metadata_props.add(key=METADATA_KEY, value=write_records(records))
    for name, array in initializer_arrays(model):
        tensor = tensor_header(name, array, references.get(name))
        if name not in references:
            inside = OutputBytes()
            write_array(inside, array, sources_of(model))
            tensor.raw_data = bytes(inside.content)
        proto.graph.initializer.append(tensor)
    content: bytes = proto.SerializeToString()
    return content


def _offset_in(source: SourceFile, array: np.ndarray) -> int | None:
    """The offset of `array` in a source file, if it is a contiguous piece of it."""
    if not array.flags.c_contiguous or array.dtype.byteorder == ">":
        return None
    return source.offset_of(array)


def _location(source: SourceFile, folder: Path) -> str:
    try:
        location = source.path.resolve().relative_to(folder.resolve())
    except ValueError:
        raise UsageError(
            f"--link: the weights are in {source.path}, outside {folder}; "
            "ONNX only allows files in or below the folder of the model: write it there"
        ) from None
    _check_text(location)
    return location.as_posix()


def _sha256_of(model: ir.Model, source: SourceFile) -> str | None:
    """The SHA-256 of a file with weights: that in the report of the conversion, else computed.

    None if the files were not to be hashed.
    """
    report: ConversionReport | None = model.meta.get("report")
    hashes = {} if report is None else {one.name: one.sha256 for one in report.sources}
    if None in hashes.values():
        return None
    return hashes.get(source.path.name) or hash_of(source)


def _check_text(location: Path) -> None:
    try:
        str(location).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"--link: ONNX names files in UTF-8, which {location} is not: rename the weights"
        ) from None
