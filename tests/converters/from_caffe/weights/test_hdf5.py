"""Caffe's HDF5 weights: shared parameters are stored once, all others must be there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
from reference_nets import assert_close, exposed, layer, shared

import converters

X = np.random.default_rng(0).standard_normal((2, 4, 3))


PRODUCT = "inner_product_param {{ num_output: 2 bias_term: {} {} }}"


def write_h5(folder: Path, blobs: Mapping[str, Mapping[int, np.ndarray]]) -> Path:
    """Caffe's HDF5 weights: blobs by layer name and number."""
    path = folder / "net.caffemodel.h5"
    with h5py.File(path, "w") as file:
        for name, numbered in blobs.items():
            group = file.create_group(f"data/{name}")
            for number, array in numbered.items():
                group.create_dataset(str(number), data=array.astype(np.float32))
    return path


@pytest.mark.parametrize("names", [["", "b"], ["w", ""], ["w", "b"]])
def test_hdf5_leaves_out_what_a_layer_shares(names: list[str], tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    one, two = ([random.standard_normal((2, 12)), random.standard_normal(2)] for _ in range(2))
    kept = {k: two[k] for k in range(2) if not names[k]}
    weights = write_h5(tmp_path, {"one": dict(enumerate(one)), "two": kept})
    net = shared("one", PRODUCT.format("true", ""), "x", "y1", names)
    net += shared("two", PRODUCT.format("true", ""), "x", "y2", names)
    weight, bias = (one[k] if names[k] else two[k] for k in range(2))
    wanted = X.reshape(2, 12) @ weight.T + bias
    assert_close(exposed(tmp_path, net, X, ["y1", "y2"], weights)["y2"], wanted)
    # also where no output needs the layer with which the parameter is stored
    assert_close(exposed(tmp_path, net, X, ["y2"], weights)["y2"], wanted)


def test_hdf5_must_hold_what_a_layer_has_for_itself(tmp_path: Path) -> None:
    weights = write_h5(tmp_path, {"one": {0: np.ones((2, 12))}})
    net = layer("InnerProduct", "x", "y", PRODUCT.format("true", ""), "one")
    with pytest.raises(converters.MismatchError, match="needs its bias"):
        exposed(tmp_path, net, X, ["y"], weights)
