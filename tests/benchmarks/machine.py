"""The machine and the versions that figures are about."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from zoo.environment import environment, processors

ROOT = Path(__file__).resolve().parents[2]


def description() -> dict[str, str]:
    """Processor, memory, system, versions, day and commit."""
    found = environment()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return {
        **found,
        "processors": str(processors()),
        "memory": f"{memory:.0f} GiB",
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "day": datetime.now(UTC).date().isoformat(),
        "commit": commit.stdout.strip() or "unknown",
    }
