"""How many images fit into one inference, and how freed memory is reused."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

# Activations in memory at once, per image, in units of its float32 input. VGG16 needs the most of the zoo's
# nets: input and output of its first convolutions (64 x 224 x 224 each) are 43 times its input.
ACTIVATIONS_PER_INPUT = 64
# Larger batches are no faster: on a processor the activations no longer fit into the caches. With fewer
# images the weights of large layers are read too often.
MOST_ON_GPU = 512
PER_PROCESSOR, MOST_ON_CPU = 4, 64
# Parameters of mallopt(3), and the largest value that it takes.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX, MOST = -1, -3, -8, (1 << 31) - 1
# Windows: length and load in the first 8 bytes, then total and available memory, and five more such numbers.
MEMORYSTATUSEX_NUMBERS, AVAILABLE_MEMORY = 8, 2
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def images_that_fit(input_numbers: int, free: int) -> int:
    """How many images a net may compute at once in half of `free` bytes of memory; at least 1.

    input_numbers: floats in one image's input.
    """
    return max(1, free // 2 // (4 * input_numbers * ACTIVATIONS_PER_INPUT))


def batch_size(kind: str, fits: int, processors: int) -> int:
    """Images per inference: as many as fit and are useful on this kind of device ("cpu", "cuda").

    processors: how many compute one batch. On a GPU the result is a power of two.
    """
    if kind == "cpu":
        return min(fits, PER_PROCESSOR * processors, MOST_ON_CPU)
    return min(MOST_ON_GPU, 1 << (fits.bit_length() - 1))


def free_memory(kind: str, index: int) -> int:
    """Free bytes of a device ("cpu", "cuda"). Memory that caches files counts as free."""
    if kind == "cuda":
        import torch

        free: int = torch.cuda.mem_get_info(index)[0]
        return free
    return min(_available(MEMINFO), _left_in_container(CGROUP))


def keep_freed_memory() -> None:
    """Makes glibc keep freed memory; does nothing with other C libraries.

    Otherwise glibc returns large blocks to the kernel at once, and the next batch's activations come back
    page by page, cleared, which can take as long as computing them. All threads share the main arena, because
    the others return memory as soon as 64 MiB are empty.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if os.name == "posix" else None
    if mallopt is not None:
        mallopt(M_TRIM_THRESHOLD, MOST)
        mallopt(M_MMAP_THRESHOLD, MOST)
        mallopt(M_ARENA_MAX, 1)


def _available(meminfo: Path) -> int:
    """The available memory by Linux and Windows; elsewhere half of all memory."""
    if sys.platform == "win32":
        return _available_on_windows()
    try:
        fields = dict(line.split(":", 1) for line in meminfo.read_text().splitlines())
        return int(fields["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError, IndexError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _available_on_windows() -> int:
    """`ullAvailPhys` of MEMORYSTATUSEX, as GlobalMemoryStatusEx fills it in."""
    status = (ctypes.c_uint64 * MEMORYSTATUSEX_NUMBERS)(MEMORYSTATUSEX_NUMBERS * 8)
    if not ctypes.windll.kernel32.GlobalMemoryStatusEx(status):  # type: ignore[attr-defined,unused-ignore]
        raise OSError("Windows does not say how much memory is free")
    return int(status[AVAILABLE_MEMORY])


def _left_in_container(cgroup: Path) -> int:
    """Bytes up to the limit of a control group (version 2); without a limit, the largest integer."""
    try:
        limit, used = (int((cgroup / name).read_text()) for name in ("memory.max", "memory.current"))
        files = dict(line.split() for line in (cgroup / "memory.stat").read_text().splitlines())["file"]
        return limit - used + int(files)
    except (OSError, ValueError, KeyError):  # no container, or no limit ("max")
        return sys.maxsize
