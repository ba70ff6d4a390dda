"""What else can run a net, so that `compare` does not read both sides alike.

Each entry of `INDEPENDENT` says what it can catch and what it cannot. OpenCV 4 and Caffe read the source
files by themselves, in a Python of their own; PyTorch and onnx's reference run what our reader made of them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import converters
from converters import Kind
from zoo.errors import UsageError
from zoo.verification.intermediates import (
    Array,
    Net,
    OnnxNet,
    PyTorchNet,
    Shape,
    Value,
    input_shapes,
    load_net,
    value,
)
from zoo.verification.opencv import OPENCV_4, OpenCV, python_at

if TYPE_CHECKING:
    import onnx_ir as ir

# Of two implementations of float32 convolutions; OpenCV computes 3x3 ones by Winograd's method.
OTHER_IMPLEMENTATION_BOUND = 1e-4
# The reference computes one element at a time.
MOST_REFERENCE_PARAMETERS = 5_000_000
# One net and one input.
SECONDS = 600
INDEPENDENT = {
    "opencv4": (
        "A was read and run by OpenCV 4's own reader. That catches faults of dsd-zoo's reader, of the file "
        "it wrote and of the runtime. Outputs only are seen, and OpenCV has layers of its own that differ: "
        "check a difference with --with caffe"
    ),
    "caffe": (
        "A was read and run by Caffe itself, the original. That catches faults of dsd-zoo's reader, of the "
        "file it wrote and of the runtime. Every blob that both have is compared; what a layer in place has "
        "overwritten is not seen"
    ),
    "pytorch": (
        "A was converted to PyTorch and run there. That catches faults of a writer or of a runtime, and none "
        "of dsd-zoo's reader, which read both sides"
    ),
    "reference": (
        "A was run by onnx's ReferenceEvaluator. That catches faults of a runtime, and none of dsd-zoo's "
        "reader, which read both sides. Nets with LRN, grouped transposed convolutions or clipped LSTMs it "
        "cannot judge, nor nets of more than 5 million parameters: they are refused"
    ),
}
# What Caffe's Python runs: it needs caffe and numpy only.
CAFFE_PROGRAM = """
import json, sys
import numpy as np
import caffe
definition, weights, given, out = json.loads(sys.argv[1])
caffe.set_mode_cpu()
net = caffe.Net(definition, weights, caffe.TEST) if weights else caffe.Net(definition, caffe.TEST)
inputs = np.load(given)
for name in inputs.files:
    net.blobs[name].reshape(*inputs[name].shape)
net.reshape()
for name in inputs.files:
    net.blobs[name].data[...] = inputs[name]
net.forward()
np.savez(out, names=list(net.blobs), **{str(k): blob.data for k, blob in enumerate(net.blobs.values())})
"""


def open_independently(
    name: str,
    paths: Sequence[Path],
    shapes: Mapping[str, Sequence[int]] | None,
    folder: Path,
    python: Path | None,
    *,
    verify: bool = False,
    model: ir.Model | None = None,
) -> Net:
    """Open the net in `paths` in what `INDEPENDENT` calls `name`; the other arguments as for `open_net`.

    python: the Python that has OpenCV 4 or Caffe; None: this one.

    Raises:
        UsageError: the files are not of a kind that it reads, it is not there, or it cannot judge the net.
        converters.ConverterError: the net cannot be read.
    """
    suffixes = [path.suffix for path in paths]
    if suffixes == [".py"]:
        raise UsageError(f"--with {name}: A is a net.py; expected the source files of a net or a net.onnx")
    is_onnx = suffixes == [".onnx"]
    if name in ("opencv4", "caffe") and is_onnx:
        raise UsageError(f"--with {name}: it reads source files by itself; A is a net.onnx: name those files")
    if name in ("pytorch", "reference") and python is not None:
        raise UsageError(
            f"--with-python is for --with opencv4 and --with caffe; --with {name} runs in this one"
        )
    if name == "pytorch":
        converters.extras.require("torch", "--with pytorch")
    model = model or load_net(paths, shapes, verify=verify)
    if name == "opencv4":
        return OpenCVNet(paths, model, python)
    if name == "caffe":
        return CaffeNet(paths, model, folder, python)
    if name == "pytorch":
        return ConvertedToPyTorch(model, folder)
    return ReferenceNet(model, folder)


class OpenCVNet:
    """The source files of a net in OpenCV 4, which reads them by itself; gives the outputs."""

    def __init__(self, paths: Sequence[Path], model: ir.Model, python: Path | None) -> None:
        self.inputs: Mapping[str, Shape] | None = input_shapes(model)
        self._opencv = OpenCV.of(python or sys.executable, OPENCV_4)
        if self._opencv.major != 4:
            raise UsageError(
                f"--with opencv4: the OpenCV of {self._opencv.python} is {self._opencv.version}; expected 4, "
                f'whose readers 5 no longer has: pip install "{OPENCV_4}" in an '
                "environment of its own, and name its Python by --with-python"
            )
        self._files = _definition_first(paths)
        self._names = [str(output.name) for output in model.graph.outputs]
        self._shapes = [output.shape for output in model.graph.outputs]

    def run(self, inputs: Sequence[Array]) -> list[Value]:
        """See `Net`."""
        assert self.inputs is not None
        given = dict(zip(self.inputs, inputs, strict=True))
        found = self._opencv.run(self._files, given, self._names)
        return [
            value(_of_rank(found[name], shape), name, None, k)
            for k, (name, shape) in enumerate(zip(self._names, self._shapes, strict=True))
        ]


class CaffeNet:
    """The source files of a net in Caffe's own Python interface; gives the blobs."""

    def __init__(self, paths: Sequence[Path], model: ir.Model, folder: Path, python: Path | None) -> None:
        files = _definition_first(paths)
        if converters.identify(files[0]) is not Kind.PROTOTXT:
            raise UsageError(
                "--with caffe: A is not of Caffe, or without its prototxt; name that and the weights"
            )
        self.inputs: Mapping[str, Shape] | None = input_shapes(model)
        self._outputs = [str(output.name) for output in model.graph.outputs]
        self._files = [str(path.absolute()) for path in files]
        self._folder = folder
        self._python = python_at(python or sys.executable)

    def run(self, inputs: Sequence[Array]) -> list[Value]:
        """See `Net`."""
        assert self.inputs is not None
        self._folder.mkdir()
        given, out = self._folder / "inputs.npz", self._folder / "blobs.npz"
        np.savez(given, **dict[str, Any](zip(self.inputs, inputs, strict=True)))
        definition, weights = (*self._files, None)[:2]
        arguments = json.dumps([definition, weights, str(given), str(out)])
        line = [self._python, "-c", CAFFE_PROGRAM, arguments]
        try:
            done = subprocess.run(line, capture_output=True, text=True, timeout=SECONDS, cwd=self._folder)
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UsageError(f"--with caffe: {self._python} cannot run it: {error}") from error
        if done.returncode or not out.is_file():
            reason = done.stderr.strip().splitlines()[-1:] or [f"it ended with {done.returncode}"]
            raise UsageError(
                f"--with caffe: Caffe in {self._python} cannot run the net: {reason[0]}\n"
                "  a Python that can import caffe: --with-python PYTHON"
            )
        with np.load(out) as found:
            blobs = {str(name): found[str(k)] for k, name in enumerate(found["names"])}
        order = [name for name in blobs if name not in self.inputs]
        return [
            value(blobs[name], name, None, self._outputs.index(name) if name in self._outputs else None)
            for name in order
        ]


