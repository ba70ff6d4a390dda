"""Writes an onnx_ir.Model as .onnx: self-contained, with its weights beside it, or linked to their file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from converters.to_onnx.external_data import save_external, save_linked
from converters.to_onnx.self_contained import save_self_contained

if TYPE_CHECKING:
    import onnx_ir as ir

__all__ = ["save", "save_external", "save_linked", "save_self_contained"]


def save(model: ir.Model, path: Path, *, link: bool = False, external: bool = False) -> list[Path]:
    """Writes `model` to `path` and returns the files written.

    external: weights go to `<stem>.safetensors` beside the model.
    link: weights stay in the file they were read from, which must be in or below the folder of `path`.
    """
    if link:
        return save_linked(model, path)
    if external:
        return save_external(model, path)
    return save_self_contained(model, path)
