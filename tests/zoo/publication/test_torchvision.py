"""State dicts for torchvision, against the keys and shapes that torchvision 0.28 itself lists."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from caffemodel_writer import write_caffemodel
from torch import nn

import converters
from zoo.errors import UsageError
from zoo.publication.state_dict import torchvision_state
from zoo.publication.torchvision import ARCHITECTURES, layers_of
from zoo.runtimes.backends.pytorch import load_module

# Names and shapes of `torchvision.models.NAME(weights=None).state_dict()`; googlenet without auxiliary heads.
KEYS = json.loads((Path(__file__).parent / "torchvision-keys.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("architecture", KEYS)
def test_every_key_has_the_shape_that_torchvision_has(architecture):
    assert list(KEYS) == list(ARCHITECTURES)
    assert {key: list(shape) for key, shape in layers_of(architecture).shapes.items()} == KEYS[architecture]


class Block(nn.Module):
    """A basic block as fb.resnet.torch has it, with names of its own; `late`: the stride is in the second."""

    def __init__(self, width: int, out: int, stride: int, *, late: bool) -> None:
        super().__init__()
        first, second = (1, stride) if late else (stride, 1)
        self.a, self.b = nn.Conv2d(width, out, 3, first, 1), nn.BatchNorm2d(out)
        self.c, self.d = nn.Conv2d(out, out, 3, second, 1, bias=False), nn.BatchNorm2d(out)
        nn.init.zeros_(self.a.bias)
        if stride != 1 or width != out:
            self.e, self.f = nn.Conv2d(width, out, 1, stride, bias=False), nn.BatchNorm2d(out)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.d(self.c(self.b(self.a(x)).relu()))
        return (y + (self.f(self.e(x)) if hasattr(self, "e") else x)).relu()


def resnet18(*, late: bool = False) -> nn.Module:
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    layers.append(nn.MaxPool2d(3, 2, 1))
    width = 64
    for out, stride in ((64, 1), (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1)):
        layers.append(Block(width, out, stride, late=late))
        width = out
    net = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.5, 1.5)
    return net.eval()


def test_resnet18_gets_its_names():
    net = resnet18()
    found = torchvision_state(net, (3, 64, 64), 1000, "own")
    assert (found.architecture, found.softmax, found.deviation) == ("resnet18", False, None)
    assert {key: list(tensor.shape) for key, tensor in found.tensors.items()} == KEYS["resnet18"]
    assert torch.equal(found.tensors["layer2.0.downsample.0.weight"], net[6].e.weight)
    assert torch.equal(found.tensors["layer4.1.bn2.running_var"], net[11].d.running_var)
    assert found.tensors["bn1.num_batches_tracked"].dtype == torch.int64
    assert found.difference < 1e-5


def test_weights_that_fit_a_net_that_computes_something_else_are_refused():
    with pytest.raises(UsageError, match="resnet18: its weights fit, but it computes something else"):
        torchvision_state(resnet18(late=True), (3, 64, 64), 1000, "own")


def test_a_bias_that_torchvision_has_no_place_for_is_refused():
    net = resnet18()
    with torch.no_grad():
        net[4].a.bias[0] = 1
    with pytest.raises(
        UsageError, match=r"resnet18: no layer of the net is its layer1\.1\.conv2, a convolution"
    ):
        torchvision_state(net, (3, 64, 64), 1000, "own")


def squeezenet(folder: Path, pad: int) -> nn.Module:
    """SqueezeNet 1.0 from a Caffe definition with seeded weights, converted."""
    random, weights = np.random.default_rng(0), {}
    lines = ['name: "squeezenet" input: "data" input_shape { dim: 1 dim: 3 dim: 63 dim: 63 }']

    def conv(name: str, bottom: str, width: int, out: int, kernel: int, more: str = "") -> None:
        scale = (2 / (width * kernel * kernel)) ** 0.5
        weights[name] = [
            random.normal(0, scale, (out, width, kernel, kernel)).astype(np.float32),
            random.normal(0, 0.1, out).astype(np.float32),
        ]
        lines.append(
            f'layer {{ name: "{name}" type: "Convolution" bottom: "{bottom}" top: "{name}" convolution_param '
            f"{{ num_output: {out} kernel_size: {kernel} {more} }} }}"
            f'layer {{ name: "{name}/relu" type: "ReLU" bottom: "{name}" top: "{name}" }}'
        )

    def pool(name: str, bottom: str) -> str:
        lines.append(
            f'layer {{ name: "{name}" type: "Pooling" bottom: "{bottom}" top: "{name}" '
            "pooling_param { pool: MAX kernel_size: 3 stride: 2 } }"
        )
        return name

    conv("conv1", "data", 3, 96, 7, "stride: 2")
    top, width = pool("pool1", "conv1"), 96
    for number, squeeze in ((2, 16), (3, 16), (4, 32), (5, 32), (6, 48), (7, 48), (8, 64), (9, 64)):
        fire, out = f"fire{number}", 4 * squeeze
        conv(f"{fire}/squeeze", top, width, squeeze, 1)
        # The other order than torchvision's: only shapes tell them apart.
        conv(f"{fire}/three", f"{fire}/squeeze", squeeze, out, 3, "pad: 1")
        conv(f"{fire}/one", f"{fire}/squeeze", squeeze, out, 1)
        top, width = f"{fire}/concat", 2 * out
        lines.append(
            f'layer {{ name: "{top}" type: "Concat" top: "{top}" '
            f'bottom: "{fire}/one" bottom: "{fire}/three" }}'
        )
        if number in (4, 8):
            top = pool(f"pool{number}", top)
    conv("last", top, width, 1000, 1, f"pad: {pad}")
    lines.append(
        'layer { name: "mean" type: "Pooling" bottom: "last" top: "mean" '
        "pooling_param { pool: AVE global_pooling: true } }"
        'layer { name: "prob" type: "Softmax" bottom: "mean" top: "prob" }'
    )
    (folder / "net.prototxt").write_text("\n".join(lines), encoding="utf-8")
    write_caffemodel(folder / "net.caffemodel", weights)
    converters.convert([folder / "net.prototxt", folder / "net.caffemodel"], folder / "net.py")
    return load_module(folder / "net.py")


@pytest.mark.parametrize("pad", [0, 1])
def test_squeezenet_from_caffe(tmp_path, pad):
    found = torchvision_state(squeezenet(tmp_path, pad), (3, 63, 63), 1000, "own")
    assert (found.architecture, found.softmax) == ("squeezenet1_0", True)
    assert {key: list(tensor.shape) for key, tensor in found.tensors.items()} == KEYS["squeezenet1_0"]
    # SqueezeNet's own definition pads where torchvision's does not; that is told, with by how much.
    assert (found.deviation is None) == (pad == 0)
    assert (found.difference < 1e-5) == (pad == 0)
