"""Packages that only some tasks need, and the extra of dsd-zoo that installs each of them."""

from __future__ import annotations

from importlib.util import find_spec

from converters.errors import UsageError

EXTRAS = {
    "cv2": "data",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "PIL": "data",
    "pyarrow": "data",
    "torch": "torch",
}
"""The extra by the module that is imported."""
NAMES = {
    "cv2": "OpenCV",
    "onnxruntime": "ONNX Runtime",
    "openvino": "OpenVINO",
    "PIL": "Pillow",
    "pyarrow": "pyarrow",
    "torch": "PyTorch",
}
"""What people call the package."""


def is_installed(module: str) -> bool:
    """Whether a top-level module can be imported; it is not loaded for this."""
    return find_spec(module) is not None


def require(module: str, task: str, otherwise: str = "") -> None:
    """UsageError unless a module of `EXTRAS` is installed.

    task: what needs it, such as "net.py: writing PyTorch". otherwise: what one may do without it.
    """
    if not is_installed(module):
        raise UsageError(missing(module, task) + otherwise)


def install_command(extra: str) -> str:
    """What to type for an extra of dsd-zoo; every shell takes double quotes, that of Windows no others."""
    return f'pip install "dsd-zoo[{extra}]"'


def missing(module: str, task: str) -> str:
    """What to tell and what to type where a module of `EXTRAS` is not installed."""
    return f"{task} needs {NAMES[module]}, which is not installed\n  {install_command(EXTRAS[module])}"
