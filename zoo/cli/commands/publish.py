"""`dsd-zoo publish MODEL -o DIR`: what one would upload of a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from zoo.cli._completion import complete_models
from zoo.cli._options import EVIDENCE_DEFAULT, EvidenceOption, JsonOption, ManifestsOption
from zoo.cli._output import human_bytes, print_fields, print_json, say
from zoo.cli._subject import find_subject, load_catalog
from zoo.cli.command import command


@command("publish", order=145)
def publish(
    model: Annotated[
        str,
        typer.Argument(metavar="MODEL", help="A model whose files are here.", autocompletion=complete_models),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="DIR", help="A folder: new, empty, or of an earlier call.")
    ],
    torchvision: Annotated[
        bool,
        typer.Option("--torchvision", help="Also the state dict for torchvision's net of that architecture."),
    ] = False,
    evidence: EvidenceOption = EVIDENCE_DEFAULT,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Write a folder that can be uploaded to the Hugging Face Hub, and used from anywhere.

    model.onnx; net.py with net.safetensors; config.json; labels.txt; LICENSE; and README.md, the model card,
    with what is claimed, what was measured here (--evidence), what others measured, the gain over the
    baseline, the preparation of images, limits, programs and BibTeX. Nothing is uploaded.

    --torchvision writes torchvision-NAME.safetensors, which torchvision's alexnet, googlenet, resnet18,
    resnet50, squeezenet1_0 or vgg16 accepts: all keys and shapes fit, and both nets are run and compared. A
    net of another architecture is refused with the reason. The input stays that of the model, such as BGR.
    """
    from zoo.environment import sleep_while_waiting
    from zoo.evidence.run import read_runs
    from zoo.publication.publish import publish as write

    sleep_while_waiting()
    runs = [] if evidence == EVIDENCE_DEFAULT and not evidence.is_dir() else read_runs(evidence)
    done = write(
        find_subject([model], manifests), load_catalog(manifests), out, runs, torchvision=torchvision
    )
    state = done.torchvision
    if json:
        fields = None
        if state is not None:
            fields = {
                "architecture": state.architecture,
                "difference": state.difference,
                "softmax": state.softmax,
                "deviation": state.deviation,
            }
        print_json({"model": model, "out": str(out), "files": done.files, "torchvision": fields})
        return
    say(f"{model} in {out}")
    print_fields([(name, human_bytes((out / name).stat().st_size)) for name in done.files])
    if state is not None:
        verdict = "computes the same" if state.deviation is None else "DOES NOT COMPUTE THE SAME"
        say(
            f"\ntorchvision's {state.architecture} {verdict}: "
            f"scores differ by {state.difference:.1e} of the largest"
        )
        say(state.deviation or "The input stays that of this model; README.md has it.")
    say(f"\nnext  hf upload YOU/{model} {out}")
