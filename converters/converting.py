"""What `converters.convert` does: check the request, read, add metadata and first nodes, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from converters import reading
from converters.errors import UsageError
from converters.garbage_collection import rare_collections
from converters.kept_sources import KeptSources
from converters.options import Options
from converters.pending_metadata import promise
from converters.report import ConversionReport
from converters.source_hashes import SourceHashes
from converters.writing import write

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The arguments of `converters.convert`, which explains them, beside sources, out and `Options`."""

    link: bool
    external: bool
    opset: int | None
    sha256: Sequence[str] | None
    hash_sources: bool
    late: Callable[[], Mapping[str, Any]] | None
    verify: bool
    metadata: Mapping[str, object]
    default_preprocessing: Mapping[str, object] | None
    embed_preprocessing: bool | Literal["full"]
    mean_image: np.ndarray | None
    channel_order: Literal["BGR", "RGB"] | None


def convert(
    paths: Sequence[Path], out: Path, options: Options, request: Request, kept: KeptSources
) -> ConversionReport:
    """Read, write and report; see `converters.convert`."""
    _check(out, request)
    computed = request.hash_sources and request.sha256 is None and request.late is None
    with SourceHashes(paths, kept, computed=computed) as hashes:
        if out.suffix == ".safetensors":
            from converters.tensor_extraction import extract_tensors

            return extract_tensors(paths, out, lambda: hashes.sources(_known_hashes(request)))
        model = reading.read(paths, options, verify=request.verify, kept=kept)
        report: ConversionReport = model.meta["report"]
        report.notes += _notes(model, options, request)
        entries = _entries(model, request)
        promise(model, lambda: _metadata(model, entries, hashes, request))
        report.files = write(model, out, link=request.link, external=request.external, opset=request.opset)
    return report


def _check(out: Path, request: Request) -> None:
    """UsageError for options that do not fit each other or the ending of `out`."""
    if request.mean_image is not None and not request.embed_preprocessing and out.suffix != ".safetensors":
        raise UsageError("mean_image (--mean-image) is about --embed-preprocessing: give both, or neither")
    if request.channel_order is not None and request.embed_preprocessing != "full":
        raise UsageError(
            "channel_order (--channel-order) is about --embed-preprocessing full: give both, or neither"
        )
    if request.embed_preprocessing == "full" and out.suffix != ".onnx":
        raise UsageError(
            f"{out}: --embed-preprocessing full makes an ONNX that takes images: write NET.onnx; "
            "a net.py has preprocess(image) where the preparation is known"
        )


def _notes(model: ir.Model, options: Options, request: Request) -> list[str]:
    notes = []
    if model.meta.get("image_shape_used"):
        shape = "x".join(map(str, options.image_shape or ()))
        notes.append(f"the net must know the size of its input and does not state it: {shape} was given")
    with rare_collections():
        notes += model.meta.pop("size_notes", list)()
    if not request.hash_sources:
        notes.append("the files were not hashed, as asked")
    return notes


def _entries(model: ir.Model, request: Request) -> dict[str, Any]:
    """The metadata that are known before the sources are hashed; adds the first nodes that are asked for."""
    report: ConversionReport = model.meta["report"]
    stated = report.preprocessing or request.default_preprocessing
    entries: dict[str, Any] = {"preprocessing": stated, **request.metadata}
    if request.embed_preprocessing:
        from converters.embedding import embed

        full = request.embed_preprocessing == "full"
        embed(model, entries, stated or {}, request.mean_image, full, request.channel_order)
    return entries


def _metadata(
    model: ir.Model, entries: Mapping[str, Any], hashes: SourceHashes, request: Request
) -> dict[str, str]:
    """All metadata, in JSON; called when the weights are written."""
    told = _told(request)
    recorded = reading.record_sources(model, hashes.sources(told.get("sha256", request.sha256)))
    values = {**entries, **told.get("metadata", {})}
    values["preprocessing"] = values.get("preprocessing") or told.get("default_preprocessing")
    return recorded | {f"dsd-zoo.{key}": json.dumps(value) for key, value in values.items() if value}


def _known_hashes(request: Request) -> Sequence[str] | None:
    hashes: Sequence[str] | None = _told(request).get("sha256", request.sha256)
    return hashes


def _told(request: Request) -> Mapping[str, Any]:
    """What the caller found out while the weights were written."""
    return {} if request.late is None else request.late()
