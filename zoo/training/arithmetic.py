"""The arithmetic of a training, and the random numbers of each of its steps."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor, nn

from zoo.vocabulary import Precision

# With fewer values than these in all layers of a step, threads wait for each other longer than they
# compute, on a busy machine many times as long. LeNet on digits computes 3 million, SqueezeNet 100 million.
FEWEST_VALUES_FOR_THREADS = 10_000_000


def threads_for(net: nn.Module, image: Tensor, batch_size: int) -> int:
    """How many threads torch uses best for a step: one for a small net, else as many as now.

    image: (1, ...), on the net's device. The net is run once, in eval mode. The answer depends on sizes
    alone, never on time, so that a resumption computes with as many and gets the same bits.
    """
    values = 0

    def count(module: nn.Module, inputs: object, output: object) -> None:
        nonlocal values
        values += output.numel() if isinstance(output, Tensor) else 0

    hooks = [module.register_forward_hook(count) for module in net.modules()]
    training = net.training
    try:
        with torch.no_grad():
            net.eval()(image)
    finally:
        net.train(training)
        for hook in hooks:
            hook.remove()
    return 1 if values * batch_size < FEWEST_VALUES_FOR_THREADS else torch.get_num_threads()


def step_seed(seed: int, step: int) -> int:
    """The seed of torch's random numbers in a step, counted over all phases."""
    return int(np.random.SeedSequence([seed, step]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def seed_step(device: torch.device, seed: int, step: int) -> None:
    """Give a step random numbers of its own; on a processor without the time that the GPUs' take."""
    set_seed = torch.default_generator.manual_seed if device.type == "cpu" else torch.manual_seed
    set_seed(step_seed(seed, step))


def forward_arithmetic(device: torch.device, precision: Precision) -> torch.autocast:
    """The precision in which the net computes; the loss and the optimiser have float32."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")


@contextlib.contextmanager
def arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Sets the precision of products, and algorithms that give the same bits every time.

    Afterwards torch has the precision and the number of threads that it had before.
    """
    tf32 = precision == "tf32"
    before = torch.get_float32_matmul_precision()
    threads = torch.get_num_threads()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=tf32):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.set_num_threads(threads)
