"""`import converters` is for commands that convert nothing, too: it loads nothing heavy."""

from __future__ import annotations

import subprocess
import sys

import pytest

import converters

HEAVY = ("google.protobuf", "h5py", "numpy", "onnx", "onnx_ir", "safetensors", "scipy", "torch")


@pytest.mark.parametrize(
    "statement", ["import converters", "from converters import wire, atomic_write, identify"]
)
def test_importing_the_converters_loads_nothing_heavy(statement):
    program = f"import sys\n{statement}\nprint([name for name in {HEAVY} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "[]\n"


def test_every_public_name_is_there():
    assert len(set(converters.__all__)) == len(converters.__all__)
    assert all(hasattr(converters, name) for name in converters.__all__)
