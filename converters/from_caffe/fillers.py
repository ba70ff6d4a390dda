"""Parameters that no file holds: the values that Caffe's fillers make.

Formulas are those of BVLC Caffe's filler.hpp. Caffe's random numbers depend on its build; here each parameter
has a generator of its own, made from the seed and the names of its layer and of itself, so that its values do
not depend on the other layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from converters.errors import FormatError, UnsupportedError
from converters.from_caffe import schema
from converters.graph_bounds import filled
from converters.sizes import shape_text

_FAN_OUT, _AVERAGE = 1, 2
# 1 GiB as float32: more than the largest layer of VGG needs.
MAX_RANDOM_ELEMENTS = 2**28

Shape = tuple[int, ...]


def fill(filler: schema.Message, shape: Shape) -> np.ndarray | None:
    """The float32 array of this shape that the filler makes; None for a random filler."""
    if filler.type == "constant":
        return filled(shape, filler.value)
    if filler.type == "bilinear" and len(shape) == 4 and shape[2] == shape[3]:
        return _bilinear(shape)
    return None


def fill_randomly(filler: schema.Message, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """The float32 array of this shape that any filler makes, random ones with numbers of `rng`.

    FormatError for what Caffe refuses, UnsupportedError for a type that Caffe does not know or for an
    enormous shape.
    """
    values = fill(filler, shape)
    if values is not None:
        return values
    if math.prod(shape) > MAX_RANDOM_ELEMENTS:
        raise UnsupportedError(
            f"a filler would make {shape_text(shape)} values; the most is {MAX_RANDOM_ELEMENTS:,}"
        )
    if filler.type == "bilinear":
        raise FormatError(f"a bilinear filler needs four axes and a square kernel, not {shape_text(shape)}")
    known = _RANDOM.get(filler.type)
    if known is None:
        raise UnsupportedError(
            f"the filler {filler.type!r} is not known: expected constant, bilinear, {', '.join(_RANDOM)}"
        )
    if filler.sparse != -1 and filler.type != "gaussian":
        raise FormatError(f"only a gaussian filler can be sparse, and the type is {filler.type!r}")
    return known(filler, shape, rng)


def generator(seed: int, layer: str, parameter: str) -> np.random.Generator:
    """The random numbers of one parameter of a net that is initialised with this seed."""
    name = f"{layer}\0{parameter}".encode()
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *name])))


# Stands for a weight filler that the definition leaves out. Caffe's default, a constant 0, is used only for a
# layer that is missing in a weights file which otherwise fits the net: see Binder.
DEFAULT_FILLER = object()


def declared_filler(param: schema.Message, name: str) -> schema.Message:
    """The filler in this field of a parameter message; DEFAULT_FILLER where the definition leaves it out."""
    return getattr(param, name) if param.HasField(name) else DEFAULT_FILLER


def constant_filler(value: float) -> schema.Message:
    """A filler of one value, for parameters that Caffe documents with such a default."""
    filler = schema.new("FillerParameter")
    filler.value = value
    return filler


def _bilinear(shape: Shape) -> np.ndarray:
    """The weights of bilinear upsampling (Caffe's BilinearFiller): one square kernel for all channels."""
    size = shape[3]
    factor = math.ceil(size / 2)
    centre = (size - 1) / (2 * factor)
    one_axis = 1 - np.abs(np.arange(size, dtype=np.float64) / factor - centre)
    return filled(shape, 1) * np.outer(one_axis, one_axis).astype(np.float32)


def _uniform(filler: schema.Message, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Between min and max."""
    if filler.min > filler.max:
        raise FormatError(f"a uniform filler has min {filler.min:g} above max {filler.max:g}")
    return _between(filler.min, filler.max, shape, rng)


def _gaussian(filler: schema.Message, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Normal with mean and std; with `sparse`, a value is kept with probability sparse / outputs, else 0."""
    if filler.std < 0:
        raise FormatError(f"a gaussian filler has the negative std {filler.std:g}")
    if filler.sparse < -1:
        raise FormatError(f"a gaussian filler has sparse: {filler.sparse}; the least is -1, which is none")
    values = _normal(filler.mean, filler.std, shape, rng)
    if filler.sparse >= 0:
        share = filler.sparse / shape[0]
        if share > 1:
            raise FormatError(f"a gaussian filler keeps {filler.sparse} of {shape[0]} values")
        values *= rng.random(shape, np.float32) < share
    return values


def _positive_unitball(filler: schema.Message, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Between 0 and 1, each output divided by the sum of its inputs."""
    values = rng.random(shape, np.float32).reshape(shape[0] if shape else 1, -1)
    values /= values.sum(axis=1, keepdims=True)
    return values.reshape(shape)


def _xavier(filler: schema.Message, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Uniform with variance 1 / n."""
    bound = math.sqrt(3 / _fan(filler, shape))
    return _between(-bound, bound, shape, rng)


def _msra(filler: schema.Message, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    """Normal with variance 2 / n."""
    return _normal(0, math.sqrt(2 / _fan(filler, shape)), shape, rng)


def _fan(filler: schema.Message, shape: Shape) -> float:
    """The n of xavier and msra: inputs per output, outputs per input, or the mean of both."""
    count = math.prod(shape)
    fan_in = count / shape[0] if shape else 1
    fan_out = count / shape[1] if len(shape) > 1 else count
    if filler.variance_norm == _FAN_OUT:
        return fan_out
    return (fan_in + fan_out) / 2 if filler.variance_norm == _AVERAGE else fan_in


def _between(low: float, high: float, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    values = rng.random(shape, np.float32)
    values *= np.float32(high - low)
    values += np.float32(low)
    return values


def _normal(mean: float, std: float, shape: Shape, rng: np.random.Generator) -> np.ndarray:
    values = rng.standard_normal(shape, np.float32)
    values *= np.float32(std)
    values += np.float32(mean)
    return values


_RANDOM: dict[str, Callable[[schema.Message, Shape, np.random.Generator], np.ndarray]] = {
    "uniform": _uniform,
    "gaussian": _gaussian,
    "positive_unitball": _positive_unitball,
    "xavier": _xavier,
    "msra": _msra,
}
