"""Write the pages that list what the converters know: caffe-layers.md, torch7-classes.md and README's counts.

`make docs` runs this. The lists come from the registries of layers and classes, so that no page can name
something that the code does not have.
"""

from __future__ import annotations

import re
from pathlib import Path

from converters.from_caffe.layers import support as caffe_layers
from converters.from_torch7.modules import support as torch7_classes

FOLDER = Path(__file__).resolve().parent
REFUSED = "not converted: "
GENERATED = "<!-- Written by docs/generate.py; change the code and run `make docs`. -->"

CAFFE = """# Caffe layers

{generated}

`dsd-zoo convert` turns these {converted} layer types into ONNX and PyTorch. It knows {refused} more that it
refuses, with the reason. They are those of BVLC Caffe and of the forks that published models use. A type
that is not listed is an error that names the layer.

Data, loss and evaluation layers are not listed. They have no place in a net for inference: they are left
out, and the report says so.

How to convert: [convert.md](convert.md). Where the parameters of a type lie in a file:
[formats.md](formats.md).

## Converted

{table}

## Known and refused

{refused_table}
"""

TORCH7 = """# Torch7 classes

{generated}

`dsd-zoo convert` turns these {converted} classes into ONNX and PyTorch. It knows {refused} more that it
refuses, with the reason. A class that is not listed is an error that names the module.

A name without a prefix is a class of nn. The class of the same name in cudnn, cunn, fbcunn, fbnn, inn or
clnn is converted in the same way, unless it is listed itself.

How to convert: [convert.md](convert.md). What a `.t7` file is: [formats.md](formats.md).

## Converted

{table}

## Known and refused

{refused_table}
"""


def pages() -> dict[str, str]:
    """File name to content of both pages."""
    return {
        "caffe-layers.md": page(CAFFE, "what it computes", caffe_layers()),
        "torch7-classes.md": page(TORCH7, "what it computes", torch7_classes()),
    }


def page(text: str, meaning: str, support: list[tuple[str, str]]) -> str:
    """One page; `support` has (name, what it computes) or (name, "not converted: " and why)."""
    converted = [(name, says) for name, says in support if not says.startswith(REFUSED)]
    refused = [(name, says.removeprefix(REFUSED)) for name, says in support if says.startswith(REFUSED)]
    return text.format(
        generated=GENERATED,
        converted=len(converted),
        refused=len(refused),
        table=table(meaning, converted),
        refused_table=table("why, and what to do", refused),
    )


def table(meaning: str, rows: list[tuple[str, str]]) -> str:
    """Rows as a Markdown table; a pipe in a text must not end its cell."""
    cells = [(name, says.replace("|", "\\|")) for name, says in rows]
    return "\n".join(
        [f"| name | {meaning} |", "|---|---|", *(f"| {name} | {says} |" for name, says in cells)]
    )


def readme(text: str) -> str:
    """README with the numbers of layer types and classes that are converted."""
    caffe, torch7 = (
        sum(not says.startswith(REFUSED) for _, says in support())
        for support in (caffe_layers, torch7_classes)
    )
    return re.sub(
        r"\d+ Caffe layer types and \d+ Torch7 classes",
        f"{caffe} Caffe layer types and {torch7} Torch7 classes",
        text,
    )


def main() -> None:
    """Write both pages beside this file, and the counts in README.md."""
    for name, content in pages().items():
        (FOLDER / name).write_text(content, encoding="utf-8")
    page = FOLDER.parent / "README.md"
    page.write_text(readme(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
