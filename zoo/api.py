"""The Python API: what the commands do, as functions that return what they found and print nothing.

    import zoo

    report = zoo.convert("digits-caffe-dsd", "net.onnx")
    run = zoo.evaluate("digits-caffe-dsd")
    print(run.result.top1_correct, zoo.audit("digits-caffe-dsd", [run]).holds)

A model is given by its name in the catalog or as its `Manifest`; a net that is not in the catalog by the
paths of its files. `manifests` are folders with manifests of the user's own, as for `--manifests`. Errors are
those of `zoo.errors`, and of `converters` for what cannot be converted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from converters import ConversionReport
    from zoo.catalog.catalog import Catalog
    from zoo.catalog.manifest import Manifest
    from zoo.claims.audit import Audit
    from zoo.claims.gain_matrix import GainMatrix
    from zoo.download import Fetched
    from zoo.evidence.run import Run
    from zoo.store.subject import Subject
    from zoo.verification.check import Check
    from zoo.vocabulary import Precision, RuntimeName

    Model = str | Manifest
    AnyPath = str | PathLike[str]
    ModelOrFiles = Model | Subject | PathLike[str] | Sequence[AnyPath]

__all__ = [
    "audit",
    "convert",
    "evaluate",
    "evaluate_together",
    "fetch",
    "load_catalog",
    "paired_gains",
    "verify",
]


def load_catalog(manifests: Sequence[AnyPath] = ()) -> Catalog:
    """The models that ship with the zoo and those of the folders `manifests`.

    Raises:
        UsageError: a folder does not exist, or two models have the same name.
    """
    from zoo.catalog.catalog import Catalog

    return Catalog.load([Path(folder) for folder in manifests])


def fetch(
    model: Model, *, mirrors: Sequence[str] = (), offline: bool = False, manifests: Sequence[AnyPath] = ()
) -> list[Fetched]:
    """Download the files of a model into the cache, verified, as `dsd-zoo fetch` does.

    mirrors: URLs where MODEL/FILE lies, asked first.
    offline: use no network; file:// sources are still read.

    Returns where each file of the manifest lies, in its order.

    Raises:
        FetchError: no source delivered a file. All files are tried first.
        IntegrityError: the sources of a file delivered another one than the one on record.
        UsageError: no such model, or the cache cannot be written.
    """
    from zoo.download import Fetched, Network
    from zoo.download.parallel import fetch_all
    from zoo.store.cache import Cache

    manifest = _manifest(model, load_catalog(manifests))
    network = Network(mirrors=tuple(mirrors), offline=offline)
    found: list[Fetched] = []
    errors: list[Exception] = []
    for result in fetch_all(manifest.model_files(), Cache(), network):
        if isinstance(result, Fetched):
            found.append(result)
        else:
            errors.append(result)
    if errors:
        raise errors[0]
    return found


def verify(model: Model, *, manifests: Sequence[AnyPath] = ()) -> list[Check]:
    """Check the files, the structure and the converted forms of a model, as `dsd-zoo verify` does.

    Returns one `Check` for each thing that was looked at; its `ok` says whether it holds.

    Raises:
        UsageError: no such model.
    """
    from zoo.store.cache import Cache
    from zoo.verification.model import verify_model

    catalog = load_catalog(manifests)
    manifest = _manifest(model, catalog)
    return verify_model(manifest, Cache(), catalog.baseline(manifest))


def convert(
    model: ModelOrFiles,
    out: AnyPath,
    *,
    manifests: Sequence[AnyPath] = (),
    mean_image: AnyPath | None = None,
    **options: Any,  # noqa: ANN401 - handed on
) -> ConversionReport:
    """Convert a model or the net in some files to ONNX and PyTorch, as `dsd-zoo convert` does.

    out: NET.onnx, NET.py, a folder for both, or DATA.safetensors.
    mean_image: with embed_preprocessing, the mean image (.npy or .binaryproto); a model of the catalog
        brings its own.
    options: those of `converters.convert`.

    The claims, preprocessing and label names of a model travel in the ONNX. So they do if the weights are
    those of a model of the catalog, under whatever name: what is known of that model is used wherever no
    option says otherwise. If its definition was not given and the cache has it, the net is read with it; if
    its layers need a size that the files do not tell, that of the model is taken. The notes of the report say
    so. Returns what was done.

    Raises:
        UsageError: no such model or file, or a file of the model is not in the cache yet.
        IntegrityError: a file of the model has changed since it was fetched.
        DataError: the mean image cannot be read.
        converters.ConverterError: something cannot be converted exactly, or an option does not fit.
    """
    from zoo.store.cache import Cache
    from zoo.store.conversion import convert_subject
    from zoo.store.subject import find_subject

    subject = find_subject(model, load_catalog(manifests), Cache())
    return convert_subject(subject, Path(out), None if mean_image is None else Path(mean_image), options)


def evaluate(
    model: ModelOrFiles,
    data: AnyPath | None = None,
    *,
    labels: AnyPath | None = None,
    runtime: RuntimeName = "onnx",
    device: str = "cpu",
    precision: Precision = "float32",
    limit: int | None = None,
    batch_size: int | None = None,
    scores: str | None = None,
    flavour: str | None = None,
    crop: int | None = None,
    mean: Sequence[float] | PathLike[str] | None = None,
    std: Sequence[float] | None = None,
    scale: float | None = None,
    meant_for: str | None = None,
    preprocess_on: Literal["host", "device"] = "host",
    skip_unreadable: bool = False,
    verify: bool = False,
    out: AnyPath | None = None,
    resume: bool = False,
    restart: bool = False,
    manifests: Sequence[AnyPath] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Run:
    """Measure top-1 and top-5 of a net over images in this process, as `dsd-zoo validate` does.

    data: whatever `--data` takes; None: the images that ship with the zoo for the model.
    labels: a file of lines "NAME LABEL", labels from 0.
    runtime, device, precision: what runs the net, where, and in which arithmetic.
    limit, batch_size: only the first images; images per inference.
    scores: the output that ranks the classes, if the net has several.
    flavour, crop, mean, std, scale, meant_for: preprocessing, in place of what the model or the files say;
        a `mean` that is a path is a mean image.
    preprocess_on: where images are resized.
    skip_unreadable: leave out images that cannot be decoded.
    verify: hash the files in which an .onnx keeps its weights, even if they look unchanged.
    out: folder for the evidence; None: nothing is written.
    resume, restart: continue an interrupted run in `out`, or throw it away; without either it is an error.
        With `resume` a complete run in `out` is returned as it is.
    progress: called with (images done, images in all) after each batch.

    Returns the `Run`: its `result` (counts and all they rest on) and its `rows` (one for each image).

    Raises:
        UsageError: net, images, preprocessing and options do not fit together.
        DataError: an image cannot be read, or labels do not belong to the net's classes.
        DeviceError: the device or the precision is not available.
        IntegrityError: a file of the model has changed since it was fetched.
        converters.ConverterError: the net cannot be converted.
    """
    (runs,) = _evaluate(
        [model],
        data,
        labels,
        lambda name: None if out is None else Path(out),
        manifests,
        resume=resume,
        restart=restart,
        progress=progress,
        runtime=runtime,
        device=device,
        precision=precision,
        limit=limit,
        batch_size=batch_size,
        scores=scores,
        flavour=flavour,
        crop=crop,
        mean=mean,
        std=std,
        scale=scale,
        meant_for=meant_for,
        preprocess_on=preprocess_on,
        skip_unreadable=skip_unreadable,
        verify=verify,
    ).values()
    return runs[0]


def evaluate_together(
    models: Sequence[ModelOrFiles],
    data: AnyPath | None = None,
    *,
    labels: AnyPath | None = None,
    sensitivity: bool = False,
    out: AnyPath | None = None,
    manifests: Sequence[AnyPath] = (),
    **options: Any,  # noqa: ANN401 - handed on
) -> dict[str, list[Run]]:
    """`evaluate` for several nets in one pass over the images: each is read and decoded once.

    sensitivity: also under all other flavours that resize to the same size.
    out: folder for the evidence, of each net in a folder of its name; None: nothing is written.
    options: the others of `evaluate`, the same for every net.

    Returns the runs of each net by its name: first under its own flavour, then under the others.

    Raises:
        UsageError: as `evaluate`, two nets have the same name, or take batches of different sizes.
        DataError, DeviceError, IntegrityError, converters.ConverterError: as `evaluate`.
    """

    def place(name: str) -> Path | None:
        return None if out is None else Path(out, name)

    return _evaluate(models, data, labels, place, manifests, sensitivity=sensitivity, **options)


def _evaluate(
    models: Sequence[ModelOrFiles],
    data: AnyPath | None,
    labels: AnyPath | None,
    place: Callable[[str], Path | None],
    manifests: Sequence[AnyPath],
    **options: Any,  # noqa: ANN401 - handed on
) -> dict[str, list[Run]]:
    """The runs of each net by its name. place: the folder for the evidence of the net of a name, or None."""
    from dataclasses import fields

    from zoo.evaluation.nets import Choices, evaluate_subjects
    from zoo.evaluation.settings import require_counted
    from zoo.store.cache import Cache
    from zoo.store.nets import require_different_names
    from zoo.store.subject import find_subject

    catalog, cache = load_catalog(manifests), Cache()
    for model in models:
        if isinstance(model, str) and model in catalog:
            require_counted(catalog.get(model))
    subjects = [find_subject(model, catalog, cache) for model in models]
    require_different_names(subjects)
    if options.pop("verify", False):
        for subject in subjects:
            subject.verify_external_files()
    if isinstance(options.get("mean"), PathLike):
        options["mean"] = Path(options["mean"])
    chosen = {field.name: options.pop(field.name) for field in fields(Choices) if field.name in options}
    images, list_of_labels = (None if path is None else Path(path) for path in (data, labels))
    return evaluate_subjects(subjects, Choices(**chosen), images, list_of_labels, place, **options)


def paired_gains(runs: Sequence[Run], baseline_runs: Sequence[Run]) -> GainMatrix:
    """The gain of one net over another, image by image, under every preprocessing that both were run with.

    runs, baseline_runs: of one net each, as `evaluate_together` returns them.

    Returns the `GainMatrix`: a row of counts and gains (exact McNemar test) for each preprocessing.

    Raises:
        UsageError: there are no runs of one of them, or runs of several nets are mixed.
    """
    from zoo.claims.gain_matrix import gain_matrix

    return gain_matrix(runs, baseline_runs)


def audit(model: Model, runs: AnyPath | Sequence[Run] = (), *, manifests: Sequence[AnyPath] = ()) -> Audit:
    """Hold the published numbers of a model against their traces and against runs, as `dsd-zoo audit` does.

    runs: what `evaluate` returned, or a folder with runs; those of other models are ignored, those of the
        model's baseline serve to measure the gain.

    Returns the `Audit`; its `holds` says whether nothing contradicts the claims.

    Raises:
        UsageError: no such model or baseline, or no run in the folder.
        DataError: a trace or a run is damaged.
    """
    from zoo.claims import audit as claims
    from zoo.evidence.run import read_runs

    catalog = load_catalog(manifests)
    found = read_runs(Path(runs)) if isinstance(runs, str | PathLike) else runs
    return claims.audit(_manifest(model, catalog), catalog, found)


def _manifest(model: Model, catalog: Catalog) -> Manifest:
    return catalog.get(model) if isinstance(model, str) else model
