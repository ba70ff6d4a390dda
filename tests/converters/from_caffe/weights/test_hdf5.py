"""Caffe's HDF5 weights: shared parameters are stored once, all others must be there."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Mapping
from pathlib import Path

import h5py
import numpy as np
import pytest
from reference_nets import assert_close, exposed, layer, shared

import converters
from converters.from_caffe.weights.hdf5 import MOST_COMPRESSION, Hdf5Weights

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


def _external_link(file: h5py.File, other: Path) -> None:
    file["data/one/0"] = h5py.ExternalLink(other.name, "/data/one/0")


def _link_to_a_whole_group(file: h5py.File, other: Path) -> None:
    file["data/one"] = h5py.ExternalLink(other.name, "/data/one")


def _everything_elsewhere(file: h5py.File, other: Path) -> None:
    file["data"] = h5py.ExternalLink(other.name, "/data")


def _soft_link(file: h5py.File, other: Path) -> None:
    file["elsewhere"] = np.ones((2, 12), np.float32)
    file["data/one/0"] = h5py.SoftLink("/elsewhere")


def _dangling_link(file: h5py.File, other: Path) -> None:
    file["data/one/0"] = h5py.SoftLink("/nowhere")


def _virtual_dataset(file: h5py.File, other: Path) -> None:
    layout = h5py.VirtualLayout((2, 12), np.float32)
    layout[:] = h5py.VirtualSource(str(other), "data/one/0", shape=(2, 12))
    file.create_virtual_dataset("data/one/0", layout)


def _raw_storage_outside(file: h5py.File, other: Path) -> None:
    file.create_dataset("data/one/0", (2, 12), np.float32, external=[(str(other), 0, 96)])


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (_external_link, "/data/one/0 is a link to the file 'other.h5'"),
        (_link_to_a_whole_group, "/data/one is a link to the file 'other.h5'"),
        (_everything_elsewhere, "/data is a link to the file 'other.h5'"),
        (_soft_link, "/data/one/0 is a link to '/elsewhere'"),
        (_dangling_link, "/data/one/0 is a link to '/nowhere'"),
        (_virtual_dataset, "/data/one/0 is a virtual dataset"),
        (_raw_storage_outside, "/data/one/0 keeps its values in another file, .*other.h5"),
    ],
)
def test_weights_from_elsewhere_are_refused_by_name(
    make: Callable[[h5py.File, Path], None], said: str, tmp_path: Path
) -> None:
    other = write_h5(tmp_path, {"one": {0: np.full((2, 12), 7.0)}}).rename(tmp_path / "other.h5")
    path = tmp_path / "net.caffemodel.h5"
    with h5py.File(path, "w") as file:
        make(file, other)
    with pytest.raises(converters.FormatError, match=said):
        Hdf5Weights.open(path)


def test_the_bound_on_size_holds_for_all_links_together(tmp_path: Path) -> None:
    """Many names for one dataset: each is small beside the file, and all of them are not."""
    path = tmp_path / "net.caffemodel.h5"
    with h5py.File(path, "w") as file:
        blob = file.create_dataset(
            "data/one/0", (1000, 100), np.float32, chunks=(1000, 100), compression="gzip"
        )
        for k in range(200):
            file[f"data/layer{k}/0"] = blob
    assert 100_000 * 4 < MOST_COMPRESSION * path.stat().st_size < 200 * 100_000 * 4
    with pytest.raises(converters.FormatError, match="all blobs together may claim"):
        Hdf5Weights.open(path)


def test_each_size_is_bounded_also_beside_a_size_of_0(tmp_path: Path) -> None:
    path = tmp_path / "net.caffemodel.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/one/0", (0, 2**40), np.float32)
    with pytest.raises(converters.FormatError, match=r"/data/one/0 claims the shape \(0, 1099511627776\)"):
        Hdf5Weights.open(path)


@pytest.mark.parametrize("case", ["h5-basic", "h5-shared"])
def test_any_damage_is_our_error(case: str, corpus: Path, tmp_path: Path) -> None:
    """Bytes of the group tree, and several anywhere; what can still be read is read."""
    original = (corpus / "caffe" / case / "net.caffemodel.h5").read_bytes()
    path, chosen, refused = tmp_path / "net.caffemodel.h5", random.Random(1), 0
    for k in range(200):
        damaged = bytearray(original)
        for _ in range(1 + k % 4):
            damaged[chosen.randrange(2048 if k % 2 else len(damaged))] = chosen.choice([0, 1, 0x80, 0xFF])
        path.write_bytes(damaged)
        with contextlib.suppress(converters.FormatError):
            refused -= 1
            Hdf5Weights.open(path)
            refused += 1
    assert refused < 0  # some of it was damage
