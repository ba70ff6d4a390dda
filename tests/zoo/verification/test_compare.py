"""Two forms of one net: the first layer that differs is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from zoo.errors import UsageError
from zoo.verification.compare import compare_nets

NET_PY = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fire_squeeze = nn.Conv2d(3, 4, 1, bias=False)
        self.fire_squeeze.weight.data = torch.tensor({squeeze})
        self.last = nn.Conv2d(4, 5, 1, bias=False)
        self.last.weight.data = torch.tensor({last})

    def forward(self, data):
        return self.last(torch.relu(self.fire_squeeze(data)))


def load(weights=None):
    return Net().eval()
"""


def weights(seed: int = 0) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "squeeze": random.standard_normal((4, 3, 1, 1), np.float32),
        "last": random.standard_normal((5, 4, 1, 1), np.float32),
    }


def write_onnx(
    path: Path, arrays: dict[str, np.ndarray], sizes: tuple[object, ...] = ("N", 3, 4, 4), outputs=("prob",)
) -> Path:
    nodes = [
        helper.make_node("Conv", ["data", "squeeze"], ["squeezed"], name="fire/squeeze"),
        helper.make_node("Relu", ["squeezed"], ["active"], name="fire/relu"),
        helper.make_node("Conv", ["active", "last"], ["prob"], name="last"),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("data", TensorProto.FLOAT, sizes)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(array, name) for name, array in arrays.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def write_torch(path: Path, arrays: dict[str, np.ndarray]) -> Path:
    path.write_text(NET_PY.format(**{name: array.tolist() for name, array in arrays.items()}))
    return path


def test_equal_nets_agree_everywhere(tmp_path: Path) -> None:
    a, b = (write_onnx(tmp_path / name, weights()) for name in ("a.onnx", "b.onnx"))
    found = compare_nets([a], [b])
    assert [row.name for row in found.rows] == ["squeezed", "active", "prob"]
    assert [row.shape for row in found.rows] == [(2, 4, 4, 4), (2, 4, 4, 4), (2, 5, 4, 4)]
    assert [row.difference for row in found.rows] == [0.0, 0.0, 0.0]
    assert found.first_divergence is None


def test_onnx_and_pytorch_are_compared_at_layers_and_outputs(tmp_path: Path) -> None:
    a, b = write_onnx(tmp_path / "a.onnx", weights()), write_torch(tmp_path / "b.py", weights())
    found = compare_nets([a], [b])
    assert [row.name for row in found.rows] == ["squeezed", "prob"]
    assert found.first_divergence is None
    assert [row.name for row in compare_nets([b], [a]).rows] == ["fire_squeeze", "last"]


@pytest.mark.parametrize(("changed", "first"), [("squeeze", "squeezed"), ("last", "prob")])
@pytest.mark.parametrize("form", ["onnx", "torch"])
def test_the_first_divergence_is_the_layer_with_other_weights(tmp_path, changed, first, form) -> None:
    other = weights()
    other[changed] = other[changed] + np.float32(1e-3)
    a = write_onnx(tmp_path / "a.onnx", weights())
    b = write_onnx(tmp_path / "b.onnx", other) if form == "onnx" else write_torch(tmp_path / "b.py", other)
    row = compare_nets([a], [b]).first_divergence
    assert row is not None
    assert not compare_nets([a], [b]).agrees
    assert row.name == first
    assert 1e-5 < row.relative < 1e-2
    assert compare_nets([a], [b], bound=0.5).first_divergence is None


def test_a_value_that_is_no_number_never_agrees(tmp_path: Path) -> None:
    broken = weights()
    broken["last"][0, 0] = np.nan
    a, b = write_onnx(tmp_path / "a.onnx", weights()), write_onnx(tmp_path / "b.onnx", broken)
    row = compare_nets([a], [b], bound=1e9).first_divergence
    assert row is not None
    assert (row.name, row.difference) == ("prob", np.inf)
    assert compare_nets([b], [b]).first_divergence is None


def test_another_shape_is_a_divergence(tmp_path: Path) -> None:
    wider = weights()
    wider["last"] = np.concatenate([wider["last"], wider["last"]])
    a, b = write_onnx(tmp_path / "a.onnx", weights()), write_onnx(tmp_path / "b.onnx", wider)
    row = compare_nets([a], [b]).first_divergence
    assert row is not None
    assert (row.shape, row.other_shape) == ((2, 5, 4, 4), (2, 10, 4, 4))


def test_sizes_that_one_form_fixes_hold_for_both(tmp_path: Path) -> None:
    a = write_onnx(tmp_path / "a.onnx", weights(), ("N", 3, "H", "W"))
    b = write_onnx(tmp_path / "b.onnx", weights(), (3, 3, 6, 5))
    assert compare_nets([a], [b]).rows[0].shape == (3, 4, 6, 5)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (("N", 3, "H", "W"), ("N", 3, "H", "W"), "input data has an open size; give --input-shape data="),
        ((1, 3, 4, 4), (2, 3, 4, 4), "input data has size 1 in the first net, 2 in the second"),
    ],
)
def test_sizes_that_do_not_fit(tmp_path: Path, first, second, message) -> None:
    a, b = (
        write_onnx(tmp_path / "a.onnx", weights(), first),
        write_onnx(tmp_path / "b.onnx", weights(), second),
    )
    with pytest.raises(UsageError, match=message):
        compare_nets([a], [b])


