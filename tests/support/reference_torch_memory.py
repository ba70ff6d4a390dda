"""A small interpreter of nn modules over Torch's memory, written from the Lua and C sources of nn.

A tensor is an object: storage, offset, sizes, strides. Each module owns its output tensor and does to it what
updateOutput does: resize and copy, `set`, `view`, `select`. Modules are (class, fields) as `T7Writer` takes
them; the same tuple is the same object. Numbers are doubles.

`Accident`: a module writes over what it still reads, so that Torch's result depends on the order in which it
happens to work. `Stopped`: Torch stops with an error.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from strided_tensors import Stopped, Tensor, same_elements, shares, with_axis


class Accident(Exception):
    """Torch's numbers would be an accident."""


def check_each_once(name: str, x: Tensor) -> None:
    """Accident if two elements of a tensor that is changed in place are one number."""
    if np.unique(x.places()).size < math.prod(x.shape):
        raise Accident(name)


ELEMENTWISE: dict[str, Callable[[dict, np.ndarray], np.ndarray]] = {
    "nn.ReLU": lambda m, x: np.maximum(x, 0),
    "nn.HardTanh": lambda m, x: np.clip(x, m["min_val"], m["max_val"]),
    "nn.ELU": lambda m, x: np.where(x > 0, x, np.exp(np.minimum(x, 0)) - 1),
    "nn.Dropout": lambda m, x: x if m.get("v2") else x * (1 - m["p"]),
    "nn.MulConstant": lambda m, x: x * m["constant_scalar"],
    "nn.AddConstant": lambda m, x: x + m["constant_scalar"],
    "nn.Tanh": lambda m, x: np.tanh(x),
    "nn.SoftPlus": lambda m, x: np.logaddexp(0, x),
    "nn.Abs": lambda m, x: np.abs(x),
}
# Fields that change what a class does and that this interpreter does not follow.
NOT_COVERED = {
    "nn.Squeeze": ("dim", "numInputDims"),
    "nn.Replicate": ("ndim",),
    "nn.SplitTable": ("nInputDims",),
    "nn.JoinTable": ("nInputDims",),
    "nn.Reshape": ("batchMode",),  # true; false is followed
    "nn.Transpose": ("numInputDims",),
    "nn.Sum": ("nInputDims",),
    "nn.Copy": ("updateOutput",),
}
SETS_ITS_OUTPUT = ("nn.GradientReversal", "nn.ZeroGrad")


