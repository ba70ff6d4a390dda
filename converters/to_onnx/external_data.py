"""An .onnx with its weights in another file: a .safetensors beside it, or the file they were read from."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from converters.atomic_writing import atomic_write_group
from converters.errors import UsageError
from converters.tensor_file import ExternalData, little_endian, write_tensors
from converters.to_onnx.model_proto import (
    MIN_EXTERNAL_BYTES,
    initializer_arrays,
    proto_without_initializers,
    tensor_header,
)

if TYPE_CHECKING:
    import onnx_ir as ir


def save_external(model: ir.Model, path: Path) -> list[Path]:
    """Writes `path` and, beside it, `<stem>.safetensors` with the weights under their ONNX names."""
    weights = path.with_suffix(".safetensors")
    large = {name: array for name, array in initializer_arrays(model) if array.nbytes >= MIN_EXTERNAL_BYTES}
    with atomic_write_group(path.parent, [path.name, weights.name]) as temporary:
        references = write_tensors(temporary / weights.name, large)
        save_with_external_data(model, temporary / path.name, references)
    return [path, weights]


def save_linked(model: ir.Model, path: Path) -> list[Path]:
    """Writes `path` with references into the files the weights were read from.

    UsageError if such a file is not in or below the folder of `path`: ONNX allows no other place. Weights
    that are not one piece of a file (converted, decoded or scattered ones) are stored inside `path`.
    """
    references = {}
    for name, array in initializer_arrays(model):
        if (
            array.nbytes >= MIN_EXTERNAL_BYTES
            and (reference := _reference(model, array, path.parent)) is not None
        ):
            references[name] = reference
    return save_with_external_data(model, path, references)


def save_with_external_data(
    model: ir.Model, path: Path, references: Mapping[str, ExternalData]
) -> list[Path]:
    """Writes `path`. Initializers named in `references` refer to that place, the others are stored inside."""
    proto = proto_without_initializers(model)
    for name, array in initializer_arrays(model):
        tensor = tensor_header(name, array, references.get(name))
        if name not in references:
            tensor.raw_data = little_endian(array).tobytes()
        proto.graph.initializer.append(tensor)
    with atomic_write_group(path.parent, [path.name]) as temporary:
        (temporary / path.name).write_bytes(proto.SerializeToString())
    return [path]


def _reference(model: ir.Model, array: np.ndarray, folder: Path) -> ExternalData | None:
    """The place of `array` in a source file, if it is a contiguous view of that file's memory map."""
    if not array.flags.c_contiguous or array.dtype.byteorder == ">":
        return None
    address = array.__array_interface__["data"][0]
    for source, mapped in model.meta.get("maps", {}).items():
        offset = address - mapped.__array_interface__["data"][0]
        if 0 <= offset <= mapped.nbytes - array.nbytes:
            try:
                location = Path(source).resolve().relative_to(folder.resolve())
            except ValueError:
                raise UsageError(
                    f"--link: the weights are in {source}, outside {folder}; "
                    "ONNX only allows files in or below the folder of the model: write it there"
                ) from None
            _check_text(location)
            return ExternalData(location.as_posix(), offset, array.nbytes)
    return None


def _check_text(location: Path) -> None:
    try:
        str(location).encode()
    except UnicodeEncodeError:
        raise UsageError(
            f"--link: ONNX names files in UTF-8, which {location} is not: rename the weights"
        ) from None
