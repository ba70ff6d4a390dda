"""Caffe and Torch7 models as ONNX and PyTorch, exactly.

    import converters
    report = converters.convert(["net.prototxt", "net.caffemodel"], "net.onnx")

`load` reads any supported set of files into an `onnx_ir.Model`, `save` writes one, `convert` does both and
reports. `inspect` describes the files and also reports what cannot be converted. Errors are those of
`converters.errors`.

For programs that handle such files themselves: `identify` says what a file is, `weights_of` and
`preprocessing_of` what a model contains, `metadata_of` what an .onnx says of itself, `external_files` where
it keeps its weights, `with_weights` puts trained weights into a model, `wire` reads protobuf messages in
place, `SourceFile`, `FileView` and `FileState` are about files that may change while they are read,
`KeptSources` reads the files of several conversions once, `atomic_write` writes a file whole or not at all,
`temporary_folder` leaves nothing behind even if killed, `quoted` writes a command as the shell takes it, and
`Registry` holds what can be added by name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from converters import extras, wire
from converters.atomic_writing import atomic_write, atomic_write_group
from converters.deferred_imports import defer_imports
from converters.errors import (
    ConverterError,
    FormatError,
    LimitError,
    MismatchError,
    SourceChangedError,
    StaticSizeRequired,
    UnsupportedError,
    UnverifiedWarning,
    UsageError,
    WrongFileError,
    shortened,
)
from converters.external_weights import external_files
from converters.image_preparation import ImagePreparation
from converters.kept_sources import KeptSources
from converters.onnx_metadata import embedded_settings, metadata_of
from converters.options import Options
from converters.registry import Registry, modules_in
from converters.report import ConversionReport, Dropped, Inspection, LayerRow, Source
from converters.shell import quoted
from converters.sniff import Kind, foreign, identify, is_text
from converters.source_files import FileState, FileView, SourceFile, check_unchanged
from converters.temporary_folders import temporary_folder
from converters.version import __version__
from converters.weights import weights_of

if TYPE_CHECKING:
    import numpy as np
    import onnx_ir as ir

defer_imports()

__all__ = [
    "ConversionReport",
    "ConverterError",
    "Dropped",
    "FileState",
    "FileView",
    "FormatError",
    "ImagePreparation",
    "Inspection",
    "KeptSources",
    "Kind",
    "LayerRow",
    "LimitError",
    "MismatchError",
    "Registry",
    "Source",
    "SourceChangedError",
    "SourceFile",
    "StaticSizeRequired",
    "UnsupportedError",
    "UnverifiedWarning",
    "UsageError",
    "WrongFileError",
    "__version__",
    "atomic_write",
    "atomic_write_group",
    "convert",
    "embedded_preprocessing_of",
    "external_files",
    "extras",
    "foreign",
    "identify",
    "inspect",
    "is_text",
    "labels_of",
    "load",
    "metadata_of",
    "modules_in",
    "preparation_of",
    "preprocessing_of",
    "quoted",
    "save",
    "shortened",
    "temporary_folder",
    "weights_of",
    "wire",
    "with_weights",
    "without_embedded_preprocessing",
]

PathLike = str | os.PathLike[str]


def load(
    *sources: PathLike,
    outputs: Sequence[str] | None = None,
    input_shapes: Mapping[str, Sequence[int | str]] | None = None,
    stages: Sequence[str] = (),
    level: int = 0,
    static_batch: int | None = None,
    ignore_fields: Sequence[str] = (),
    fold: bool = False,
    select: str | None = None,
    proposal: str | None = None,
    init: int | None = None,
    image_shape: Sequence[int | str] | None = None,
    sha256: Sequence[str] | None = None,
    verify: bool = False,
    kept: KeptSources | None = None,
) -> ir.Model:
    """Read a net into an `onnx_ir.Model` whose inputs and outputs have the names of the source.

    sources: a prototxt and its weights (.caffemodel, .h5 or Deep Compression .net) in any order, or one
        .caffemodel that contains its definition, or one .t7, or one .onnx.
    outputs: names of blobs to expose instead of the net's own outputs; layers they do not need are dropped.
    input_shapes: shapes by input name; they replace what the net says. A name such as "N" leaves a size open.
    stages, level: the NetState in which a Caffe definition is read (its phase is TEST).
    static_batch: fixes the batch size; None keeps it symbolic where the net allows it.
    ignore_fields: names of unknown prototxt fields to ignore.
    fold: fold BatchNorm, Scale and Bias into the convolution before them; changes the last bits.
    select: the path of the network in a Torch7 file that holds several ("model", "nets.2").
    proposal: "py-faster-rcnn" or "py-R-FCN", whose numbers a Caffe net's Python proposal layers have.
    init: a seed: what no weights file holds gets initial weights by the fillers of a Caffe definition.
    image_shape: (channels, height, width), used only for a net with one input that must know its size and
        does not state it; `meta["image_shape_used"]` tells whether it was.
    sha256: the hash of each source, in their order, if known; it is recorded instead of being computed.
    verify: hash the files in which an .onnx keeps weights, if it records their hash, even where size, time
        and a sample say that nothing changed.
    kept: given to several calls about the same files, so that they are read once.

    The model's `meta["report"]` is the `ConversionReport`. Raises ConverterError.
    """
    from converters.reading import read, record_sources
    from converters.source_hashes import SourceHashes

    options = Options.of(
        outputs=outputs,
        input_shapes=input_shapes,
        stages=stages,
        level=level,
        static_batch=static_batch,
        ignore_fields=ignore_fields,
        fold=fold,
        select=select,
        proposal=proposal,
        init=init,
        image_shape=image_shape,
    )
    paths = [Path(source) for source in sources]
    kept = kept or KeptSources(for_one_call=True)
    model = read(paths, options, verify=verify, kept=kept)
    with SourceHashes(paths, kept, computed=sha256 is None) as hashes:
        model.metadata_props.update(record_sources(model, hashes.sources(sha256)))
    check_unchanged(model)
    return model


def save(
    model: ir.Model, path: PathLike, *, link: bool = False, external: bool = False, opset: int | None = None
) -> list[Path]:
    """Write a loaded model and return the files written; the ending of `path` chooses the format.

    `net.onnx`: ONNX, self-contained; see `converters.to_onnx.save` for link and external. `opset`: 13 to 24,
    by default 18.
    `net.py`: PyTorch, with `net.safetensors` beside it.
    `net/` (an existing directory or a path without ending): both, with one weights file for both.
    """
    from converters.writing import write

    return write(model, Path(path), link=link, external=external, opset=opset)


def convert(
    sources: Sequence[PathLike],
    out: PathLike,
    *,
    link: bool = False,
    external: bool = False,
    opset: int | None = None,
    outputs: Sequence[str] | None = None,
    input_shapes: Mapping[str, Sequence[int | str]] | None = None,
    image_shape: Sequence[int | str] | Callable[[], Sequence[int | str] | None] | None = None,
    stages: Sequence[str] = (),
    level: int = 0,
    static_batch: int | None = None,
    ignore_fields: Sequence[str] = (),
    fold: bool = False,
    select: str | None = None,
    proposal: str | None = None,
    init: int | None = None,
    sha256: Sequence[str] | None = None,
    hash_sources: bool = True,
    late: Callable[[], Mapping[str, Any]] | None = None,
    verify: bool = False,
    kept: KeptSources | None = None,
    metadata: Mapping[str, object] | None = None,
    default_preprocessing: Mapping[str, object] | None = None,
    embed_preprocessing: bool | Literal["full"] = False,
    mean_image: np.ndarray | None = None,
    channel_order: Literal["BGR", "RGB"] | None = None,
) -> ConversionReport:
    """`load` the sources, `save` to `out`, and report what was done. If anything fails, nothing is written.

    image_shape: as in `load`, or a function that is called only if it is used; a note of the report says so.
    sha256: the hash of each source, if known. By default they are hashed while the net is written.
    hash_sources: False leaves the hashes out: report and metadata say null, and what links to a source is
        known by size, time and a sample only.
    late: called when the weights are written, for a caller that hashes the sources meanwhile: returns
        "sha256", and what follows from it as "metadata" and "default_preprocessing".
    metadata: values to store in the ONNX as `dsd-zoo.<key>`, in JSON, such as "preprocessing" or "labels".
        "preparation", an `ImagePreparation.to_dict()`, becomes `preprocess(image)` in net.py.
    default_preprocessing: what counts as the preprocessing if neither the files nor `metadata` state it.
    embed_preprocessing: mean and scale become the first nodes; see `converters.embedded_preprocessing`.
        "full": resize and crop too, as `metadata` states them under "preparation", in an .onnx; the input is
        then uint8 (N, height, width, 3); see `converters.embedded_images`.
    mean_image: (channels, height, width), for a net that subtracts one; with embed_preprocessing only.
    channel_order: of the images that a net with embed_preprocessing="full" takes; None: the net's own.
    An `out` that ends in .safetensors receives the tensors of a Torch7 file unchanged, with or without a net.
    """
    from converters import converting

    options = Options.of(
        outputs=outputs,
        input_shapes=input_shapes,
        image_shape=image_shape,
        stages=stages,
        level=level,
        static_batch=static_batch,
        ignore_fields=ignore_fields,
        fold=fold,
        select=select,
        proposal=proposal,
        init=init,
    )
    request = converting.Request(
        link=link,
        external=external,
        opset=opset,
        sha256=sha256,
        hash_sources=hash_sources,
        late=late,
        verify=verify,
        metadata=metadata or {},
        default_preprocessing=default_preprocessing,
        embed_preprocessing=embed_preprocessing,
        mean_image=mean_image,
        channel_order=channel_order,
    )
    paths = [Path(one) for one in ([sources] if isinstance(sources, str | os.PathLike) else sources)]
    return converting.convert(paths, Path(out), options, request, kept or KeptSources(for_one_call=True))


def inspect(
    *sources: PathLike,
    outputs: Sequence[str] | None = None,
    input_shapes: Mapping[str, Sequence[int | str]] | None = None,
    stages: Sequence[str] = (),
    level: int = 0,
    static_batch: int | None = None,
    ignore_fields: Sequence[str] = (),
    select: str | None = None,
    proposal: str | None = None,
    verify: bool = False,
    kept: KeptSources | None = None,
) -> Inspection:
    """What the files contain and which of it can be converted.

    The options are those of `load`, and so is the verdict: `complete` if it would succeed with them. Of a
    definition alone it says what would be with its weights. Raises ConverterError only for files that cannot
    be read and options that do not fit them.
    """
    from converters import reading

    options = Options.of(
        outputs=outputs,
        input_shapes=input_shapes,
        stages=stages,
        level=level,
        static_batch=static_batch,
        ignore_fields=ignore_fields,
        select=select,
        proposal=proposal,
    )
    return reading.inspect([Path(source) for source in sources], options, verify=verify, kept=kept)


def with_weights(model: ir.Model, state: Mapping[str, np.ndarray]) -> ir.Model:
    """A copy of a model with the weights that its net.py has after training.

    state: the arrays of the state dict by key, of the shapes that `save(model, "net.py")` gave them; keys
        that net.py does not store, such as num_batches_tracked, are ignored.

    MismatchError for the state of another net, UnsupportedError for a net whose PyTorch form combines several
    weights of the source into one, or trains one weight of the source in several copies.
    """
    from converters.to_pytorch.trained_weights import with_weights

    return with_weights(model, state)


def embedded_preprocessing_of(net: ir.Model | Mapping[str, str]) -> dict[str, object] | None:
    """The preprocessing that the first nodes of a net do (`embed_preprocessing`); None if they do none.

    With "layout" among its keys the input takes whole images, of the order under "channel_order". FormatError
    if it is damaged. net: as for `preprocessing_of`.
    """
    return embedded_settings(_metadata(net))


def without_embedded_preprocessing(model: ir.Model) -> ir.Model:
    """A copy of a model without the first nodes that prepare its images: it takes prepared input.

    FormatError if its metadata say that it has such nodes and it has not.
    """
    from converters.embedded_preprocessing import without_preprocessing_nodes

    return without_preprocessing_nodes(model)


def preprocessing_of(net: ir.Model | Mapping[str, str]) -> dict[str, object] | None:
    """The preprocessing in the metadata of a net; None if there is none. FormatError if it is no JSON.

    net: a model, or what `metadata_of` returned; so also for the two functions below.
    """
    text = _metadata(net).get("dsd-zoo.preprocessing")
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError) as error:
        raise FormatError("the metadata dsd-zoo.preprocessing of the net are no JSON: damaged") from error


def preparation_of(net: ir.Model | Mapping[str, str]) -> ImagePreparation | None:
    """How images become the input of a net, from its metadata; None if that is not there.

    Raises FormatError for metadata that are damaged.
    """
    return ImagePreparation.in_metadata(_metadata(net))


def labels_of(net: ir.Model | Mapping[str, str]) -> list[str] | None:
    """The names of the classes in the metadata of a net, in the order of its scores; None: not there.

    Raises FormatError for metadata that are damaged.
    """
    text = _metadata(net).get("dsd-zoo.labels")
    if not text:
        return None
    try:
        labels = json.loads(text)
    except ValueError:
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise FormatError(f"the metadata dsd-zoo.labels is no list of names: {text:.80}")
    return labels


def _metadata(net: ir.Model | Mapping[str, str]) -> Mapping[str, str]:
    return net if isinstance(net, Mapping) else net.metadata_props
