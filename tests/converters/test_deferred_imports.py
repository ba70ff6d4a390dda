"""A conversion to ONNX does not load sympy, and arithmetic with symbolic sizes still works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from corpus_cases import CORPUS

CASE = CORPUS / "caffe" / "conv-1d-group"

CONVERT = """
import sys
import converters
converters.convert(sys.argv[1:3], sys.argv[3])
print("sympy.core" in sys.modules, "torch" in sys.modules)
import onnx_ir
print(2 * onnx_ir.SymbolicDim("N") + 1, "sympy.core" in sys.modules)
"""
BEFORE = """
import sympy
import converters, onnx_ir
print(sympy.Symbol("x") + 1, 2 * onnx_ir.SymbolicDim("N"), onnx_ir._core.sympy is sympy)
"""


def printed(code: str, *arguments: object) -> list[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_a_conversion_to_onnx_loads_neither_sympy_nor_torch(tmp_path: Path) -> None:
    lines = printed(CONVERT, CASE / "net.prototxt", CASE / "net.caffemodel", tmp_path / "net.onnx")
    assert lines == ["False False", "2*N + 1 True"]


def test_a_sympy_that_was_loaded_before_is_used(tmp_path: Path) -> None:
    assert printed(BEFORE) == ["x + 1 2*N True"]
