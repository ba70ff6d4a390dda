"""Random nets of nn modules in which module objects occur in several places, for `T7Writer`."""

from __future__ import annotations

import math

import numpy as np
from torch7_cases import sizes

FEATURES = 4


class RandomNets:
    """One random net: `net()`. Shapes are guessed, not known: not every net fits together."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.pool: list[tuple] = []

    def net(self) -> tuple:
        return self.chain(int(self.rng.integers(2, 7)), 0, False)

    def chance(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def choose(self, options: list) -> object:
        return options[int(self.rng.integers(len(options)))]

    def chain(self, length: int, depth: int, table: bool) -> tuple:
        """A Sequential of this many steps, which begins with a tensor or a table."""
        modules: list[tuple] = []
        for _ in range(length):
            if table:
                step, table = self.from_table(depth)
            elif depth < 3 and self.chance(0.4):
                step, table = self.to_table(depth), True
            else:
                step = self.leaf()
            modules.append(step)
        if table and depth:
            modules.append(self.from_table(depth, join=True)[0])
        return "nn.Sequential", {"modules": modules}

    def branch(self, depth: int) -> tuple:
        return self.leaf() if self.chance(0.5) else self.chain(int(self.rng.integers(0, 4)), depth + 1, False)

    def to_table(self, depth: int) -> tuple:
        if self.chance(0.2):
            return self.shared(("nn.SplitTable", {"dimension": int(self.rng.integers(1, 3))}))
        branches = [self.branch(depth) for _ in range(int(self.rng.integers(2, 4)))]
        return "nn.ConcatTable", {"modules": branches}

    def from_table(self, depth: int, join: bool = False) -> tuple[tuple, bool]:
        kind = self.rng.random()
        if kind < 0.3:
            return self.shared(("nn.CAddTable", {"inplace": True})), False
        if kind < 0.45:
            return self.shared(("nn.CAddTable", {"inplace": False})), False
        if kind < 0.6:
            return self.shared(("nn.CMulTable", {})), False
        if kind < 0.7:
            return self.shared(("nn.JoinTable", {"dimension": 1})), False
        if join or kind < 0.8:
            return ("nn.SelectTable", {"index": int(self.rng.integers(1, 3))}), False
        return ("nn.ParallelTable", {"modules": [self.branch(depth) for _ in range(2)]}), True

    def shared(self, module: tuple) -> tuple:
        """The module, or often an object that occurs already and is of the same class."""
        same = [known for known in self.pool if known[0] == module[0]]
        if same and self.chance(0.6):
            return self.choose(same)  # type: ignore[return-value]
        self.pool.append(module)
        return module

    def leaf(self) -> tuple:
        leaves = [known for known in self.pool if "Table" not in known[0]]
        if leaves and self.chance(0.5):
            return self.choose(leaves)  # type: ignore[return-value]
        self.pool.append(self.new_leaf())
        return self.pool[-1]

    def new_leaf(self) -> tuple:
        inplace = self.chance(0.5)
        rng, n = self.rng, FEATURES
        shape = self.choose([(3, n), (n, 3), (3 * n,), (1, 3 * n), (3, 2, 2), (n,), (1, n), (2, 2)])
        options = [
            ("nn.ReLU", {"threshold": 0, "val": 0, "inplace": inplace}),
            ("nn.HardTanh", {"min_val": -1, "max_val": 1, "inplace": inplace}),
            ("nn.ELU", {"alpha": 1, "inplace": inplace}),
            ("nn.Dropout", {"p": 0.25, "v2": self.chance(0.5), "inplace": inplace}),
            ("nn.MulConstant", {"constant_scalar": -1.5, "inplace": inplace}),
            ("nn.AddConstant", {"constant_scalar": 0.5, "inplace": inplace}),
            self.choose([("nn.Tanh", {}), ("nn.Abs", {}), ("nn.SoftMax", {})]),
            self.choose([("nn.GradientReversal", {}), ("nn.ZeroGrad", {}), ("nn.Identity", {})]),
            self.choose([("nn.Contiguous", {}), ("nn.Copy", {})]),
            ("nn.View", {"size": sizes(*shape), "numElements": math.prod(shape)}),
            ("nn.Reshape", {"size": sizes(*shape), "nelement": math.prod(shape), "batchMode": False}),
            ("nn.Unsqueeze", {"pos": int(rng.integers(1, 3))}),
            ("nn.Squeeze", {}),
            ("nn.Replicate", {"nfeatures": int(rng.integers(1, 3)), "dim": int(rng.integers(1, 3))}),
            ("nn.Transpose", {"permutations": [[1, 2]]}),
            ("nn.Narrow", {"dimension": 1, "index": 1, "length": 2}),
            self.choose([("nn.Select", {"dimension": 1, "index": 1}), ("nn.Sum", {"dimension": 1})]),
            (
                "nn.Linear",
                {
                    "weight": rng.normal(size=(n, n)).astype(np.float32),
                    "bias": rng.normal(size=n).astype(np.float32),
                },
            ),
            (
                "nn.Linear",
                {
                    "weight": rng.normal(size=(n, n)).astype(np.float32),
                    "bias": rng.normal(size=n).astype(np.float32),
                },
            ),
            (
                "nn.BatchNormalization",
                {
                    "running_mean": rng.normal(size=n).astype(np.float32),
                    "running_var": rng.uniform(0.5, 2, n).astype(np.float32),
                    "weight": rng.normal(size=n).astype(np.float32),
                    "bias": rng.normal(size=n).astype(np.float32),
                    "eps": 1e-5,
                },
                2,
            ),
            ("nn.Bottle", {"nInputDim": 1, "modules": [("nn.Tanh", {})]}),
        ]
        return self.choose(options)  # type: ignore[return-value]

    def input(self) -> np.ndarray:
        shape = self.choose([(3, FEATURES), (3, FEATURES), (FEATURES,), (1, FEATURES), (3, 2, 2)])
        return self.rng.normal(size=shape).astype(np.float32)
