"""Where converted nets run. A new runtime is one module in `zoo/runtimes/backends`."""

from __future__ import annotations

from zoo.runtimes.ranking import Ranking, best
from zoo.runtimes.registry import (
    NO_RUNTIME,
    all_runtimes,
    form_of,
    installed_runtimes,
    open_runtime,
    register_runtime,
)
from zoo.runtimes.runtime import Runtime

__all__ = [
    "NO_RUNTIME",
    "Ranking",
    "Runtime",
    "all_runtimes",
    "best",
    "form_of",
    "installed_runtimes",
    "open_runtime",
    "register_runtime",
]
