"""The model card: README.md as the Hugging Face Hub reads it, a YAML head and Markdown."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from zoo.bundled import LABEL_ORDERS, TASKS
from zoo.catalog.metadata import image_settings
from zoo.preprocessing import resolve
from zoo.preprocessing.settings import in_words
from zoo.publication.card_head import card_head
from zoo.publication.citation import bibtex
from zoo.report.markdown import gain_markdown
from zoo.report.tables import claim_blocks, gain_blocks
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest
    from zoo.claims.audit import Audit
    from zoo.publication.state_dict import TorchvisionState

FRAMEWORKS = {"caffe": "Caffe", "torch7": "Torch7"}
# What a manifest says where no licence is known: of a model that others published, and of one trained here.
UNKNOWN_LICENCES = ("not on record", "not stated")
WIDTH = 110


@dataclass(frozen=True, slots=True)
class Contents:
    """What the card is about.

    files: (name, bytes, sha256, what it is) of each file of the folder. sources: the same of what was
        converted.
    programs: by what runs the net. torchvision: the state dict, if one was written.
    """

    manifest: Manifest
    audit: Audit
    files: Sequence[tuple[str, int, str, str]]
    sources: Sequence[tuple[str, int, str]]
    programs: dict[str, str]
    torchvision: TorchvisionState | None = None
    version: str = ""


def model_card(given: Contents) -> str:
    """The text of README.md."""
    manifest = given.manifest
    parts = [
        card_head(manifest),
        f"# {manifest.title}\n\n{_filled(manifest.summary)}",
        _filled(_origin(given)),
        "\n\n".join(_use(given.programs)),
        "\n".join(_preparation(manifest)),
        "\n".join(_accuracy(given)),
        "\n".join(_gains(given.audit)),
        "\n".join(_torchvision(given)),
        "\n".join(_limits(given)),
        "\n".join(_files(given)),
        f"## Licence\n\n{licence_sentence(manifest)}",
        "\n".join(_citation(manifest)),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _origin(given: Contents) -> str:
    """Where the net comes from: converted from what others trained, or trained by `dsd-zoo train`."""
    if given.manifest.framework == "pytorch":
        computes = "`model.onnx` and `net.py` compute what the trained net does"
        return f"Written by dsd-zoo {given.version}; {computes}."
    return (
        f"Converted from {FRAMEWORKS[given.manifest.framework]} by dsd-zoo {given.version}; nothing was "
        "trained again. `model.onnx` and `net.py` compute what the original does."
    )


def licence_sentence(manifest: Manifest) -> str:
    """Under what the weights may be used."""
    given = manifest.license
    where = "" if given.url is None else f" ({given.url})"
    if given.name in UNKNOWN_LICENCES:
        return f"The licence of the weights is not on record{where}: ask their authors before you use them."
    return f"The weights and their definition are those of their authors, under: {given.name}{where}."


def _use(programs: dict[str, str]) -> Iterator[str]:
    if not programs:
        return
    yield "## Use"
    for name, program in programs.items():
        yield f"With {name}:\n\n```python\n{program.rstrip()}\n```"


def _preparation(manifest: Manifest) -> Iterator[str]:
    yield "## Input and output"
    yield ""
    settings = image_settings(manifest)
    if settings is not None:
        flavour = resolve(settings.flavour)
        white = flavour.normalisation_max_value
        yield f"- image: {flavour.in_words(settings.crop)}; {flavour.channels}, 0 to {white}"
        yield f"- in full: {in_words(settings.model_dump())}"
        if settings.mean_image:
            yield "- `mean.npy` is subtracted, of which the centre counts: channels x rows x columns"
    else:
        for one in manifest.inputs:
            shown = {
                name: value for name, value in one.model_dump(exclude_none=True).items() if name != "name"
            }
            yield f"- input {one.name or ''}: {_plain(shown)}"
    for output in manifest.outputs:
        yield f"- output {output.name or ''}: {output.description}"
    if manifest.classes is not None:
        order = "" if manifest.label_order is None else LABEL_ORDERS[manifest.label_order].description
        names = "; names in `labels.txt`" if manifest.label_order else "; in which order is not stated"
        yield f"- {manifest.classes} classes{order}{names}"


def _plain(values: dict[str, Any]) -> str:
    return "; ".join(
        str(value)
        if name == "description"
        else f"{name} {' '.join(map(str, value)) if isinstance(value, list) else value}"
        for name, value in values.items()
    )


def _accuracy(given: Contents) -> Iterator[str]:
    """Claims, what was measured here, and what others measured."""
    manifest = given.manifest
    blocks = claim_blocks(given.audit)
    if blocks:
        yield "## Accuracy"
        yield ""
        yield "| metric | claimed | right | of | measured here | source |"
        yield "|---|---:|---:|---:|---|---|"
        for block in blocks:
            claim = block.claim
            right = "" if claim.correct is None else f"{claim.correct:,}"
            here = "; ".join(
                f"{line.run.correct:,} of {line.run.n:,} ({line.runtimes})" for line in block.lines
            )
            source = f"[published]({claim.source})" if "://" in claim.source else _cell(claim.source)
            yield (
                f"| {METRIC_NAMES[claim.metric]} | {claim.percent} % | {right} | {claim.n:,} "
                f"| {here or 'not measured'} | {source} |"
            )
    elif manifest.reported:
        yield "## Reported"
        yield ""
    for found in manifest.measurements:
        right = "" if found.correct is None else f", {found.correct:,} right"
        prepared = found.preparation or (
            "" if found.preprocessing is None else in_words(found.preprocessing.model_dump())
        )
        if found is manifest.measurements[0]:
            yield ""
            yield "What others measured with the same weights:"
            yield ""
        yield (
            f"- {METRIC_NAMES[found.metric]} {found.percent} % of {found.n:,} images{right}, by "
            f"[{found.who}]({found.source}); preparation: {prepared or 'not stated'}"
        )
    for figure in manifest.reported:
        text = f"{figure.metric} {figure.published} on {figure.images}, by {figure.who}"
        yield f"- {text}; not checked ({figure.source})"


def _gains(audit: Audit) -> Iterator[str]:
    blocks = gain_blocks(audit)
    if blocks:
        yield f"## Gain over {audit.baseline}"
    for block in blocks:
        yield from gain_markdown(block)


def _torchvision(given: Contents) -> Iterator[str]:
    found = given.torchvision
    if found is None:
        return
    yield "## In torchvision"
    yield ""
    yield _filled(
        f"`{torchvision_file(found)}` is a state dict for `torchvision.models.{found.architecture}`, with "
        "all of its keys in its shapes. The input is that of this model, **not** the usual one of "
        "torchvision: see above for the order of channels, the range and the mean."
    )
    yield ""
    extra = ", aux_logits=False, init_weights=False" if found.architecture == "googlenet" else ""
    classes = "" if given.manifest.classes in (None, 1000) else f", num_classes={given.manifest.classes}"
    yield "```python"
    yield "from safetensors.torch import load_file"
    yield "import torchvision"
    yield ""
    yield f"net = torchvision.models.{found.architecture}(weights=None{classes}{extra}).eval()"
    yield f'net.load_state_dict(load_file("{torchvision_file(found)}"))'
    yield "```"
    yield ""
    if found.softmax:
        yield "It gives the scores before the softmax; those of `model.onnx` come after it."
    if found.deviation is None:
        yield f"It computes the same: on random input scores differ by {found.difference:.1e} of the largest."
    else:
        yield _filled(
            f"**It does not compute the same.** {found.deviation} On random input scores differ by up to "
            f"{found.difference:.1e} of the largest one. The accuracies above are not those of that net."
        )


def torchvision_file(found: TorchvisionState) -> str:
    """The name of the file with the state dict."""
    return f"torchvision-{found.architecture}.safetensors"


def _limits(given: Contents) -> Iterator[str]:
    manifest, audit = given.manifest, given.audit
    lines = []
    if manifest.claims and not any(claim.measurements for claim in audit.claims):
        lines.append("No accuracy was measured here; the claims are those of the authors.")
    lines += audit.problems
    lines += [
        f"Another published {METRIC_NAMES[conflict.metric]}: {conflict.published}. {conflict.note}"
        for conflict in audit.conflicts
    ]
    if audit.trust == "unpinned":
        names = ", ".join(audit.unpinned_files)
        lines.append(f"No checksum was published for {names}: the first download decided what is right.")
    lines += [note for note in (manifest.definition_note, *manifest.notes) if note]
    lines.append(f"It gives {TASKS[manifest.task].answer}, and was trained on images of its own kind only.")
    yield "## Limits"
    yield ""
    yield from (f"- {' '.join(line.split())}" for line in lines)


def _files(given: Contents) -> Iterator[str]:
    yield "## Files"
    yield ""
    yield "| file | bytes | sha256 | what |"
    yield "|---|---:|---|---|"
    for name, size, digest, what in given.files:
        yield f"| `{name}` | {size:,} | `{digest}` | {what} |"
    for name, size, digest in given.sources:
        yield f"| {_cell(name)} (not here) | {size:,} | `{digest}` | what was converted |"


def _citation(manifest: Manifest) -> Iterator[str]:
    url = next(iter(manifest.references), None)
    yield "## Citation"
    yield ""
    yield "```bibtex"
    yield bibtex(manifest.citation, manifest.name, url)
    yield "```"
    for other in manifest.references[1:]:
        yield f"\n{other}" if other == manifest.references[1] else other


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _filled(text: str) -> str:
    return textwrap.fill(" ".join(text.split()), WIDTH)
