"""Deep and long Torch7 files: answered, by both writers, and at a cost in proportion to their size."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from limited import memory_limit

import converters
from converters.from_torch7.contents import SHOWN_CHARACTERS

MODULES = 5_000


def sequential(modules: list[object]) -> tuple[str, dict]:
    return "nn.Sequential", {"modules": modules}


@pytest.mark.parametrize(
    "module",
    [
        lambda k: ("nn.Tanh", {}),
        lambda k: ("nn.Linear", {"weight": np.eye(3, dtype="f4"), "bias": np.ones(3, "f4")}),
        lambda k: ("nn.View", {"size": ("storage", np.array([1, 3])), "numElements": 3.0}),
    ],
    ids=["Tanh", "Linear", "View"],
)
def test_long_torch7_nets(module: Callable[[int], tuple], save_t7, tmp_path: Path) -> None:
    count = 1_500 if module(0)[0] == "nn.Linear" else MODULES
    path = save_t7(sequential([module(k) for k in range(count)]))
    model = converters.load(path, input_shapes={"input": (1, 3)})
    assert model.meta["report"].layers == count
    converters.save(model, tmp_path / "net.onnx")
    converters.save(model, tmp_path / "net.py")
    compile((tmp_path / "net.py").read_text(), "net.py", "exec")


def test_views_of_views_changed_in_place_are_answered(save_t7) -> None:
    view = "nn.View", {"size": ("storage", np.array([1, 3])), "numElements": 3.0}
    modules = [dict(view[1]) if k % 2 else {"inplace": True} for k in range(MODULES)]
    net = sequential([("nn.View" if k % 2 else "nn.ReLU", fields) for k, fields in enumerate(modules)])
    with pytest.raises(converters.LimitError, match="views of views"):
        converters.load(save_t7(net), input_shapes={"input": (1, 3)})


@pytest.mark.parametrize("doubled", [True, False], ids=["doubled", "nested"])
def test_tables_that_grow_from_module_to_module(doubled: bool, save_t7) -> None:
    """2^40 tensors by reference, and a table in a table in a table ..."""
    identities = [("nn.Identity", {}) for _ in range(1 + doubled)]
    net = sequential([("nn.ConcatTable", {"modules": identities}) for _ in range(40 if doubled else MODULES)])
    with pytest.raises(converters.LimitError, match=r"gives a table of more than|runs its modules more than"):
        converters.load(save_t7(net), input_shapes={"input": (1, 3)})


def integers(*values: int) -> bytes:
    return struct.pack(f"<{len(values)}i", *values)


def text(value: str) -> bytes:
    return integers(len(value)) + value.encode()


def tensor(index: int, sizes: list[int], strides: list[int], storage: bytes) -> bytes:
    numbers = struct.pack(f"<{2 * len(sizes) + 1}q", *sizes, *strides, 1)
    return (
        integers(4, index)
        + text("V 1")
        + text("torch.FloatTensor")
        + integers(len(sizes))
        + numbers
        + storage
    )


def float_storage(index: int, count: int) -> bytes:
    head = integers(4, index) + text("V 1") + text("torch.FloatStorage")
    return head + struct.pack("<q", count) + bytes(4 * count)


def nested_tables(depth: int, key: str) -> bytes:
    """Tables in tables, each with a tensor."""
    entry = integers(2) + text("w")
    parts = [
        integers(3, 3 * k + 1, 2)
        + entry
        + tensor(3 * k + 2, [1], [1], float_storage(3 * k + 3, 1))
        + integers(2)
        + text(key)
        for k in range(depth)
    ]
    return b"".join(parts) + integers(0)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(("depth", "key"), [(10_000, "a"), (2_000, "a key of some length")])
def test_deeply_nested_tables_cost_their_length_once(depth: int, key: str, tmp_path: Path) -> None:
    path = write(tmp_path / "net.t7", nested_tables(depth, key))
    with memory_limit(300 * 2**20):
        inspection = converters.inspect(path)
        with pytest.raises(converters.UnsupportedError, match="this is data, not a network"):
            converters.load(path)
        with pytest.raises(converters.LimitError, match="the paths of the tensors take more than"):
            converters.convert(path, tmp_path / "net.safetensors")
    assert inspection.parameters == depth
    assert f"of {depth + 1:,} entries are listed" in inspection.notes[-1]
    assert max(len(row.name) for row in inspection.layers) <= SHOWN_CHARACTERS + 3


def test_a_table_of_many_numbers_is_listed_in_part(tmp_path: Path) -> None:
    numbers = b"".join(struct.pack("<idid", 1, k + 1, 1, k) for k in range(100_000))
    inspection = converters.inspect(write(tmp_path / "net.t7", integers(3, 1, 100_000) + numbers))
    assert len(inspection.layers) == 1_000


@pytest.mark.parametrize(
    ("sizes", "strides"),
    [([100_000, 100_000], [1, 1]), ([100_000, 100_000], [0, 1]), ([10_000, 10_000], [1, 0])],
)
def test_tensors_larger_than_their_storage_are_bounded(
    sizes: list[int], strides: list[int], tmp_path: Path
) -> None:
    path = write(tmp_path / "net.t7", tensor(1, sizes, strides, float_storage(2, 200_000)))
    with memory_limit(200 * 2**20), pytest.raises(converters.LimitError, match="expanded from a smaller one"):
        converters.convert(path, tmp_path / "net.safetensors")


def test_so_are_many_that_are_each_small(tmp_path: Path) -> None:
    views = [
        struct.pack("<id", 1, k + 1)
        + tensor(k + 10, [2_000, 2_000], [1, 1], float_storage(5, 4_000) if k == 0 else integers(4, 5))
        for k in range(500)
    ]
    path = write(tmp_path / "net.t7", integers(3, 1, len(views)) + b"".join(views))
    with (
        memory_limit(200 * 2**20),
        pytest.raises(converters.LimitError, match="show their storages so many times"),
    ):
        converters.convert(path, tmp_path / "net.safetensors")


def test_each_size_of_an_empty_tensor_is_bounded(tmp_path: Path) -> None:
    path = write(tmp_path / "net.t7", tensor(1, [0, 2**62, 2**62], [1, 1, 1], integers(0)))
    for function in (converters.load, converters.inspect):
        with pytest.raises(converters.FormatError, match="a size is larger than any memory"):
            function(path)
