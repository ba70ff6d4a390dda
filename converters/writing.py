"""Writes a model to files; the ending of the path chooses the format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from converters.errors import LimitError, UnsupportedError, UsageError
from converters.extras import require
from converters.garbage_collection import rare_collections
from converters.source_files import check_unchanged, replaced

if TYPE_CHECKING:
    import onnx_ir as ir


def write(model: ir.Model, path: Path, *, link: bool, external: bool, opset: int | None) -> list[Path]:
    """Writes `model` in the format of the ending of `path`; see `converters.save`."""
    check_unchanged(model)
    try:
        with rare_collections():
            written = _write(model, path, link=link, external=external, opset=opset)
    except RecursionError as error:
        raise LimitError(
            f"{path}: the net is nested too deeply to be written: one of its nodes reads thousands of values"
        ) from error
    replaced(model, written)
    return written


def _write(model: ir.Model, path: Path, *, link: bool, external: bool, opset: int | None) -> list[Path]:
    if path.name in (".onnx", ".py", ".safetensors"):
        raise UsageError(f"{path}: is an ending without a name; expected one such as net{path.name}")
    if link and external:
        raise UsageError("--link and --external exclude each other; give only one")
    if opset is not None and path.suffix == ".py":
        raise UsageError(f"{path}: --opset is for .onnx output")
    if path.suffix == ".onnx":
        from converters import to_onnx

        return to_onnx.save(_onnx_form(model, opset), path, link=link, external=external)
    if link or external:
        raise UsageError(f"{path}: --link and --external are for .onnx output")
    from converters import to_pytorch
    from converters.embedded_preprocessing import takes_images

    if takes_images(model):
        raise UnsupportedError(
            f"{path}: the net prepares its images in its first nodes (--embed-preprocessing full), which a "
            "net.py does not: convert the files that it came from; net.py then has preprocess(image)"
        )
    if path.suffix in (".py", ""):
        also = "" if path.suffix else "\n  or write ONNX alone: -o NET.onnx"
        require("torch", f"{path}: writing PyTorch", also)
    if path.suffix == ".py":
        return to_pytorch.save(model, path)
    if path.suffix == "" or path.is_dir():
        return to_pytorch.save_bundle(model, path, _onnx_form(model, opset))
    raise UsageError(
        f"{path}: the ending {path.suffix!r} is none of .onnx (ONNX), .py (PyTorch) or a directory (both)"
    )


def _onnx_form(model: ir.Model, opset: int | None) -> ir.Model:
    """The model as .onnx will contain it; `model` stays. One that came from an .onnx keeps its nodes."""
    from converters.to_onnx.portable import portable_copy, runtime_limits

    report = model.meta.get("report")
    from_reader = report is not None and report.framework != "onnx"
    copy = portable_copy(model, rewrite=from_reader)
    if report is not None and from_reader:
        report.notes += [note for note in runtime_limits(copy) if note not in report.notes]
    if opset is not None:
        from converters.to_onnx.opset import change_opset

        change_opset(copy, opset)
    return copy
