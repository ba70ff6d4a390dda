"""PyTorch: a generated net.py with its weights beside it, on the CPU or on a CUDA device."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.errors import DeviceError, UsageError
from zoo.runtimes.runtime import Float32, as_scores, gpu_name, parse_device

if TYPE_CHECKING:
    from torch.nn import Module


class PyTorch:
    """The module that net.py's `load()` returns, in eval mode; see `Runtime`."""

    def __init__(
        self, net: Path, device: str = "cpu", scores: str | None = None, threads: int | None = None
    ) -> None:
        import torch

        kind, index = parse_device(device)
        if kind == "cuda" and index >= torch.cuda.device_count():
            raise DeviceError(
                f"{device}: PyTorch {torch.__version__} sees {torch.cuda.device_count()} CUDA devices here; "
                "check the driver and that it is a CUDA build, or use --device cpu"
            )
        if threads is not None:
            torch.set_num_threads(threads)
        self._net, self._scores = net, scores
        self._device = torch.device(kind, index) if kind == "cuda" else torch.device(kind)
        self._module = _load(net).to(self._device).eval()
        self.input_shape: tuple[int | None, ...] = (None, None, None)
        self.batch: int | None = None
        self._about = {
            "torch": torch.__version__,
            "threads": str(torch.get_num_threads()),
            **({"gpu": gpu_name(index)} if kind == "cuda" else {}),
        }

    def run(self, batch: Float32) -> Float32:
        """Scores (images, classes) of a batch."""
        import torch

        try:
            with torch.inference_mode(), _ieee_float32():
                outputs = self._module(torch.from_numpy(batch).to(self._device))
        except (RuntimeError, ValueError) as error:
            raise UsageError(f"{self._net}: PyTorch failed on a batch {batch.shape}: {error}") from error
        if not isinstance(outputs, torch.Tensor):
            wanted = self._scores or "NAME"
            raise UsageError(
                f"{self._net}: returns {len(outputs)} outputs, which have no names in PyTorch; "
                f"keep only the one that ranks the classes: dsd-zoo convert ... --output {wanted}"
            )
        return as_scores(outputs.cpu().numpy(), len(batch), self._net)

    def describe(self) -> dict[str, str]:
        """Version and threads."""
        return self._about

    def close(self) -> None:
        """Drop the module, and with it the device memory."""
        del self._module


def _load(net: Path) -> Module:
    """The net that a generated file's `load()` returns. Importing it runs it: it is code."""
    try:
        spec = importlib.util.spec_from_file_location(f"dsd_zoo_net_{net.stem}", net)
        if spec is None or spec.loader is None:
            raise ImportError("not a Python file")
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return _module(module.load())
    except Exception as error:  # whatever the file does or lacks
        raise UsageError(
            f"{net}: expected a net that dsd-zoo convert wrote, with its .safetensors beside it; "
            f"loading it failed: {type(error).__name__}: {error}"
        ) from error


def _module(loaded: object) -> Module:
    from torch.nn import Module

    if not isinstance(loaded, Module):
        raise TypeError(f"load() returned a {type(loaded).__name__} instead of a torch.nn.Module")
    return loaded


@contextlib.contextmanager
def _ieee_float32() -> Iterator[None]:
    """TF32 off for matrix products and convolutions; cuDNN's are on by default."""
    import torch

    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            yield
    finally:
        torch.set_float32_matmul_precision(before)