class Interpreter:
    """Runs modules. outputs: the output tensor that each module owns, by the identity of the module."""

    def __init__(self) -> None:
        self.outputs: dict[object, Tensor] = {}

    def owned(self, module: tuple, name: str = "output") -> Tensor:
        return self.outputs.setdefault((id(module), name), Tensor())

    def run(self, module: tuple, x: object) -> object:
        """The output of a module: a tensor or a list. NotImplementedError for what is not covered."""
        name, fields = module[:2]
        if any(fields.get(field) not in (None, False) for field in NOT_COVERED.get(name, ())):
            raise NotImplementedError(name)
        if name in ELEMENTWISE:
            return self.elementwise(module, tensor(x))
        if name in SETS_ITS_OUTPUT:
            return self.owned(module).set(tensor(x))
        method = getattr(self, name.lower().replace(".", "_"), None)
        if method is None:
            raise NotImplementedError(name)
        return method(module, fields, x)

    def elementwise(self, module: tuple, x: Tensor) -> Tensor:
        name, fields = module[:2]
        out = self.owned(module)
        if fields.get("inplace"):
            check_each_once(name, x)
            out.set(x)
            x.array[...] = ELEMENTWISE[name](fields, x.array.copy())
            return out
        out.resize(x.shape)
        if shares(out, x) and not same_elements(out, x):
            raise Accident(name)
        out.array[...] = ELEMENTWISE[name](fields, x.array.copy())
        return out

    def write(self, module: tuple, value: np.ndarray, *reads: Tensor) -> Tensor:
        """The output of a module that may not read what it writes."""
        out = self.owned(module)
        out.resize(value.shape)
        if any(shares(out, read) for read in reads):
            raise Accident(module[0])
        out.array[...] = value
        return out

    # Containers

    def nn_sequential(self, module, m, x):
        for child in m["modules"]:
            x = self.run(child, x)
        return x

    def nn_concattable(self, module, m, x):
        return [self.run(child, x) for child in m["modules"]]

    def nn_paralleltable(self, module, m, x):
        if len(table(x)) < len(m["modules"]):
            raise Stopped("ParallelTable")
        return [self.run(child, part) for child, part in zip(m["modules"], table(x), strict=False)]

    def nn_concat(self, module, m, x):
        outs, shapes = [], []
        for child in m["modules"]:
            outs.append(tensor(self.run(child, x)))
            shapes.append(outs[-1].shape)
        if [out.shape for out in outs] != shapes:
            raise Accident("Concat")
        return self.nn_jointable(module, {"dimension": m["dimension"]}, outs)

    def nn_bottle(self, module, m, x):
        x, out = tensor(x), self.owned(module)
        lead = len(x.shape) - m["nInputDim"] + 1
        if lead <= 1:
            return out.set(tensor(self.run(m["modules"][0], x)))
        folded = (math.prod(x.shape[:lead]), *x.shape[lead:])
        inner = tensor(self.run(m["modules"][0], Tensor().view_of(x, folded)))
        return out.view_of(
            inner, (*x.shape[: lead - 1], inner.shape[0] // math.prod(x.shape[: lead - 1]), *inner.shape[1:])
        )

    # Tables

    def nn_identity(self, module, m, x):
        return x

    def nn_selecttable(self, module, m, x):
        if m["index"] > len(table(x)):
            raise Stopped("SelectTable")
        return table(x)[m["index"] - 1]

    def nn_flattentable(self, module, m, x):
        return leaves(table(x))

    def nn_splittable(self, module, m, x):
        x, axis = tensor(x), m["dimension"] - 1
        if axis < 0:
            raise NotImplementedError("SplitTable")
        if axis >= len(x.shape):
            raise Stopped("SplitTable")
        return [x.select(axis, k) for k in range(x.shape[axis])]

    def nn_caddtable(self, module, m, x):
        first, *others = map(tensor, table(x))
        out = self.owned(module)
        if m.get("inplace"):
            check_each_once(module[0], first)
            out.set(first)
        else:
            self.copy_first(module, out, first, others)
        for other in others:
            self.step(module, out, other, np.add)
        return out

    def nn_cmultable(self, module, m, x):
        first, *others = map(tensor, table(x))
        out = self.owned(module)
        self.copy_first(module, out, first, others)
        for other in others:
            self.step(module, out, other, np.multiply)
        return out

    def copy_first(self, module, out, first, others):
        out.resize(first.shape)
        if any(shares(out, other) for other in others):
            raise Accident(module[0])
        if shares(out, first) and not same_elements(out, first):
            raise Accident(module[0])
        out.array[...] = first.array.copy()

    def step(self, module, out, other, function):
        """output:add(other): any shape of as many elements, in order."""
        if math.prod(out.shape) != math.prod(other.shape):
            raise Stopped("sizes")
        if shares(out, other) and not same_elements(out, other):
            raise Accident(module[0])
        out.array[...] = function(out.array, other.array.reshape(out.shape))

    def nn_jointable(self, module, m, x):
        parts, axis = [tensor(part) for part in table(x)], m["dimension"] - 1
        if axis < 0:
            raise NotImplementedError("JoinTable")
        if axis >= min(len(part.shape) for part in parts):
            raise Stopped("JoinTable")
        # Each part is copied to its place, which has its size along the axis and the first part's sizes else.
        first = parts[0].shape
        places = [(*first[:axis], part.shape[axis], *first[axis + 1 :]) for part in parts]
        if any(math.prod(place) != math.prod(part.shape) for place, part in zip(places, parts, strict=True)):
            raise Stopped("JoinTable")
        arrays = [part.array.reshape(place) for place, part in zip(places, parts, strict=True)]
        return self.write(module, np.concatenate(arrays, axis), *parts)

    # Shapes

    def nn_view(self, module, m, x):
        x, size, inner = tensor(x), tuple(m["size"][1].tolist()), m.get("numInputDims")
        kept = len(x.shape) if inner is None else inner
        count, whole = math.prod(x.shape[len(x.shape) - kept :]), m["numElements"]
        if count % whole:
            raise Stopped("View")
        batch = (1 if -1 in size else count // whole) * math.prod(x.shape[: len(x.shape) - kept])
        if not (batch == 1 and (inner is None or len(x.shape) <= inner)):
            size = (batch, *size)
        missing = -math.prod(x.shape) // math.prod(size)
        return self.owned(module).view_of(x, tuple(missing if n == -1 else n for n in size))

    def nn_reshape(self, module, m, x):
        x = tensor(x)
        if m.get("batchMode") is None and (math.prod(x.shape) != m["nelement"] or x.shape[0] == 1):
            raise NotImplementedError("Reshape")
        if not x.contiguous():
            copied = self.owned(module, "_input")
            copied.resize(x.shape)
            if shares(copied, x):
                raise Accident("Reshape")
            copied.array[...] = x.array
            x = copied
        return self.owned(module).view_of(x, tuple(m["size"][1].tolist()))

    def nn_unsqueeze(self, module, m, x):
        x = tensor(x)
        axis = m["pos"] - 1 + len(x.shape) - m.get("numInputDims", len(x.shape))
        if axis > len(x.shape):
            raise Stopped("Unsqueeze")
        return self.owned(module).set(with_axis(x, axis))

    def nn_squeeze(self, module, m, x):
        x = tensor(x)
        kept = [k for k, size in enumerate(x.shape) if size != 1] or [0]
        shape, strides = ([numbers[k] for k in kept] for numbers in (x.shape, x.strides))
        return self.owned(module).point(x.storage, x.offset, shape, strides)

    def nn_replicate(self, module, m, x):
        x, axis = tensor(x), m["dim"] - 1
        if axis > len(x.shape):
            raise Stopped("Replicate")
        shape = (*x.shape[:axis], m["nfeatures"], *x.shape[axis:])
        return self.owned(module).point(x.storage, x.offset, shape, (*x.strides[:axis], 0, *x.strides[axis:]))

    def nn_contiguous(self, module, m, x):
        x, out = tensor(x), self.owned(module)
        if x.contiguous():
            return out.set(x)
        if out.storage is x.storage:
            out.set(Tensor())
        return self.write(module, x.array.copy(), x)

    def nn_transpose(self, module, m, x):
        x = tensor(x)
        array = x.array
        for a, b in m["permutations"]:
            if max(a, b) > len(x.shape):
                raise Stopped("Transpose")
            array = np.swapaxes(array, a - 1, b - 1)
        return self.write(module, array.copy(), x)

    def nn_narrow(self, module, m, x):
        x = tensor(x)
        axis, start = m["dimension"] - 1, m["index"] - 1
        if min(axis, start, m["length"]) < 0:
            raise NotImplementedError("Narrow")
        if axis >= len(x.shape) or start + m["length"] > x.shape[axis]:
            raise Stopped("Narrow")
        return self.write(module, x.array.take(range(start, start + m["length"]), axis), x)

    def nn_select(self, module, m, x):
        x = tensor(x)
        axis, index = m["dimension"] - 1, m["index"] - 1
        if min(axis, index) < 0:
            raise NotImplementedError("Select")
        if axis >= len(x.shape) or index >= x.shape[axis]:
            raise Stopped("Select")
        return self.write(module, x.select(axis, index).array.copy(), x)

    def nn_copy(self, module, m, x):
        return self.write(module, tensor(x).array.copy(), tensor(x))

    # Computing

    def nn_sum(self, module, m, x):
        x = tensor(x)
        if len(x.shape) < 2:
            raise Stopped("a sum of a vector is rarely a tensor")
        if m["dimension"] < 1 or m.get("squeeze") is False:
            raise NotImplementedError("Sum")
        total = x.array.sum(m["dimension"] - 1)
        return self.write(module, total / x.shape[m["dimension"] - 1] if m.get("sizeAverage") else total, x)

    def nn_linear(self, module, m, x):
        x = tensor(x)
        if len(x.shape) not in (1, 2) or x.shape[-1] != m["weight"].shape[1]:
            raise Stopped("Linear")
        return self.write(module, x.array @ m["weight"].T.astype(float) + m.get("bias", 0), x)

    def nn_softmax(self, module, m, x):
        x, out = tensor(x), self.owned(module)
        if not 1 <= len(x.shape) <= 4:
            raise Stopped("SoftMax")
        axis = 1 - len(x.shape) % 2
        e = np.exp(x.array - x.array.max(axis, keepdims=True))
        out.resize(x.shape)
        if shares(out, x) and not same_elements(out, x):
            raise Accident("SoftMax")
        out.array[...] = e / e.sum(axis, keepdims=True)
        return out

    def nn_batchnormalization(self, module, m, x):
        if "running_var" not in m:
            raise NotImplementedError("BatchNormalization of version 1")
        x, features = tensor(x), m["running_mean"].size
        if len(x.shape) not in (1, 2) or x.shape[-1] != features:
            raise Stopped("BatchNormalization")
        if not x.contiguous():
            copied = self.owned(module, "_input")
            copied.resize(x.shape)
            copied.array[...] = x.array
            x = copied
        if len(x.shape) == 1:
            x.set(with_axis(x, 0))
        out = self.owned(module)
        value = (x.array - m["running_mean"]) / np.sqrt(m["running_var"] + m["eps"])
        value = value * m.get("weight", 1) + m.get("bias", 0)
        out.resize(x.shape)
        if shares(out, x) and not same_elements(out, x):
            raise Accident("BatchNormalization")
        out.array[...] = value
        return out


def tensor(x: object) -> Tensor:
    if not isinstance(x, Tensor):
        raise Stopped("a table where a tensor is taken")
    return x


def table(x: object) -> list:
    if not isinstance(x, list) or not x:
        raise Stopped("a tensor where a table is taken")
    return x


def leaves(x: object) -> list:
    return [leaf for part in x for leaf in leaves(part)] if isinstance(x, list) else [x]


def run(module: tuple, *inputs: np.ndarray) -> list[np.ndarray]:
    """The outputs of a net, as they are after it has run."""
    tensors = [Tensor.of(array.astype(float)) for array in inputs]
    result = Interpreter().run(module, tensors[0] if len(tensors) == 1 else tensors)
    return [np.array(leaf.array) for leaf in leaves(result)]
