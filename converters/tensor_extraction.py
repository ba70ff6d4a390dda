"""Writes the tensors of a .t7 as .safetensors: for files without a network, or if only weights are wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from converters.atomic_writing import atomic_write_group
from converters.errors import UsageError
from converters.report import ConversionReport, Source
from converters.sniff import Kind, identify
from converters.tensor_file import write_tensors


def extract_tensors(
    paths: Sequence[Path], out: Path, sources: Callable[[], list[Source]]
) -> ConversionReport:
    """Writes every tensor of one .t7 under its path in the file. UsageError for other files.

    sources: gives the records of `paths`; called after the tensors are written.
    """
    if len(paths) != 1 or identify(paths[0]) is not Kind.TORCH7:
        raise UsageError(
            f"{out}: .safetensors output is for the tensors of one .t7; a net's weights come with -o NET.py, "
            "or with -o NET.onnx --external"
        )
    from converters import from_torch7

    file, arrays = from_torch7.open_tensors(paths[0])
    if not arrays:
        raise UsageError(f"{paths[0]}: holds no tensors; dsd-zoo inspect shows what is in it")
    with atomic_write_group(out.parent, [out.name]) as temporary:
        write_tensors(temporary / out.name, arrays, [file], hashed=False)
        records = sources()
        file.check()
    return ConversionReport(
        framework="torch7",
        sources=records,
        parameters=sum(array.size for array in arrays.values()),
        notes=[f"{len(arrays)} tensors, under their paths in the file"],
        files=[out],
    )
