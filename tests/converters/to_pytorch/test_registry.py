"""An operator is registered by its decorator, once, and by nothing else."""

from __future__ import annotations

import sys

import numpy as np
import onnx_ir as ir
import pytest
import torch
from torch import Tensor

from converters import to_pytorch
from converters.errors import UnsupportedError
from converters.graph import Graph
from converters.to_pytorch import operators as families
from converters.to_pytorch.context import Context
from converters.to_pytorch.generated_net import Initializer
from converters.to_pytorch.operators import operators
from converters.to_pytorch.registry import OPERATORS, Operator, operator


def toy_model() -> ir.Model:
    graph = Graph("toy")
    x = graph.input("x", (2, 3))
    with graph.layer("toy"):
        y = graph.node("Toy", x, np.array(10.0, np.float32), times=3.0)
    return graph.model({"y": y})


def test_one_decorated_function_adds_an_operator(tmp_path, import_net, monkeypatch):
    operators()  # registers all others before the copy below
    with monkeypatch.context() as patch:
        patch.setattr(OPERATORS, "_entries", dict(OPERATORS))

        @operator("Toy")
        def toy(ctx: Context, x: Tensor, addend: float | Tensor, *, times: float = 1.0) -> Tensor:
            return x * times + addend

        to_pytorch.save(toy_model(), tmp_path / "net.py")
    given = torch.arange(6.0).reshape(2, 3)
    assert torch.equal(import_net(tmp_path / "net.py").load()(given), given * 3 + 10)
    with pytest.raises(
        UnsupportedError, match="ONNX operator Toy: no PyTorch form of this operator is known"
    ):
        to_pytorch.save(toy_model(), tmp_path / "net.py")


def test_one_new_file_in_operators_adds_an_operator(tmp_path, monkeypatch):
    (tmp_path / "toys.py").write_text(
        "from torch import Tensor\n"
        "from converters.to_pytorch.context import Context\n"
        "from converters.to_pytorch.registry import operator\n\n"
        '@operator("Toy")\n'
        "def toy(ctx: Context, x: Tensor) -> Tensor:\n"
        "    return x\n"
    )
    operators()  # registers all others before the copy below
    monkeypatch.setattr(families, "__path__", [*families.__path__, str(tmp_path)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    monkeypatch.setattr(OPERATORS, "_entries", dict(OPERATORS))
    assert operators()["Toy"].function.__module__ == "converters.to_pytorch.operators.toys"
    del sys.modules["converters.to_pytorch.operators.toys"]
    del families.toys


def test_a_second_operator_of_the_same_name_is_refused():
    first = operators()["Relu"]
    with pytest.raises(ValueError, match="two entries of the kind 'ONNX operator' are named 'Relu'"):

        @operator("Relu")
        def relu(ctx: Context, x: Tensor) -> Tensor:
            return x

    assert operators()["Relu"] is first


def test_the_signature_of_a_function_says_what_it_accepts():
    def toy(
        ctx: Context, x: Tensor, weight: Initializer | Tensor, axes: np.ndarray | None = None, *rest: Tensor,
        mode: str, size: int = 1,
    ) -> Tensor:  # fmt: skip
        return x

    found = Operator.of(toy)
    assert [(i.name, i.accepted_types, i.required) for i in found.inputs] == [
        ("x", {Tensor}, True),
        ("weight", {Initializer, Tensor}, True),
        ("axes", {np.ndarray}, False),
    ]
    assert found.variadic is not None
    assert found.variadic.accepted_types == {Tensor}
    assert {name: p.default for name, p in found.attributes.items()} == {
        "mode": found.attributes["mode"].empty,
        "size": 1,
    }
