"""ONNX Runtime: net.onnx on the CPU or on a CUDA device."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from zoo.errors import DeviceError, UsageError
from zoo.runtimes.runtime import Float32, as_scores, parse_device, select_output


class OnnxRuntime:
    """An .onnx file in an ONNX Runtime session; see `Runtime`."""

    def __init__(
        self, net: Path, device: str = "cpu", scores: str | None = None, threads: int | None = None
    ) -> None:
        import onnxruntime

        kind, index = parse_device(device)
        provider = "CPUExecutionProvider"
        settings: dict[str, str] = {}
        if kind == "cuda":
            provider = "CUDAExecutionProvider"
            # The provider uses TF32 unless told otherwise.
            settings = {"device_id": str(index), "use_tf32": "0"}
            if provider not in onnxruntime.get_available_providers():
                raise DeviceError(
                    f"{device}: this ONNX Runtime ({onnxruntime.__version__}) is built without CUDA; "
                    "install onnxruntime-gpu, or use --runtime pytorch or --device cpu"
                )
            onnxruntime.preload_dlls()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads or 0
        # Waiting threads would otherwise spin and take the processor from those that decode images.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = onnxruntime.InferenceSession(net, options, providers=[(provider, settings)])
        except Exception as error:  # its exception classes are those of a compiled module, without a base
            raise UsageError(f"{net}: ONNX Runtime cannot load it: {error}") from error
        if session.get_providers()[0] != provider:
            raise DeviceError(
                f"{device}: ONNX Runtime could not start its CUDA provider and would have run on the CPU; "
                "check the GPU's driver, CUDA and cuDNN (its own message stands above), or use --device cpu"
            )
        if len(session.get_inputs()) != 1:
            names = ", ".join(value.name for value in session.get_inputs())
            raise UsageError(f"{net}: expected a net with one input, it has {names or 'none'}")
        self._net, self._session = net, session
        self._input = session.get_inputs()[0].name
        outputs = tuple(value.name for value in session.get_outputs())
        self._output = outputs[select_output(outputs, scores, net)]
        batch, *self._shape = session.get_inputs()[0].shape
        self.batch = batch if isinstance(batch, int) else None
        self.input_shape = tuple(size if isinstance(size, int) else None for size in self._shape)
        self._about = {
            "onnxruntime": onnxruntime.__version__,
            "provider": provider,
            "threads": str(threads or "default"),
        }

    def run(self, batch: Float32) -> Float32:
        """Scores (images, classes) of a batch."""
        try:
            (output,) = self._session.run([self._output], {self._input: batch})
        except Exception as error:  # see above
            raise UsageError(f"{self._net}: ONNX Runtime failed on a batch {batch.shape}: {error}") from error
        return as_scores(np.asarray(output), len(batch), self._net)

    def describe(self) -> dict[str, str]:
        """Version, execution provider and threads."""
        return self._about

    def close(self) -> None:
        """Drop the session, and with it the device memory."""
        del self._session
