"""The factors of a Caffe definition in training, against SGD written out in numpy with float64.

Caffe's rule (SGDSolver): the rate of a parameter is the net's times lr_mult, its decay the net's times
decay_mult; history = momentum * history + rate * (gradient + decay * weight), which the weight loses.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
from small_training import PREPROCESSING, small_data, small_job, small_recipe
from torch import nn

from zoo.errors import UsageError
from zoo.evaluation.distributed import SingleProcess
from zoo.evaluation.settings import Settings
from zoo.training.checkpoints import read_checkpoint
from zoo.training.images import TrainingImages
from zoo.training.net import Source, module_of
from zoo.training.recipe import Augmentation
from zoo.training.stage_run import train_stage
from zoo.training.stages import STAGES
from zoo.training.train import train
from zoo.training.trainer import Trainer, TrainingData

DEFINITION = """
name: "small"
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 3 dim: 8 dim: 8 }} }} }}
layer {{ name: "one" type: "InnerProduct" bottom: "data" top: "one" {} inner_product_param {{
  num_output: 5 weight_filler {{ type: "xavier" }} bias_filler {{ type: "constant" value: 0.5 }} }} }}
layer {{ name: "two" type: "InnerProduct" bottom: "one" top: "two" {} inner_product_param {{
  num_output: 3 weight_filler {{ type: "xavier" }} bias_filler {{ type: "constant" value: 0.5 }} }} }}
