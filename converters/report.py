"""What a conversion did, and what is in a set of files: said so that a person can check it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Source:
    """A file that was read."""

    name: str
    bytes: int
    sha256: str


@dataclass(frozen=True)
class Dropped:
    """A layer of the source that the converted net does not contain, and why."""

    name: str
    type: str
    reason: str


@dataclass
class ConversionReport:
    """Filled by the reader (`converters.load`) and completed by `converters.convert`.

    inputs and outputs map names to shapes as text ("Nx3x227x227"). `preprocessing` is what the
    definition itself says of its input (Caffe's transform_param), if anything. `files` are the files written.
    """

    framework: str
    sources: list[Source] = field(default_factory=list)
    inputs: dict[str, str] = field(default_factory=dict)
    outputs: dict[str, str] = field(default_factory=dict)
    layers: int = 0
    nodes: int = 0
    parameters: int = 0
    dropped: list[Dropped] = field(default_factory=list)
    unused_weights: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    preprocessing: dict[str, Any] | None = None
    files: list[Path] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-able data; the keys are stable."""
        return {**asdict(self), "files": [str(path) for path in self.files]}


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
