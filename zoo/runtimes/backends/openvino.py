"""OpenVINO: net.onnx on the CPU, in float32."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from zoo.environment import processors
from zoo.errors import UsageError
from zoo.runtimes.ranking import Float32, Ranking, rank_scores
from zoo.runtimes.registry import register_runtime
from zoo.runtimes.runtime import Runtime, as_scores, external_files, parse_device, select_output
from zoo.vocabulary import Form, Precision

if TYPE_CHECKING:
    from openvino import CompiledModel, InferRequest
    from torch import Tensor


@register_runtime
class OpenVino(Runtime):
    """An .onnx file, compiled by OpenVINO for this processor; see `Runtime`."""

    label: ClassVar[str] = "OpenVINO"
    form: ClassVar[Form] = "onnx"
    packages: ClassVar[tuple[str, ...]] = ("openvino",)
    extra: ClassVar[str | None] = "openvino"
    precisions: ClassVar[Mapping[str, tuple[Precision, ...]]] = {"cpu": ("float32",)}

    def __init__(
        self,
        net: Path,
        device: str = "cpu",
        scores: str | None = None,
        threads: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        import openvino

        parse_device(device)
        # One thread for each of several batches; see the runtime onnx.
        self.at_once = threads or processors()
        self._net = net
        self._model = _compiled(net, self.at_once)
        # The bindings build their table of dtypes at its first use. If two threads use it first at the same
        # time, one has the table and waits for Python's lock, the other has the lock and waits for the table.
        openvino.Type.f32.to_dtype()
        if len(self._model.inputs) != 1:
            names = ", ".join(port.any_name for port in self._model.inputs)
            raise UsageError(f"{net}: expected a net with one input, it has {names or 'none'}")
        outputs = tuple(port.any_name for port in self._model.outputs)
        self._output = select_output(outputs, scores, net)
        batch, *shape = (
            None if size.is_dynamic else int(size.get_length()) for size in self._model.input(0).partial_shape
        )
        self.batch, self.input_shape = batch, tuple(shape)
        self._requests = threading.local()
        self._about = {"openvino": openvino.__version__.partition("-")[0], "threads": str(self.at_once)}

    def run(self, batch: Float32) -> Float32:
        """Scores (images, classes) of a batch."""
        return as_scores(self.compute(batch), len(batch), self._net)

    def compute(self, batch: Float32) -> Float32:
        """The output for a batch."""
        try:
            self._request().infer([np.ascontiguousarray(batch)], share_inputs=True)
            output = self._request().get_output_tensor(self._output).data
        except RuntimeError as error:
            raise UsageError(f"{self._net}: OpenVINO failed on a batch {batch.shape}: {error}") from error
        # The tensor belongs to the request, and the next batch overwrites it.
        return np.array(output)

    def rank(self, batch: Float32 | Tensor, labels: Sequence[int]) -> Ranking:
        """The best classes of a batch."""
        pixels = batch if isinstance(batch, np.ndarray) else batch.numpy()
        return rank_scores(self.run(pixels)[: len(labels)], labels)

    def describe(self) -> dict[str, str]:
        """Version and threads."""
        return self._about

    def close(self) -> None:
        """Drop the compiled net."""
        del self._model, self._requests

    def _request(self) -> InferRequest:
        """The inference request of this thread."""
        if not hasattr(self._requests, "request"):
            self._requests.request = self._model.create_infer_request()
        request: InferRequest = self._requests.request
        return request


def _compiled(net: Path, threads: int) -> CompiledModel:
    import openvino
    from openvino.frontend import FrontEndManager

    settings = {
        # On processors with bfloat16 it would compute in that.
        "INFERENCE_PRECISION_HINT": "f32",
        "NUM_STREAMS": str(threads),
        "INFERENCE_NUM_THREADS": str(threads),
        # The images are decoded on the same processors.
        "ENABLE_CPU_PINNING": False,
    }
    # Core.read_model would try the readers of other frameworks too, which write to stderr.
    reader = FrontEndManager().load_by_framework("onnx")
    files = external_files(net, OpenVino.label)
    try:
        # Not mapped: a file of weights that is cut off meanwhile would end the process.
        model = reader.convert(reader.load(str(net), enable_mmap=False))
        compiled = openvino.Core().compile_model(model, "CPU", settings)
    except Exception as error:  # the exception classes of its compiled module have no common base
        raise UsageError(f"{net}: OpenVINO cannot load it: {error}") from error
    for file in files.values():
        file.check()
    return compiled
