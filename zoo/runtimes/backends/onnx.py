"""ONNX Runtime: net.onnx on the CPU or on a CUDA device."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from zoo.environment import processors
from zoo.errors import DeviceError, UsageError
from zoo.runtimes.half import in_half_precision
from zoo.runtimes.local_response import onnx_without_powers
from zoo.runtimes.ranking import Float32, Ranking, rank_scores, rank_tensor
from zoo.runtimes.registry import register_runtime
from zoo.runtimes.runtime import (
    Runtime,
    as_scores,
    check_scores,
    external_files,
    parse_device,
    select_output,
    use_gpu,
)
from zoo.vocabulary import Form, Precision

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions
    from torch import Tensor

    from zoo.preprocessing.flavour import Pixels

# ONNX Runtime's log levels; warnings are its default.
LOG_WARNING, LOG_FATAL = 2, 4
EXTERNAL_DATA_FOLDER = "session.model_external_initializers_file_folder_path"


@register_runtime
class OnnxRuntime(Runtime):
    """An .onnx file in an ONNX Runtime session; see `Runtime`."""

    label: ClassVar[str] = "ONNX Runtime"
    form: ClassVar[Form] = "onnx"
    packages: ClassVar[tuple[str, ...]] = ("onnxruntime",)
    extra: ClassVar[str | None] = "onnxruntime"
    # On a processor it computes in float32 what a net has in fp16. On CUDA it has no pooling in bf16.
    precisions: ClassVar[Mapping[str, tuple[Precision, ...]]] = {
        "cpu": ("float32",),
        "cuda": ("float32", "tf32", "fp16"),
    }

    def __init__(
        self,
        net: Path,
        device: str = "cpu",
        scores: str | None = None,
        threads: int | None = None,
        precision: Precision = "float32",
    ) -> None:
        import onnxruntime

        kind, index = parse_device(device)
        options = onnxruntime.SessionOptions()
        # One thread for each of several batches: threads that share a batch wait after every layer for the
        # slowest, whose processor also decodes images. And scores do not depend on the number of processors.
        options.intra_op_num_threads = 1
        options.use_deterministic_compute = True
        gpu: dict[str, str] = {}
        if kind == "cuda":
            _, gpu["gpu"] = use_gpu(index)
            session = _cuda_session(net, options, index, precision)
        else:
            session = _session(net, options, "CPUExecutionProvider", {}, onnx_without_powers)
        self.at_once = 1 if kind == "cuda" else threads or processors()
        if len(session.get_inputs()) != 1:
            names = ", ".join(value.name for value in session.get_inputs())
            raise UsageError(f"{net}: expected a net with one input, it has {names or 'none'}")
        self._net, self._session = net, session
        self._input = session.get_inputs()[0].name
        outputs = tuple(value.name for value in session.get_outputs())
        self._output = outputs[select_output(outputs, scores, net)]
        batch, *shape = session.get_inputs()[0].shape
        self.batch = batch if isinstance(batch, int) else None
        self.input_shape = tuple(size if isinstance(size, int) else None for size in shape)
        # The sizes of the output after its batch size; known after the first batch.
        self._output_sizes: tuple[int, ...] | None = None
        self._about = {
            "onnxruntime": onnxruntime.__version__,
            "provider": session.get_providers()[0],
            "threads": str(options.intra_op_num_threads),
            **gpu,
        }

    def run(self, batch: Float32) -> Float32:
        """Scores (images, classes) of a batch."""
        return as_scores(self.compute(batch), len(batch), self._net)

    def compute(self, batch: Float32) -> Float32:
        """The output for a batch."""
        with self._explained(batch.shape):
            (output,) = self._session.run([self._output], {self._input: batch})
        return np.asarray(output)

    def rank(self, batch: Float32 | Tensor | list[Pixels], labels: Sequence[int]) -> Ranking:
        """The best classes of a batch; the session reads and writes the arrays or tensors in place.

        A list has whole images, (height, width, 3) uint8, for a net that prepares them: run one by one.
        """
        if isinstance(batch, list):
            return rank_scores(np.concatenate([self._scores_of(image) for image in batch]), labels)
        if self._output_sizes is None:
            self._output_sizes = self._shape_of_scores(tuple(batch.shape[1:]))
        shape = (len(batch), *self._output_sizes)
        output: Any = np.empty(shape, np.float32) if isinstance(batch, np.ndarray) else batch.new_empty(shape)
        binding = self._session.io_binding()
        binding.bind_input(self._input, *_memory(batch))
        binding.bind_output(self._output, *_memory(output))
        with self._explained(batch.shape):
            self._session.run_with_iobinding(binding)
            binding.synchronize_outputs()
        rows = output.reshape(shape[:2])[: len(labels)]
        return rank_scores(rows, labels) if isinstance(rows, np.ndarray) else rank_tensor(rows, labels)

    def _scores_of(self, image: Pixels) -> Float32:
        """(1, classes) for a whole image; a net with a fixed batch gets it several times."""
        return self.run(np.repeat(image[None], self.batch or 1, axis=0))[:1]

    def describe(self) -> dict[str, str]:
        """Version, execution provider and threads."""
        return self._about

    def close(self) -> None:
        """Drop the session, and with it the device memory."""
        del self._session

    def _shape_of_scores(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The sizes of the output after its batch size, from a run on zeros."""
        zeros = np.zeros((self.batch or 1, *shape), np.float32)
        with self._explained(zeros.shape):
            (output,) = self._session.run([self._output], {self._input: zeros})
        check_scores(output.shape, len(zeros), self._net)
        return tuple(output.shape[1:])

    @contextlib.contextmanager
    def _explained(self, shape: Sequence[int]) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # the exception classes of its compiled module have no common base
            raise UsageError(
                f"{self._net}: ONNX Runtime failed on a batch {tuple(shape)}: {error}"
            ) from error


