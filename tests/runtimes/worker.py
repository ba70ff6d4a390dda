"""Runs ONNX files in one runtime and compares the results with what the original framework recorded.

    python worker.py RUNTIME < paths

Each line of standard input is a folder with `net.onnx` and `io.npz` (keys `in:NAME` and `out:NAME`). It gets
a line of JSON on standard output: "case", its name; "result", which is "right", "refused" or "wrong"; "why".
It is a process of its own because a runtime may crash; the missing line then tells which case did it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

Arrays = dict[str, np.ndarray]
# A runtime: outputs by name, from an ONNX file and its inputs by name.
Run = Callable[[Path, Arrays], Mapping[str, np.ndarray]]


def onnx_names(path: Path) -> tuple[list[str], list[str]]:
    """The names of the inputs and of the outputs of an ONNX file, in their order."""
    import onnx

    graph = onnx.load(path, load_external_data=False).graph
    return [value.name for value in graph.input], [value.name for value in graph.output]


def onnxruntime(path: Path, inputs: Arrays) -> Mapping[str, np.ndarray]:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, inputs), strict=True))


def opencv(path: Path, inputs: Arrays) -> Mapping[str, np.ndarray]:
    import cv2

    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    net = cv2.dnn.readNetFromONNX(str(path))
    for name, array in inputs.items():
        net.setInput(array, name)
    _, names = onnx_names(path)
    return dict(zip(names, net.forward(names), strict=True))


def openvino(path: Path, inputs: Arrays) -> Mapping[str, np.ndarray]:
    import openvino

    core = openvino.Core()
    # Without this hint OpenVINO computes in bfloat16 on processors that have it.
    compiled = core.compile_model(core.read_model(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    results = compiled(inputs)
    _, names = onnx_names(path)
    return {name: results[port] for name, port in zip(names, compiled.outputs, strict=True)}


def tract(path: Path, inputs: Arrays, *, fixed: bool = False) -> Mapping[str, np.ndarray]:
    import tract

    model = tract.onnx().load(path)
    given, names = onnx_names(path)
    if fixed:
        kinds = {
            "float32": "f32",
            "int64": "i64",
            "int32": "i32",
            "float64": "f64",
            "bool": "bool",
            "uint8": "u8",
        }
        for k, name in enumerate(given):
            sizes = [str(size) for size in inputs[name].shape]
            model.set_input_fact(k, ",".join([*sizes, kinds[inputs[name].dtype.name]]))
    runnable = model.into_model().into_runnable()
    results = runnable.run([np.asarray(inputs[name], order="C") for name in given])
    return {name: result.to_numpy() for name, result in zip(names, results, strict=True)}


def tract_with_sizes(path: Path, inputs: Arrays) -> Mapping[str, np.ndarray]:
    return tract(path, inputs, fixed=True)


RUNTIMES: dict[str, Run] = {
    run.__name__: run for run in (onnxruntime, opencv, openvino, tract, tract_with_sizes)
}


def difference(got: Mapping[str, np.ndarray], wanted: Arrays, tolerance: float) -> str:
    """Where outputs differ from the recorded ones by more than `tolerance` of the largest; "" if nowhere."""
    for name, reference in wanted.items():
        if name not in got:
            return f"output {name!r} is missing"
        have = np.asarray(got[name])
        if got[name] is None and reference.size == 0:  # OpenCV has no arrays without values
            continue
        if have.shape != reference.shape and not (reference.ndim == 0 and have.size == 1):
            return f"{name}: shape {have.shape}, expected {reference.shape}"
        want, have = reference.astype(np.float64), have.astype(np.float64).reshape(reference.shape)
        if not np.array_equal(np.isnan(want), np.isnan(have)):
            return f"{name}: NaN in other places"
        finite = ~np.isnan(want) & ~((have == want) & np.isinf(want))
        if finite.any():
            scale = max(1.0, float(np.abs(want[finite & np.isfinite(want)]).max(initial=0.0)))
            worst = float(np.abs(have[finite] - want[finite]).max())
            if not worst <= tolerance * scale:
                return f"{name}: off by {worst:.2e} (largest value {scale:.2e})"
    return ""


def measure(run: Run, folder: Path) -> dict[str, str]:
    with np.load(folder / "io.npz") as io:
        inputs = {key[3:]: io[key] for key in io.files if key.startswith("in:")}
        wanted = {key[4:]: io[key] for key in io.files if key.startswith("out:")}
        tolerance = float(io["tolerance"])
    try:
        got = run(folder / "net.onnx", inputs)
    except Exception as error:  # whatever a runtime raises is its refusal
        text = " ".join(str(error).split())
        return {"case": folder.name, "result": "refused", "why": f"{type(error).__name__}: {text[:400]}"}
    why = difference(got, wanted, tolerance)
    return {"case": folder.name, "result": "wrong" if why else "right", "why": why}


def main() -> None:
    """Reads folders from standard input. What a runtime prints goes to standard error."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = RUNTIMES[sys.argv[1]]
    for line in sys.stdin:
        print(json.dumps(measure(run, Path(line.strip()))), file=answers, flush=True)


if __name__ == "__main__":
    main()
