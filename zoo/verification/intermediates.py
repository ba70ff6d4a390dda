"""Runs nets and returns their intermediate values by name."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

import converters
from zoo.errors import UsageError
from zoo.runtimes.backends.pytorch import load_module

if TYPE_CHECKING:
    import onnx_ir as ir

Shape = tuple[int, ...]
Array = NDArray[Any]
# A symbolic size.
SYMBOLIC = -1


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a net. `keys` match it with a value of another net, best first: kind of name and name."""

    name: str
    keys: tuple[tuple[str, str], ...]
    array: Array
    is_output: bool = False


class Net(Protocol):
    """A net that returns its intermediate values.

    inputs: name and shape of each input, in order; None if the net does not state them.
    """

    inputs: Mapping[str, Shape] | None

    def run(self, inputs: Sequence[Array]) -> list[Value]:
        """All named values, in the order of computation."""
        ...


def open_net(
    paths: Sequence[Path],
    shapes: Mapping[str, Sequence[int]] | None,
    folder: Path,
    *,
    verify: bool = False,
    model: ir.Model | None = None,
) -> Net:
    """Open a net.onnx, a net.py, or the source files of a net.

    shapes: input shapes, by name, for source files.
    verify: see `converters.load`.
    model: the net in `paths`, if it has been read.
    folder: does not exist yet; it is created for files that must exist while the net is used.
    Raises UsageError or converters.ConverterError if the net cannot be read.
    """
    if [path.suffix for path in paths] == [".py"]:
        return PyTorchNet(paths[0])
    return OnnxNet(model or load_net(paths, shapes, verify=verify), folder)


def load_net(
    paths: Sequence[Path], shapes: Mapping[str, Sequence[int]] | None, *, verify: bool = False
) -> ir.Model:
    """The graph of a net.onnx, or of the source files of a net; the arguments as for `open_net`."""
    is_onnx = [path.suffix for path in paths] == [".onnx"]
    return converters.load(*paths, input_shapes=None if is_onnx else shapes, verify=verify)


class OnnxNet:
    """A net in ONNX Runtime, not optimised, with the first output of every node as an output of the net."""

    def __init__(self, model: ir.Model, folder: Path) -> None:
        graph = model.graph
        self.inputs: Mapping[str, Shape] | None = input_shapes(model)
        self._outputs = {str(value.name) for value in graph.outputs}
        shown = set(graph.outputs)
        inner = [node.outputs[0] for node in graph if node.outputs[0] not in shown]
        graph.outputs.extend(inner)
        self._nodes = [(str(node.name or ""), str(node.outputs[0].name)) for node in graph]
        folder.mkdir()
        path = folder / "net.onnx"
        converters.save(model, path)
        self.open(path)

    def open(self, path: Path) -> None:
        """Load the file at `path`, all of whose values are outputs."""
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Errors only: it warns about every unoptimised net.
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime has no common base of its exceptions
            raise UsageError(f"ONNX Runtime cannot load the net: {error}") from error

    def run(self, inputs: Sequence[Array]) -> list[Value]:
        """See `Net`."""
        assert self.inputs is not None
        found = self.compute(dict(zip(self.inputs, inputs, strict=True)))
        names = list(found)
        return [
            value(found[name], name, layer, names.index(name) if name in self._outputs else None)
            for layer, name in self._nodes
            if isinstance(found[name], np.ndarray)
        ]

    def compute(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """All outputs of the file that was opened, in its order."""
        names = [output.name for output in self._session.get_outputs()]
        try:
            results = self._session.run(None, dict(inputs))
        except Exception as error:  # see above
            raise UsageError(f"ONNX Runtime cannot run the net on this input: {error}") from error
        return dict(zip(names, results, strict=True))


class PyTorchNet:
    """A generated net.py in PyTorch; hooks record the outputs of its submodules."""

    def __init__(self, path: Path) -> None:
        self.inputs: Mapping[str, Shape] | None = None
        self._module = load_module(path)

    def run(self, inputs: Sequence[Array]) -> list[Value]:
        """See `Net`."""
        import torch

        values: list[Value] = []
        handles = [
            module.register_forward_hook(_recorder(name, values))
            for name, module in self._module.named_children()
        ]
        try:
            with torch.inference_mode():
                result = self._module(*map(torch.from_numpy, inputs))
        except (RuntimeError, ValueError, TypeError) as error:
            raise UsageError(f"PyTorch cannot run the net on this input: {error}") from error
        for handle in handles:
            handle.remove()
        outputs = [result] if isinstance(result, torch.Tensor) else list(result)
        return values + [value(output.numpy(), f"output {k}", None, k) for k, output in enumerate(outputs)]


def _recorder(layer: str, values: list[Value]) -> Callable[..., None]:
    def record(module: object, inputs: object, output: Any) -> None:  # noqa: ANN401
        if hasattr(output, "numpy"):
            # A copy, since a later layer may work in place.
            values.append(value(output.numpy().copy(), layer, layer, None))

    return record


def input_shapes(model: ir.Model) -> dict[str, Shape]:
    """Name and shape of each input; SYMBOLIC for a size that is open."""
    inputs = [given for given in model.graph.inputs if given.name not in model.graph.initializers]
    return {str(given.name): _shape(given) for given in inputs}


def value(array: Array, name: str, layer: str | None, output_index: int | None) -> Value:
    """A value as it is matched. output_index: its index among the outputs; None if it is no output."""
    keys = [] if layer is None else [("layer", _plain(layer))]
    keys += [("value", _plain(name))] + ([] if output_index is None else [("output", str(output_index))])
    return Value(name, tuple(keys), array, is_output=output_index is not None)


def _shape(value: ir.Value) -> Shape:
    return tuple(size if isinstance(size, int) else SYMBOLIC for size in value.shape or ())


def _plain(name: str) -> str:
    """The name as in a Python identifier: fire2/squeeze1x1 -> fire2_squeeze1x1."""
    return re.sub(r"\W+", "_", name).strip("_")
