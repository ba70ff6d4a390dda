"""`dsd-zoo inspect MODEL|FILE...`: what is in these files, and would all of it convert?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from zoo.cli._colour import Verdict
from zoo.cli._completion import complete_nets
from zoo.cli._options import (
    IgnoreFieldOption,
    InputShapeOption,
    JsonOption,
    LevelOption,
    ManifestsOption,
    OutputOption,
    ProposalOption,
    SelectOption,
    StageOption,
    StaticBatchOption,
    VerifyOption,
    input_shapes,
)
from zoo.cli._output import print_fields, print_json, print_table, say
from zoo.cli._subject import find_subject
from zoo.cli._weights import show_weights
from zoo.cli.command import command
from zoo.errors import UsageError

if TYPE_CHECKING:
    from converters import Inspection, LayerRow
    from zoo.store.subject import Subject


@command("inspect", order=80)
def inspect(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL|FILE...",
            help="A model of the catalog, or the files of a net: a prototxt, its weights, a .t7, a .onnx.",
            autocompletion=complete_nets,
        ),
    ],
    weights: Annotated[
        bool,
        typer.Option(
            "--weights", help="Compare the weights of two nets, A B; files of one net are joined by commas."
        ),
    ] = False,
    output: OutputOption = None,
    input_shape: InputShapeOption = None,
    static_batch: StaticBatchOption = None,
    stage: StageOption = None,
    level: LevelOption = 0,
    proposal: ProposalOption = None,
    ignore_field: IgnoreFieldOption = None,
    select: SelectOption = None,
    verify: VerifyOption = False,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Inspect a net: its layers, and what would convert.

    Layers come with their output shapes and parameters; what stops one says why. Files of a model of the
    catalog are known by their content. Ends with 0 only if `dsd-zoo convert` would succeed with the same
    options; of a definition alone, if it would with the weights. With --weights A B, such as a DSD
    model and its baseline: how many weights are zero, how they correlate layer by layer, and how their
    magnitudes are distributed.
    """
    from zoo.cli._known_files import known_json, warn_of_manifests, warn_of_namesakes
    from zoo.store.conversion import inspect_subject

    if weights:
        given = {
            "--output": output,
            "--input-shape": input_shape,
            "--static-batch": static_batch,
            "--stage": stage,
            "--level": level,
            "--proposal": proposal,
            "--ignore-field": ignore_field,
            "--select": select,
        }
        if unused := [name for name, value in given.items() if value]:
            raise UsageError(f"--weights compares weights alone; leave out {' and '.join(unused)}")
        show_weights(what, manifests, as_json=json, verify=verify)
        return

    subject = find_subject(what, manifests)
    warn_of_namesakes(subject.recognize())
    warn_of_manifests(subject.recognizer)
    found = inspect_subject(
        subject,
        outputs=output,
        input_shapes=input_shapes(input_shape),
        static_batch=static_batch,
        stages=stage or (),
        level=level,
        proposal=proposal,
        ignore_fields=ignore_field or (),
        select=select,
        verify=verify,
    )
    if json:
        print_json(found.to_dict() | {"known": known_json(subject)})
    else:
        _print(found, subject)
    if not found.complete:
        raise typer.Exit(1)


def _print(found: Inspection, subject: Subject) -> None:
    from zoo.cli._known_files import known_fields

    lines = [_line(row) for row in found.layers]
    print_table(("LAYER", "TYPE", "OUTPUT", "PARAMETERS", "CONVERTS"), lines)
    print()
    fields = [
        ("kind", found.kind),
        ("files", "\n".join(found.files)),
        *known_fields(subject),
        ("inputs", "\n".join(f"{name}  {shape}" for name, shape in found.inputs.items())),
        ("outputs", "\n".join(f"{name}  {shape}" for name, shape in found.outputs.items())),
        ("parameters", f"{found.parameters:,}"),
        ("left out", "\n".join(found.left_out)),
        ("notes", "\n".join(found.notes)),
        ("problems", "\n".join(found.problems)),
    ]
    print_fields([(name, value) for name, value in fields if value])
    for row in found.layers:
        if row.problem is not None:
            say(f"\n{row.name} ({row.type}): {row.problem}")
    verdict = f"{found.convertible} of {len(found.layers)} layers convert. {_verdict(found)}"
    print()
    say(Verdict(verdict, found.complete))


def _verdict(found: Inspection) -> str:
    if found.complete and found.needs_weights:
        return "With its weights, all of it converts."
    if found.complete and found.layers and not found.outputs:
        return "Its tensors can be saved as .safetensors."
    if found.complete:
        return "All of it converts."
    if found.convertible < len(found.layers):
        return "Not all of it converts."
    return f"The net does not convert: {found.problems[0].splitlines()[0]}"


def _line(row: LayerRow) -> tuple[str, ...]:
    converts = Verdict("yes" if row.problem is None else "NO", row.problem is None)
    return row.name, row.type, ", ".join(row.shapes), ", ".join(row.parameters), converts
