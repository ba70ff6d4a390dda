"""Recipes: those that ship, what the schema refuses, and the learning rates."""

from __future__ import annotations

import json

import pytest
from command_line import runner
from small_training import RECIPE, small_recipe

from zoo.errors import UsageError
from zoo.training.recipe import Fixed, Polynomial, Recipe, Steps, read_recipe, recipe_names, with_seeds


def test_the_recipes_that_ship_can_be_read():
    assert recipe_names() == ["digits", "squeezenet-dsd"]
    digits, squeezenet = map(read_recipe, recipe_names())
    assert digits.pruning.sparsity == 0.4
    assert digits.seeds == [1, 2, 3, 4, 5]
    # Published: pruned to a third, then 20 epochs at 1e-4 from the trained net.
    assert squeezenet.pruning.sparsity == pytest.approx(2 / 3, abs=1e-4)
    # Its solver: batches of 32, iter_size 16.
    assert (squeezenet.batch_size, squeezenet.images_at_once) == (16 * 32, 32)
    assert squeezenet.dense.epochs == 0
    assert (squeezenet.redense.epochs, squeezenet.redense.learning_rate.base) == (20, 1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": []}, "seeds"),
        ({"seeds": [1, 1]}, "a seed is given twice"),
        ({"batch_size": 0}, "batch_size"),
        ({"images_at_once": 0}, "images_at_once"),
        ({"pruning": {"sparsity": 1.0}}, "pruning.sparsity"),
        ({"pruning": {"sparsity": 0.5, "by_layer": {"a": 0.1}, "exclude": ["a"]}}, "a: in by_layer and"),
        ({"nesterov": True, "momentum": 0}, "nesterov needs a momentum"),
        ({"sparse": {**RECIPE["sparse"], "epochs": 0}}, "need one epoch or more"),
        ({"learning_rate": 0.1}, "Extra inputs"),
        ({"dense": {"epochs": 1, "learning_rate": {"policy": "cosine", "base": 1}}}, "cosine"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_schema_is_an_error_that_names_the_field(tmp_path, change, message):
    path = tmp_path / "wrong.toml"
    # A JSON document is not TOML: the values are written as inline tables.
    path.write_text("\n".join(f"{key} = {_toml(value)}" for key, value in {**RECIPE, **change}.items()))
    with pytest.raises(UsageError, match=message) as caught:
        read_recipe(path)
    assert str(path) in str(caught.value)


def _toml(value: object) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


def test_files_that_are_no_recipe(tmp_path):
    (tmp_path / "no.toml").write_text("a = ")
    with pytest.raises(UsageError, match="not a TOML file"):
        read_recipe(tmp_path / "no.toml")
    with pytest.raises(UsageError, match="cannot be read"):
        read_recipe(tmp_path / "missing.toml")
    with pytest.raises(UsageError, match="no recipe is called 'digit': expected digits or squeezenet-dsd"):
        read_recipe("digit")


def test_learning_rates_are_those_of_caffes_policies():
    assert Fixed(policy="fixed", base=0.1).at(3.5, 10) == 0.1
    steps = Steps(policy="steps", base=0.1, gamma=0.5, at_epochs=[2, 4])
    assert [steps.at(done, 6) for done in (0, 1.99, 2, 3.9, 4, 6)] == [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]
    poly = Polynomial(policy="poly", base=0.04, power=2)
    assert [poly.at(done, 4) for done in (0, 2, 4)] == pytest.approx([0.04, 0.01, 0])


def test_other_seeds():
    assert with_seeds(small_recipe(), [9, 8]).seeds == [9, 8]
    assert with_seeds(small_recipe(), []).seeds == RECIPE["seeds"]
    with pytest.raises(UsageError, match="twice"):
        with_seeds(small_recipe(), [1, 1])


def test_the_json_schema_of_a_recipe(monkeypatch, capsys):
    printed = runner(monkeypatch, capsys)("schema", "recipe")
    schema = json.loads(printed.out)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert set(schema["required"]) == {key for key, f in Recipe.model_fields.items() if f.is_required()}
    assert not schema["additionalProperties"]
