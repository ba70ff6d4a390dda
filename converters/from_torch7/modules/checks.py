"""Checks that several families of modules share: kinds of input, numbers of channels, expected inputs."""

from __future__ import annotations

import onnx_ir as ir

from converters.errors import FormatError, MismatchError
from converters.from_torch7.backward_shape_inference import Expected, batch_first
from converters.from_torch7.module import Module
from converters.from_torch7.tensor_references import NestedTensors, TensorReference
from converters.sizes import dims, shape_text


def check_channels(m: Module, x: ir.Value, axis: int, channels: int) -> None:
    """MismatchError if the size of x along `axis` is known and is not `channels`."""
    size = dims(x)[axis]
    if isinstance(size, int) and size != channels:
        raise m.error(MismatchError, f"takes {channels} channels, but {size} arrive ({shape_text(dims(x))})")


def two_tensors(m: Module, x: list[ir.Value]) -> list[ir.Value]:
    """The table x, which must hold exactly two tensors, else FormatError."""
    if len(x) != 2 or not all(isinstance(part, ir.Value) for part in x):
        raise m.error(FormatError, "takes a table of two tensors")
    return x


def first_two_tensors(m: Module, x: list[ir.Value]) -> list[ir.Value]:
    """The first two entries of the table x; FormatError unless both are tensors. Torch ignores the rest."""
    if len(x) < 2 or not all(isinstance(part, ir.Value) for part in x[:2]):
        raise m.error(FormatError, "takes a table of two tensors")
    return x[:2]


def check_rank(m: Module, x: ir.Value, *ranks: int) -> None:
    """FormatError if x has none of these numbers of dimensions."""
    if len(dims(x)) not in ranks:
        wanted = " or ".join(f"{rank}-D" for rank in ranks)
        raise m.error(FormatError, f"takes {wanted} input, not {shape_text(dims(x))}")


def as_tensor(m: Module, x: NestedTensors) -> TensorReference:
    """The tensor x; FormatError for a table."""
    if isinstance(x, list):
        raise m.error(FormatError, "takes a tensor, but a table arrives")
    return x


def tensor_value(m: Module, x: NestedTensors) -> ir.Value:
    """The value of the tensor x; FormatError for a table."""
    return as_tensor(m, x).read()


def as_table(m: Module, x: NestedTensors) -> list[NestedTensors]:
    """The table x; FormatError for a tensor."""
    if not isinstance(x, list):
        raise m.error(FormatError, "takes a table, but a tensor arrives")
    return x


def table_entry(m: Module, x: list[NestedTensors], index: int) -> NestedTensors:
    """x[index] as in Lua: from 1, or from the end if negative; FormatError if there is no such entry."""
    position = index - 1 if index > 0 else index + len(x)
    if not 0 <= position < len(x):
        raise m.error(FormatError, f"takes entry {index} of a table of {len(x)}")
    return x[position]


def expected_maps(m: Module) -> Expected:
    """N x nInputPlane x H x W."""
    return batch_first(m.c_integer("nInputPlane"), None, None)


def expected_volumes(m: Module) -> Expected:
    """N x nInputPlane x T x H x W."""
    return batch_first(m.c_integer("nInputPlane"), None, None, None)


def expected_frames(m: Module) -> Expected:
    """N x time x inputFrameSize."""
    return batch_first(None, m.c_integer("inputFrameSize"))
