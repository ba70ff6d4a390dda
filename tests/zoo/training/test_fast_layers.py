"""Fast layers against torch's own, values and gradients; and how many threads a net gets."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from zoo.training.arithmetic import FEWEST_VALUES_FOR_THREADS, arithmetic, threads_for
from zoo.training.fast_layers import use_fast_layers


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("channels", [1, 4, 7])
def test_local_response_normalisation_is_that_of_torch(size, channels):
    slow = nn.LocalResponseNorm(size, alpha=0.3, beta=0.6, k=1.5)
    fast = copy.deepcopy(slow)
    use_fast_layers(fast)
    x = torch.randn(3, channels, 4, 5, generator=torch.Generator().manual_seed(size)) * 4
    results = []
    for module in (slow, fast):
        leaf = x.clone().requires_grad_(True)
        y = module(leaf)
        (y * torch.arange(y.numel()).reshape(y.shape)).sum().backward()
        results.append((y.detach(), leaf.grad))
    for wanted, came in zip(*results, strict=True):
        torch.testing.assert_close(came, wanted, rtol=1e-5, atol=1e-6 * float(wanted.abs().max()))


def test_it_has_no_state_and_may_be_measured_before_it_is_trained():
    net = nn.Sequential(nn.Conv2d(3, 6, 3), nn.LocalResponseNorm(5))
    use_fast_layers(net)
    with torch.inference_mode():
        net(torch.randn(1, 3, 5, 5))
    net(torch.randn(1, 3, 5, 5)).sum().backward()
    assert list(net.state_dict()) == ["0.weight", "0.bias"]
    assert isinstance(net[1], nn.LocalResponseNorm)


def test_other_ranks_and_types_go_through_torch():
    net = nn.LocalResponseNorm(3)
    fast = copy.deepcopy(net)
    use_fast_layers(fast)
    x = torch.randn(2, 4, 6)
    assert torch.equal(fast(x), net(x))
    half = torch.randn(2, 4, 3, 3).bfloat16()
    fast(torch.randn(2, 4, 3, 3))
    torch.testing.assert_close(fast(half).float(), net(half.float()), rtol=0.02, atol=0.02)


def test_a_small_net_gets_one_thread_and_a_large_one_as_many_as_before():
    net = nn.Sequential(nn.Conv2d(3, 10, 3, padding=1), nn.BatchNorm2d(10), nn.Dropout(0.5)).train()
    before = copy.deepcopy(net.state_dict())
    image = torch.randn(1, 3, 10, 10)
    values = 3 * 10 * 100 + 10 * 100  # of the three layers, and of the whole
    enough = -(-FEWEST_VALUES_FOR_THREADS // values)
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert threads_for(net, image, enough - 1) == 1
        assert threads_for(net, image, enough) == 2
    finally:
        torch.set_num_threads(threads)
    assert net.training
    assert all(torch.equal(tensor, before[key]) for key, tensor in net.state_dict().items())


def test_afterwards_torch_has_as_many_threads_as_before():
    threads = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with arithmetic(torch.device("cpu"), "float32"):
            torch.set_num_threads(1)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
