"""Running a recorded case: convert it, feed the recorded inputs, compare with the recorded outputs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

import converters
from converters.to_onnx.skeleton import initializers, skeleton, tensor_header

_TYPES = {"tensor(int64)": np.int64, "tensor(double)": np.float64, "tensor(uint8)": np.uint8}


def recorded(case: Path) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Inputs and outputs of a case under the names that a converted net gives them."""
    with np.load(case / "io.npz") as io:
        groups = [[io[key] for key in io.files if key.startswith(side)] for side in ("in:", "out:")]
    return tuple(  # type: ignore[return-value]
        {(name if len(group) == 1 else f"{name}_{k}"): array for k, array in enumerate(group)}
        for name, group in zip(("input", "output"), groups, strict=True)
    )


def run_model(model, feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    proto = skeleton(model)
    for name, array in initializers(model):
        tensor = tensor_header(name, array)
        tensor.raw_data = np.ascontiguousarray(array).tobytes()
        proto.graph.initializer.append(tensor)
    session = ort.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    types = {node.name: _TYPES.get(node.type, np.float32) for node in session.get_inputs()}
    names = [node.name for node in session.get_outputs()]
    got = session.run(names, {name: feeds[name].astype(dtype) for name, dtype in types.items()})
    return dict(zip(names, got, strict=True))


@pytest.fixture
def check_case() -> Callable[..., None]:
    """check_case(folder, file="net.t7"): the converted net gives what Torch gave, to 1e-5 of the largest."""

    def check(case: Path, file: str = "net.t7") -> None:
        inputs, wanted = recorded(case)
        shapes = {name: array.shape for name, array in inputs.items()}
        got = run_model(converters.load(case / file, input_shapes=shapes), inputs)
        assert list(got) == list(wanted)
        for name, reference in wanted.items():
            scale = max(1.0, float(np.abs(reference).max(initial=0.0)))
            assert got[name].shape == reference.shape
            np.testing.assert_allclose(got[name], reference, rtol=0, atol=1e-5 * scale)

    return check
