"""`dsd-zoo validate MODEL | FILE... --data SRC`: measure the accuracy of a net."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from zoo.cli._common import JsonOption, ManifestsOption, load_catalog, print_fields, print_json, print_table
from zoo.cli._image_progress import progress_bar
from zoo.cli._subject import Subject, find_subject
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.audit import Audit
    from zoo.evidence import Result, Row
    from zoo.manifest import Preprocessing


def validate(
    net: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|FILE...",
            help="A model of the zoo, or the files of a net: prototxt and weights, .t7, .onnx or .py.",
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(metavar="SRC", help="Images: a folder, tar, list, Caffe LMDB, parquet, packed."),
    ] = None,
    labels: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A list of lines 'NAME LABEL', labels from 0.")
    ] = None,
    runtime: Annotated[Literal["onnx", "pytorch"], typer.Option(help="What runs the net.")] = "onnx",
    device: Annotated[str, typer.Option(metavar="DEVICE", help="cpu, cuda or cuda:N.")] = "cpu",
    limit: Annotated[int | None, typer.Option(metavar="N", help="Only the first N images.")] = None,
    batch_size: Annotated[int | None, typer.Option(metavar="N", help="Images per inference.")] = None,
    scores: Annotated[
        str | None, typer.Option(metavar="NAME", help="The output that ranks the classes.")
    ] = None,
    flavour: Annotated[
        str | None, typer.Option(metavar="NAME", help="Preprocessing, such as caffe-warp256.")
    ] = None,
    crop: Annotated[int | None, typer.Option(metavar="N", help="Side of the centre crop in pixels.")] = None,
    mean: Annotated[
        str | None, typer.Option(metavar="N,N,N|FILE", help="Mean per channel, or a mean image (.npy).")
    ] = None,
    std: Annotated[str | None, typer.Option(metavar="N,N,N", help="Standard deviation per channel.")] = None,
    scale: Annotated[float | None, typer.Option(metavar="X", help="Factor after the mean.")] = None,
    skip_unreadable: Annotated[
        bool, typer.Option("--skip-unreadable", help="Leave out images that cannot be decoded.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="For the evidence; default results/MODEL/RUNTIME.")
    ] = None,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Measure top-1 and top-5 of a net over images, from the image files on, and keep the evidence.

    A model of the zoo brings its preprocessing; files need --flavour, --crop and mostly --mean. The evidence
    is one row per image (evidence.csv) and the counts with everything they rest on (result.json).
    Ends with 1 if the run contradicts a claim of the model, or used other files than the pinned ones.
    --json prints: result (the content of result.json), out (its folder), audit (as `dsd-zoo audit`, or null).
    """
    from zoo.datasets import open_dataset
    from zoo.evidence import write_run
    from zoo.forms import converted
    from zoo.runtimes.runtime import parse_device
    from zoo.validate import validate as measure

    parse_device(device)
    subject = find_subject(net, manifests)
    known = subject.manifest
    wanted = {"flavour": flavour, "crop": crop, "std": _numbers("std", std), "scale": scale}
    preprocessing, mean_image = _preprocessing(subject, wanted, mean)
    ranked = scores or (known.scores if known is not None else None)
    with open_dataset(data or _shipped_data(subject), labels) as dataset:
        shape = known.input_shape if known is not None else None
        form = converted(subject.sources, runtime, subject.cache, shape, ranked)
        with progress_bar(subject.name) as progress:
            result, rows = measure(
                form,
                dataset,
                preprocessing,
                model=subject.name,
                mean_image=mean_image,
                scores=ranked,
                runtime=runtime,
                device=device,
                batch_size=batch_size,
                limit=limit,
                files=subject.hashes(),
                skip_unreadable=skip_unreadable,
                command=shlex.join(["dsd-zoo", *sys.argv[1:]]),
                progress=progress,
            )
    variant = "-".join(
        [
            runtime,
            *([] if device == "cpu" else [device.replace(":", "")]),
            *([] if flavour is None or known is None else [flavour]),
            *([] if limit is None else [f"first{limit}"]),
        ]
    )
    folder = out or Path("results", subject.name, variant)
    write_run(folder, result, rows)
    audit = _audit(subject, result, rows, manifests)
    if json:
        print_json(
            {
                "result": result.model_dump(mode="json"),
                "out": str(folder),
                "audit": None if audit is None else audit.to_json(),
            }
        )
    else:
        _print(result, folder, audit)
    if audit is not None and not audit.holds:
        raise typer.Exit(1)


