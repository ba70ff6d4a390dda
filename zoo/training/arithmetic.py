"""The arithmetic of a training, and the random numbers of each of its steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch

from zoo.vocabulary import Precision


def step_seed(seed: int, step: int) -> int:
    """The seed of torch's random numbers in a step, counted over all phases."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def forward_arithmetic(device: torch.device, precision: Precision) -> torch.autocast:
    """The precision in which the net computes; the loss and the optimiser have float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextlib.contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Sets the precision of products, and algorithms that give the same bits every time."""
    tf32 = precision == "tf32"
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=tf32):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
