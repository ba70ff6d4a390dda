"""The state dicts that torchvision's own classifiers accept, and whether such a net computes the same.

Names, shapes and the order of computation follow torchvision's documented architectures (0.29); torchvision
itself is not needed. `Layers` lists the keys of an architecture, and runs it with given weights, from one
description.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

# fb.resnet.torch and torchvision use this value; it is no part of a state dict.
BN_EPSILON = 1e-5


@dataclass
class Layers:
    """The layers of an architecture by their names in torchvision.

    state: the weights to compute with; None: only shapes are computed, on tensors without memory.
    original: where the architecture as it was published differs without other weights, compute that instead.
    shapes: every key that was used so far, with its shape. kinds: the layers, in torchvision's order.
    """

    state: Mapping[str, Tensor] | None = None
    original: bool = False
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    kinds: dict[str, str] = field(default_factory=dict)

    def conv(
        self,
        name: str,
        x: Tensor,
        out: int,
        kernel: int,
        *,
        stride: int = 1,
        padding: int = 0,
        bias: bool = True,
    ) -> Tensor:
        """nn.Conv2d."""
        from torch.nn import functional

        self.kinds[name] = "conv"
        weight = self._tensor(f"{name}.weight", out, x.shape[1], kernel, kernel)
        return functional.conv2d(
            x, weight, self._tensor(f"{name}.bias", out) if bias else None, stride, padding
        )

    def norm(self, name: str, x: Tensor, epsilon: float = BN_EPSILON) -> Tensor:
        """nn.BatchNorm2d."""
        from torch.nn import functional

        self.kinds[name] = "norm"
        weight, bias, mean, variance = (
            self._tensor(f"{name}.{key}", x.shape[1])
            for key in ("weight", "bias", "running_mean", "running_var")
        )
        self.shapes[f"{name}.num_batches_tracked"] = ()
        return functional.batch_norm(x, mean, variance, weight, bias, eps=epsilon)

    def linear(self, name: str, x: Tensor, out: int) -> Tensor:
        """nn.Linear."""
        from torch.nn import functional

        self.kinds[name] = "linear"
        weight = self._tensor(f"{name}.weight", out, x.shape[1])
        return functional.linear(x, weight, self._tensor(f"{name}.bias", out))

    def _tensor(self, key: str, *shape: int) -> Tensor:
        import torch

        self.shapes[key] = shape
        return torch.empty(shape, device="meta") if self.state is None else self.state[key]


def _alexnet(n: Layers, x: Tensor, classes: int) -> Tensor:
    from torch.nn import functional

    plan = ((0, 64, 11, 4, 2), (3, 192, 5, 1, 2), (6, 384, 3, 1, 1), (8, 256, 3, 1, 1), (10, 256, 3, 1, 1))
    for at, out, kernel, stride, padding in plan:
        x = n.conv(f"features.{at}", x, out, kernel, stride=stride, padding=padding).relu()
        if at in (0, 3, 10):
            x = functional.max_pool2d(x, 3, 2)
    return _perceptron(n, functional.adaptive_avg_pool2d(x, 6), classes, (1, 4, 6))


def _vgg16(n: Layers, x: Tensor, classes: int) -> Tensor:
    from torch.nn import functional

    at = 0
    for count, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(count):
            x = n.conv(f"features.{at}", x, width, 3, padding=1).relu()
            at += 2
        x = functional.max_pool2d(x, 2, 2)
        at += 1
    return _perceptron(n, functional.adaptive_avg_pool2d(x, 7), classes, (0, 3, 6))


def _perceptron(n: Layers, x: Tensor, classes: int, places: tuple[int, int, int]) -> Tensor:
    first, second, last = (f"classifier.{place}" for place in places)
    x = n.linear(second, n.linear(first, x.flatten(1), 4096).relu(), 4096).relu()
    return n.linear(last, x, classes)


def _squeezenet1_0(n: Layers, x: Tensor, classes: int) -> Tensor:
    import torch
    from torch.nn import functional

    x = n.conv("features.0", x, 96, 7, stride=2).relu()
    fires = {3: (16, 64), 4: (16, 64), 5: (32, 128), 7: (32, 128), 8: (48, 192), 9: (48, 192), 10: (64, 256)}
    for at in range(2, 13):
        if at in (2, 6, 11):
            x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
            continue
        squeeze, expand = fires.get(at, (64, 256))
        x = n.conv(f"features.{at}.squeeze", x, squeeze, 1).relu()
        one = n.conv(f"features.{at}.expand1x1", x, expand, 1).relu()
        x = torch.cat([one, n.conv(f"features.{at}.expand3x3", x, expand, 3, padding=1).relu()], 1)
    # SqueezeNet's definition pads here, so that an edge of the biases alone counts in the average.
    x = n.conv("classifier.1", x, classes, 1, padding=1 if n.original else 0)
    return functional.adaptive_avg_pool2d(x.relu(), 1).flatten(1)


def _resnet18(n: Layers, x: Tensor, classes: int) -> Tensor:
    return _resnet(n, x, classes, (2, 2, 2, 2), bottleneck=False)


def _resnet50(n: Layers, x: Tensor, classes: int) -> Tensor:
    return _resnet(n, x, classes, (3, 4, 6, 3), bottleneck=True)


def _resnet(n: Layers, x: Tensor, classes: int, blocks: tuple[int, ...], *, bottleneck: bool) -> Tensor:
    from torch.nn import functional

    x = n.norm("bn1", n.conv("conv1", x, 64, 7, stride=2, padding=3, bias=False)).relu()
    x = functional.max_pool2d(x, 3, 2, 1)
    for stage, count in enumerate(blocks, 1):
        width = 32 << stage
        for block in range(count):
            name, stride = f"layer{stage}.{block}", 2 if stage > 1 and block == 0 else 1
            y = _bottleneck(n, name, x, width, stride) if bottleneck else _basic(n, name, x, width, stride)
            if x.shape[1:] != y.shape[1:]:
                x = n.conv(f"{name}.downsample.0", x, y.shape[1], 1, stride=stride, bias=False)
                x = n.norm(f"{name}.downsample.1", x)
            x = (x + y).relu()
    return n.linear("fc", functional.adaptive_avg_pool2d(x, 1).flatten(1), classes)


def _basic(n: Layers, name: str, x: Tensor, width: int, stride: int) -> Tensor:
    x = n.conv(f"{name}.conv1", x, width, 3, stride=stride, padding=1, bias=False)
    x = n.norm(f"{name}.bn1", x).relu()
    return n.norm(f"{name}.bn2", n.conv(f"{name}.conv2", x, width, 3, padding=1, bias=False))


def _bottleneck(n: Layers, name: str, x: Tensor, width: int, stride: int) -> Tensor:
    x = n.norm(f"{name}.bn1", n.conv(f"{name}.conv1", x, width, 1, bias=False)).relu()
    x = n.conv(f"{name}.conv2", x, width, 3, stride=stride, padding=1, bias=False)
    x = n.norm(f"{name}.bn2", x).relu()
    return n.norm(f"{name}.bn3", n.conv(f"{name}.conv3", x, 4 * width, 1, bias=False))


# Of each inception block: 1x1; 3x3 and what comes before it; 5x5 in the paper, 3x3 in torchvision; pool.
_INCEPTION = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}


def _googlenet(n: Layers, x: Tensor, classes: int) -> Tensor:
    import torch
    from torch.nn import functional

    def unit(name: str, x: Tensor, out: int, kernel: int, stride: int = 1) -> Tensor:
        x = n.conv(f"{name}.conv", x, out, kernel, stride=stride, padding=kernel // 2, bias=False)
        return n.norm(f"{name}.bn", x, 1e-3).relu()

    x = functional.max_pool2d(unit("conv1", x, 64, 7, 2), 3, 2, ceil_mode=True)
    x = functional.max_pool2d(unit("conv3", unit("conv2", x, 64, 1), 192, 3), 3, 2, ceil_mode=True)
    for block, (one, before3, three, before5, five, pool) in _INCEPTION.items():
        at = f"inception{block}"
        second = unit(f"{at}.branch2.1", unit(f"{at}.branch2.0", x, before3, 1), three, 3)
        third = unit(f"{at}.branch3.1", unit(f"{at}.branch3.0", x, before5, 1), five, 3)
        pooled = unit(f"{at}.branch4.1", functional.max_pool2d(x, 3, 1, 1, ceil_mode=True), pool, 1)
        x = torch.cat([unit(f"{at}.branch1", x, one, 1), second, third, pooled], 1)
        if block == "3b":
            x = functional.max_pool2d(x, 3, 2, ceil_mode=True)
        elif block == "4e":
            x = functional.max_pool2d(x, 2, 2, ceil_mode=True)
    return n.linear("fc", functional.adaptive_avg_pool2d(x, 1).flatten(1), classes)


ARCHITECTURES: dict[str, Callable[[Layers, Tensor, int], Tensor]] = {
    "alexnet": _alexnet,
    "googlenet": _googlenet,
    "resnet18": _resnet18,
    "resnet50": _resnet50,
    "squeezenet1_0": _squeezenet1_0,
    "vgg16": _vgg16,
}
"""The architectures by the names of torchvision's functions; googlenet without its auxiliary heads."""


DEVIATIONS = {
    "squeezenet1_0": "SqueezeNet's own definition pads its last convolution, a 1x1, by one pixel; "
    "torchvision's does not. The padded edge adds the biases to the average, which torchvision leaves out."
}
"""What torchvision does otherwise than the published architecture, where all weights fit."""


def layers_of(architecture: str, classes: int = 1000) -> Layers:
    """The keys of an architecture's state dict with their shapes, and its layers."""
    import torch

    layers = Layers()
    ARCHITECTURES[architecture](layers, torch.empty(1, 3, 224, 224, device="meta"), classes)
    return layers


def run(
    architecture: str, state: Mapping[str, Tensor], images: Tensor, classes: int, *, original: bool = False
) -> Tensor:
    """What the architecture computes with these weights: (images, classes). original: see `Layers`."""
    import torch

    with torch.inference_mode():
        return ARCHITECTURES[architecture](Layers(state, original), images, classes)
