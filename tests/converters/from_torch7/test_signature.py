"""Which inputs a net has: what its modules expect, and what the caller says."""

from __future__ import annotations

import numpy as np
import pytest
from corpus_cases import CORPUS
from torch7_cases import assert_same, recorded, run_model, sizes, values

import converters

MODELS = CORPUS / "torch7-models"


def conv(inputs: int, outputs: int) -> tuple:
    """A 3x3 convolution."""
    fields = {"kH": 3, "kW": 3, "nInputPlane": inputs, "nOutputPlane": outputs}
    return "nn.SpatialConvolution", {"weight": values(outputs, inputs, 3, 3), **fields}


LINEAR = ("nn.Linear", {"weight": values(4, 6), "bias": values(4)})


@pytest.mark.parametrize("dtype", [np.float64, np.uint8, np.int64])
def test_a_copy_in_front_says_what_type_the_net_takes(save_t7, dtype):
    copy = ("nn.Copy", {"gradInput": np.ones(1, dtype), "output": np.ones(1, np.float32)})
    net = ("nn.Sequential", {"modules": [copy, LINEAR], "_type": "torch.FloatTensor"})
    model = converters.load(save_t7(net))
    assert model.graph.inputs[0].dtype.numpy() == dtype
    assert model.graph.outputs[0].dtype.numpy() == np.float32


def test_sizes_that_the_net_leaves_open_stay_open():
    model = converters.load(MODELS / "resnet18-thin" / "net.t7")
    assert model.meta["report"].inputs == {"input": "Nx3xHxW"}


def test_a_net_that_needs_a_size_asks_for_it_by_name():
    with pytest.raises(converters.StaticSizeRequired) as error:
        converters.load(MODELS / "nin-like" / "net.t7")
    assert "--input-shape input=N,3,224,224" in str(error.value)


def test_a_view_that_no_batch_size_fits_says_its_sum(save_t7):
    view = ("nn.View", {"size": sizes(36)})
    net = ("nn.Sequential", {"modules": [conv(3, 4), view, ("nn.Linear", {"weight": values(2, 36)})]})
    with pytest.raises(
        converters.StaticSizeRequired, match="N x 4 x H_1 x W_1 elements become samples of 36"
    ):
        converters.load(save_t7(net))
    with pytest.raises(converters.FormatError) as error:
        converters.load(save_t7(net), input_shapes={"input": ("N", 3, 7, 6)})
    assert str(error.value).endswith(
        "nn.View at 2: N x 4 x 5 x 4 = 80*N elements do not divide into parts of 36"
    )
    assert (
        converters.load(save_t7(net), input_shapes={"input": ("N", 3, 5, 5)}).graph.outputs[0].shape[1] == 2
    )


def test_what_follows_a_product_of_open_sizes_needs_them(save_t7):
    view = ("nn.View", {"size": sizes(-1), "numInputDims": 3})
    last = ("nn.Sequential", {"modules": [conv(3, 4), view]})
    assert converters.load(save_t7(last)).meta["report"].outputs == {"output": "Nx4*P_1"}
    net = ("nn.Sequential", {"modules": [conv(3, 4), view, ("nn.SoftMax", {})]})
    with pytest.raises(converters.StaticSizeRequired, match=r"nn\.View at 2: gives Nx4\*P_1, a"):
        converters.load(save_t7(net))


def test_unpooling_asks_for_sizes(save_t7):
    pooling = ("nn.SpatialMaxPooling", {"kH": 2, "kW": 2, "dH": 2, "dW": 2})
    unpooling = ("nn.SpatialMaxUnpooling", {"pooling": pooling})
    net = ("nn.Sequential", {"modules": [conv(3, 4), pooling, unpooling]})
    with pytest.raises(converters.StaticSizeRequired, match="such as --input-shape input=N,3,224,224"):
        converters.load(save_t7(net))


@pytest.mark.parametrize("batch", [1, 3])
def test_a_given_shape_may_leave_the_batch_open(batch):
    inputs, wanted = recorded(MODELS / "nin-like")
    shape = ("N", *inputs["input"].shape[1:])
    model = converters.load(MODELS / "nin-like" / "net.t7", input_shapes={"input": shape})
    image = np.repeat(inputs["input"][:1], batch, axis=0)
    assert_same(
        run_model(model, {"input": image}), {"output": np.repeat(wanted["output"][:1], batch, axis=0)}
    )
