"""A GPU that is none: the same code runs, and what it asks of the device is written down."""

from __future__ import annotations

from typing import Any

import onnxruntime
import pytest
import torch

from zoo.evaluation import sessions
from zoo.runtimes import staging
from zoo.runtimes.backends import onnx, pytorch

PROVIDER = "CUDAExecutionProvider"


class StandIn:
    """Two devices. `used` are those made current, `providers` the settings of each session."""

    def __init__(self) -> None:
        self.used: list[int] = []
        self.providers: list[dict[str, str]] = []
        self.starts = True

    def use(self, index: int) -> tuple[torch.device, str]:
        self.used.append(index)
        return torch.device("cpu"), "stand-in"

    def session(self, model: Any, options: Any, providers: list[tuple[str, dict[str, str]]]) -> Any:
        """A session on the CPU that says it is one of the provider that was asked for."""
        ((name, settings),) = providers
        if name == PROVIDER:
            self.providers.append(settings)
        session = REAL_SESSION(model, options, providers=["CPUExecutionProvider"])
        if name == PROVIDER and self.starts:
            session.get_providers = lambda: [name, "CPUExecutionProvider"]
        return session


REAL_SESSION = onnxruntime.InferenceSession


def install(monkeypatch: pytest.MonkeyPatch) -> StandIn:
    stand_in = StandIn()
    for module in (onnx, pytorch):
        monkeypatch.setattr(module, "use_gpu", stand_in.use)
    monkeypatch.setattr(onnxruntime, "InferenceSession", stand_in.session)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [PROVIDER, "CPUExecutionProvider"])
    monkeypatch.setattr(onnxruntime, "preload_dlls", lambda: print("no libcublas"))
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda index: (8 << 30, 16 << 30))
    device_staging = staging.DeviceStaging
    monkeypatch.setattr(
        sessions, "DeviceStaging", lambda prepare, device, resize: device_staging(prepare, "cpu", resize)
    )
    return stand_in


__all__ = ["PROVIDER", "StandIn", "install"]
