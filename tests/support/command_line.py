"""The command line in the test's own process."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from zoo.cli.main import main


@dataclass(frozen=True)
class Outcome:
    code: int
    out: str
    err: str


WIDE = "1000"
# What no command may load that only shows what there is.
HEAVY = {"cv2", "onnx", "onnx_ir", "onnxruntime", "requests", "rich", "scipy", "torch"}
Run = Callable[..., Outcome]


def runner(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`dsd-zoo` with the given arguments: its exit code, and what it printed.

    The terminal is wide: where lines break is tested where that is what a test is about.
    """
    monkeypatch.setenv("COLUMNS", WIDE)

    def run(*arguments: object) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["dsd-zoo", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
        code = caught.value.code
        return Outcome(code if isinstance(code, int) else 0, *capsys.readouterr())

    return run
