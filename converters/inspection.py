"""What is in a set of files and what of it would convert; nothing unsupported stops it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass
class LayerRow:
    """One layer: its output shapes and parameters as text, and what keeps it from being converted."""

    name: str
    type: str
    shapes: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    problem: str | None = None


@dataclass
class Inspection:
    """The answer of `converters.inspect`.

    kind: what the files are together; inputs, outputs: shapes by name; left_out: layers that are not part of
    the inference net, and why; problems: what stops the conversion beside single layers.
    """

    kind: str
    files: list[str]
    layers: list[LayerRow] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    parameters: int = 0
    left_out: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    @property
    def convertible(self) -> int:
        """How many of the layers can be converted."""
        return sum(row.problem is None for row in self.layers)

    @property
    def complete(self) -> bool:
        """Whether all of it would convert."""
        return not self.problems and self.convertible == len(self.layers)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able data; the keys are stable."""
        return {**asdict(self), "convertible": self.convertible, "complete": self.complete}


def inspect_files(paths: Sequence[Path]) -> Inspection:
    """See `converters.inspect`."""
    from converters.reading import kinds_of
    from converters.sniff import Kind

    kinds = kinds_of(paths)
    if Kind.TORCH7 in kinds:
        from converters import from_torch7

        return from_torch7.inspect(kinds[Kind.TORCH7])
    if Kind.ONNX in kinds:
        return _inspect_onnx(kinds[Kind.ONNX])
    from converters import from_caffe

    definition = kinds.get(Kind.PROTOTXT)
    weights = next((path for kind, path in kinds.items() if kind is not Kind.PROTOTXT), None)
    return from_caffe.inspect(definition, weights)


def _inspect_onnx(path: Path) -> Inspection:
    import onnx_ir as ir

    from converters.graph import shape_text
    from converters.options import Options
    from converters.reading import read

    def text(value: ir.Value) -> str:
        return shape_text([str(size) for size in value.shape]) if value.shape is not None else "unknown"

    model = read([path], Options())
    report = model.meta["report"]
    rows = [
        LayerRow(node.name or "", node.op_type, [text(output) for output in node.outputs])
        for node in model.graph
    ]
    return Inspection(
        "ONNX model", [str(path)], rows, report.inputs, report.outputs, report.parameters, notes=report.notes
    )
