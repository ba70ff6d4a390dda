"""What a run ran on: versions, platform and processors."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import numpy as np

import converters


def environment() -> dict[str, str]:
    """Versions and machine, by name. Results add what `Runtime.describe` says."""
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
    """Lets OpenMP's threads sleep while they wait for each other, unless OMP_WAIT_POLICY is set already.

    Threads that spin instead take processor time from those that compute and from those that decode images:
    on a busy machine PyTorch's inference is several times as fast if they sleep. This has an effect only
    before PyTorch is loaded.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


def _processor() -> str:
    """The processor's name, which Linux gives in /proc only."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()
