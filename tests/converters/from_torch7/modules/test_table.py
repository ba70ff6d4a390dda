"""Modules that take or rearrange tables, against NumPy and PyTorch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, X3, X4, softmax, values

GATES = softmax(values(3, 2), 1)


ELEMENTWISE = [
    ("nn.GradientReversal", {"lambda": 1}, lambda x: x),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "expected"), ELEMENTWISE)
def test_elementwise(check_output, name, fields, expected):
    check_output(name, fields, [X2], expected(X2.astype(np.float64)), atol=2e-6)


TABLES = [
    ("nn.CMulTable", {}, [X2, X2 + 1, X2 - 1], X2 * (X2 + 1) * (X2 - 1)),
    ("nn.CSubTable", {}, [X2[0], X2[1].reshape(6, 1)], X2[0] - X2[1]),
    ("nn.SelectTable", {"index": 2}, [X3], X3[1]),
    ("nn.MixtureTable", {}, [GATES, X2, -2 * X2], GATES[:, :1] * X2 - 2 * GATES[:, 1:] * X2),
    ("nn.MixtureTable", {"dim": 2}, [GATES, np.stack([X2, -2 * X2], 1)], GATES[:, :1] * X2 - 2 * GATES[:, 1:] * X2),
    ("nn.MixtureTable", {"dim": 2}, [GATES[0], np.stack([X2, -2 * X2], 1)], GATES[0, 0] * X2 - 2 * GATES[0, 1] * X2),
    ("nn.JoinTable", {"dimension": 1}, [X2, X2.reshape(3, 3, 2)], np.concatenate([X2, X2])),
]  # fmt: skip


@pytest.mark.parametrize(("name", "fields", "given", "expected"), TABLES)
def test_table_in_tensor_out(check_output, name, fields, given, expected):
    check_output(name, fields, given, expected)


def test_torch_passes_over_what_follows_the_first_two(run_net):
    constants = [("nn.MulConstant", {"constant_scalar": c}) for c in (1, 2, 3)]
    net = ("nn.Sequential", {"modules": [("nn.ConcatTable", {"modules": constants}), ("nn.CDivTable", {})]})
    np.testing.assert_array_equal(run_net(net, X2), [np.full_like(X2, 0.5)])


def test_c_add_tensor_table_adds_one_tensor_to_each(run_net):
    first, others = ("nn.SelectTable", {"index": 1}), ("nn.NarrowTable", {"offset": 2, "length": 2})
    pair = ("nn.ConcatTable", {"modules": [first, others]})
    net = ("nn.Sequential", {"modules": [pair, ("nn.CAddTensorTable", {})]})
    got = run_net(net, X2, X2 * 2, X2.reshape(6, 3))
    np.testing.assert_allclose(got, [X2 * 3, X2 * 2], atol=1e-6)


def test_an_entry_of_a_tensor_shares_its_storage(run_net):
    select = (
        "nn.Sequential",
        {"modules": [("nn.SelectTable", {"index": 2}), ("nn.ReLU", {"inplace": True})]},
    )
    whole, entry = run_net(("nn.ConcatTable", {"modules": [("nn.Identity", {}), select]}), X3)
    np.testing.assert_array_equal(whole, np.stack([X3[0], X3[1].clip(0), *X3[2:]]))
    np.testing.assert_array_equal(entry, X3[1].clip(0))


def test_narrow_table_ends_where_the_table_does(run_net):
    got = run_net(("nn.NarrowTable", {"offset": 2, "length": 5}), X2, X3, X4)
    for array, given in zip(got, (X3, X4), strict=True):
        np.testing.assert_array_equal(array, given)


def test_contiguous_shares_the_storage_of_a_contiguous_input(run_net):
    branches = [("nn.Contiguous", {}), ("nn.ReLU", {"inplace": True})]
    got = run_net(("nn.ConcatTable", {"modules": branches}), X2)
    np.testing.assert_array_equal(got, [np.maximum(X2, 0)] * 2)
