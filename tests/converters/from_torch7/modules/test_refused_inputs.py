"""Nets that Torch refuses, and nets that cannot be converted: each error says why."""

from __future__ import annotations

import numpy as np
import pytest
from torch7_cases import X2, X3, X4, sizes, values

import converters

BIAS = values(4, seed=3)
GATES = np.abs(values(3, 2))


@pytest.mark.parametrize(
    ("name", "fields", "given", "message"),
    [
        ("nn.GatedLinearUnit", {}, X3[..., :5], "cannot halve 5 entries"),
        ("nn.View", {"size": sizes(6), "numInputDims": 3}, X2, "takes 3 dimensions or more, not 3x6"),
        ("nn.Unsqueeze", {"pos": 2, "numInputDims": 3}, X2, "position 1 is not in or behind 2 dimensions"),
        ("nn.Select", {"dimension": 1, "index": 1}, X2[0], "an entry of a vector is no tensor"),
        ("nn.AddConstant", {"constant_scalar": values(6)}, X3, "its vector fits 1-D or 2-D input, not 4x5x6"),
        ("nn.PReLU", {"nOutputPlane": 4, "weight": BIAS}, X2, "takes 4 channels, but 6 arrive"),
        ("nn.TemporalDynamicKMaxPooling", {"minK": 6}, X3, "takes the 6 largest of 5"),
        (
            "nn.SpatialReflectionPadding",
            {"pad_l": 0, "pad_r": 6, "pad_t": 0, "pad_b": 0},
            X3,
            "6 entries cannot be mirrored over 6",
        ),
        ("nn.Padding", {"dim": 1, "pad": 1, "index": 5}, X2, "pads at index 5 of 3 entries"),
        (
            "nn.SpatialZeroPadding",  # it pads in Lua, where the sizes then contradict each other
            {"pad_l": 1.5, "pad_r": 1.5, "pad_t": 0, "pad_b": 0},
            X4,
            "field 'pad_l' should be a whole number, but is 1.5",
        ),
    ],
)
def test_what_torch_refuses(run_net, name, fields, given, message):
    with pytest.raises(converters.ConverterError, match=message):
        run_net((name, fields), given)


@pytest.mark.parametrize(
    ("name", "fields", "given", "message"),
    [
        ("nn.Bilinear", {"weight": values(2, 6, 5)}, [X2, X3[0]], "takes 5 channels, but 6 arrive"),
        (
            "nn.Bilinear",
            {"weight": values(2, 6, 6)},
            [X2, X2[:2]],
            "takes two matrices of equally many rows, but 3 and 2 arrive",
        ),
        ("nn.MM", {}, [X3, X3[:2].swapaxes(1, 2)], "cannot multiply 4x5x6 and 2x6x5"),
        ("nn.MaskedSelect", {}, [X2, X2[0] > 0], "cannot reshape 6 to 3x6: the numbers of elements differ"),
        ("nn.MixtureTable", {}, [GATES, X2[:1], X2[:1]], "gates of 3x1 do not fit an expert of 1x6"),
        ("nn.DotProduct", {}, [X2, X2[0]], "cannot reshape 6 to 3x6: the numbers of elements differ"),
    ],
)
def test_tables_that_torch_refuses(run_net, name, fields, given, message):
    with pytest.raises(converters.ConverterError, match=message):
        run_net((name, fields), *given)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (
            ("nn.SpatialFractionalMaxPooling", {}),
            "its pooling regions are random, in evaluation too",
        ),
        (
            ("nn.Dropout", {"p": 0.5, "stochastic_inference": True}),
            "it drops at random in evaluation too (stochastic inference)",
        ),
        (
            ("nn.Sequential", {"modules": [("nn.MSECriterion", {})]}),
            "nn.MSECriterion at 1: a training loss has no place in an inference net",
        ),
        (("cudnn.LSTM", {}), "its weights are in a layout known only to the cuDNN version that wrote them"),
        (("ccn2.SpatialMaxPooling", {"kW": 2}), "the batch is the last dimension of its maps"),
        (("nn.Linar", {}), "no module class of this name is known (the nearest known is Linear)"),
        (("my.Own", {"modules": []}), "my.Own: no module class of this name is known"),
    ],
)
def test_refusals_say_why(run_net, module, message):
    with pytest.raises(converters.UnsupportedError) as error:
        run_net(module, X4)
    assert message in str(error.value)


@pytest.mark.parametrize("name", ["nn.Copy", "nn.Contiguous", "nn.Dropout"])
def test_a_copy_of_a_table_is_refused(run_net, name):
    split = ("nn.SplitTable", {"dimension": 1})
    with pytest.raises(converters.FormatError, match="takes a tensor, but a table"):
        run_net(("nn.Sequential", {"modules": [split, (name, {})]}), X2)


@pytest.mark.parametrize(("fields", "shape"), [({}, ("N", 4, "H", 1)), ({"dim": 1}, ("N", 4))])
def test_squeezing_away_an_open_size_needs_it(save_t7, fields, shape):
    with pytest.raises(converters.StaticSizeRequired, match="a size of its input must be known beforehand"):
        converters.load(save_t7(("nn.Squeeze", fields)), input_shapes={"input": shape})


def test_squeezing_away_all_but_an_open_batch(save_t7):
    model = converters.load(save_t7(("nn.Squeeze", {})), input_shapes={"input": ("N", 4, 1, 1)})
    assert model.meta["report"].outputs == {"output": "Nx4"}
