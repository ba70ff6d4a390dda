"""Which inputs a net has: what its modules expect, and what the caller says."""

from __future__ import annotations

import numpy as np
import pytest
from corpus_cases import CORPUS
from torch7_cases import assert_same, recorded, run_model, values

import converters

MODELS = CORPUS / "torch7-models"
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


@pytest.mark.parametrize("batch", [1, 3])
def test_a_given_shape_may_leave_the_batch_open(batch):
    inputs, wanted = recorded(MODELS / "nin-like")
    shape = ("N", *inputs["input"].shape[1:])
    model = converters.load(MODELS / "nin-like" / "net.t7", input_shapes={"input": shape})
    image = np.repeat(inputs["input"][:1], batch, axis=0)
    assert_same(
        run_model(model, {"input": image}), {"output": np.repeat(wanted["output"][:1], batch, axis=0)}
    )
