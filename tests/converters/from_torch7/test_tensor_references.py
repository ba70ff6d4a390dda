"""Modules that work in place change what others read from the same storage, as in Torch."""

# One row for each case; wrapped rows would be unreadable.
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import sizes

import converters

X = np.array([[-1.0, 2.0, -3.0, 4.0], [5.0, -6.0, 7.0, -8.0]], np.float32)
RELU = np.maximum(X, 0)
IN_PLACE = ("nn.ReLU", {"threshold": 0, "val": 0, "inplace": True})
COPYING = ("nn.ReLU", {"threshold": 0, "val": 0, "inplace": False})
IDENTITY = ("nn.Identity", {})


def seq(*modules: tuple) -> tuple:
    return "nn.Sequential", {"modules": list(modules)}


def both(*modules: tuple) -> tuple:
    return "nn.ConcatTable", {"modules": list(modules)}


CASES = [
    ("in place before", both(IN_PLACE, IDENTITY), [RELU, RELU]),
    ("in place after", both(IDENTITY, IN_PLACE), [RELU, RELU]),
    ("copied before", both(("nn.MulConstant", {"constant_scalar": 1}), IN_PLACE), [X, RELU]),
    ("not in place", both(COPYING, IDENTITY), [RELU, X]),
    ("through View", both(seq(("nn.View", {"size": sizes(8)}), IN_PLACE), IDENTITY), [RELU.reshape(8), RELU]),
    ("through Unsqueeze", both(seq(("nn.Unsqueeze", {"pos": 1}), IN_PLACE), IDENTITY), [RELU[None], RELU]),
    ("Transpose copies", both(seq(("nn.Transpose", {"permutations": [[1, 2]]}), IN_PLACE), IDENTITY), [RELU.T, X]),
    ("Narrow copies", both(seq(("nn.Narrow", {"dimension": 1, "index": 1, "length": 1}), IN_PLACE), IDENTITY), [RELU[:1], X]),
    ("Dropout copies", both(seq(("nn.Dropout", {"p": 0.5, "v2": True}), IN_PLACE), IDENTITY), [RELU, X]),
    ("Dropout in place", both(seq(("nn.Dropout", {"p": 0.5, "v2": True, "inplace": True}), IN_PLACE), IDENTITY), [RELU, RELU]),
    ("through Convert", both(seq(("nn.Convert", {"inputShape": "bf", "outputShape": "bf"}), IN_PLACE), IDENTITY), [RELU, RELU]),
    ("Convert that moves copies", both(seq(("nn.Convert", {"inputShape": "bf", "outputShape": "fb"}), IN_PLACE), IDENTITY), [RELU.T, X]),
    (
        "through an entry of SplitTable",
        both(seq(("nn.SplitTable", {"dimension": 2}), ("nn.SelectTable", {"index": 2}), IN_PLACE), IDENTITY),
        [RELU[:, 1], np.stack([X[:, 0], RELU[:, 1], X[:, 2], X[:, 3]], 1)],
    ),
    (
        "a View of a gap-free entry shares, of others copies",
        both(
            seq(("nn.SplitTable", {"dimension": 2}), ("nn.SelectTable", {"index": 1}), ("nn.View", {"size": sizes(1, 2)}), IN_PLACE),
            IDENTITY,
        ),
        [RELU[:, :1].T, X],
    ),
    (
        "Parallel hands out views",
        both(("nn.Parallel", {"modules": [IN_PLACE, IDENTITY], "inputDimension": 1, "outputDimension": 1}), IDENTITY),
        [np.concatenate([RELU[0], X[1]]), np.stack([RELU[0], X[1]])],
    ),
    (
        "CAddTable writes to its first input",
        seq(both(IDENTITY, COPYING), both(("nn.CAddTable", {"inplace": True}), ("nn.SelectTable", {"index": 1}))),
        [X + RELU, X + RELU],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("net", "expected"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_what_siblings_see(run_net, net, expected):
    got = run_net(net, X)
    assert len(got) == len(expected)
    for array, wanted in zip(got, expected, strict=True):
        np.testing.assert_array_equal(array, wanted)


def test_a_module_that_runs_twice_overwrites_its_first_output(run_net):
    shared = ("nn.MulConstant", {"constant_scalar": 2})
    got = run_net(("nn.ParallelTable", {"modules": [shared, shared]}), X, X + 1)
    for array in got:
        np.testing.assert_array_equal(array, 2 * (X + 1))


def test_clones_have_separate_outputs(run_net):
    inner = ("nn.MulConstant", {"constant_scalar": 2})
    got = run_net(("nn.MapTable", {"module": inner, "modules": [inner]}), X, X + 1)
    np.testing.assert_array_equal(got, [2 * X, 2 * (X + 1)])


def test_weights_over_one_storage_become_one_initializer(save_t7):
    weight, bias = np.ones((4, 4), np.float32), np.zeros(4, np.float32)
    fields = {"weight": weight, "bias": bias}
    net = seq(("nn.Linear", dict(fields)), ("nn.Tanh", {}), ("nn.Linear", dict(fields)))
    model = converters.load(save_t7(net))
    assert sorted(model.graph.initializers) == ["linear1.bias", "linear1.weight"]


def test_an_earlier_result_of_another_shape_cannot_be_read(run_net):
    shared, first = ("nn.Tanh", {}), ("nn.Narrow", {"dimension": 1, "index": 1, "length": 1})
    view = ("nn.View", {"size": sizes(8)})
    later = seq(first, shared, ("nn.View", {"size": sizes(4)}))
    with pytest.raises(converters.UnsupportedError, match="an earlier run of a module object"):
        run_net(both(seq(shared, view), later), X)


def test_a_branch_of_concat_whose_output_changes_its_shape_is_refused(run_net):
    shared = ("nn.Tanh", {})
    first = ("nn.Narrow", {"dimension": 1, "index": 1, "length": 1})
    net = ("nn.Concat", {"modules": [shared, seq(first, shared)], "dimension": 1})
    with pytest.raises(converters.UnsupportedError, match="changes the shape of an output from 2x4 to 1x4"):
        run_net(net, X)


def test_a_module_that_makes_a_new_output_leaves_other_numbers_in_the_old_one(run_net):
    shared = ("nn.SAdd", {"addend": 2, "negate": False})
    np.testing.assert_array_equal(run_net(seq(shared, shared), X), [X + 4])
    with pytest.raises(converters.UnsupportedError, match="an earlier run of a module object"):
        run_net(("nn.ParallelTable", {"modules": [shared, shared]}), X, X + 1)


def test_dropout_of_the_package_rnn_returns_its_input(run_net):
    fields = {"p": 0.5, "v2": True, "inplace": True}
    for lazy, seen in ((None, [X + 1, X + 1]), (False, [X, X + 1])):
        shared = ("nn.Dropout", fields if lazy is None else {**fields, "lazy": lazy})
        got = run_net(("nn.ParallelTable", {"modules": [shared, shared]}), X, X + 1)
        np.testing.assert_array_equal(got, seen)


def test_a_sequencer_overwrites_its_first_outputs(run_net):
    shared = ("nn.Sequencer", {"module": ("nn.Recursor", {"recurrentModule": ("nn.Tanh", {})})})
    got = run_net(
        ("nn.ParallelTable", {"modules": [seq(("nn.SplitTable", {"dimension": 1}), shared)] * 2}), X, X + 1
    )
    np.testing.assert_allclose(got, [*np.tanh(X + 1)] * 2, atol=1e-6)


def test_an_entry_of_a_dimension_of_one_is_free_of_gaps(run_net):
    entry = seq(
        ("nn.SplitTable", {"dimension": 2}),
        ("nn.SelectTable", {"index": 1}),
        ("nn.Reshape", {"size": sizes(4, 1)}),
        IN_PLACE,
    )
    got = run_net(both(entry, IDENTITY), X[:1].T)
    np.testing.assert_array_equal(got[1], RELU[:1].T)


def test_convert_that_folds_dimensions_shares_its_storage(run_net):
    folded = seq(("nn.Convert", {"inputShape": "bct", "outputShape": "bf"}), IN_PLACE)
    got = run_net(both(folded, IDENTITY), X.reshape(2, 2, 2))
    for array, shape in zip(got, [(2, 4), (2, 2, 2)], strict=True):
        np.testing.assert_array_equal(array, RELU.reshape(shape))


def test_working_in_place_on_copies_in_one_storage_is_refused(run_net):
    net = seq(("nn.Replicate", {"nfeatures": 3}), IN_PLACE)
    with pytest.raises(converters.UnsupportedError, match="works in place, on storage that all copies share"):
        run_net(net, X)
