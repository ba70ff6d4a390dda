"""The limits that any input must keep, and how a process measures itself."""

from __future__ import annotations

import mmap
import resource
from pathlib import Path

# What one input of up to a megabyte may take, beyond the start of the process.
MOST_SECONDS, MOST_MEMORY = 1.5, 300 << 20
# Address space beyond that of the started process. Memory that is asked for and never used counts, too.
MOST_ADDRESS_SPACE = 4 << 30


def peak_memory() -> int:
    """The most bytes that this process had in memory since `forget_peak`."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def forget_peak() -> None:
    """From here on the peak is that of what comes."""
    Path("/proc/self/clear_refs").write_text("5")


def limit_address_space() -> None:
    """A larger allocation is a MemoryError."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * mmap.PAGESIZE + MOST_ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
