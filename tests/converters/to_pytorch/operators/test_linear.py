"""Matrix products, against ONNX Runtime."""

from __future__ import annotations

import pytest
from arrays import values


@pytest.mark.parametrize("constant", [(1, 2), (1,), ()])
@pytest.mark.parametrize(
    "attributes",
    [{"transB": 1}, {}, {"transA": 1}, {"alpha": 0.5, "beta": 2.0}, {"beta": 0.25, "transB": 1}],
)
@pytest.mark.parametrize("bias", [(7,), (1, 7), (1,), (4, 7), None])
def test_gemm(agree_on, attributes, constant, bias):
    a = values(3, 4) if attributes.get("transA") else values(4, 3)
    b = values(7, 3) if attributes.get("transB") else values(3, 7)
    agree_on("Gemm", [a, b] if bias is None else [a, b, values(*bias)], attributes, constant=constant)


def test_matmul_and_einsum(agree_on):
    agree_on("MatMul", [values(2, 3, 4), values(4, 5)], constant=(1,))
    agree_on("Einsum", [values(2, 3, 4), values(2, 4, 5)], {"equation": "bij,bjk->bik"})
