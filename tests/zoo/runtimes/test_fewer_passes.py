"""Nets opened with BatchNorms in their convolutions, against the same nets in double precision."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import nn

from zoo.runtimes import open_runtime
from zoo.runtimes.fewer_passes import reduce_passes

KINDS = {1: (nn.Conv1d, nn.BatchNorm1d), 2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}


def trained(module: nn.Module, seed: int = 0) -> nn.Module:
    """The module in eval mode with statistics and weights as after a training."""
    random = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.running_mean is not None:
            layer.running_mean.normal_(generator=random)
            layer.running_var.exponential_(generator=random).add_(1e-3)
            if layer.affine:
                layer.weight.data.normal_(generator=random)
                layer.bias.data.normal_(generator=random)
    return module.eval()


def check(module: nn.Module, *inputs: torch.Tensor) -> list[str]:
    """Reduce the passes and compare with double precision; returns the kinds of layers that are left."""
    reference = copy.deepcopy(module).double()
    before = [value.clone() for value in inputs]
    reduce_passes(module)
    with torch.inference_mode():
        came = module(*inputs)
        expected = reference(*(value.double() for value in inputs))
    assert all(torch.equal(value, kept) for value, kept in zip(inputs, before, strict=True))
    assert float((came - expected).abs().max() / expected.abs().max()) < 1e-5
    return [type(layer).__name__ for layer in module.modules() if not list(layer.children())]


@pytest.mark.parametrize(
    ("dimensions", "bias", "affine", "groups"),
    list(itertools.product((1, 2, 3), (False, True), (False, True), (1, 2))),
)
def test_batch_norm_goes_into_the_convolution_before_it(dimensions, bias, affine, groups):
    convolution, norm = KINDS[dimensions]
    net = nn.Sequential(convolution(4, 6, 3, bias=bias, groups=groups), norm(6, affine=affine), nn.ReLU())
    x = torch.randn(2, 4, *[7] * dimensions, generator=torch.Generator().manual_seed(1))
    assert check(trained(net), x) == [convolution.__name__, "Identity", "ReLU"]
    assert net[2].inplace


class Twice(nn.Module):
    """The convolution's result is used by something else, too."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.relu = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv(x)
        return self.relu(self.norm(x)) + x


class Shared(nn.Module):
    """A convolution, and a BatchNorm, that are used twice."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
        self.other, self.own = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(self.other(x))
        return self.norm(self.conv(self.own(self.conv(x))))


class Residual(nn.Module):
    """ReLUs of a sum, of a concatenation, and of what is also an output of another layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 3, padding=1, bias=False), nn.BatchNorm2d(3)
        self.first, self.second, self.third = nn.ReLU(), nn.ReLU(), nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.first(self.norm(self.conv(x)) + x)
        z = self.second(torch.cat([x, y], dim=1))
        return torch.cat([self.third(x), y, z], dim=1)


class OnValues(nn.Module):
    """A net that looks at its input to decide what to do."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x)) if x.sum() > 0 else self.conv(x)


@pytest.mark.parametrize(
    ("kind", "left"),
    [
        (Twice, ["Conv2d", "BatchNorm2d", "ReLU"]),
        (Shared, ["Conv2d", "BatchNorm2d", "Conv2d", "BatchNorm2d"]),
        (Residual, ["Conv2d", "Identity", "ReLU", "ReLU", "ReLU"]),
        (OnValues, ["Conv2d", "BatchNorm2d"]),
    ],
)
def test_what_is_used_twice_or_depends_on_values_stays(kind, left):
    net = trained(kind())
    assert check(net, torch.randn(2, 3, 6, 6, generator=torch.Generator().manual_seed(2))) == left
    if kind is Residual:
        assert [net.first.inplace, net.second.inplace, net.third.inplace] == [True, True, False]


def test_layers_that_share_weights_keep_theirs():
    net = trained(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.Conv2d(3, 3, 1)))
    net[2].weight = net[0].weight
    kept = net[2].weight.clone()
    assert check(net, torch.randn(1, 3, 5, 5)) == ["Conv2d", "Identity", "Conv2d"]
    assert torch.equal(net[2].weight, kept)


def test_batch_norm_by_the_statistics_of_the_batch_stays():
    net = trained(nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, track_running_stats=False)))
    assert check(net, torch.randn(4, 3, 5, 5)) == ["Conv2d", "BatchNorm2d"]


def test_the_runtime_opens_nets_so(tmp_path):
    net = tmp_path / "net.py"
    net.write_text(
        "import torch\nfrom torch import nn\n"
        "def load():\n"
        "    torch.manual_seed(0)\n"
        "    net = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d(1))\n"
        "    net[1].running_mean.normal_()\n"
        "    net[1].running_var.exponential_()\n"
        "    return net.eval()\n",
        encoding="utf-8",
    )
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8), np.float32)
    scope: dict[str, object] = {}
    exec(net.read_text(encoding="utf-8"), scope)  # noqa: S102 - the net written above
    expected = scope["load"]().double()(torch.from_numpy(x).double()).detach().numpy().reshape(2, 5)
    with torch.profiler.profile() as profile:
        came = open_runtime("pytorch", net).run(x)
    assert np.abs(came - expected).max() / np.abs(expected).max() < 1e-6
    assert not [event.key for event in profile.key_averages() if "batch_norm" in event.key]
