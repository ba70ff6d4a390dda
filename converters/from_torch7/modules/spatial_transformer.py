"""The spatial transformer of stnbhwd: affine matrices, sampling grids and the sampling of images."""

from __future__ import annotations

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import Expected, batch_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import Conversion
from converters.from_torch7.module import Module
from converters.from_torch7.modules.arithmetic import repeat_per_sample
from converters.from_torch7.modules.checks import as_tensor, check_channels, check_rank, first_two_tensors
from converters.from_torch7.modules.single_run import single_run
from converters.from_torch7.registry import structure
from converters.from_torch7.tensor_references import NestedTensors, ValueStorage, View
from converters.sizes import dims, shape_text


def parameter_count(m: Module) -> int:
    """How many parameters a matrix is made of: 6, or 1 for a rotation, 1 for a scale, 2 for a translation."""
    counts = {"useRotation": 1, "useScale": 1, "useTranslation": 2}
    return sum(count for name, count in counts.items() if m.flag(name)) or 6


def expected_parameters(m: Module, infer: object, successor: object) -> Expected:
    """N x parameters."""
    return batch_first(parameter_count(m))


@structure("AffineTransformMatrixGenerator", expects=expected_parameters)
def affine_transform_matrix_generator(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """The 2x3 matrix of a rotation, a scale and a translation, from the parameters of those in use (stn).

    If none of the three is in use, the six parameters are the matrix: a view of the input.
    """
    tensor, g = as_tensor(m, x), conversion.graph
    value = tensor.read()
    check_rank(m, value, 1, 2)
    check_channels(m, value, len(dims(value)) - 1, parameter_count(m))
    shape = (*dims(value)[:-1], 2, 3)
    with conversion.layer(m, "affine") as layer:
        if parameter_count(m) == 6:
            if not tensor.contiguous:
                raise m.error(FormatError, "shows its input in another shape, which must be contiguous")
            return View(
                tensor,
                lambda base: g.reshape(base, shape),
                lambda base, new: g.reshape(new, dims(base)),
            )
        rows = value if len(dims(value)) == 2 else g.unsqueeze(value, 0)
        result = g.reshape(transform_matrices(g, m, rows), shape)
        layer.set_output(value, result)
    return ValueStorage(result)


def transform_matrices(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The elements of the matrices, N x 6, from the parameters, N x 1 to 4."""
    count = parameter_count(m)
    columns = [g.slice(x, 1, k, k + 1) for k in range(count)]
    one, zero = (repeat_per_sample(g, g.constant(np.array([c], np.float32)), x) for c in (1, 0))
    cosine, sine = one, zero
    if m.flag("useRotation"):
        angle = columns.pop(0)
        cosine, sine = g.node("Cos", angle), g.node("Sin", angle)
    if m.flag("useScale"):
        scale = columns.pop(0)
        cosine, sine = g.binary("Mul", cosine, scale), g.binary("Mul", sine, scale)
    right, below = zero, zero
    if m.flag("useTranslation"):
        first, second = columns
        right = g.binary("Sub", g.binary("Mul", cosine, first), g.binary("Mul", sine, second))
        below = g.binary("Add", g.binary("Mul", sine, first), g.binary("Mul", cosine, second))
    return g.concat([cosine, g.node("Neg", sine), right, sine, cosine, below], 1)


@single_run(
    "AffineGridGeneratorBHWD",
    name="grid",
    expects=batch_first(2, 3),
    reshapes=lambda m, x: isinstance(x, ir.Value) and len(dims(x)) == 2,
)
def affine_grid_generator(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The points (y, x, 1) of a grid of height x width, from -1 to 1, each times a 2x3 matrix (stn)."""
    height, width = m.integer("height", minimum=2), m.integer("width", minimum=2)
    check_rank(m, x, 2, 3)
    if dims(x)[-2:] != (2, 3):
        raise m.error(FormatError, f"takes matrices of 2x3, not {shape_text(dims(x))}")
    lead = dims(x)[:-2]
    points = m.tensor("baseGrid", (height, width, 3)).reshape(-1, 3)
    flipped = g.transpose(x, [*range(len(lead)), len(lead) + 1, len(lead)])
    moved = g.node("MatMul", g.weight("points", points), flipped, shape=(*lead, height * width, 2))
    return g.reshape(moved, (*lead, height, width, 2))


@single_run(
    "BilinearSamplerBHWD",
    name="sample",
    takes="table",
    expects=[batch_first(None, None, None), batch_first(None, None, 2)],
    reshapes=lambda m, x: isinstance(x, list) and isinstance(x[0], ir.Value) and len(dims(x[0])) == 3,
)
def bilinear_sampler(g: Builder, m: Module, x: list[ir.Value]) -> ir.Value:
    """{images, grids} -> the images, channels last, at points (y, x) from -1 to 1, and 0 outside (stn)."""
    images, grids = first_two_tensors(m, x)
    rank = len(dims(images))
    if rank not in (3, 4) or len(dims(grids)) != rank:
        shapes = f"{shape_text(dims(images))} and {shape_text(dims(grids))}"
        raise m.error(FormatError, f"takes images and grids that are both 3-D or 4-D, not {shapes}")
    if rank == 3:
        images, grids = g.unsqueeze(images, 0), g.unsqueeze(grids, 0)
    check_channels(m, grids, 3, 2)
    batch, pictures = dims(grids)[0], dims(images)[0]
    if isinstance(batch, int) and isinstance(pictures, int) and batch != pictures:
        raise m.error(FormatError, f"takes one grid for each image, but {batch} and {pictures} arrive")
    swapped = g.node("Gather", grids, np.array([1, 0], np.int64), shape=dims(grids), axis=3)
    sampled = g.node(
        "GridSample",
        g.transpose(images, [0, 3, 1, 2]),
        swapped,
        shape=(pictures, dims(images)[3], *dims(grids)[1:3]),
        mode="bilinear",
        padding_mode="zeros",
        align_corners=1,
    )
    result = g.transpose(sampled, [0, 2, 3, 1])
    return g.squeeze(result, [0]) if rank == 3 else result
