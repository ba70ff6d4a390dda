"""`dsd-zoo rescue FILE.py|DIR`: from programs whose importer is gone to running ones."""

from __future__ import annotations

from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated, Any

import typer

from zoo.cli._columns import terminal_width
from zoo.cli._options import InputShapeOption, JsonOption, input_shapes
from zoo.cli._output import counted, print_fields, print_json, say, show_progress
from zoo.cli._tables import Verbatim
from zoo.cli.command import command

if TYPE_CHECKING:
    from zoo.rescue.rescue import Outcome, Rescue


@command("rescue", order=105)
def rescue(
    place: Annotated[Path, typer.Argument(metavar="FILE.py|DIR", help="A source, or a folder of sources.")],
    out: Annotated[
        Path | None,
        typer.Option(
            "--out", "-o", metavar="DIR", help="Where the .onnx files go; by default beside the weights."
        ),
    ] = None,
    write: Annotated[bool, typer.Option("--write", help="Apply the patch to the sources.")] = False,
    input_shape: InputShapeOption = None,
    opencv4: Annotated[
        Path | None,
        typer.Option(
            metavar="PYTHON", help="A Python with OpenCV 4: check against its own Caffe and Torch readers."
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Convert the models that programs read with importers that no longer exist, and patch the programs.

    Finds readNetFromCaffe, readNetFromTorch and readNet of OpenCV (5 has the first two no more), caffe.Net,
    load_lua and torchfile.load in Python, and OpenCV's in C++, where they are only listed. Nothing of a
    program is run: variables, os.path.join and f-strings are followed where literals decide them. Each model
    is converted, and run in OpenCV against OpenCV 4's own reader (--opencv4) or ONNX Runtime. Names of inputs
    and outputs stay, so setInput and forward need no change. Ends with 1 if a call is left.
    """
    from converters import atomic_write
    from zoo.rescue.rescue import rescue as rescue_programs

    outcome = rescue_programs(
        place, out=out, input_shapes=input_shapes(input_shape), opencv4=opencv4, progress=show_progress
    )
    show_progress("")
    if write:
        for path, text, _ in outcome.patches:
            with atomic_write(path) as temporary:
                temporary.write_bytes(text.encode())
                temporary.chmod(path.stat().st_mode)
    if json:
        print_json(_fields(outcome, write))
    else:
        _print(outcome, write)
    if not outcome.complete:
        raise typer.Exit(1)


def _print(outcome: Outcome, write: bool) -> None:
    for rescue in outcome.rescues:
        place = f"{rescue.call.path}:{rescue.call.line}: "
        room = max(40, terminal_width() - len(place))
        print(f"{place}{shorten(rescue.call.text, room, placeholder=' ...')}")
        print_fields(_lines(rescue))
        print()
    for problem in outcome.unread:
        say(f"not read: {problem}\n")
    if not outcome.rescues:
        say("no call here reads a Caffe or Torch7 file")
        return
    if outcome.patches and write:
        say("\n".join(f"patched {path}" for path, _, _ in outcome.patches))
    elif outcome.patches:
        print("".join(patch for _, _, patch in outcome.patches))
        say("The sources are as they were; --write applies the patch.")
    left = sum(rescue.replacement is None for rescue in outcome.rescues)
    done = len(outcome.rescues) - left
    print(f"{counted(done, 'call')} of {len(outcome.rescues)} replaced{', ' if left else '.'}", end="")
    say(f"{left} to do by hand." if left else "")


def _lines(rescue: Rescue) -> list[tuple[str, str]]:
    """What became of a call, as fields."""
    lines = []
    model, new = rescue.model, rescue.replacement
    if rescue.problem is not None:
        lines.append(("not replaced", rescue.problem))
    if model is not None and model.onnx is not None:
        sizes = ", ".join(f"{name} {shape}" for name, shape in {**model.inputs, **model.outputs}.items())
        lines.append(("converted", f"{model.onnx}  {sizes}"))
        if model.agreement is not None:
            found = model.agreement
            verdict = "computes what" if found.holds else "COMPUTES OTHERWISE THAN"
            lines.append(
                (
                    "checked",
                    f"OpenCV {found.opencv} {verdict} {found.reference} does:\n"
                    f"largest difference {found.difference:.1e} of the largest value",
                )
            )
    if new is not None:
        lines.append(("replace with" if new.written else "by hand", Verbatim(new.code)))
    return lines


def _fields(outcome: Outcome, write: bool) -> dict[str, Any]:
    return {
        "complete": outcome.complete,
        "written": write,
        "calls": [_call_fields(rescue) for rescue in outcome.rescues],
        "patches": {str(path): patch for path, _, patch in outcome.patches},
        "unread": outcome.unread,
    }


def _call_fields(rescue: Rescue) -> dict[str, Any]:
    from dataclasses import asdict

    call, model, new = rescue.call, rescue.model, rescue.replacement
    agreement = None if model is None or model.agreement is None else model.agreement
    return {
        "path": str(call.path),
        "line": call.line,
        "function": call.reader.called,
        "call": call.text,
        "files": [] if model is None else [str(path) for path in model.sources],
        "onnx": None if model is None or model.onnx is None else str(model.onnx),
        "inputs": {} if model is None else dict(model.inputs),
        "outputs": {} if model is None else dict(model.outputs),
        "agreement": None if agreement is None else {**asdict(agreement), "holds": agreement.holds},
        "replacement": None if new is None else new.code,
        "in_patch": new is not None and new.written,
        "problem": rescue.problem,
    }
