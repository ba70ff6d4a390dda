"""`dsd-zoo compare A B`: where do two forms of one net part?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from zoo.cli._common import JsonOption, ManifestsOption, print_json, print_table
from zoo.cli._shapes import InputShapeOption, input_shapes
from zoo.cli._subject import find_subject

FORM = "A model's name, net.onnx, net.py, or source files joined by commas."


def compare(
    a: Annotated[str, typer.Argument(metavar="A", help=FORM)],
    b: Annotated[str, typer.Argument(metavar="B", help=FORM)],
    input_shape: InputShapeOption = None,
    bound: Annotated[
        float, typer.Option(help="Allowed difference, relative to the largest magnitude of a value.", min=0)
    ] = 1e-5,
    seed: Annotated[int, typer.Option(help="Of the random input.", min=0)] = 0,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Compare two forms of one net, layer by layer.

    Both run on the same random input. Every value that both forms name is compared in the order in
    which A computes it, then the outputs. Ends with 1 and the name of the first divergence if they do
    not agree.
    """
    from zoo.compare import compare as compare_forms

    found = compare_forms(
        *(find_subject(form.split(","), manifests).sources for form in (a, b)),
        input_shapes=input_shapes(input_shape),
        seed=seed,
        bound=bound,
    )
    first = found.first_divergence
    if json:
        rows = [asdict(row) for row in found.rows]
        print_json(
            {
                "bound": bound,
                "values": rows,
                "first_divergence": first and first.name,
                "only_first": found.only_first,
            }
        )
    else:
        lines = [
            (
                row.name,
                "x".join(map(str, row.shape)),
                f"{row.difference:.1e}",
                f"{row.relative:.1e}",
                "agrees" if row.agrees else "differs",
            )
            for row in found.rows
        ]
        print_table(("VALUE", "SHAPE", "DIFFERENCE", "RELATIVE", "VERDICT"), lines, right=(2, 3))
        print()
        for name in found.only_first:
            print(f"Not compared: output {name} of A, which B does not have.")
        if first is None:
            print(f"All {len(found.rows)} values that both have agree within {bound:g}.")
        elif first.shape != first.other_shape:
            shapes = " and ".join("x".join(map(str, shape)) for shape in (first.shape, first.other_shape))
            print(f"First divergence: {first.name}, of the shapes {shapes}.")
        else:
            print(
                f"First divergence: {first.name}, by {first.relative:.1e} of its largest magnitude "
                f"where {bound:g} is allowed."
            )
    if first is not None:
        raise typer.Exit(1)
