"""Comparison of weights: the counts are those that training recorded, the statistics those of numpy."""

from __future__ import annotations

import json

import numpy as np
import pytest

import converters
from zoo.catalog.catalog import Catalog
from zoo.errors import UsageError
from zoo.store.cache import Cache
from zoo.store.converted import source_net
from zoo.verification.weights import (
    CHUNK_VALUES,
    Weight,
    class_names,
    compare_weights,
    pair_weights,
    total_classes,
    weights_of,
)

CATALOG = Catalog.load()


def net(name: str, cache: Cache) -> list[Weight]:
    return weights_of(source_net(CATALOG.get(name), cache).model)


@pytest.fixture
def cache(tmp_path) -> Cache:
    return Cache(tmp_path)


def test_the_zeros_are_those_that_the_training_left(cache):
    """The notes of the two models state the counts that the training scripts printed."""
    rows = [
        compare_weights(*both)
        for both in pair_weights(net("digits-caffe-dsd", cache), net("digits-caffe-sparse", cache))
    ]
    zeros = {row.name: row.zeros for row in rows if row.prunable}
    assert zeros == {
        "conv1.weight": (0, 172),
        "conv2.weight": (0, 691),
        "ip1.weight": (1483, 9830),
        "ip2.weight": (49, 256),
    }
    assert sorted(row.size for row in rows if not row.prunable) == [10, 16, 24, 64]


def test_the_parameters_of_a_torch7_net_include_its_statistics(cache):
    weights = net("digits-torch7-dsd", cache)
    assert sum(weight.array.size for weight in weights) == CATALOG.get("digits-torch7-dsd").parameters
    assert sum(weight.name.endswith("running_mean") for weight in weights) == 9
    assert all(weight.is_finite for weight in weights)


@pytest.mark.parametrize("size", [7, CHUNK_VALUES, CHUNK_VALUES + 3])
def test_the_statistics_are_those_of_numpy(size):
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1, size)).astype(np.float32)
    y = (0.9 * x + 0.1 * rng.standard_normal((1, size)) + 5).astype(np.float32)
    x[0, :3], y[0, 2] = 0, 0
    row = compare_weights(Weight("a", x), Weight("b", y))
    assert row.zeros == (3, 1)
    assert row.equal == np.count_nonzero(x == y)
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    assert row.correlation == pytest.approx(np.corrcoef(wide_x, wide_y)[0, 1], abs=1e-9)
    assert row.rms == pytest.approx((np.sqrt((wide_x**2).mean()), np.sqrt((wide_y**2).mean())))
    for counts, values in zip(row.classes, (wide_x, wide_y), strict=True):
        assert sum(counts) == size
        magnitudes = np.abs(values) / row.rms[1]
        assert counts[0] == np.count_nonzero(values == 0)
        assert counts[3] == np.count_nonzero((magnitudes >= 0.25) & (magnitudes < 0.5))
        assert counts[-1] == np.count_nonzero(magnitudes >= 4)


def test_what_is_constant_has_no_correlation():
    ones = Weight("a", np.ones((2, 3), np.float32))
    zeros = Weight("b", np.zeros((2, 3), np.float32))
    row = compare_weights(ones, zeros)
    assert row.correlation is None
    assert row.rms == (1.0, 0.0)
    assert (sum(row.classes[0]), row.classes[1][0]) == (6, 6)


def test_values_that_are_no_numbers_are_found():
    array = np.zeros(CHUNK_VALUES + 5, np.float32)
    array[-1] = np.nan
    assert not Weight("a", array).is_finite
    array[-1] = -np.inf
    assert not Weight("a", array).is_finite


def weight(name: str, *shape: int) -> Weight:
    return Weight(name, np.zeros(shape, np.float32))


def test_parameters_are_paired_by_name_else_by_position():
    first = [weight("x.weight", 2, 3), weight("x.bias", 2)]
    assert [(a.name, b.name) for a, b in pair_weights(first, first[::-1])] == [
        ("x.weight", "x.weight"),
        ("x.bias", "x.bias"),
    ]
    renamed = [weight("y.weight", 2, 3), weight("y.bias", 2)]
    assert [(a.name, b.name) for a, b in pair_weights(first, renamed)] == [
        ("x.weight", "y.weight"),
        ("x.bias", "y.bias"),
    ]


@pytest.mark.parametrize(
    ("second", "message"),
    [
        (
            [weight("x.weight", 3, 2), weight("x.bias", 2)],
            "x.weight is 2x3, where the other net has x.weight, 3x2",
        ),
        ([weight("x.weight", 2, 3)], "2 parameter arrays against 1"),
    ],
)
def test_nets_of_other_shapes_are_not_paired(second, message):
    with pytest.raises(UsageError, match=message):
        pair_weights([weight("x.weight", 2, 3), weight("x.bias", 2)], second)


def test_constants_of_the_graph_are_no_weights(shared):
    """A ResNet has a shape among its initializers. Its parameters: 11,689,512 learned, 9,600 statistics."""
    model = converters.load(shared / "corpus" / "torch7-models" / "resnet18-full" / "net.t7")
    assert sum(weight.array.size for weight in weights_of(model)) == 11_689_512 + 9_600
    assert CATALOG.get("resnet18-dsd").parameters == 11_689_512 + 9_600


def test_classes_are_named_and_summed():
    rows = [
        compare_weights(Weight("w", np.eye(4, dtype=np.float32)), Weight("w", np.eye(4, dtype=np.float32)))
    ]
    names = class_names()
    assert (names[0], names[1], names[-1]) == ("exactly 0", "0 to 0.1", "above 4")
    assert dict(zip(names, total_classes(rows, 0), strict=True))["exactly 0"] == 12
    assert dict(zip(names, total_classes(rows, 1), strict=True))["2 to 4"] == 4


def test_the_command_prints_and_dumps_the_comparison(monkeypatch, capsys):
    from zoo.cli.main import main

    def run(*arguments: str) -> tuple[object, str, str]:
        monkeypatch.setattr("sys.argv", ["dsd-zoo", "inspect", "--weights", *arguments])
        with pytest.raises(SystemExit) as caught:
            main()
        return caught.value.code, *capsys.readouterr()

    code, out, _ = run("digits-caffe-sparse", "digits-caffe-baseline")
    assert code == 0
    lines = {line.split()[0]: line.split() for line in out.splitlines() if line.strip()}
    assert lines["ip1.weight"][:5] == ["ip1.weight", "64x384", "24,576", "40.00", "%"]
    code, out, _ = run("digits-caffe-sparse", "digits-caffe-baseline", "--json")
    data = json.loads(out)
    assert data["arrays"][0]["zeros"] == [172, 0]
    assert len(data["arrays"][0]["classes"][0]) == len(data["classes"])
    code, _, err = run("digits-caffe-sparse", "digits-torch7-sparse")
    assert code == 2
    assert "not the same architecture" in err
    code, _, err = run("digits-caffe-sparse")
    assert code == 2
    assert "--weights compares two nets, A B; 1 given" in err
