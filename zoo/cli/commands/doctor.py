"""`dsd-zoo doctor`: what is installed, which devices there are, and what is missing for what."""

from __future__ import annotations

from typing import Any

from zoo.cli._options import JsonOption
from zoo.cli._output import print_fields, print_json, print_table
from zoo.cli.command import command

# What each module of an extra is for.
PURPOSES = {
    "cv2": "decode and resize images",
    "onnxruntime": "run ONNX",
    "openvino": "run ONNX",
    "PIL": "images for --flavour pil-bicubic-short256",
    "pyarrow": "images in parquet",
    "torch": "write and run net.py",
}


@command("doctor", order=180)
def doctor(json: JsonOption = False) -> None:
    """Show what is installed, which devices there are, and what to type for what is missing.

    --json prints: machine (versions, platform, processors), cache (its folder), packages (of each: name,
    extra, purpose, version or null, install or null) and runtimes (of each: label, installed, devices).
    """
    found: dict[str, Any] = {
        "machine": _machine(),
        "cache": _cache(),
        "packages": _packages(),
        "runtimes": _runtimes(),
    }
    if json:
        print_json(found)
        return
    print_fields([*found["machine"].items(), ("cache", found["cache"])], indent=0)
    print()
    rows = [
        (package["name"], package["version"] or "missing", package["install"] or package["purpose"])
        for package in found["packages"]
    ]
    print_table(("PACKAGE", "VERSION", "FOR, OR HOW TO GET IT"), rows)
    print()
    runs = [
        (name, runtime["label"], ", ".join(runtime["devices"]) or "not installed")
        for name, runtime in found["runtimes"].items()
    ]
    print_table(("--runtime", "WHAT", "--device"), runs)


def _machine() -> dict[str, str]:
    import os
    import platform

    from converters import __version__

    # As in `zoo.environment`, which needs numpy and OpenCV.
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return {
        "dsd-zoo": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processors": str(count),
    }


def _cache() -> str:
    from zoo.store.cache import Cache

    return str(Cache().root)


def _packages() -> list[dict[str, Any]]:
    from converters import extras

    found = []
    for module, extra in sorted(extras.EXTRAS.items(), key=lambda entry: extras.NAMES[entry[0]].lower()):
        installed = extras.is_installed(module)
        found.append(
            {
                "name": extras.NAMES[module],
                "extra": extra,
                "purpose": PURPOSES.get(module, ""),
                "version": _version(module) if installed else None,
                "install": None if installed else extras.install_command(extra),
            }
        )
    return found


def _version(module: str) -> str:
    """The version of the package that a module is of."""
    from importlib.metadata import packages_distributions, version

    distributions = packages_distributions().get(module)
    return version(distributions[0]) if distributions else "unknown"


def _runtimes() -> dict[str, Any]:
    from zoo.runtimes import all_runtimes

    found = {}
    for name, runtime in all_runtimes().items():
        installed = runtime.is_installed()
        kinds = [kind for kind in runtime.precisions if installed and (kind == "cpu" or _has_gpu(name))]
        found[name] = {"label": runtime.label, "installed": installed, "devices": kinds}
    return found


def _has_gpu(name: str) -> bool:
    """Whether a runtime that can use CUDA is built for it, and there is a GPU."""
    if not _gpus():
        return False
    if name == "onnx":
        import onnxruntime

        return "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    import torch

    return bool(torch.cuda.is_available())


def _gpus() -> int:
    """How many GPUs the driver of NVIDIA finds; 0 without a driver."""
    import ctypes
    import sys

    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int()
    works = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if works else 0
