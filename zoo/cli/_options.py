"""Options that several commands have in common."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from zoo.cli._completion import complete_nets
from zoo.errors import UsageError
from zoo.vocabulary import RuntimeName

NetArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL|FILE...",
        help="A model of the zoo, or the files of a net: prototxt and weights, .t7, .onnx or .py.",
        autocompletion=complete_nets,
    ),
]
NetsArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL|FILE...",
        help="Models of the zoo, or the files of nets: each prototxt before its weights, .t7, .onnx or .py, "
        "or the folder of `convert -o DIR`.",
        autocompletion=complete_nets,
    ),
]
LabelsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A list of lines 'NAME LABEL', labels from 0.")
]
RuntimeOption = Annotated[RuntimeName, typer.Option(help="What runs the net.")]
DeviceOption = Annotated[str, typer.Option(metavar="DEVICE", help="cpu, cuda or cuda:N.")]
BatchSizeOption = Annotated[
    int | None, typer.Option(metavar="N", help="Images per inference; by default what fits.")
]
ScoresOption = Annotated[str | None, typer.Option(metavar="NAME", help="The output that ranks the classes.")]
FlavourOption = Annotated[
    str | None, typer.Option(metavar="NAME", help="Preprocessing, such as caffe-warp256.")
]
CropOption = Annotated[int | None, typer.Option(metavar="N", help="Side of the centre crop in pixels.")]
MeanOption = Annotated[
    str | None,
    typer.Option(
        metavar="N,N,N|FILE|none",
        help="Mean per channel, or a mean image (.npy, .binaryproto); none: the net subtracts none.",
    ),
]
StdOption = Annotated[str | None, typer.Option(metavar="N,N,N", help="Standard deviation per channel.")]
ScaleOption = Annotated[float | None, typer.Option(metavar="X", help="Factor after the mean.")]
MeantForOption = Annotated[
    str | None,
    typer.Option(metavar="FLAVOUR", help="The flavour that net and mean are made for, if not --flavour."),
]
PreprocessOnOption = Annotated[Literal["host", "device"], typer.Option(help="Where images are resized.")]

InputShapeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--input-shape",
        metavar="NAME=2,3,32,32",
        help="Shape of an input, taken as given; N and other names leave a size open. May be repeated.",
    ),
]

StageOption = Annotated[
    list[str] | None,
    typer.Option("--stage", metavar="NAME", help="Stage of a Caffe net's state; may be repeated."),
]
ProposalOption = Annotated[
    str | None,
    typer.Option(
        metavar="PROJECT",
        help="py-faster-rcnn or py-R-FCN: whose test settings a Caffe net's Python proposal layer has.",
    ),
]
OutputOption = Annotated[
    list[str] | None,
    typer.Option(
        "--output", metavar="NAME", help="Expose this blob instead of the net's outputs; may be repeated."
    ),
]
StaticBatchOption = Annotated[int | None, typer.Option(metavar="N", help="Fix the batch.", min=1)]
IgnoreFieldOption = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME", help="An unknown prototxt field that may be ignored; may be repeated."),
]
SelectOption = Annotated[
    str | None, typer.Option(metavar="PATH", help="Where in a Torch7 file the net lies, such as model.")
]
LevelOption = Annotated[int, typer.Option(metavar="N", help="Level of a Caffe net's state.")]


def numbers(option: str, text: str | None) -> list[float] | None:
    """`104,117,123` as numbers; None if the option is not given."""
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"--{option} takes numbers with commas between them, not '{text}'") from error


def mean_option(text: str | None) -> list[float] | Path | None:
    """`--mean` as numbers, none of them for "none", or as the file of a mean image."""
    if text == "none":
        return []
    if text is not None and Path(text).suffix in (".npy", ".binaryproto"):
        return Path(text)
    return numbers("mean", text)


def input_shapes(options: Sequence[str] | None) -> dict[str, tuple[int | str, ...]] | None:
    """`["data=N,3,32,32"]` as `{"data": ("N", 3, 32, 32)}`; None if none is given."""
    return dict(map(_input_shape, options)) if options else None


def fixed_input_shapes(options: Sequence[str] | None) -> dict[str, tuple[int, ...]] | None:
    """`input_shapes` for a command that runs the net: every size must be a number."""
    given = input_shapes(options)
    if given is None:
        return None
    fixed = {name: tuple(size for size in shape if isinstance(size, int)) for name, shape in given.items()}
    for name, shape in given.items():
        if fixed[name] != shape:
            raise UsageError(f"--input-shape {name}: the net is run, so every size must be a number")
    return fixed


def _input_shape(option: str) -> tuple[str, tuple[int | str, ...]]:
    name, _, sizes = (part.strip() for part in option.rpartition("="))
    shape = tuple(int(size) if size.isdecimal() else size for size in map(str.strip, sizes.split(",")))
    if not name or any(size == 0 or (isinstance(size, str) and not size.isidentifier()) for size in shape):
        raise UsageError(f"--input-shape {option}: expected NAME=SIZE,SIZE,... such as data=N,3,224,224")
    return name, shape


EvidenceOption = Annotated[
    Path, typer.Option("--evidence", metavar="DIR", help="Where the runs of `dsd-zoo validate` lie.")
]
EVIDENCE_DEFAULT = Path("results")

VerifyOption = Annotated[
    bool,
    typer.Option(
        "--verify", help="Hash the files in which an .onnx keeps its weights, even if they look unchanged."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
ManifestsOption = Annotated[
    list[Path] | None,
    typer.Option("--manifests", metavar="DIR", help="A folder with manifests of your own; may be repeated."),
]