layer {{ name: "prob" type: "Softmax" bottom: "two" top: "prob" }}
"""
KEYS = ("one.weight", "one.bias", "two.weight", "two.bias")
PHASE = {"epochs": 1, "learning_rate": {"policy": "fixed", "base": 0.01}}


def params(*factors: str) -> str:
    return " ".join(f"param {{ {factor} }}" for factor in factors)


def definition(tmp_path, one: str, two: str):
    path = tmp_path / "factors.prototxt"
    path.write_text(DEFINITION.format(one, two))
    return Source([path])


def steps_of_numpy(state, batches, factors, keep, rate=0.01, momentum=0.9, decay=0.1):
    """The weights after these batches, for the two layers of DEFINITION and the loss of a softmax."""
    w = {key: state[key].astype(np.float64) for key in KEYS}
    for key in keep:
        w[key] = w[key] * keep[key]
    history = {key: np.zeros_like(w[key]) for key in KEYS}
    for images, labels in batches:
        x = images.reshape(len(images), -1).astype(np.float64)
        hidden = x @ w["one.weight"].T + w["one.bias"]
        scores = hidden @ w["two.weight"].T + w["two.bias"]
        share = np.exp(scores - scores.max(1, keepdims=True))
        error = share / share.sum(1, keepdims=True)
        error[np.arange(len(labels)), labels] -= 1
        error /= len(labels)
        back = error @ w["two.weight"]
        gradients = {
            "one.weight": back.T @ x, "one.bias": back.sum(0),
            "two.weight": error.T @ hidden, "two.bias": error.sum(0),
        }  # fmt: skip
        for key in KEYS:
            lr_mult, decay_mult = factors[key]
            gradient = gradients[key] * keep.get(key, 1)
            step = gradient + decay * decay_mult * w[key]
            history[key] = momentum * history[key] + rate * lr_mult * step
            w[key] = w[key] - history[key]
    return w


def trained(tmp_path, source, stage, **changes):
    """(state before, batches, state after) of one epoch of a stage."""
    data, test = small_data(tmp_path)
    recipe = small_recipe(
        weight_decay=0.1, momentum=0.9, dense=PHASE, sparse=PHASE, redense=PHASE, pruning={"sparsity": 0.4},
        **changes,
    )  # fmt: skip
    images, measured = (TrainingImages(d, Settings(PREPROCESSING), Augmentation()) for d in (data, test))
    net = module_of(source.read(3))
    before = {key: tensor.detach().clone() for key, tensor in net.state_dict().items()}
    trainer = Trainer(net, TrainingData(images, measured), recipe, 3, torch.device("cpu"), SingleProcess())
    made = images.batches(3, stage.first_epoch(recipe), recipe.batch_size)
    batches = [(batch.images.numpy().copy(), batch.labels.numpy().copy()) for batch in made]
    end = train_stage(trainer, stage, before, None)
    return {key: t.numpy() for key, t in before.items()}, batches, {k: t.numpy() for k, t in end.net.items()}


@pytest.mark.parametrize("stage", STAGES[:2], ids=lambda stage: stage.name)
def test_an_epoch_is_that_of_numpy(tmp_path, stage):
    """Four steps with momentum and decay, dense and with a mask; each parameter has other factors."""
    source = definition(
        tmp_path,
        params("lr_mult: 0.5 decay_mult: 2", "lr_mult: 2 decay_mult: 0"),
        params("lr_mult: 3", "lr_mult: 0"),
    )
    before, batches, after = trained(tmp_path, source, stage)
    assert len(batches) == 4
    factors = {"one.weight": (0.5, 2), "one.bias": (2, 0), "two.weight": (3, 1), "two.bias": (0, 1)}
    keep = {}
    if stage.is_masked:
        for key in ("one.weight", "two.weight"):
            magnitude = np.abs(before[key])
            keep[key] = magnitude >= np.sort(magnitude.ravel())[int(0.4 * magnitude.size)]
    expected = steps_of_numpy(before, batches, factors, keep)
    for key in KEYS:
        np.testing.assert_allclose(after[key], expected[key], rtol=1e-5, atol=1e-6, err_msg=key)
        if key in keep:
            assert np.array_equal(after[key] == 0, ~keep[key])
    assert np.array_equal(after["two.bias"], before["two.bias"])


@pytest.mark.parametrize(
    ("changes", "factors"),
    [
        ({"multipliers": False}, {}),
        ({"multipliers": False, "biases": {"learning_rate": 4}}, {"one.bias": (4, 1), "two.bias": (4, 1)}),
        # A factor of the recipe counts instead of the definition's; what is frozen stays so.
        (
            {"biases": {"weight_decay": 0.5}},
            {"one.weight": (3, 1), "one.bias": (2, 0.5), "two.weight": (1, 1), "two.bias": (0, 1)},
        ),
    ],
)
def test_a_recipe_may_leave_them_out_or_replace_them(tmp_path, changes, factors):
    source = definition(
        tmp_path, params("lr_mult: 3", "lr_mult: 2 decay_mult: 0"), params("lr_mult: 1", "lr_mult: 0")
    )
    before, batches, after = trained(tmp_path, source, STAGES[0], **changes)
    expected = steps_of_numpy(before, batches, dict.fromkeys(KEYS, (1, 1)) | factors, {})
    for key in KEYS:
        np.testing.assert_allclose(after[key], expected[key], rtol=1e-5, atol=1e-6, err_msg=key)


def test_a_frozen_layer_is_neither_pruned_nor_changed_by_any_stage(tmp_path):
    source = definition(tmp_path, params("lr_mult: 0", "lr_mult: 0"), "")
    job = small_job(tmp_path, source=source)
    train(job, tmp_path / "run")
    initial = module_of(source.read(3)).state_dict()
    for stage in STAGES:
        net = read_checkpoint(tmp_path / "run" / "seed-3" / f"{stage.name}.safetensors").net
        assert torch.equal(net["one.weight"], initial["one.weight"])
        assert torch.equal(net["one.bias"], initial["one.bias"])
        assert not torch.equal(net["two.weight"], initial["two.weight"])


def test_a_recipe_that_prunes_a_frozen_layer_is_refused(tmp_path):
    source = definition(tmp_path, params("lr_mult: 0"), "")
    job = small_job(
        tmp_path, source=source, recipe=small_recipe(pruning={"sparsity": 0.4, "by_layer": {"one": 0.3}})
    )
    with pytest.raises(UsageError, match=r"'one'.*freezes \(lr_mult: 0\).*multipliers = false"):
        train(job, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_net_of_frozen_layers_is_refused(tmp_path):
    source = definition(tmp_path, params("lr_mult: 0"), params("lr_mult: 0"))
    with pytest.raises(UsageError, match="freezes every layer that could be pruned"):
        train(small_job(tmp_path, source=source), tmp_path / "run")


def test_the_groups_of_net_py_give_the_same_step(tmp_path):
    """What a person gets who trains net.py without the zoo, by its `parameter_groups`."""
    import importlib.util

    import converters

    source = definition(tmp_path, params("lr_mult: 0.5", "lr_mult: 2 decay_mult: 0"), params("lr_mult: 0"))
    before, batches, after = trained(tmp_path, source, STAGES[0])
    converters.save(source.read(3), tmp_path / "net.py")
    spec = importlib.util.spec_from_file_location("net_by_itself", tmp_path / "net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.load().train()
    optimizer = torch.optim.SGD(module.parameter_groups(net, 0.01, 0.1), momentum=0.9)
    for images, labels in batches:
        optimizer.zero_grad()
        loss = nn.functional.nll_loss(net(torch.from_numpy(images)).log(), torch.from_numpy(labels))
        loss.backward()
        optimizer.step()
    for key, tensor in net.state_dict().items():
        np.testing.assert_allclose(tensor.numpy(), after[key], rtol=1e-5, atol=1e-6, err_msg=key)
    assert np.array_equal(after["two.weight"], before["two.weight"])


def test_weights_that_no_gradient_reaches_only_decay(tmp_path):
    """As in Caffe, which adds the decay to a gradient of zero; they are not pruned."""
    source = definition(tmp_path, "", "propagate_down: false")
    assert module_of(source.read(3)).without_gradient == ("one.weight", "one.bias")
    before, batches, after = trained(tmp_path, source, STAGES[0])
    rate, momentum, decay = 0.01, 0.9, 0.1
    for key in ("one.weight", "one.bias"):
        weight, history = before[key].astype(np.float64), 0.0
        for _ in batches:
            history = momentum * history + rate * decay * weight
            weight = weight - history
        np.testing.assert_allclose(after[key], weight, rtol=1e-5, err_msg=key)
    assert not np.allclose(after["two.weight"], before["two.weight"] * 0.99, atol=1e-3)
    pruned = trained(tmp_path / "sparse", source, STAGES[1])[2]
    assert np.count_nonzero(pruned["one.weight"] == 0) == 0
    assert np.count_nonzero(pruned["two.weight"] == 0) > 0
