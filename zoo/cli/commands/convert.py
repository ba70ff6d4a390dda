"""`dsd-zoo convert MODEL|FILE... -o OUT`: Caffe and Torch7 to ONNX and PyTorch."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from converters import quoted
from zoo.cli._completion import complete_nets
from zoo.cli._options import (
    IgnoreFieldOption,
    InputShapeOption,
    JsonOption,
    LevelOption,
    ManifestsOption,
    MeanOption,
    OutputOption,
    ProposalOption,
    ScaleOption,
    SelectOption,
    StageOption,
    StaticBatchOption,
    StdOption,
    VerifyOption,
    input_shapes,
    mean_option,
    numbers,
)
from zoo.cli._output import counted, human_bytes, print_fields, print_json, say
from zoo.cli._subject import find_subject
from zoo.cli.command import command
from zoo.errors import UsageError

if TYPE_CHECKING:
    from converters import ConversionReport
    from zoo.store.subject import Subject

# Of an image whose size is open.
USUAL_SIDE = 224
FORMS = {".onnx": "ONNX", ".py": "PyTorch", ".safetensors": "tensors"}


@command("convert", order=90, optional_values={"--embed-preprocessing": ("numbers", "full")})
def convert(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|FILE...",
            help="A model of the catalog, or the files of a net: a prototxt and its weights, or one .t7.",
            autocompletion=complete_nets,
        ),
    ],
    out: Annotated[
        str,
        typer.Option(
            "--out",
            "-o",
            metavar="OUT",
            help="NET.onnx, NET.py (with NET.safetensors), a folder for both, or DATA.safetensors of a .t7.",
        ),
    ],
    output: OutputOption = None,
    input_shape: InputShapeOption = None,
    static_batch: StaticBatchOption = None,
    stage: StageOption = None,
    level: LevelOption = 0,
    proposal: ProposalOption = None,
    ignore_field: IgnoreFieldOption = None,
    link: Annotated[
        bool, typer.Option("--link", help="ONNX: point into the original weights file, copy nothing.")
    ] = False,
    external: Annotated[
        bool, typer.Option("--external", help="ONNX: weights in a file of their own beside it.")
    ] = False,
    opset: Annotated[int | None, typer.Option(metavar="N", help="ONNX: opset 13 to 24; default 18.")] = None,
    fold: Annotated[
        bool,
        typer.Option(
            "--fold",
            help="Fold scaling into the convolution before it; changes the last bits of the results.",
        ),
    ] = False,
    embed_preprocessing: Annotated[
        Literal["numbers", "full"] | None,
        typer.Option(
            metavar="[full]",
            help="Put mean and scale into the net: it then takes pixels. With full also resize and crop: it "
            "takes uint8 images N x height x width x 3 of any size.",
        ),
    ] = None,
    channel_order: Annotated[
        Literal["BGR", "RGB"] | None,
        typer.Option(help="Of the images, with --embed-preprocessing full; by default the net's own."),
    ] = None,
    flavour: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="How images are resized, with --embed-preprocessing full."),
    ] = None,
    crop: Annotated[
        int | None,
        typer.Option(metavar="N", help="Side of the centre crop, with --embed-preprocessing full."),
    ] = None,
    mean: MeanOption = None,
    std: StdOption = None,
    scale: ScaleOption = None,
    mean_image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="The mean image to embed (.npy or .binaryproto); with --embed-preprocessing."
        ),
    ] = None,
    select: SelectOption = None,
    init: Annotated[
        int | None,
        typer.Option(
            metavar="SEED",
            min=0,
            help="Initial weights by the fillers of a Caffe definition, for what no weights file holds.",
        ),
    ] = None,
    no_hash: Annotated[
        bool,
        typer.Option(
            "--no-hash", help="Do not hash the files: faster if they are large; recorded in the ONNX."
        ),
    ] = False,
    verify: VerifyOption = False,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Convert a Caffe or Torch7 net to ONNX and PyTorch.

    What was done is reported; what cannot be carried over exactly is an error. Neither Caffe nor Torch7
    is needed. `dsd-zoo inspect` shows beforehand what would convert. Files of a model of the catalog are
    known by their content, and what is known of the model goes into the ONNX.
    """
    from zoo import api
    from zoo.cli._known_files import known_json, warn_of_manifests, warn_of_namesakes

    if not out:
        raise UsageError(
            "-o is empty; expected NET.onnx, NET.py, DATA.safetensors or a folder ('.' for this one)"
        )
    options: dict[str, Any] = {
        "link": link,
        "opset": opset,
        "fold": fold,
        "external": external,
        "outputs": output,
        "input_shapes": input_shapes(input_shape),
        "stages": stage or (),
        "level": level,
        "proposal": proposal,
        "static_batch": static_batch,
        "ignore_fields": ignore_field or (),
        "select": select,
        "embed_preprocessing": embed_preprocessing
        if embed_preprocessing == "full"
        else bool(embed_preprocessing),
        "channel_order": channel_order,
        "flavour": flavour,
        "crop": crop,
        "mean": mean_option(mean),
        "std": numbers("std", std),
        "scale": scale,
        "mean_image": mean_image,
        "init": init,
        "verify": verify,
    }
    given = [
        f"--{name.removesuffix('s').replace('_', '-')}"
        for name, value in options.items()
        if value or (name in ("init", "mean", "scale") and value is not None)
    ]
    if given and Path(out).suffix == ".safetensors":
        raise UsageError(
            f"{out}: takes the tensors of a .t7 as they are, and {', '.join(given)} is about a net; "
            "leave it out, or write NET.onnx or NET.py"
        )
    subject = find_subject(what, manifests, hashed=not no_hash)
    if no_hash:
        subject = subject.unhashed()
    try:
        report = api.convert(subject, out, hash_sources=not no_hash, **options)
    finally:
        # Last, as the files are hashed while the net is written.
        warn_of_namesakes(subject.recognize(also=["sha256"]))
        warn_of_manifests(subject.recognizer)
    if json:
        print_json(report.to_dict() | {"known": known_json(subject)})
    else:
        _print_report(report, what, subject, embedded=embed_preprocessing is not None)


