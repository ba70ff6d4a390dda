"""A thin ENet, put together as e-lab/ENet-training builds it, against the same net in PyTorch.

Its train/models/encoder.lua and decoder.lua at 16f3883. What is particular: the unpooling of the decoder
refers to the pooling modules of the encoder, and a bottleneck pads its channels.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from corpus_cases import run_pytorch
from torch7_cases import run_model, t

import converters

Step = Callable[[torch.Tensor], torch.Tensor]


class Enet:
    """Builds modules for a .t7 beside the PyTorch functions of the same numbers: pairs (module, step)."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(13)
        self.places: dict[int, torch.Tensor] = {}

    def numbers(self, *shape: int) -> np.ndarray:
        return (self.rng.normal(size=shape) / np.sqrt(np.prod(shape[1:]) or 1)).astype(np.float32)

    def conv(
        self, i: int, o: int, kw: int = 1, kh: int = 1, d: int = 1, pad=(0, 0), dilation: int = 0
    ) -> tuple:
        weight, bias = self.numbers(o, i, kh, kw), self.numbers(o)
        fields = {"nInputPlane": i, "nOutputPlane": o, "kW": kw, "kH": kh, "dW": d, "dH": d}
        fields |= {"padW": pad[0], "padH": pad[1], "weight": weight, "bias": bias}
        name = "nn.SpatialDilatedConvolution" if dilation else "cudnn.SpatialConvolution"
        fields |= {"dilationW": dilation, "dilationH": dilation} if dilation else {"groups": 1}
        return (name, fields), lambda x: F.conv2d(x, t(weight), t(bias), d, pad[::-1], dilation or 1)

    def full_conv(self, i: int, o: int, k: int, pad: int, adj: int) -> tuple:
        weight, bias = self.numbers(i, o, k, k), self.numbers(o)
        fields = {
            "nInputPlane": i,
            "nOutputPlane": o,
            "kW": k,
            "kH": k,
            "dW": 2,
            "dH": 2,
            "padW": pad,
            "padH": pad,
        }
        fields |= {"adjW": adj, "adjH": adj, "weight": weight, "bias": bias}
        step = lambda x: F.conv_transpose2d(x, t(weight), t(bias), 2, pad, adj)  # noqa: E731
        return ("nn.SpatialFullConvolution", fields), step

    def norm(self, n: int) -> tuple:
        mean, weight, bias = (self.numbers(n) for _ in range(3))
        variance = self.numbers(n) ** 2 + 1
        fields = {"running_mean": mean, "running_var": variance, "weight": weight, "bias": bias}
        fields |= {"eps": 1e-3, "momentum": 0.1, "affine": True, "train": False}
        step = lambda x: F.batch_norm(x, t(mean), t(variance), t(weight), t(bias), eps=1e-3)  # noqa: E731
        return ("nn.SpatialBatchNormalization", fields), step

    def prelu(self, n: int) -> tuple:
        weight = self.numbers(n)
        return ("nn.PReLU", {"nOutputPlane": n, "weight": weight}), lambda x: F.prelu(x, t(weight))

    def relu(self) -> tuple:
        return ("cudnn.ReLU", {"inplace": True}), F.relu

    def pool(self) -> tuple:
        module = ("nn.SpatialMaxPooling", {"kW": 2, "kH": 2, "dW": 2, "dH": 2, "padW": 0, "padH": 0})

        def step(x: torch.Tensor) -> torch.Tensor:
            y, self.places[id(module)] = F.max_pool2d(x, 2, return_indices=True)
            return y

        return module, step

    def unpool(self, pool: tuple) -> tuple:
        step = lambda x: F.max_unpool2d(x, self.places[id(pool)], 2)  # noqa: E731
        return ("nn.SpatialMaxUnpooling", {"pooling": pool}), step

    def chain(self, *pairs: tuple) -> tuple:
        def step(x: torch.Tensor) -> torch.Tensor:
            for _, one in pairs:
                x = one(x)
            return x

        return ("nn.Sequential", {"modules": [module for module, _ in pairs]}), step

    def branches(self, main: tuple, other: tuple, *, join: bool = False) -> tuple:
        """Both read one input; their results are joined along the channels, or added."""
        table = ("nn.ConcatTable", {"modules": [main[0], other[0]]})
        if join:
            module, merge = ("nn.JoinTable", {"dimension": 2}), lambda a, b: torch.cat([a, b], 1)
        else:
            module, merge = ("nn.CAddTable", {}), torch.add
        return ("nn.Sequential", {"modules": [table, module]}), lambda x: merge(main[1](x), other[1](x))

    def encoder(self, i: int, o: int, middle: list[tuple], *, pool: tuple | None = None) -> tuple:
        n, k = o // 4, 2 if pool else 1
        steps = [self.conv(i, n, k, k, k), self.norm(n), self.prelu(n), *middle, self.norm(n), self.prelu(n)]
        # Torch's SpatialDropout scales at inference, not while training.
        dropout = ("nn.SpatialDropout", {"p": 0.1, "train": False}), lambda x: 0.9 * x
        main = self.chain(*steps, self.conv(n, o), self.norm(o), dropout)
        other = [(("nn.Identity", {}), lambda x: x)] + ([pool] if pool else [])
        if i != o:
            fields = {"dim": 1, "pad": o - i, "nInputDim": 3, "value": 0, "index": 1}
            other.append((("nn.Padding", fields), lambda x: F.pad(x, (0, 0, 0, 0, 0, o - i))))
        return self.chain(self.branches(main, self.chain(*other)), self.prelu(o))

    def decoder(self, i: int, o: int, pool: tuple | None = None) -> tuple:
        n = i // 4
        middle = self.full_conv(n, n, 3, 1, 1) if pool else self.conv(n, n, 3, 3, 1, (1, 1))
        steps = [self.conv(i, n), self.norm(n), self.relu(), middle, self.norm(n), self.relu()]
        main = self.chain(*steps, self.conv(n, o), self.norm(o))
        other = [(("nn.Identity", {}), lambda x: x)]
        if pool:
            other += [self.conv(i, o), self.norm(o), self.unpool(pool[0])]
        return self.chain(self.branches(main, self.chain(*other)), self.relu())

    def net(self, classes: int) -> tuple:
        first, second, third = self.pool(), self.pool(), self.pool()
        return self.chain(
            self.branches(self.conv(3, 5, 3, 3, 2, (1, 1)), first, join=True),
            self.norm(8),
            self.prelu(8),
            self.encoder(8, 16, [self.conv(4, 4, 3, 3, 1, (1, 1))], pool=second),
            self.encoder(16, 24, [self.conv(6, 6, 3, 3, 1, (1, 1))], pool=third),
            self.encoder(24, 24, [self.conv(6, 6, 3, 3, 1, (2, 2), dilation=2)]),
            self.encoder(24, 24, [self.conv(6, 6, 5, 1, 1, (2, 0)), self.conv(6, 6, 1, 5, 1, (0, 2))]),
            self.decoder(24, 16, third),
            self.decoder(16, 16),
            self.decoder(16, 8, second),
            self.full_conv(8, classes, 2, 0, 0),
        )


def test_a_thin_enet_gives_what_pytorch_gives(save_t7, tmp_path):
    network, reference = Enet().net(7)
    images = np.random.default_rng(0).uniform(size=(2, 3, 16, 32)).astype(np.float32)
    wanted = reference(t(images)).numpy()
    model = converters.load(save_t7(network), image_shape=(3, 16, 32))
    converters.save(model, tmp_path / "net.py")
    pytorch = run_pytorch(tmp_path / "net.py", {"input": images}, model)
    for found in (run_model(model, {"input": images}), pytorch):
        np.testing.assert_allclose(found["output"], wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