def test_a_shape_for_no_input_is_refused(tmp_path: Path) -> None:
    a, b = (write_onnx(tmp_path / name, weights()) for name in ("a.onnx", "b.onnx"))
    with pytest.raises(UsageError, match="--input-shape names date; inputs: data"):
        compare_nets([a], [b], input_shapes={"date": (1, 3, 2, 2)})


def test_two_generated_nets_need_a_shape(tmp_path: Path) -> None:
    a, b = write_torch(tmp_path / "a.py", weights()), write_torch(tmp_path / "b.py", weights())
    with pytest.raises(UsageError, match="--input-shape NAME="):
        compare_nets([a], [b])
    found = compare_nets([a], [b], input_shapes={"data": (1, 3, 2, 2)})
    assert [row.name for row in found.rows] == ["fire_squeeze", "last", "output 0"]
    with pytest.raises(UsageError, match="PyTorch cannot run the net on this input"):
        compare_nets([a], [b], input_shapes={"data": (1, 4, 2, 2)})


def test_an_output_of_one_net_only_is_named(tmp_path: Path) -> None:
    a = write_onnx(tmp_path / "a.onnx", weights(), outputs=("prob", "active"))
    b = write_onnx(tmp_path / "b.onnx", weights(), outputs=("squeezed",))
    nodes = onnx.load(b)
    del nodes.graph.node[2]
    onnx.save(nodes, b)
    found = compare_nets([a], [b])
    assert [row.name for row in found.rows] == ["squeezed", "active"]
    assert found.only_first == ["prob"]


def test_layers_folded_into_others_leave_the_outputs_equal(tmp_path: Path) -> None:
    """Scaling one layer and undoing it in the next changes the values between, but not the outputs."""
    folded = weights()
    folded["squeeze"], folded["last"] = folded["squeeze"] * 2, folded["last"] / 2
    a, b = write_onnx(tmp_path / "a.onnx", weights()), write_onnx(tmp_path / "b.onnx", folded)
    found = compare_nets([a], [b])
    assert [row.agrees for row in found.rows] == [False, False, True]
    assert found.first_divergence is found.rows[0]
    assert found.agrees


def test_the_usual_shape_replaces_symbolic_sizes(tmp_path: Path) -> None:
    a = write_onnx(tmp_path / "a.onnx", weights(), ("N", 3, "H", "W"))
    assert compare_nets([a], [a], usual_shape=(3, 5, 6)).rows[0].shape == (2, 4, 5, 6)


def test_the_same_seed_gives_the_same_input(tmp_path: Path) -> None:
    other = weights()
    other["last"] = other["last"] * np.float32(1.01)
    a, b = write_onnx(tmp_path / "a.onnx", weights()), write_onnx(tmp_path / "b.onnx", other)
    differences = [compare_nets([a], [b], seed=seed).rows[2].difference for seed in (1, 1, 2)]
    assert differences[0] == differences[1] != differences[2]