def _memory(array: Any) -> tuple[str, int, type, tuple[int, ...], int]:  # noqa: ANN401 - numpy or torch
    """The place of an array in memory, as arguments of `bind_input` and `bind_output`."""
    if isinstance(array, np.ndarray):
        return "cpu", 0, np.float32, array.shape, array.ctypes.data
    return array.device.type, array.device.index or 0, np.float32, tuple(array.shape), array.data_ptr()


def _cuda_session(net: Path, options: SessionOptions, index: int, precision: Precision) -> InferenceSession:
    """A session on CUDA. If that does not start, ONNX Runtime would use the CPU; here it is an error."""
    import onnxruntime

    provider = "CUDAExecutionProvider"
    if provider not in onnxruntime.get_available_providers():
        raise DeviceError(
            f"cuda:{index}: this ONNX Runtime ({onnxruntime.__version__}) is built without CUDA; "
            "install onnxruntime-gpu, or use --runtime pytorch or --device cpu"
        )
    # Both calls print the libraries that they do not find.
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        onnxruntime.preload_dlls()
        settings = {
            "device_id": str(index),
            # TF32 is on by default.
            "use_tf32": "1" if precision == "tf32" else "0",
            # The default uses the fastest of several trials: next time perhaps another, with other last bits.
            "cudnn_conv_algo_search": "HEURISTIC",
        }
        rewrite = in_half_precision if precision == "fp16" else None
        session = _session(net, options, provider, settings, rewrite)
    if session.get_providers()[0] != provider:
        missing = "".join(f"\n  {line}" for line in printed.getvalue().splitlines())
        raise DeviceError(
            f"cuda:{index}: ONNX Runtime could not start on it and would have run on the CPU; "
            f"check the GPU's driver, CUDA and cuDNN, or use --device cpu{missing}"
        )
    return session


def _session(
    net: Path,
    options: SessionOptions,
    provider: str,
    settings: dict[str, str],
    rewrite: Callable[[Path], bytes | None] | None,
) -> InferenceSession:
    """A session of the model in `net`, or of what `rewrite` makes of it; None leaves the file as it is."""
    import onnxruntime

    # A model that is given as bytes does not know where its external data are.
    options.add_session_config_entry(EXTERNAL_DATA_FOLDER, str(net.parent))

    # Not read by ONNX Runtime itself, which maps them: a file cut off meanwhile would end the process.
    files = external_files(net, OnnxRuntime.label)
    contents = [file.read() for file in files.values()]
    if files:
        sizes = [len(content) for content in contents]
        options.add_external_initializers_from_files_in_memory(list(files), contents, sizes)
    # Errors are raised or show in the providers; the log would repeat them on stderr.
    onnxruntime.set_default_logger_severity(LOG_FATAL)
    try:
        model = (rewrite and rewrite(net)) or net
        session = onnxruntime.InferenceSession(model, options, providers=[(provider, settings)])
    except Exception as error:  # see above
        raise UsageError(f"{net}: ONNX Runtime cannot load it: {error}") from error
    finally:
        onnxruntime.set_default_logger_severity(LOG_WARNING)
    for file in files.values():
        file.check()
    return session
