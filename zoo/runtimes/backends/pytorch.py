"""PyTorch: a generated net.py with its weights beside it, on the CPU or on a CUDA device."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from zoo.errors import UsageError
from zoo.runtimes.fewer_passes import reduce_passes
from zoo.runtimes.half import float32_elsewhere
from zoo.runtimes.local_response import replace_in_module
from zoo.runtimes.memory import keep_freed_memory
from zoo.runtimes.ranking import Float32, Ranking, rank_tensor
from zoo.runtimes.registry import register_runtime
from zoo.runtimes.runtime import Runtime, as_scores, check_scores, parse_device, use_gpu
from zoo.vocabulary import Form, Precision

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from torch.nn import Module

# With a single thread PyTorch uses another algorithm for 1x1 convolutions: slower, and with other last bits
# than with two. (With more than two, the last bits of matrix products may differ again.)
LEAST_THREADS = 2


@register_runtime
class PyTorch(Runtime):
    """The module that net.py's `load()` returns, in eval mode; see `Runtime`."""

    label: ClassVar[str] = "PyTorch"
    form: ClassVar[Form] = "pytorch"
    packages: ClassVar[tuple[str, ...]] = ("torch",)
    extra: ClassVar[str | None] = "torch"
    precisions: ClassVar[Mapping[str, tuple[Precision, ...]]] = {
        "cpu": ("float32", "fp16", "bf16"),
        "cuda": ("float32", "tf32", "fp16", "bf16"),
    }

    def __init__(
        self,
        net: Path,
        device: str = "cpu",
        scores: str | None = None,
        threads: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        import torch

        kind, index = parse_device(device)
        gpu: dict[str, str] = {}
        self._device = torch.device("cpu")
        if kind == "cuda":
            self._device, gpu["gpu"] = use_gpu(index)
        else:
            keep_freed_memory()
        torch.set_num_threads(max(LEAST_THREADS, threads or torch.get_num_threads()))
        self._net, self._scores, self._precision = net, scores, precision
        # Two to four times as fast on a processor, and needed by tensor cores; float32 sums stay the same.
        channels_last = kind == "cpu" or precision != "float32"
        self._layout = torch.channels_last if channels_last else torch.contiguous_format
        module = _in_own_memory(load_module(net)).to(self._device).eval()
        if kind == "cpu" and precision == "float32":
            reduce_passes(module)
            replace_in_module(module)
        self._module = module.to(memory_format=self._layout)  # type: ignore[call-overload]
        self.input_shape: tuple[int | None, ...] = (None, None, None)
        self.batch: int | None = None
        self.at_once = 1
        self._about = {
            "torch": torch.__version__,
            "threads": str(torch.get_num_threads()),
            **gpu,
        }

    def run(self, batch: Float32) -> Float32:
        """Scores (images, classes) of a batch."""
        return as_scores(self.compute(batch), len(batch), self._net)

    def compute(self, batch: Float32) -> Float32:
        """The output for a batch."""
        import torch

        result: Float32 = self._run(torch.from_numpy(batch)).to(torch.float32).cpu().numpy()
        return result

    def rank(self, batch: Float32 | Tensor, labels: Sequence[int]) -> Ranking:
        """The best classes of a batch, ranked on the device."""
        import torch

        tensor = torch.from_numpy(batch) if isinstance(batch, np.ndarray) else batch
        with torch.inference_mode():
            scores = self._run(tensor)
            check_scores(scores.shape, len(tensor), self._net)
            rows = scores.reshape(scores.shape[:2]).to(torch.float32)
            return rank_tensor(rows[: len(labels)], labels)

    def describe(self) -> dict[str, str]:
        """Version and threads."""
        return self._about

    def close(self) -> None:
        """Drop the module, and with it the device memory."""
        del self._module

    def _run(self, batch: Tensor) -> Tensor:
        """The output on the device, in its own shape."""
        import torch

        try:
            with torch.inference_mode(), _arithmetic(self._device, self._precision):
                outputs = self._module(batch.to(self._device, memory_format=self._layout))
        except (RuntimeError, ValueError) as error:
            raise UsageError(
                f"{self._net}: PyTorch failed on a batch {tuple(batch.shape)}: {error}"
            ) from error
        if not isinstance(outputs, torch.Tensor):
            wanted = self._scores or "NAME"
            raise UsageError(
                f"{self._net}: returns {len(outputs)} outputs, which have no names in PyTorch; "
                f"keep only the one that ranks the classes: dsd-zoo convert ... --output {wanted}"
            )
        return outputs


def load_module(net: Path) -> Module:
    """The net that a generated file's `load()` returns. The file is code, which this runs."""
    try:
        spec = importlib.util.spec_from_file_location(f"dsd_zoo_net_{net.stem}", net)
        if spec is None or spec.loader is None:
            raise ImportError("not a Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return _module(module.load())
    except Exception as error:  # the file is code and may raise anything
        raise UsageError(
            f"{net}: expected a net that dsd-zoo convert wrote, with its .safetensors beside it; "
            f"loading it failed: {type(error).__name__}: {error}"
        ) from error


def _in_own_memory(module: Module) -> Module:
    """The module with copies of its tensors: the file that they are mapped from may change during a run."""
    import torch

    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.data = tensor.data.clone()
    return module


def _module(loaded: object) -> Module:
    from torch.nn import Module

    if not isinstance(loaded, Module):
        raise TypeError(f"load() returned a {type(loaded).__name__} instead of a torch.nn.Module")
    return loaded


@contextlib.contextmanager
def _arithmetic(device: torch.device, precision: Precision) -> Iterator[None]:
    """Sets the precision of convolutions and matrix products (cuDNN's default is TF32).

    The algorithms are those that give the same bits every time.
    """
    import torch

    tf32 = precision == "tf32"
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    half = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(precision)
    try:
        with (
            torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=tf32),
            torch.autocast(device.type, half or torch.bfloat16, enabled=half is not None),
            contextlib.nullcontext() if half is None else float32_elsewhere(),
        ):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
