"""Writes an onnx_ir.Model as .onnx: self-contained, with its weights beside it, or linked to their file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from converters.errors import UsageError
from converters.external_weights import external_locations
from converters.to_onnx.external_data import save_external, save_linked
from converters.to_onnx.self_contained import MAX_BYTES, fits_in_one_file, save_self_contained

if TYPE_CHECKING:
    import onnx_ir as ir

    from converters.report import ConversionReport

__all__ = ["save", "save_external", "save_linked", "save_self_contained"]


def save(model: ir.Model, path: Path, *, link: bool = False, external: bool = False) -> list[Path]:
    """Writes `path` and returns the files written.

    external: weights go to `<stem>.safetensors` beside the model. So they do where a single file cannot hold
        them; the report of the model says so.
    link: weights stay in the file they were read from, which must be in or below the folder of `path`.
    """
    if link:
        return save_linked(model, path)
    if external:
        return save_external(model, path)
    if fits_in_one_file(model):
        return save_self_contained(model, path)
    _check_weights_name(path)
    written = save_external(model, path)
    report: ConversionReport | None = model.meta.get("report")
    if report is not None:
        report.notes.append(
            f"the weights are in {written[1].name} beside it: a single .onnx can have {MAX_BYTES:,} bytes"
        )
    return written


def _check_weights_name(path: Path) -> None:
    """UsageError if the weights, which nobody asked for, would replace a file that is not those of `path`."""
    weights = path.with_suffix(".safetensors")
    if not os.path.lexists(weights) or (path.is_file() and weights.name in external_locations(path)):
        return
    raise UsageError(
        f"{weights}: is there already, and the weights of {path.name} must go there, as they are more than a "
        "single .onnx can have; choose another name, or replace it with --external"
    )
