"""Reports for people and programs: what a conversion did, and what a set of files contains."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Source:
    """A file that was read. sha256: None if the files were not hashed, as asked."""

    name: str
    bytes: int
    sha256: str | None


@dataclass(frozen=True)
class Dropped:
    """A layer of the source that is not in the converted net, and the reason."""

    name: str
    type: str
    reason: str


@dataclass
class ConversionReport:
    """What a conversion did. `converters.load` fills it, `converters.convert` adds the files.

    inputs, outputs: shapes by name, as text ("Nx3x227x227"). preprocessing: what the definition says about
    its input (Caffe's transform_param). unused_weights: stored weights that the net does not use.
    files: the files written.
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
        """The report as data for JSON; the keys are stable."""
        return {**asdict(self), "files": [str(path) for path in self.files]}


@dataclass
class LayerRow:
    """One layer: output shapes and parameters as text, and the problem if it cannot be converted."""

    name: str
    type: str
    shapes: list[str] = field(default_factory=list)
    parameters: list[str] = field(default_factory=list)
    problem: str | None = None


@dataclass
class Inspection:
    """The result of `converters.inspect`.

    kind: what the files are together. inputs, outputs: shapes by name. left_out: layers that are not part of
    the inference net, and why. problems: what prevents the conversion, apart from problems of single layers.
    needs_weights: the net has parameters, and only its definition was given: a conversion needs both.
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
    needs_weights: bool = False

    @property
    def convertible(self) -> int:
        """The number of layers that can be converted."""
        return sum(row.problem is None for row in self.layers)

    @property
    def complete(self) -> bool:
        """Whether everything can be converted, of a definition alone: together with its weights."""
        return not self.problems and self.convertible == len(self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The inspection as data for JSON; the keys are stable."""
        return {**asdict(self), "convertible": self.convertible, "complete": self.complete}
