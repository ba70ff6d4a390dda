"""Runs a generated net.py and ONNX Runtime on the same model and inputs, and compares the outputs."""

from __future__ import annotations

import importlib.util
import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime as ort
import pytest
import torch
from pytorch_nets import fire_net

from converters import to_pytorch

_COUNTER = itertools.count()


@pytest.fixture(scope="session", name="import_net")
def importer() -> Callable[[Path], ModuleType]:
    """Imports a generated file as a new module."""
    return import_net


def import_net(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"generated_net_{next(_COUNTER)}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """net.py of `fire_net`."""
    folder = tmp_path_factory.mktemp("fire")
    assert to_pytorch.save(fire_net(), folder / "net.py") == [folder / "net.py", folder / "net.safetensors"]
    return folder / "net.py"


@pytest.fixture(scope="session")
def module(written: Path) -> ModuleType:
    """net.py of `fire_net`, imported."""
    return import_net(written)


def operator_model(
    op_type: str,
    inputs: Sequence[Any],
    attributes: Mapping[str, Any],
    *,
    outputs: int = 1,
    opset: int = 18,
    constant: Sequence[int] = (),
    batch: bool = True,
) -> onnx.ModelProto:
    """One node; inputs with a number in `constant` are initializers, the others inputs of the graph."""
    names = ["" if array is None else f"in{k}" for k, array in enumerate(inputs)]
    node = onnx.helper.make_node(op_type, names, [f"out{k}" for k in range(outputs)], "layer", **attributes)
    infos, initializers = [], []
    for k, array in enumerate(inputs):
        if array is None:
            continue
        if k in constant:
            initializers.append(onnx.numpy_helper.from_array(array, f"in{k}"))
            continue
        shape = ["N", *array.shape[1:]] if batch and k == 0 and array.ndim else list(array.shape)
        kind = onnx.helper.np_dtype_to_tensor_dtype(array.dtype)
        infos.append(onnx.helper.make_tensor_value_info(f"in{k}", kind, shape))
    results = [onnx.ValueInfoProto(name=f"out{k}") for k in range(outputs)]
    graph = onnx.helper.make_graph([node], op_type, infos, results, initializers)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
    return onnx.shape_inference.infer_shapes(model, data_prop=True)


@pytest.fixture
def agree(tmp_path: Path) -> Callable[..., str]:
    """Writes a model as net.py, compares its outputs with those of ONNX Runtime, and returns the source."""

    def check(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], *, tolerance: float = 1e-5) -> str:
        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        names = [output.name for output in session.get_outputs()]
        wanted = session.run(names, dict(feeds))
        for name, got, other in zip(names, run(model, feeds, tmp_path), wanted, strict=True):
            assert_close(name, got, other, tolerance)
        return (tmp_path / "net.py").read_text()

    return check


@pytest.fixture
def agree_on(agree: Callable[..., str]) -> Callable[..., str]:
    """The same for a model of one operator."""

    def check(
        op_type: str, inputs: Sequence[Any], attributes: Mapping[str, Any] | None = None, **how: Any
    ) -> str:
        feeds = feeds_of(inputs, how.get("constant", ()))
        return agree(operator_model(op_type, inputs, attributes or {}, **how), feeds)

    return check


@pytest.fixture
def run_written(tmp_path: Path) -> Callable[..., list[np.ndarray]]:
    """Writes a model of one operator as net.py and runs only that."""

    def outputs(
        op_type: str, inputs: Sequence[Any], attributes: Mapping[str, Any], **how: Any
    ) -> list[np.ndarray]:
        model = operator_model(op_type, inputs, attributes, **how)
        return run(model, feeds_of(inputs, how.get("constant", ())), tmp_path)

    return outputs


def feeds_of(inputs: Sequence[Any], constant: Sequence[int]) -> dict[str, np.ndarray]:
    return {f"in{k}": array for k, array in enumerate(inputs) if array is not None and k not in constant}


def run(model: onnx.ModelProto, feeds: Mapping[str, np.ndarray], folder: Path) -> list[np.ndarray]:
    path, _ = to_pytorch.save(ir.serde.deserialize_model(model), folder / "net.py")
    with torch.no_grad():
        got = import_net(path).load()(*[torch.from_numpy(array) for array in feeds.values()])
    return [one.numpy() for one in (got if isinstance(got, tuple) else (got,))]


def assert_close(name: str, got: np.ndarray, wanted: np.ndarray, tolerance: float) -> None:
    assert got.dtype == wanted.dtype, name
    assert got.shape == wanted.shape, name
    if wanted.dtype.kind != "f":
        np.testing.assert_array_equal(got, wanted, name)
        return
    finite = wanted[np.isfinite(wanted)]
    scale = max(1.0, float(np.abs(finite).max(initial=0.0)))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=tolerance * scale, err_msg=name)
