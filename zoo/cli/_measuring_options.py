"""The options that `validate`, `bench` and `pack` have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

NetArgument = Annotated[
    list[str],
    typer.Argument(
        metavar="MODEL|FILE...",
        help="A model of the zoo, or the files of a net: prototxt and weights, .t7, .onnx or .py.",
    ),
]
LabelsOption = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A list of lines 'NAME LABEL', labels from 0.")
]
RuntimeOption = Annotated[Literal["onnx", "pytorch"], typer.Option(help="What runs the net.")]
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
    typer.Option(metavar="N,N,N|FILE", help="Mean per channel, or a mean image (.npy, .binaryproto)."),
]
PreprocessOnOption = Annotated[Literal["host", "device"], typer.Option(help="Where images are resized.")]
