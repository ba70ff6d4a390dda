"""`dsd-zoo predict MODEL|FILE... IMAGE...`: what a net says about images, and the code of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from zoo.cli._completion import complete_nets
from zoo.cli._options import (
    CropOption,
    DeviceOption,
    FlavourOption,
    JsonOption,
    ManifestsOption,
    MeanOption,
    MeantForOption,
    RuntimeOption,
    ScaleOption,
    ScoresOption,
    StdOption,
    mean_option,
    numbers,
)
from zoo.cli._output import print_json, print_table, say
from zoo.cli._subject import find_subject
from zoo.cli.command import command
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.evaluation.settings import Settings
    from zoo.prediction.predict import Prediction, Predictor

PROGRAMS = {"onnxruntime": "ONNX Runtime", "opencv": "OpenCV", "torch": "PyTorch"}


@command("predict", order=115)
def predict(
    net: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|FILE... IMAGE...",
            help="A model of the zoo or the files of a net, then images: JPEG, PNG or BMP.",
            autocompletion=complete_nets,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            metavar="FILE.png|DIR",
            help="A copy with the boxes, or what a classifier saw; of several images in DIR.",
        ),
    ] = None,
    code: Annotated[
        Literal["all", "onnxruntime", "opencv", "torch", "none"],
        typer.Option(help="Which program is printed; with the name of one nothing else is."),
    ] = "all",
    threshold: Annotated[
        float, typer.Option(metavar="X", min=0, max=1, help="The score from which on boxes are shown.")
    ] = 0.5,
    classes: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Names of the classes, a line each, in the order of the scores."),
    ] = None,
    runtime: RuntimeOption = "onnx",
    device: DeviceOption = "cpu",
    scores: ScoresOption = None,
    flavour: FlavourOption = None,
    crop: CropOption = None,
    mean: MeanOption = None,
    std: StdOption = None,
    scale: ScaleOption = None,
    meant_for: MeantForOption = None,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Ask a net about images: the five best classes, or the boxes that a layer of SSD or YOLO finds.

    A model of the zoo, and an .onnx converted from one, bring their preparation and the names of their
    classes; other files need --flavour, --crop and mostly --mean. Programs that give the same answer for the
    first image with ONNX Runtime, OpenCV and PyTorch follow.

    --json prints: model, runtime, preprocessing, predictions (image, size, classes and boxes with index, name
    and score, written), code (the programs by what runs the net).
    """
    from zoo.environment import sleep_while_waiting
    from zoo.evaluation.settings import settings_for
    from zoo.prediction.arguments import split_arguments
    from zoo.prediction.asking import programs
    from zoo.prediction.predict import open_predictor
    from zoo.prediction.predict import predict as predict_images

    sleep_while_waiting()
    arguments, images = split_arguments(net)
    subject = find_subject(arguments, manifests).read_once()
    subject.recognize(also=["sha256"])  # for the names of its classes, in the pass that hashes
    if out is not None and code in PROGRAMS:
        raise UsageError(f"--out is about the answers, and --code {code} prints a program only; give one")
    chosen = {"flavour": flavour, "crop": crop, "std": numbers("std", std), "scale": scale}
    settings = settings_for(
        subject,
        runtime,
        subject.scores(scores),
        chosen,
        mean=mean_option(mean),
        meant_for=meant_for,
        counted=False,
    )
    predictor = open_predictor(
        subject,
        settings,
        runtime=runtime,
        device=device,
        scores=scores,
        classes=classes,
        threshold=threshold,
    )
    predictions = predict_images(predictor, images, out)
    written = (
        {} if code == "none" else programs(subject, settings, predictor, predictions[0], predictor.scores)
    )
    if code in PROGRAMS:
        if code not in written:
            (only,) = written
            why = "a net.py runs" if only == "torch" else "a net that prepares its images runs"
            raise UsageError(f"{subject.sources[0]}: {why} in {PROGRAMS[only]} only; use --code {only}")
        written = {code: written[code]}
    if json:
        print_json(_fields(predictor, settings, predictions, written, runtime))
    elif code in PROGRAMS:
        print(written[code], end="")
    else:
        _print(predictor, settings, predictions, written)


def _print(
    predictor: Predictor, settings: Settings, predictions: Sequence[Prediction], code: Mapping[str, str]
) -> None:
    from zoo.preprocessing.settings import in_words

    values = {**settings.preprocessing.model_dump(), "meant_for": settings.meant_for}
    for found in predictions:
        height, width = found.size
        say(f"{found.image}  {width}x{height} pixels, to {predictor.name}", "  ")
        shape = "x".join(map(str, found.prepared.shape))
        by_net = "" if predictor.image_order is None else ", by the net itself"
        say(f"  prepared  {in_words(values)}{by_net}", " " * len("prepared  "))
        say(f"            {shape}, values from {found.prepared.min():.4g} to {found.prepared.max():.4g}")
        if found.shown is not None:
            what = "what the net saw" if found.boxes is None else "with its boxes"
            say(f"  written   {found.shown}  {what}")
        print()
        _print_boxes(found, predictor) if found.boxes is not None else _print_classes(found)
        print()
    for name, program in code.items():
        of = f" about {predictions[0].image}" if len(predictions) > 1 else ""
        print(f"The same in {PROGRAMS[name]}{of}:\n\n{program}")


def _print_classes(found: Prediction) -> None:
    rows = [[str(row.index), row.name or "", f"{row.score:.6g}"] for row in found.classes]
    named = any(row.name is not None for row in found.classes)
    if named:
        print_table(["CLASS", "NAME", "SCORE"], rows, right=[0, 2])
    else:
        print_table(["CLASS", "SCORE"], [[row[0], row[2]] for row in rows], right=[0, 1])


def _print_boxes(found: Prediction, predictor: Predictor) -> None:
    boxes = found.boxes or []
    shown = [box for box in boxes if box.score >= predictor.threshold]
    rows = [
        [
            str(box.index),
            box.name or "",
            f"{box.score:.4f}",
            *(f"{value:.0f}" for value in (box.left, box.top, box.right, box.bottom)),
        ]
        for box in shown
    ]
    if rows:
        header = ["CLASS", "NAME", "SCORE", "LEFT", "TOP", "RIGHT", "BOTTOM"]
        print_table(header, rows, right=[0, 2, 3, 4, 5, 6])
    else:
        say(f"no box scores {predictor.threshold:g} or more")
    if left := len(boxes) - len(shown):
        others = "1 box" if left == 1 else f"{left:,} boxes"
        say(f"{others} below {predictor.threshold:g}: --threshold shows them")


def _fields(
    predictor: Predictor,
    settings: Settings,
    predictions: Sequence[Prediction],
    code: Mapping[str, str],
    runtime: str,
) -> dict[str, Any]:
    meant_for = {} if settings.meant_for is None else {"meant_for": settings.meant_for}
    return {
        "model": predictor.name,
        "runtime": runtime,
        "preprocessing": {**settings.preprocessing.model_dump(), **meant_for},
        "predictions": [
            {
                "image": str(found.image),
                "size": list(found.size),
                "classes": [asdict(row) for row in found.classes],
                "boxes": None if found.boxes is None else [asdict(box) for box in found.boxes],
                "written": None if found.shown is None else str(found.shown),
            }
            for found in predictions
        ],
        "code": dict(code),
    }
