"""Masks: how many weights, which, and that they are zero after every step."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

import converters
from zoo.bundled import bundled_folder
from zoo.errors import UsageError
from zoo.training.pruning import (
    MaskError,
    Masks,
    chosen_sparsities,
    mask_of,
    prunable_tensors,
    pruned_count,
)
from zoo.training.recipe import Pruning


@pytest.mark.parametrize(
    ("size", "sparsity", "count"),
    [
        (432, 0.4, 172),
        (1728, 0.4, 691),
        (24576, 0.4, 9830),
        (640, 0.4, 256),
        (100, 0.29, 29),  # 0.29 * 100 is 28.999999999999996 in floating point
        (1000, 0.001, 1),
        (3, 0.3, 0),
        (7, 0.0, 0),
    ],
)
def test_the_share_is_taken_as_written_and_rounded_down(size, sparsity, count):
    assert pruned_count(size, sparsity) == count


def test_or_rounded_to_the_nearest():
    counts = [pruned_count(size, 0.4, "nearest") for size in (216, 1152, 2304, 128, 512)]
    assert counts == [86, 461, 922, 51, 205]
    assert pruned_count(5, 0.5, "nearest") == 3


@pytest.mark.parametrize(("framework", "rounding"), [("caffe", "down"), ("torch7", "nearest")])
def test_masks_leave_as_many_zeros_as_the_real_frameworks_did(framework, rounding):
    """The nets that real Caffe and real Torch7 pruned by 0.40 of each weight tensor."""
    folder = bundled_folder() / "digits" / framework

    def weights(name: str) -> dict[str, np.ndarray]:
        files = [folder / "deploy.prototxt", folder / f"{name}.caffemodel"]
        paths = files if framework == "caffe" else [folder / f"{name}.t7"]
        model = converters.load(*paths)
        return {key: a for key, a in converters.weights_of(model).items() if a.ndim > 1}

    dense, sparse, dsd = weights("baseline"), weights("sparse"), weights("dsd")
    assert dense.keys() == sparse.keys() == dsd.keys()
    for name, array in dense.items():
        mask = mask_of(torch.from_numpy(array.copy()), 0.4, rounding=rounding).numpy()
        assert np.count_nonzero(~mask) == np.count_nonzero(sparse[name] == 0), name
        # What is zero at the end was zero in the sparse phase, and most of that is not zero any more.
        assert not np.any((dsd[name] == 0) & (sparse[name] != 0))
        assert np.count_nonzero(dsd[name] == 0) < np.count_nonzero(~mask)


def test_the_largest_magnitudes_stay_and_the_first_of_equal_ones():
    weights = torch.tensor([[0.5, -2.0, 0.5, 0.1], [-0.5, 3.0, 0.5, 0.0]])
    kept = mask_of(weights, 0.5)
    assert kept.tolist() == [[True, True, True, False], [False, True, False, False]]


@pytest.mark.parametrize("sparsity", [0.1, 0.4, 0.9])
def test_a_mask_is_that_of_a_stable_sort(sparsity):
    weights = torch.randint(-3, 4, (7, 5, 3), generator=torch.Generator().manual_seed(0)).float()
    flat = np.abs(weights.numpy().ravel())
    places = sorted(range(flat.size), key=lambda k: (-flat[k], k))
    kept = set(places[: flat.size - pruned_count(flat.size, sparsity)])
    assert set(np.flatnonzero(mask_of(weights, sparsity).numpy().ravel())) == kept


@pytest.mark.parametrize(("module", "gates"), [(nn.LSTM, 4), (nn.GRU, 3), (nn.RNN, 1)])
def test_each_gate_of_a_recurrent_layer_is_a_tensor_of_its_own(module, gates):
    net = nn.Sequential(module(5, 6, bidirectional=True, num_layers=2))
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            if "weight" in name:  # gates of very different size, which a mask over all would empty
                for k, gate in enumerate(parameter.chunk(gates)):
                    gate.mul_(10.0**k)
    tensors = prunable_tensors(net)
    assert len(tensors) == 8
    assert {t.parts for t in tensors} == {gates}
    masks = Masks(tensors, [0.5] * len(tensors))
    for tensor in tensors:
        for gate in tensor.values.chunk(gates):
            assert int((gate == 0).sum()) == gate.numel() // 2
    masks.remove()


def test_so_is_each_gate_of_a_recurrent_layer_that_torch_has_no_module_for():
    """net.py then holds the matrices itself, and says of how many gates they are."""

    class Net(nn.Module):
        gates: ClassVar = {"of_input": 3}

        def __init__(self) -> None:
            super().__init__()
            self.of_input = nn.Parameter(
                torch.randn(12, 5) * torch.tensor([1.0, 10, 100]).repeat_interleave(4)[:, None]
            )
            self.plain = nn.Parameter(torch.randn(12, 5))

    net = Net()
    tensors = prunable_tensors(net)
    assert [(t.layer, t.parts) for t in tensors] == [("of_input", 3), ("plain", 1)]
    Masks(tensors, [0.5, 0.5])
    assert [int((gate == 0).sum()) for gate in net.of_input.chunk(3)] == [10, 10, 10]


def test_biases_and_batch_norm_are_not_pruned():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(4, 2))
    assert [(t.layer, t.name) for t in prunable_tensors(net)] == [("0", "weight"), ("3", "weight")]


def test_a_recipe_chooses_by_layer_as_the_source_names_it():
    net = nn.ModuleDict(
        {"fire2_squeeze1x1": nn.Conv2d(3, 4, 1), "conv1": nn.Conv2d(3, 4, 1), "fc": nn.Linear(4, 2)}
    )
    tensors = prunable_tensors(net)
    pruning = Pruning(sparsity=0.5, by_layer={"fire2/squeeze1x1": 0.2}, exclude=["fc"])
    assert chosen_sparsities(tensors, pruning) == [0.2, 0.5, 0.0]
    with pytest.raises(UsageError, match=r"'conv2'.*there are conv1"):
        chosen_sparsities(tensors, Pruning(sparsity=0.5, exclude=["conv2"]))


def test_a_net_that_has_diverged_is_not_pruned():
    net = nn.Linear(3, 2)
    nn.init.constant_(net.weight, float("nan"))
    with pytest.raises(UsageError, match="diverged"):
        Masks(prunable_tensors(net), [0.5])


def test_one_step_with_mask_momentum_and_decay_is_that_of_numpy():
    """Three steps against SGD written out in numpy with float64, for a least-squares loss."""
    rng = np.random.default_rng(0)
    net = nn.Linear(8, 3, bias=False).double()
    x, y = rng.standard_normal((5, 8)), rng.standard_normal((5, 3))
    weight = net.weight.detach().numpy().copy()
    magnitude = np.sort(np.abs(weight).ravel())[pruned_count(24, 0.4)]
    keep = np.abs(weight) >= magnitude
    weight *= keep
    rate, momentum, decay = 0.05, 0.9, 0.1

    masks = Masks(prunable_tensors(net), [0.4])
    optimizer = torch.optim.SGD(net.parameters(), lr=rate, momentum=momentum, weight_decay=decay)
    buffer = np.zeros_like(weight)
    for step in range(3):
        optimizer.zero_grad()
        loss = ((net(torch.from_numpy(x)) - torch.from_numpy(y)) ** 2).sum()
        loss.backward()
        optimizer.step()
        masks.check()
        gradient = (2 * (x @ weight.T - y)).T @ x * keep + decay * weight
        buffer = gradient if step == 0 else momentum * buffer + gradient
        weight = weight - rate * buffer
        np.testing.assert_allclose(net.weight_orig.detach().numpy(), weight, rtol=1e-10, atol=1e-12)
        assert np.array_equal(net.weight_orig.detach().numpy() != 0, keep)
    masks.remove()
    assert isinstance(net.weight, nn.Parameter)
    assert np.array_equal(net.weight.detach().numpy() == 0, ~keep)


def test_a_pruned_weight_that_is_not_zero_stops_the_training():
    net = nn.Linear(8, 3)
    masks = Masks(prunable_tensors(net), [0.4])
    masks.check()
    with torch.no_grad():
        net.weight_orig.add_(1e-30)
    with pytest.raises(MaskError, match="not zero after a step"):
        masks.check()
