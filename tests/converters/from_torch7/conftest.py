"""Fixtures of the tests of Torch7 conversion."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from corpus_cases import run_pytorch
from torch7_cases import T7Writer, assert_same, named, recorded, run_model, typed

import converters


@pytest.fixture
def check_case() -> Callable[..., None]:
    """check_case(folder, file="net.t7"): the converted net gives what Torch gave."""

    def check(case: Path, file: str = "net.t7") -> None:
        inputs, wanted = recorded(case)
        model = converters.load(case / file, input_shapes=_shapes(inputs))
        assert_same(run_model(model, inputs), wanted)

    return check


@pytest.fixture
def check_pytorch(tmp_path: Path) -> Callable[[Path], None]:
    """check_pytorch(folder): the PyTorch form of the converted net gives what Torch gave."""

    def check(case: Path) -> None:
        inputs, wanted = recorded(case)
        model = converters.load(case / "net.t7", input_shapes=_shapes(inputs))
        converters.save(model, tmp_path / "net.py")
        assert_same(run_pytorch(tmp_path / "net.py", typed(model, inputs), model), wanted)

    return check


def _shapes(inputs: dict[str, np.ndarray]) -> dict[str, tuple[int, ...]]:
    return {name: array.shape for name, array in inputs.items()}


@pytest.fixture
def save_t7(tmp_path: Path) -> Callable[..., Path]:
    """save_t7(value): a binary .t7 file of Python values, written as Torch would; see `T7Writer`."""

    def save(value: object, name: str = "net.t7") -> Path:
        path = tmp_path / name
        path.write_bytes(T7Writer().file(value))
        return path

    return save


@pytest.fixture
def run_net(save_t7) -> Callable[..., list[np.ndarray]]:
    """run_net(value, *arrays): the outputs of a net of Python values, with its inputs' shapes given."""

    def run(value: object, *arrays: np.ndarray) -> list[np.ndarray]:
        inputs = named("input", list(arrays))
        model = converters.load(save_t7(value), input_shapes=_shapes(inputs))
        return list(run_model(model, inputs).values())

    return run


@pytest.fixture
def check_output(run_net) -> Callable[..., None]:
    """check_output(name, fields, inputs, expected, atol=1e-5): a net of this one module gives this output."""

    def check(
        name: str, fields: dict, inputs: list[np.ndarray], expected: np.ndarray, atol: float = 1e-5
    ) -> None:
        (got,) = run_net((name, fields), *inputs)
        assert got.shape == expected.shape
        np.testing.assert_allclose(got, expected, atol=atol)

    return check
