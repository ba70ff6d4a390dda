"""Names that options, files and code share, as plain types and constants that load no library.

Kinds of strings that need pydantic are in `zoo.schema`.
"""

from __future__ import annotations

import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING, Literal

Metric = Literal["top1", "top5"]
METRICS: tuple[Metric, ...] = ("top1", "top5")
METRIC_NAMES: dict[Metric, str] = {"top1": "top-1", "top5": "top-5"}
BEST = 5
"""How many of an image's best classes a result records."""

Precision = Literal["float32", "tf32", "fp16", "bf16"]
"""float32 is IEEE float32 throughout, the only one for claims; tf32 rounds the factors of products to 10 bits
of mantissa; fp16 and bf16 compute convolutions and matrix products in half precision: `zoo.runtimes.half`."""

Form = Literal["onnx", "pytorch"]
"""A form of a converted net: net.onnx, or net.py with its weights. Several runtimes may run the same form."""

# A runtime's name is that of its module, so that options know the names without importing any runtime.
RUNTIME_NAMES: tuple[str, ...] = tuple(
    sorted(info.name for info in pkgutil.iter_modules([str(Path(__file__).parent / "runtimes" / "backends")]))
)
if TYPE_CHECKING:
    RuntimeName = str
else:
    RuntimeName = Literal[RUNTIME_NAMES]
"""One of `RUNTIME_NAMES`; options and results accept no other."""

FASTEST = "fastest"
"""In place of a runtime's name: measure those that are installed, and take the fastest."""
if TYPE_CHECKING:
    RuntimeChoice = str
else:
    RuntimeChoice = Literal[(*RUNTIME_NAMES, FASTEST)]
