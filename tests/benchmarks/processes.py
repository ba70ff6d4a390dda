"""Commands, and what they cost: wall time, processor time, memory that is not a file's."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Cost:
    """wall, processor: seconds; user and system time of all threads. anonymous: peak in bytes, Linux only."""

    wall: float
    processor: float
    anonymous: int = 0
    output: str = ""


def cost_of(command: Sequence[str | Path], folder: Path, *, memory: bool = False) -> Cost:
    """Run a command to its end. memory: look at its anonymous memory every 5 ms, which costs a little.

    RuntimeError with its last lines if it fails.
    """
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {
        **os.environ,
        "DSD_ZOO_CACHE": str(folder / "cache"),
        # As after an installation: compiled once, whatever the checkout holds.
        "PYTHONDONTWRITEBYTECODE": "",
        "PYTHONPYCACHEPREFIX": str(folder / "compiled"),
    }
    with subprocess.Popen(
        [str(part) for part in command],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        peak = _watched(process) if memory else 0
        output, _ = process.communicate()
    wall = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise RuntimeError(
            f"{' '.join(map(str, command))}: exit status {process.returncode}\n{output[-2000:]}"
        )
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(wall, processor, peak, output)


def _watched(process: subprocess.Popen[str]) -> int:
    status, peak = Path(f"/proc/{process.pid}/status"), 0
    while process.poll() is None:
        with contextlib.suppress(OSError):
            lines = status.read_text().splitlines()
            peak = max(peak, *(1024 * int(x.split()[1]) for x in lines if x.startswith("RssAnon")), 0)
        time.sleep(0.005)
    return peak


def least(costs: Sequence[Cost]) -> Cost:
    """The least of each: what disturbs a measurement makes it longer."""
    return Cost(
        min(cost.wall for cost in costs),
        min(cost.processor for cost in costs),
        max(cost.anonymous for cost in costs),
        costs[-1].output,
    )
