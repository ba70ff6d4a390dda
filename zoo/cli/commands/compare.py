"""`dsd-zoo compare A B`: the values in which two forms of one net differ."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from zoo.cli._colour import Verdict
from zoo.cli._completion import complete_nets
from zoo.cli._options import (
    InputShapeOption,
    JsonOption,
    ManifestsOption,
    VerifyOption,
    fixed_input_shapes,
)
from zoo.cli._output import print_json, print_table, say
from zoo.cli._subject import find_subject
from zoo.cli.command import command
from zoo.errors import UsageError
from zoo.verification.difference import BOUND

if TYPE_CHECKING:
    from zoo.verification.compare import NetComparison

FORM = "A model's name, net.onnx, net.py, or source files joined by commas."


@command("compare", order=100)
def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=FORM, autocompletion=complete_nets)],
    b: Annotated[str, typer.Argument(metavar="B", help=FORM, autocompletion=complete_nets)],
    input_shape: InputShapeOption = None,
    with_: Annotated[
        Literal["opencv4", "caffe", "pytorch", "reference"] | None,
        typer.Option(
            "--with",
            help="Run A in OpenCV 4 (its own readers), Caffe, PyTorch, or onnx's ReferenceEvaluator.",
        ),
    ] = None,
    with_python: Annotated[
        Path | None,
        typer.Option("--with-python", metavar="PYTHON", help="The Python that has OpenCV 4 or Caffe."),
    ] = None,
    bound: Annotated[
        float | None,
        typer.Option(
            help="Allowed difference, relative to the largest magnitude of a value; 1e-05 by default, 0.0001 "
            "for OpenCV.",
            min=0,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the random input.", min=0)] = 0,
    verify: VerifyOption = False,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Compare two forms of one net, layer by layer.

    Both run on the same random input. Every value that both forms name is compared in the order in which
    A computes it. Ends with 1 and the name of the first divergence if their outputs do not agree.
    Unless told otherwise, source files and .onnx run in ONNX Runtime, so a net and what was converted from it
    agree even if both were read wrongly: --with runs A in something else, and says what that can catch.
    A net.py is a program and is run as one: compare only those that you trust. Nothing else is executed.
    """
    from zoo.verification.compare import compare_nets
    from zoo.verification.independent import INDEPENDENT, OTHER_IMPLEMENTATION_BOUND

    if with_python is not None and with_ is None:
        raise UsageError("--with-python names the Python for --with opencv4 or --with caffe: give that too")
    if bound is None:
        bound = OTHER_IMPLEMENTATION_BOUND if with_ == "opencv4" else BOUND
    subjects = [find_subject(form.split(","), manifests) for form in (a, b)]
    known = [subject.manifest for subject in subjects if subject.manifest is not None]
    found = compare_nets(
        *(subject.sources for subject in subjects),
        input_shapes=fixed_input_shapes(input_shape),
        usual_shape=known[0].image_shape if known else None,
        seed=seed,
        bound=bound,
        verify=verify,
        independent=with_,
        python=with_python,
    )
    told = None if with_ is None else INDEPENDENT[with_]
    if json:
        print_json(
            {
                "agrees": found.agrees,
                "bound": bound,
                "values": [asdict(row) for row in found.rows],
                "first_divergence": found.first_divergence and found.first_divergence.name,
                "only_first": found.only_first,
                **({} if with_ is None else {"with": with_, "meaning": told}),
                **({"without_preparation": found.without_preparation} if found.without_preparation else {}),
            }
        )
    else:
        _print(found)
        if told is not None:
            say(f"{told}.")
    if not found.agrees:
        raise typer.Exit(1)


def _print(found: NetComparison) -> None:
    lines = [
        (
            row.name,
            "x".join(map(str, row.shape)),
            f"{row.difference:.1e}",
            f"{row.relative:.1e}",
            Verdict("agrees" if row.agrees else "differs", row.agrees),
        )
        for row in found.rows
    ]
    print_table(("VALUE", "SHAPE", "DIFFERENCE", "RELATIVE", "VERDICT"), lines, right=(2, 3))
    print()
    for name in found.without_preparation:
        print(
            f"{name} prepares its images in its first nodes: they were left out, and the net behind them was "
            "compared."
        )
    for name in found.only_first:
        say(f"Not compared: output {name} of A, which B does not have.")
    first = found.first_divergence
    if first is None:
        say(f"All {len(found.rows)} values that both have agree within {found.bound:g}.")
        return
    if first.shape != first.other_shape:
        shapes = " and ".join("x".join(map(str, shape)) for shape in (first.shape, first.other_shape))
        say(f"First divergence: {first.name}, of the shapes {shapes}.")
    else:
        say(
            f"First divergence: {first.name}, by {first.relative:.1e} of its largest magnitude "
            f"where {found.bound:g} is allowed."
        )
    if found.agrees:
        say("The outputs agree all the same: inside, one form has layers folded into others.")
