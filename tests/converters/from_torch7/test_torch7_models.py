"""Whole networks against the outputs recorded from the real Torch7."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import converters

MODELS = Path(__file__).resolve().parents[2] / "corpus" / "torch7-models"


@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.iterdir()))
def test_network_gives_the_recorded_outputs(name, check_case):
    check_case(MODELS / name)


@pytest.mark.parametrize("name", ["resnet18-full", "resnet50-full"])
def test_full_width_resnet(name, shared, check_case):
    check_case(shared / "corpus" / "torch7-models" / name)


def test_weights_stay_views_of_the_file():
    model = converters.load(MODELS / "resnet18-thin" / "net.t7")
    (mapped,) = model.meta["maps"].values()
    start = mapped.__array_interface__["data"][0]
    for value in model.graph.initializers.values():
        array = value.const_value.numpy()
        if array.dtype == np.float32 and array.size > 1:
            assert 0 <= array.__array_interface__["data"][0] - start < mapped.nbytes


def test_sizes_that_the_net_leaves_open_stay_open():
    model = converters.load(MODELS / "resnet18-thin" / "net.t7")
    assert model.meta["report"].inputs == {"input": "Nx3xHxW"}


def test_a_net_that_needs_a_size_asks_for_it_by_name():
    with pytest.raises(converters.StaticSizeRequired) as error:
        converters.load(MODELS / "nin-like" / "net.t7")
    assert "--input-shape input=N,3,224,224" in str(error.value)


def test_layers_can_be_asked_for_by_name(check_case):
    model = converters.load(MODELS / "resnet18-thin" / "net.t7", outputs=["maxpool1", "linear1"])
    assert [value.name for value in model.graph.outputs] == ["maxpool1", "linear1"]
    with pytest.raises(converters.UsageError, match="no value called 'maxpol1'; did you mean maxpool1"):
        converters.load(MODELS / "resnet18-thin" / "net.t7", outputs=["maxpol1"])