def _numbers(option: str, text: str | None) -> list[float] | None:
    """`104,117,123` as numbers."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--{option} takes numbers with commas between them, not '{text}'") from error


def _preprocessing(
    subject: Subject, wanted: dict[str, Any], mean: str | None
) -> tuple[Preprocessing, Path | None]:
    """The settings of a run and its mean image: the model's or the files' own, changed by the options."""
    from zoo.preprocessing import resolve
    from zoo.preprocessing.settings import carried_settings, settings

    mean_image = subject.mean_image
    if mean is not None and mean.endswith(".npy"):
        wanted["mean_image"], mean_image = True, Path(mean)
    else:
        wanted["mean"] = _numbers("mean", mean)
    if subject.manifest is not None:
        own = subject.manifest.preprocessing.model_dump()
        if wanted["flavour"] is not None:
            expected, asked = (resolve(name).channels for name in (own["flavour"], wanted["flavour"]))
            if expected != asked:
                raise UsageError(
                    f"{subject.name} takes {expected} images, --flavour {wanted['flavour']} makes {asked}, "
                    "for which the model's mean is not meant"
                )
        return settings(wanted, own), mean_image
    return settings(wanted, carried_settings(_metadata(subject))), mean_image


def _metadata(subject: Subject) -> dict[str, Any] | None:
    """What the files say themselves; a generated net.py says it to people only."""
    if subject.sources[0].suffix == ".py":
        return None
    import converters

    return converters.preprocessing_of(converters.load(*subject.sources))


def _shipped_data(subject: Subject) -> Path:
    """The images that ship with the zoo, for a model that was tested on them."""
    from zoo.catalog import embedded_images

    images = None if subject.manifest is None else embedded_images(subject.manifest.dataset)
    if images is not None:
        return images
    raise UsageError(
        "say where the images are: --data SRC, a folder or an uncompressed tar\n"
        "  such as ILSVRC2012_img_val.tar, the 50,000 validation images of ImageNet"
    )


def _audit(subject: Subject, result: Result, rows: list[Row], manifests: list[Path] | None) -> Audit | None:
    """The run held against the model's claims; None for files, and on other images than the claims'."""
    from zoo.audit import audit

    manifest = subject.manifest
    if manifest is None or result.dataset != manifest.dataset:
        return None
    return audit(manifest, load_catalog(manifests), [(result, rows)])


def _print(result: Result, folder: Path, audit: Audit | None) -> None:
    from zoo.cli import _findings
    from zoo.report import words
    from zoo.statistics import wilson_interval

    part = "" if result.n == result.n_dataset else f" of {result.n_dataset:,}"
    print(f"{result.model} on {result.dataset}: {result.n:,}{part} images\n")
    counts = (("top-1", result.top1_correct), ("top-5", result.top5_correct))
    lines = [
        (
            name,
            f"{correct:,}",
            f"{result.n:,}",
            words.percent(correct / result.n),
            words.percent_range(wilson_interval(correct, result.n)),
        )
        for name, correct in counts
    ]
    print_table(("METRIC", "RIGHT", "OF", "ACCURACY", "95 % INTERVAL"), lines, right=(1, 2, 3))
    print()
    speed = f"{result.images_per_second:,.1f} images/s, {result.seconds:,.1f} s"
    fields = [
        ("images", f"{result.dataset_source}, labels from {result.labels}"),
        ("preprocessing", _settings_words(result)),
        ("ran in", f"{words.place(result.runtime, result.device)}, {result.precision}: {speed}"),
        ("evidence", f"{folder}"),
    ]
    if result.exif_rotated:
        fields.insert(2, ("EXIF", f"orientation of {words.images(result.exif_rotated)} ignored"))
    if result.unreadable:
        fields.insert(1, ("left out", f"unreadable: {', '.join(result.unreadable)}"))
    print_fields(fields)
    if audit is not None:
        print()
        _findings.print_claims([audit])
        _findings.print_verdict([audit])


def _settings_words(result: Result) -> str:
    """`caffe-warp256, crop 227, mean 104 117 123`."""
    settings = result.preprocessing
    parts = [result.flavour, f"crop {settings['crop']}"]
    for name in ("mean", "std"):
        if settings.get(name) is not None:
            parts.append(f"{name} {' '.join(f'{value:g}' for value in settings[name])}")
    if settings.get("mean_image"):
        parts.append("mean image")
    if settings.get("scale", 1) != 1:
        parts.append(f"scale {settings['scale']:g}")
    return ", ".join(parts)
