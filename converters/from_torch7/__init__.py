"""A Torch7 file -> onnx_ir.Model.

`reader` turns the bytes into objects, `contents` finds the network among them, `convert` converts it:
`signature` infers its inputs, and `conversion` adds the nodes of its modules in the order in which Torch runs
them. `modules` has one function for each class. Nothing in the file is ever executed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from converters.errors import ConverterError, StaticSizeRequired
from converters.source_files import SourceFile, watch

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

    from converters.kept_sources import KeptSources
    from converters.options import Options
    from converters.report import Inspection

__all__ = ["inspect", "open_tensors", "read", "tensors"]


def read(path: Path, options: Options, kept: KeptSources) -> ir.Model:
    """The network in a .t7 file, as it computes after evaluate(). Raises ConverterError.

    `options.select` is the path of the network (`model`, `nets.2`) in a file that holds several.

    Its input is `input`, or `input_0`, `input_1`, ... for a table, depth first; its outputs likewise. The
    batch size is called N. Other sizes that the net leaves open get names too, unless `options.input_shapes`
    gives them.
    """
    from converters.from_torch7 import contents
    from converters.from_torch7.convert import convert, is_module
    from converters.from_torch7.reader import read as read_content

    content = kept.get(("content", path), lambda: read_content(path))
    try:
        network, place = contents.select_network(content.value, options.select, is_module)
        stored_bytes = path.stat().st_size
        try:
            model = convert(path.stem, network, options, stored_bytes).model
        except StaticSizeRequired:
            if options.image_shape is None or options.input_shapes:
                raise
            shaped = options.with_image_shape_for("input")
            model = convert(path.stem, network, shaped, stored_bytes).model
            model.meta["image_shape_used"] = True
    except ConverterError as error:
        raise type(error)(f"{path}: {error}") from error
    watch(model, opened=[content.file])
    notes = model.meta["report"].notes
    if place:
        notes.append(f"the network is the one at {place!r} of the file")
    if content.unread_bytes:
        unread = f"{content.unread_bytes:,} bytes after the first object were not read"
        notes.append(f"{unread}; Torch reads no further either")
    return model


def tensors(path: Path) -> dict[str, np.ndarray]:
    """Every tensor in a .t7 file by its path in the file; see `contents.tensors`."""
    return open_tensors(path)[1]


def open_tensors(path: Path) -> tuple[SourceFile, dict[str, np.ndarray]]:
    """The open file and its `tensors`, which are views of it if the file is binary."""
    from converters.from_torch7 import contents
    from converters.from_torch7.reader import read as read_content

    try:
        content = read_content(path)
        return content.file, contents.tensors(content.value)
    except ConverterError as error:
        raise error if str(path) in str(error) else type(error)(f"{path}: {error}") from error


def inspect(path: Path, options: Options, kept: KeptSources) -> Inspection:
    """The contents of a .t7 file and what of them would convert; raises only for an unreadable file."""
    from converters.from_torch7.inspection import inspect as inspect_file

    return inspect_file(path, options, kept)
