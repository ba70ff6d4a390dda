"""The DSD model zoo: fetch, verify, convert, evaluate and audit published models.

    import zoo
    run = zoo.evaluate("digits-caffe-dsd")

The functions are those of `zoo.api`; the command line is `dsd-zoo` (`zoo.cli`). Of `converters` only the
public API is used.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.api import (
        audit,
        convert,
        evaluate,
        evaluate_together,
        fetch,
        load_catalog,
        paired_gains,
        verify,
    )

__all__ = [
    "audit",
    "convert",
    "evaluate",
    "evaluate_together",
    "fetch",
    "load_catalog",
    "paired_gains",
    "verify",
]

# ONNX Runtime would give the user a device id, keep it in the home folder, and report what it runs.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def __getattr__(name: str) -> object:
    """The functions of `zoo.api`, imported when first asked for."""
    if name not in __all__:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    from zoo import api

    return getattr(api, name)
