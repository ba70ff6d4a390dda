"""How a recorded case is read: the same for every test that runs the corpus."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import onnx_ir as ir

# Our own recorded cases, committed with the tests.
CORPUS = Path(__file__).resolve().parents[1] / "corpus"
DEFAULT_TOLERANCE = 1e-5


@dataclass(frozen=True)
class Case:
    """Inputs and outputs recorded from the original framework, and how its net was read."""

    folder: Path
    meta: dict[str, Any]
    inputs: dict[str, np.ndarray]
    outputs: dict[str, np.ndarray]
    options: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> Case:
        meta = json.loads((folder / "case.json").read_text())
        with np.load(folder / "io.npz") as io:
            inputs = {key[3:]: io[key] for key in io.files if key.startswith("in:")}
            outputs = {key[4:]: io[key] for key in io.files if key.startswith("out:")}
        options = {key: meta[key] for key in ("stages", "level") if key in meta}
        if "loss_view" in meta:  # several readings of a training definition's heads are fair: name them
            options["outputs"] = list(outputs)
        return cls(folder, meta, inputs, outputs, options)

    @property
    def sources(self) -> list[Path]:
        """The files named in case.json, or else the definition and, if there is one, its weights."""
        if "sources" in self.meta:
            return [self.folder / name for name in self.meta["sources"]]
        candidates = [self.folder / name for name in ("net.caffemodel", "net.caffemodel.h5")]
        weights = next((path for path in candidates if path.exists()), None)
        return [self.folder / "net.prototxt", *([weights] if weights else [])]


def run_onnx(path: Path, inputs: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of an ONNX file by name, from ONNX Runtime on the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    fed = {i.name: inputs[i.name] for i in session.get_inputs()}
    return dict(zip(names, session.run(names, fed), strict=True))


def assert_agrees(got: dict[str, np.ndarray], wanted: dict[str, np.ndarray], tolerance: float) -> None:
    """Same names, shapes, NaN and infinities; the rest within `tolerance` of the largest magnitude."""
    for name, reference in wanted.items():
        assert name in got, f"output {name!r} is missing; there are {sorted(got)}"
        assert got[name].shape == reference.shape, name
        have, want = got[name].astype(np.float64), reference.astype(np.float64)
        assert np.array_equal(np.isnan(have), np.isnan(want)), f"{name}: NaN in other places"
        finite = ~np.isnan(want) & ~((have == want) & np.isinf(want))
        if finite.any():
            scale = max(1.0, np.abs(want[finite & np.isfinite(want)]).max(initial=0.0))
            assert np.abs(have[finite] - want[finite]).max() <= tolerance * scale, name


def run_pytorch(path: Path, inputs: dict[str, np.ndarray], model: ir.Model) -> dict[str, np.ndarray]:
    """Outputs of a generated net.py by name; the order of inputs and outputs is that of the ONNX form."""
    import importlib.util

    import torch

    spec = importlib.util.spec_from_file_location("generated_net", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    with torch.no_grad():
        results = module.load()(*(torch.from_numpy(inputs[str(i.name)]) for i in model.graph.inputs))
    results = results if isinstance(results, tuple) else (results,)
    names = [str(output.name) for output in model.graph.outputs]
    return {name: result.numpy() for name, result in zip(names, results, strict=True)}