def _print_report(report: ConversionReport, what: Sequence[str], subject: Subject, *, embedded: bool) -> None:
    from zoo.cli._known_files import known_fields

    named = what if subject.recognizer is None else subject.names()
    preprocessing = {
        name: value
        for name, value in (report.preprocessing or {}).items()
        if value is not None and value is not False
    }
    nets = [path for path in report.files if path.suffix in (".onnx", ".py")]
    parts = (report.layers, "layer"), (report.nodes, "ONNX node"), (report.parameters, "parameter")
    fields = [
        ("read", "\n".join(f"{source.name}  {human_bytes(source.bytes)}" for source in report.sources)),
        *known_fields(subject),
        ("inputs", _shapes(report.inputs)),
        ("outputs", _shapes(report.outputs)),
        ("net", ", ".join(counted(*part) for part in parts))
        if nets
        else ("values", f"{report.parameters:,}"),
        ("left out", "\n".join(f"{layer.name} ({layer.type}): {layer.reason}" for layer in report.dropped)),
        ("weights not used", ", ".join(report.unused_weights)),
        ("preprocessing", ", ".join(f"{name} {value}" for name, value in preprocessing.items())),
        ("notes", "\n".join(report.notes)),
        ("written", "\n".join(f"{path}  {human_bytes(path.stat().st_size)}" for path in report.files)),
        ("next", _next(report, nets, named, subject, embedded=embedded)),
    ]
    forms = [FORMS[path.suffix] for path in nets or report.files]
    say(f"{report.framework} to {' and '.join(forms)}")
    print_fields([(name, value) for name, value in fields if value])


def _next(
    report: ConversionReport,
    nets: Sequence[Path],
    named: Sequence[str],
    subject: Subject,
    *,
    embedded: bool,
) -> str:
    """The commands that compare what was written with the source, and how to do it independently.

    Source files and .onnx run alike, after the same reader: so such a comparison is of the written file only.
    embedded: whether the written nets prepare their images. `compare` leaves that out of an .onnx; a net.py
    takes the same as the net.onnx beside it.
    """
    known = subject.known_net()
    usual = None if known is None else known.image_shape
    takes_images = (report.preprocessing or {}).get("layout") is not None
    shapes = []
    if subject.manifest is None and not takes_images:
        shapes = _shapes_to_compare(report.inputs, usual)
    source = ",".join(named)
    lines = []
    for net in nets:
        if not embedded or net.suffix == ".onnx":
            lines.append(quoted("dsd-zoo", "compare", source, str(net), *shapes))
        elif len(nets) > 1:
            lines.append(quoted("dsd-zoo", "compare", str(nets[0]), str(net), *shapes))
        else:
            lines.append(
                f"{net} takes pixels and the source prepared numbers: compare what is written without "
                "--embed-preprocessing"
            )
    if any(net.suffix == ".onnx" for net in nets):
        lines.append(
            f"add --with {_independent(report.framework)}: the source then runs in something else than "
            "the .onnx"
        )
    return "\n".join(lines)


def _independent(framework: str) -> str:
    """The most independent of `compare --with` that this Python has."""
    from importlib.metadata import PackageNotFoundError, version
    from importlib.util import find_spec

    caffe = find_spec("caffe") if framework == "caffe" else None
    if caffe is not None and caffe.origin is not None:  # not just any folder of this name
        return "caffe"
    for package in ("opencv-python-headless", "opencv-python"):
        with contextlib.suppress(PackageNotFoundError):
            if version(package).startswith("4."):
                return "opencv4"
    return "pytorch"


def _shapes_to_compare(inputs: dict[str, str], known: Sequence[int] | None) -> list[str]:
    """The options of `compare` for inputs that leave more open than the batch.

    known: what the model takes, without the batch; None: open sizes get those of a usual image.
    """
    options = []
    for name, text in inputs.items():
        batch, *sizes = text.split("x")
        if not all(size.isdecimal() for size in sizes):
            wanted = known if known is not None and len(known) == len(sizes) else [USUAL_SIDE] * len(sizes)
            usual = [size if size.isdecimal() else str(k) for size, k in zip(sizes, wanted, strict=True)]
            shape = ",".join([batch if batch.isdecimal() else "2", *usual])
            options += ["--input-shape", f"{name}={shape}"]
    return options


def _shapes(values: dict[str, str]) -> str:
    return "\n".join(f"{name}  {shape}" for name, shape in values.items())
