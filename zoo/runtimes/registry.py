"""The runtimes by name, and how to load a net in one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from converters import Registry, extras, modules_in
from zoo.errors import DeviceError, UsageError
from zoo.runtimes.runtime import Runtime, parse_device
from zoo.vocabulary import Form, Precision

RuntimeClass = TypeVar("RuntimeClass", bound=type[Runtime])

NO_RUNTIME = f"no runtime is installed that could run a net\n  {extras.install_command('all')}"
"""What to tell where `installed_runtimes` is empty."""

_RUNTIMES: Registry[type[Runtime]] = Registry("runtime")


def register_runtime(runtime: RuntimeClass) -> RuntimeClass:
    """Register the decorated class under the name of its module. ValueError if that name is taken.

    The name comes from the module because the command line lists the runtimes without importing them.
    """
    _RUNTIMES.add(runtime.__module__.rpartition(".")[2], runtime)
    return runtime


def all_runtimes() -> dict[str, type[Runtime]]:
    """All runtimes by name, those of `zoo/runtimes/backends` included, in the order of their names."""
    from zoo.runtimes import backends

    for _ in modules_in(backends):
        pass
    return dict(sorted(_RUNTIMES.items()))


def installed_runtimes() -> dict[str, type[Runtime]]:
    """Those of `all_runtimes` whose packages are installed."""
    return {name: runtime for name, runtime in all_runtimes().items() if runtime.is_installed()}


def form_of(name: str) -> Form:
    """The form of a converted net that the runtime `name` runs.

    Raises:
        UsageError: no such runtime, or it is not installed.
    """
    return _installed(name).form


def open_runtime(
    name: str,
    net: Path,
    device: str = "cpu",
    *,
    scores: str | None = None,
    threads: int | None = None,
    precision: Precision = "float32",
) -> Runtime:
    """Load a converted net on a device.

    net: a file of the form that the runtime runs: net.onnx or net.py.
    scores: the output that ranks the classes (None: the only one).
    threads: how many threads compute on a processor (None: one for each processor; PyTorch takes at least
        two). Together they compute one batch, or `Runtime.at_once` batches.

    Raises:
        UsageError: no such runtime or device name, it is not installed, or not a net for it.
        DeviceError: the device or the precision is not available; neither is ever replaced by another one.
    """
    runtime = _installed(name)
    if not net.is_file():
        raise UsageError(f"{net}: no such file")
    _check_precision(runtime, parse_device(device)[0], precision)
    return runtime(net, device, scores, threads, precision)


def _installed(name: str) -> type[Runtime]:
    runtimes = all_runtimes()
    if name not in runtimes:
        raise UsageError(f"no runtime is called '{name}': expected {' or '.join(runtimes)}")
    runtime = runtimes[name]
    if not runtime.is_installed():
        raise UsageError(
            f"the runtime {name} needs {runtime.label}, which is not installed\n"
            f"  {extras.install_command(runtime.extra)}"
        )
    return runtime


def _check_precision(runtime: type[Runtime], kind: str, precision: Precision) -> None:
    """DeviceError where a runtime does not compute in this precision on a kind of device."""
    if precision == "tf32" and kind != "cuda":
        raise DeviceError(
            "tf32 is a mode of NVIDIA GPUs; a processor has float32 (--device cuda asks for a GPU)"
        )
    own = runtime.precisions.get(kind, ())
    if precision in own:
        return
    able = [name for name, other in all_runtimes().items() if precision in other.precisions.get(kind, ())]
    advice = f"; use --runtime {' or '.join(able)}" if able else ""
    if not own:
        raise DeviceError(f"{runtime.label} does not compute on {kind}{advice}")
    raise DeviceError(
        f"{runtime.label} computes in {' or '.join(own)} on {kind}, not in {precision}: "
        f"it has no such kernels for all layers of a net{advice}"
    )
