"""Linear maps and products of matrices, against NumPy and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, X3, values

W = values(6, 4, seed=1)
BIAS = values(4, seed=3)


CASES = [
    ("nn.Linear", {"weight": W.T.copy(), "bias": False}, X2, X2 @ W),
    ("nn.LinearNoBias", {"weight": values(5, 6)}, X2, X2 @ values(5, 6).T),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), CASES)
def test_tensor_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, [given], expected)


TABLES = [
    ("nn.MM", {"transA": True, "transB": False}, [X3, X3], X3.swapaxes(1, 2) @ X3),
    ("nn.MM", {"transA": False, "transB": True}, [X2, X2], X2 @ X2.T),
    ("nn.MV", {"trans": True}, [X3, X3[:, :, 0].copy()], np.einsum("nij,ni->nj", X3, X3[:, :, 0])),
    ("nn.MV", {}, [X2, X2[0]], X2 @ X2[0]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), TABLES)
def test_table_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, given, expected)


@pytest.mark.parametrize(
    ("state", "stored"),
    [
        ({"train": False}, True),
        ({"train": True}, False),
        ({}, False),
        ({"train": False, "dirty": True}, False),
        ({"train": False, "weight": np.zeros(0, np.float32)}, False),
    ],
)
def test_linear_weight_norm_takes_the_stored_weight_only_if_it_is_up_to_date(run_net, state, stored):
    v, stale = values(4, 6, seed=1), values(4, 6, seed=2)
    fields = {"v": v, "g": np.ones((4, 1), np.float32), "weight": stale, "bias": BIAS, "eps": 1e-16}
    (got,) = run_net(("nn.LinearWeightNorm", fields | state), X2)
    weight = stale if stored else v / np.linalg.norm(v, axis=1, keepdims=True)
    np.testing.assert_allclose(got, X2 @ weight.T + BIAS, atol=1e-5)


def test_partial_linear_of_some_outputs(run_net):
    table = (
        "nn.ParallelTable",
        {"modules": [("nn.Identity", {}), ("nn.LookupTable", {"weight": W.T.copy()})]},
    )
    network = ("nn.Sequential", {"modules": [table, ("nn.MM", {"transB": True})]})
    fields = {
        "network": network,
        "partition": np.array([4, 1], np.float32),
        "bias": BIAS[None],
        "inputsize": 6,
    }
    (got,) = run_net(("nn.PartialLinear", fields), X2)
    np.testing.assert_allclose(got, (X2 @ W + BIAS)[:, [3, 0]], atol=1e-5)


@pytest.mark.parametrize("name", ["nn.LinearNB", "nn.LinearNoBackprop", "fbnn.NormalizedLinearNoBias"])
def test_linear_maps(run_net, name):
    bias = {} if name.endswith("NB") else {"bias": values(5, seed=3)}
    (got,) = run_net((name, {"weight": values(5, 6), **bias}), X2)
    np.testing.assert_allclose(got, X2 @ values(5, 6).T + bias.get("bias", 0), atol=1e-5)
