"""What a conversion did, said so that a person can check it."""

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
