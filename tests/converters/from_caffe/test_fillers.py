"""Initial weights: held against the distributions that Caffe's filler.hpp states, as scipy has them."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from corpus_cases import CORPUS
from scipy import stats

import converters

# A convolution of 40 x 12 x 3 x 3: 108 inputs for an output, 360 outputs for an input.
SHAPE, FAN_IN, FAN_OUT = (40, 12, 3, 3), 108, 360


def conv_net(filler: str, more: str = "") -> str:
    return (
        'input: "data" input_shape { dim: 1 dim: 12 dim: 8 dim: 8 } '
        'layer { name: "c" type: "Convolution" bottom: "data" top: "c" convolution_param { '
        f"num_output: 40 kernel_size: 3 weight_filler {{ {filler} }} }} }} {more}"
    )


def weights(tmp_path, text: str, seed: int = 1) -> dict[str, np.ndarray]:
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    return converters.weights_of(converters.load(path, init=seed))


def uniform(low: float, high: float):
    return stats.uniform(low, high - low)


def xavier(n: float):
    return uniform(-sqrt(3 / n), sqrt(3 / n))


DISTRIBUTIONS = {
    'type: "uniform"': uniform(0, 1),
    'type: "uniform" min: -0.3 max: 0.1': uniform(-0.3, 0.1),
    'type: "gaussian"': stats.norm(0, 1),
    'type: "gaussian" mean: 2 std: 0.05': stats.norm(2, 0.05),
    'type: "xavier"': xavier(FAN_IN),
    'type: "xavier" variance_norm: FAN_OUT': xavier(FAN_OUT),
    'type: "xavier" variance_norm: AVERAGE': xavier((FAN_IN + FAN_OUT) / 2),
    'type: "msra"': stats.norm(0, sqrt(2 / FAN_IN)),
    'type: "msra" variance_norm: FAN_OUT': stats.norm(0, sqrt(2 / FAN_OUT)),
    'type: "msra" variance_norm: AVERAGE': stats.norm(0, sqrt(2 / ((FAN_IN + FAN_OUT) / 2))),
}


@pytest.mark.parametrize("filler", DISTRIBUTIONS)
def test_values_follow_the_distribution(tmp_path, filler):
    made = weights(tmp_path, conv_net(filler))["c.weight"]
    assert made.shape == SHAPE
    assert made.dtype == np.float32
    wanted = DISTRIBUTIONS[filler]
    # 4320 values; the seed is fixed, so this does not depend on chance.
    assert stats.kstest(made.ravel(), wanted.cdf).pvalue > 0.01
    low, high = wanted.support()
    assert low <= made.min()
    assert made.max() <= high
    assert abs(np.corrcoef(made.ravel()[:-1], made.ravel()[1:])[0, 1]) < 0.05


def test_a_sparse_gaussian_keeps_so_many_weights_of_an_output(tmp_path):
    made = weights(tmp_path, conv_net('type: "gaussian" std: 0.5 sparse: 10'))["c.weight"]
    kept = made[made != 0]
    # Each is kept with probability 10 / 40, the number of outputs.
    assert stats.binomtest(kept.size, made.size, 10 / 40).pvalue > 0.01
    assert stats.kstest(kept, stats.norm(0, 0.5).cdf).pvalue > 0.01


def test_the_inputs_of_each_output_sum_to_one_in_a_positive_unitball(tmp_path):
    made = weights(tmp_path, conv_net('type: "positive_unitball"'))["c.weight"]
    assert (made >= 0).all()
    np.testing.assert_allclose(made.reshape(40, -1).sum(axis=1), 1, rtol=1e-5)
    rows = made.reshape(40, -1)
    # A uniform value over the sum of all: its share of the largest of the row is uniform again.
    assert stats.kstest((rows / rows.max(axis=1, keepdims=True)).ravel(), "uniform").pvalue > 1e-3


def test_constant_and_bilinear_have_no_chance_in_them(tmp_path):
    made = weights(tmp_path, conv_net('type: "constant" value: 0.25'))
    assert (made["c.weight"] == 0.25).all()
    assert (made["c.bias"] == 0).all()
    text = (
        'input: "data" input_shape { dim: 1 dim: 2 dim: 4 dim: 4 } layer { name: "u" type: "Deconvolution" '
        'bottom: "data" top: "u" convolution_param { num_output: 2 group: 2 kernel_size: 4 stride: 2 '
        'bias_term: false weight_filler { type: "bilinear" } } }'
    )
    row = np.array([0.25, 0.75, 0.75, 0.25])
    np.testing.assert_array_equal(weights(tmp_path, text)["u.weight"][0, 0], np.outer(row, row))


def test_a_seed_gives_the_same_weights_whatever_other_layers_there_are(tmp_path):
    other = (
        'layer { name: "d" type: "InnerProduct" bottom: "c" top: "d" inner_product_param { num_output: 5 '
        'weight_filler { type: "xavier" } } }'
    )
    plain = weights(tmp_path, conv_net('type: "xavier"'), seed=7)["c.weight"]
    assert np.array_equal(weights(tmp_path, conv_net('type: "xavier"', other), seed=7)["c.weight"], plain)
    assert not np.array_equal(weights(tmp_path, conv_net('type: "xavier"'), seed=8)["c.weight"], plain)


def test_layers_that_share_a_parameter_get_one_array(tmp_path):
    layer = (
        'layer {{ name: "{0}" type: "InnerProduct" bottom: "data" top: "{0}" param {{ name: "w" }} '
        'inner_product_param {{ num_output: 3 bias_term: false weight_filler {{ type: "msra" }} }} }} '
    )
    text = 'input: "data" input_shape { dim: 2 dim: 5 } ' + layer.format("a") + layer.format("b")
    assert list(weights(tmp_path, text)) == ["a.weight"]


def test_statistics_start_at_zero_and_a_scale_at_one_as_in_caffe(tmp_path):
    text = (
        'input: "data" input_shape { dim: 2 dim: 3 dim: 4 dim: 4 } '
        'layer { name: "bn" type: "BatchNorm" bottom: "data" top: "bn" } '
        'layer { name: "sc" type: "Scale" bottom: "bn" top: "bn" scale_param { bias_term: true } }'
    )
    made = weights(tmp_path, text)
    expected = {"bn.running_mean": 0, "bn.running_var": 0, "sc.scale": 1, "sc.bias": 0}
    assert {name: set(array.tolist()) for name, array in made.items()} == {
        name: {value} for name, value in expected.items()
    }


@pytest.mark.parametrize(
    ("filler", "message"),
    [
        ('type: "glorot"', "the filler 'glorot' is not known: expected constant"),
        ('type: "xavier" sparse: 3', "only a gaussian filler can be sparse"),
        ('type: "uniform" min: 1 max: 0', "min 1 above max 0"),
        ('type: "gaussian" std: -1', "negative std"),
        ('type: "gaussian" sparse: 41', "keeps 41 of 40"),
    ],
)
def test_a_filler_without_meaning_is_an_error_that_names_the_layer(tmp_path, filler, message):
    with pytest.raises(converters.ConverterError, match=message) as caught:
        weights(tmp_path, conv_net(filler))
    assert "layer 'c' (Convolution), its weight" in str(caught.value)


def test_an_enormous_layer_allocates_nothing(tmp_path):
    text = (
        'input: "data" input_shape { dim: 1 dim: 40000 } layer { name: "f" type: "InnerProduct" '
        'bottom: "data" top: "f" inner_product_param { num_output: 40000 weight_filler { type: "msra" } } }'
    )
    with pytest.raises(converters.UnsupportedError, match="the most is 268,435,456"):
        weights(tmp_path, text)


def test_without_a_seed_it_is_still_an_error(tmp_path):
    path = tmp_path / "net.prototxt"
    path.write_text(conv_net('type: "xavier"'))
    with pytest.raises(converters.MismatchError, match="--init SEED"):
        converters.load(path)


def test_a_net_that_needs_no_initial_weights_takes_no_seed(tmp_path):
    with pytest.raises(converters.UsageError, match="init"):
        converters.load(CORPUS / "torch7-models" / "vgg-like" / "net.t7", init=0)
    with pytest.raises(converters.UsageError, match="from 0 on"):
        converters.load(CORPUS / "torch7-models" / "vgg-like" / "net.t7", init=-1)
