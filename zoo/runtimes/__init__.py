"""Where converted nets run. A new runtime is one module with a class that fits `Runtime` and one row here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from zoo.errors import UsageError
from zoo.runtimes.onnx import OnnxRuntime
from zoo.runtimes.pytorch import PyTorch
from zoo.runtimes.ranking import Ranking, best
from zoo.runtimes.runtime import Runtime
from zoo.schema import Precision

__all__ = ["RUNTIMES", "Precision", "Ranking", "Runtime", "best", "open_runtime"]

RUNTIMES: dict[str, Callable[[Path, str, str | None, int | None, Precision], Runtime]] = {
    "onnx": OnnxRuntime,
    "pytorch": PyTorch,
}


def open_runtime(
    name: str,
    net: Path,
    device: str = "cpu",
    *,
    scores: str | None = None,
    threads: int | None = None,
    precision: Precision = "float32",
) -> Runtime:
    """Load the converted `net` (net.onnx for "onnx", net.py for "pytorch") on a device.

    `scores` names the output that ranks the classes (None: the only one). `threads` compute on a processor
    (None: as many as there are; PyTorch takes two at least): together a batch, or `Runtime.at_once` batches.

    Raises:
        UsageError: no such runtime or device name, or not a net for it.
        DeviceError: the device or the precision is not available; neither is ever replaced by another one.
    """
    if name not in RUNTIMES:
        raise UsageError(f"no runtime is called '{name}': expected {' or '.join(RUNTIMES)}")
    if not net.is_file():
        raise UsageError(f"{net}: no such file")
    return RUNTIMES[name](net, device, scores, threads, precision)
