"""The docstrings of the generated file: origin, preprocessing, inputs and outputs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from typing import Any

import onnx_ir as ir

from converters.to_pytorch.expressions import WIDTH
from converters.to_pytorch.naming import printable

_FRAMEWORKS = {"caffe": "Caffe", "torch7": "Torch7", "onnx": "ONNX"}


def module_docstring(model: ir.Model) -> list[str]:
    """Lines of the file's docstring, from the metadata of the model."""
    metadata = model.metadata_props
    framework = metadata.get("dsd-zoo.framework", "onnx")
    version = metadata.get("dsd-zoo.version")
    title = f"{model.graph.name or 'A network'}, converted from {_FRAMEWORKS.get(framework, framework)}"
    by = f" to PyTorch by dsd-zoo {version}." if version else " to PyTorch."
    lines = [*_wrapped(title + by, ""), *_sources(metadata), *_preprocessing(metadata), *_notes(metadata)]
    return _docstring(lines, "")


def class_docstring(model: ir.Model, indent: str) -> list[str]:
    """Lines of the class's docstring: inputs and outputs, in order."""
    graph = model.graph
    inputs = [v for v in graph.inputs if v not in graph.initializers.values()]
    names = [", ".join(str(value.name) for value in values) for values in (graph.outputs, inputs)]
    lines = textwrap.wrap(f"Computes {' from '.join(filter(None, names))}.", WIDTH - len(indent) - len('"""'))
    for title, values in (("Takes", inputs), ("Returns", graph.outputs)):
        lines += ["", f"{title}:", *(f"    {_value(value)}" for value in values)]
    return _docstring(lines, indent)


def _value(value: ir.Value) -> str:
    shape = "x".join(map(str, value.shape)) or "scalar" if value.shape is not None else "of any shape"
    dtype = value.dtype.name.lower().replace("double", "float64") if value.dtype is not None else ""
    return f"{value.name}: {'float32' if dtype == 'float' else dtype} {shape}"


def _sources(metadata: dict[str, str]) -> Iterator[str]:
    sources = json.loads(metadata.get("dsd-zoo.sources", "[]"))
    if sources:
        yield from ("", "Sources:")
    for source in sources:
        yield f"    {source['name']} ({source['bytes']:,} bytes)"
        yield f"        sha256 {source['sha256'] or 'not computed, as asked (--no-hash)'}"


def _preprocessing(metadata: dict[str, str]) -> Iterator[str]:
    preprocessing: dict[str, Any] = json.loads(metadata.get("dsd-zoo.preprocessing", "{}"))
    if preprocessing:
        yield from ("", "Preprocessing, as the source describes it:")
    for key, value in preprocessing.items():
        yield from _wrapped(f"{key}: {json.dumps(value)}", "    ")


def _notes(metadata: dict[str, str]) -> Iterator[str]:
    notes = json.loads(metadata.get("dsd-zoo.notes", "[]"))
    if notes:
        yield from ("", "Notes:")
    for note in notes:
        yield from _wrapped(str(note), "    ")


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=f"{indent}    " if indent else ""
    )


def _docstring(lines: Iterable[str], indent: str) -> list[str]:
    """The lines in triple quotes; backslashes and triple quotes in them are escaped."""
    safe = [printable(line).replace("\\", "\\\\").replace('"""', r"\"\"\"") for line in lines]
    safe = [f"{indent}{line}".rstrip() for line in safe]
    if len(safe) == 1:
        return [f'{indent}"""{safe[0].lstrip()}"""']
    return [f'{indent}"""{safe[0].lstrip()}', *safe[1:], f'{indent}"""']
