"""gModules of older versions of nngraph; the recorded cases come from the last version."""

from __future__ import annotations

import numpy as np
import pytest

import converters

A = np.arange(6, dtype=np.float32).reshape(2, 3)
B = A[::-1].copy() * 2
LINEAR = ("nn.Linear", {"weight": np.eye(3, dtype=np.float32) * 3, "bias": np.ones(3, np.float32)})


class Key:
    """A table as the key of a table; a Python dict cannot be a key."""

    def __init__(self, value: dict) -> None:
        self.value = value


class Graph:
    """Nodes by name, in the order in which they run: (names of inputs, data)."""

    def __init__(self, **nodes: tuple[list[str], dict]) -> None:
        self.data = {name: dict(data) for name, (_, data) in nodes.items()}
        self.nodes = {name: ("nngraph.Node", {"data": self.data[name]}) for name in nodes}
        for name, (inputs, _) in nodes.items():
            mapindex: dict = {}
            for k, source in enumerate(inputs, 1):
                mapindex |= {k: self.data[source], Key(self.data[source]): k}
            self.data[name]["mapindex"] = mapindex
            children = [self.nodes[other] for other, (theirs, _) in nodes.items() if name in theirs]
            self.nodes[name][1]["children"] = children

    def module(self, **more: object) -> tuple:
        names = list(self.nodes)
        fields = {"innode": self.nodes[names[0]], "outnode": self.nodes[names[-1]]}
        return "nn.gModule", {**fields, "forwardnodes": list(self.nodes.values()), **more}


def test_first_generation_deals_its_inputs_out(run_net):
    graph = Graph(
        start=([], {"data": {}}),
        a=(["start"], {"module": LINEAR}),
        b=(["start"], {"module": ("nn.Identity", {})}),
        minus=(["b", "a"], {"module": ("nn.CSubTable", {})}),
        end=(["minus"], {}),
    )
    graph.data["start"]["mapindex"] = {
        1: graph.data["a"], Key(graph.data["a"]): 1, 2: graph.data["b"], Key(graph.data["b"]): 2,
    }  # fmt: skip
    (got,) = run_net(graph.module(), A, B)
    np.testing.assert_array_equal(got, B - (3 * A + 1))


def test_second_generation_splits_its_input_without_counting(run_net):
    graph = Graph(
        start=([], {}),
        split=(["start"], {"nSplitOutputs": 2}),
        two=(["split"], {"selectindex": 2}),
        one=(["split"], {"selectindex": 1}),
        minus=(["two", "one"], {"module": ("nn.CSubTable", {})}),
        end=(["minus", "one"], {}),
    )
    got = run_net(graph.module(), A, B)
    np.testing.assert_array_equal(got, [B - A, A])


def test_inputs_are_derived_from_the_modules_they_go_to(save_t7):
    graph = Graph(
        start=([], {}),
        split=(["start"], {"nSplitOutputs": 2}),
        one=(["split"], {"selectindex": 1}),
        two=(["split"], {"selectindex": 2}),
        same=(["one"], {"module": ("nn.Tanh", {})}),
        a=(["same"], {"module": LINEAR}),
        b=(["two"], {"module": LINEAR}),
        plus=(["a", "b"], {"module": ("nn.CAddTable", {})}),
        end=(["plus"], {}),
    )
    report = converters.load(save_t7(graph.module(nInputs=2))).meta["report"]
    assert report.inputs == {"input_0": "Nx3", "input_1": "Nx3"}
    assert report.outputs == {"output": "Nx3"}
    assert report.notes == ["the net takes the table {input_0, input_1}"]


def test_what_is_wanted_behind_a_table_made_on_the_way_says_nothing_of_the_input(run_net):
    graph = Graph(
        start=([], {}),
        same=(["start"], {"module": ("nn.Identity", {})}),
        double=(["same"], {"module": ("nn.MulConstant", {"constant_scalar": 2})}),
        both=(["same", "double"], {"module": ("nn.FlattenTable", {})}),
        second=(["both"], {"module": ("nn.SelectTable", {"index": 2})}),
        end=(["second"], {}),
    )
    (got,) = run_net(graph.module(), A)
    np.testing.assert_array_equal(got, 2 * A)


def test_a_graph_that_computes_a_loss_is_refused(run_net):
    loss = ("nn.MSECriterion", {})
    graph = Graph(start=([], {}), loss=(["start"], {"criterion": loss}), end=(["loss"], {}))
    with pytest.raises(
        converters.UnsupportedError, match="computes a criterion, which has no place at inference"
    ):
        run_net(graph.module(), A)


def test_a_node_without_all_its_inputs_is_an_error(run_net):
    graph = Graph(
        start=([], {}),
        minus=(["start", "late"], {"module": ("nn.CSubTable", {})}),
        late=(["start"], {"module": ("nn.Identity", {})}),
        end=(["minus"], {}),
    )
    with pytest.raises(converters.FormatError, match="runs before all of its inputs have arrived"):
        run_net(graph.module(), A)
