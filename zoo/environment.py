"""The circumstances of a run: what it ran on, and the hashes of the files it rests on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import converters


def environment() -> dict[str, str]:
    """Versions and machine, by name. A runtime adds its own (`Runtime.describe`)."""
    import cv2

    return {
        "dsd-zoo": converters.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _processor(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }


def hashes(paths: Iterable[Path]) -> dict[str, str]:
    """File name to sha256 in hex."""
    result = {}
    for path in paths:
        with path.open("rb") as file:
            result[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return result


def _processor() -> str:
    """The processor's name; Linux has it in /proc only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
