"""The circumstances of a run: what it ran on, and the hashes of the files it rests on."""

from __future__ import annotations

import os
import platform
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


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def sleep_while_waiting() -> None:
    """Lets OpenMP's threads sleep while they wait for each other, unless the user has said otherwise.

    They would spin, and take the processor from those they wait for and from those that decode images: on a
    busy machine PyTorch's inference is several times as fast with it. Only heard before PyTorch is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _processor() -> str:
    """The processor's name; Linux has it in /proc only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
