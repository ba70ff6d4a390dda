"""Registering a module class: one place is enough, and no name is registered twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx_ir as ir
import pytest
from torch7_cases import X2, assert_same, named, run_model

import converters
from converters.from_torch7 import modules
from converters.from_torch7.backward_shape_inference import ANY, batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.module import Module
from converters.from_torch7.modules import CLASSES, FAMILIES, support
from converters.from_torch7.registry import alias, module, unsupported, view


@pytest.fixture
def restored_registry(monkeypatch):
    """Removes what a test registers."""
    monkeypatch.setattr(CLASSES, "_entries", dict(CLASSES))


def register_toy() -> None:
    @module("ToyScale", name="toy", supports_inplace=True, expects=batch_first(6))
    def toy_scale(g: Builder, m: Module, x: ir.Value) -> ir.Value:
        """x times the field `factor`, plus the weight."""
        return g.binary("Add", g.binary("Mul", x, m.number("factor")), g.weight("weight", m.tensor("weight")))


TOY = ("nn.ToyScale", {"factor": 3, "weight": np.arange(6, dtype=np.float32)})


@pytest.mark.usefixtures("restored_registry")
def test_a_class_registered_in_one_place_is_converted(save_t7):
    path = save_t7(("nn.Sequential", {"modules": [TOY, ("nn.Abs", {})]}))
    with pytest.raises(converters.UnsupportedError, match="no module class of this name is known"):
        converters.load(path)
    register_toy()
    model = converters.load(path)
    assert model.meta["report"].inputs == {"input": "Nx6"}
    assert "toy1.weight" in model.graph.initializers
    wanted = np.abs(3 * X2 + np.arange(6, dtype=np.float32))
    assert_same(run_model(model, named("input", [X2])), named("output", [wanted]))
    assert converters.inspect(path).complete
    assert ("ToyScale", "x times the field `factor`, plus the weight") in support()


def test_the_toy_class_is_gone_after_its_test():
    assert "ToyScale" not in CLASSES


@pytest.mark.usefixtures("restored_registry")
@pytest.mark.parametrize(
    "register",
    [
        lambda: module("Linear", expects=ANY)(lambda g, m, x: x),
        lambda: view("Linear", write_through=lambda g, m, base, new: new)(lambda g, m, x: x),
        lambda: alias(CLASSES["Sequential"], "Linear", summary="another"),
        lambda: unsupported("Linear", reason="none"),
    ],
)
def test_a_second_class_of_one_name_is_refused(register):
    first = CLASSES["Linear"]
    with pytest.raises(
        ValueError, match="two entries of the kind 'Torch7 module class' are named 'Linear'; rename one of"
    ):
        register()
    assert CLASSES["Linear"] is first


def test_every_file_among_the_modules_is_searched():
    lying_there = {path.stem for path in Path(modules.__path__[0]).glob("*.py")} - {"__init__"}
    assert {family.__name__.split(".")[-1] for family in FAMILIES} == lying_there
    assert {"Linear", "SpatialConvolution", "gModule", "cudnn.LSTM"} <= CLASSES.keys()


def test_a_class_without_prefix_stands_for_those_of_nn_and_its_counterparts(run_net):
    for prefix in ("nn", "cudnn", "cunn", "fbcunn", "fbnn", "inn", "clnn"):
        (got,) = run_net((f"{prefix}.Abs", {}), X2)
        np.testing.assert_array_equal(got, np.abs(X2))