class ConvertedToPyTorch(PyTorchNet):
    """A net in its PyTorch form; unlike a net.py it states its inputs and the names of its outputs."""

    def __init__(self, model: ir.Model, folder: Path) -> None:
        shapes = input_shapes(model)
        self._names = [str(output.name) for output in model.graph.outputs]
        folder.mkdir()
        converters.save(model, folder / "net.py")
        super().__init__(folder / "net.py")
        self.inputs = shapes

    def run(self, inputs: Sequence[Array]) -> list[Value]:
        """See `Net`. A layer that makes an output is that output."""
        found = super().run(inputs)
        outputs = [one for one in found if one.is_output]
        inner = [
            one
            for one in found
            if not one.is_output
            and not any(np.array_equal(one.array, output.array, equal_nan=True) for output in outputs)
        ]
        return inner + [value(outputs[k].array, name, None, k) for k, name in enumerate(self._names)]


class ReferenceNet(OnnxNet):
    """A net in onnx's ReferenceEvaluator, with the first output of every node."""

    def __init__(self, model: ir.Model, folder: Path) -> None:
        _check_reference(model)
        super().__init__(model, folder)

    def open(self, path: Path) -> None:
        """See `OnnxNet`."""
        from onnx.reference import ReferenceEvaluator

        self._evaluator = ReferenceEvaluator(str(path))
        self._names = list(self._evaluator.output_names)

    def compute(self, inputs: Mapping[str, Array]) -> dict[str, Any]:
        """See `OnnxNet`."""
        try:
            results = self._evaluator.run(None, dict(inputs))
        except Exception as error:  # an operator may raise anything
            raise UsageError(f"onnx's ReferenceEvaluator cannot run the net: {error}") from error
        return dict(zip(self._names, results, strict=True))


def _check_reference(model: ir.Model) -> None:
    """UsageError for what onnx 1.23's ReferenceEvaluator computes wrongly, refuses, or takes forever for."""
    parameters = sum(
        held.const_value.size for held in model.graph.initializers.values() if held.const_value is not None
    )
    if parameters > MOST_REFERENCE_PARAMETERS:
        raise UsageError(
            f"--with reference: the net has {parameters:,} parameters; onnx's ReferenceEvaluator is for up "
            f"to {MOST_REFERENCE_PARAMETERS:,}: take --with pytorch"
        )
    for node in model.graph:
        why = None
        if node.op_type == "LRN":
            why = "it normalises only as many channels as there are images"
        elif node.op_type == "ConvTranspose" and node.attributes.get_int("group", 1) > 1:
            why = "it refuses grouped transposed convolutions"
        elif node.op_type == "LSTM" and "clip" in node.attributes:
            why = "it does not clip LSTMs"
        if why is not None:
            raise UsageError(
                f"--with reference: onnx's ReferenceEvaluator cannot judge {node.name} ({node.op_type}): "
                f"{why}; take --with pytorch"
            )


def _definition_first(paths: Sequence[Path]) -> list[Path]:
    return sorted(paths, key=lambda path: converters.identify(path) is not Kind.PROTOTXT)


def _of_rank(array: Array, shape: Any) -> Array:  # noqa: ANN401
    """The array with as many axes as the output has: OpenCV's readers differ in axes of size 1."""
    if shape is None or array.ndim == len(shape):
        return array
    kept = [size for size in array.shape if size > 1]
    sizes = [size if isinstance(size, int) else 0 for size in shape]
    if 0 in sizes:  # the batch, which comes first
        rest = int(np.prod([size for size in sizes if size])) or 1
        if sizes.count(0) == 1 and array.size % rest == 0:
            return array.reshape([size or array.size // rest for size in sizes])
        return array
    return array.reshape(sizes) if array.size == int(np.prod(sizes)) and kept else array
