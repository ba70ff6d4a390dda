"""Classes of Facebook's fbnn and fbcunn that differ from those of nn."""

from __future__ import annotations

import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.backward_shape_inference import batch_first, time_first
from converters.from_torch7.builder import Builder
from converters.from_torch7.conversion import Conversion
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import (
    check_channels,
    check_rank,
    expected_frames,
    expected_maps,
    tensor_value,
)
from converters.from_torch7.modules.containers import expected_by_branches, join_branches, run_branches
from converters.from_torch7.modules.convolution import bias_of, convolve, convolve_by_module
from converters.from_torch7.modules.lookup import look_up
from converters.from_torch7.modules.reduction import reduce
from converters.from_torch7.modules.sparse_convolution import convolve_frames
from converters.from_torch7.modules.windows import Window
from converters.from_torch7.registry import module, structure
from converters.from_torch7.tensor_references import NestedTensors
from converters.sizes import dims


def with_nn_field_names(m: Module) -> Module:
    """The module with the field names of nn's convolution."""
    return m.with_renamed_fields(
        {"inputPlanes": "nInputPlane", "outputPlanes": "nOutputPlane", "padLeft": "padW", "padUp": "padH"}
    )


@module(
    "SpatialConvolutionCuFFT",
    "SpatialConvolutionFBFFT",
    "SpatialConvolutionFBFFTGemm",
    "SpatialConvolutionFFTTiled",
    "SpatialConvolutionFFTTiledAsync",
    "SpatialConvolutionFFTTiledIterated",
    "SpatialConvolutionFFTTiledSync",
    "fbnn.SpatialConvolution",
    name="conv",
    rank=4,
    expects=lambda m: expected_maps(with_nn_field_names(m)),
)
def fourier_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A SpatialConvolution, which Torch computes by Fourier transforms."""
    return convolve_by_module(g, with_nn_field_names(m), x, "HW")


@module("UnfoldedTemporalConvolution", name="conv", rank=3, expects=expected_frames)
def unfolded_temporal_convolution(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A TemporalConvolution with `pad` zero frames at both ends."""
    return convolve_frames(g, m.with_renamed_fields({"pad": "padW"}), x)


@module("TemporalConvolutionTBC", name="conv", expects=lambda m: time_first(m.integer("nIn")))
def temporal_convolution_tbc(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """A convolution over time of time x N x features; the weight is kw x in x out."""
    kernel, inputs, outputs = (m.integer(name, minimum=1) for name in ("kw", "nIn", "nOut"))
    check_rank(m, x, 3)
    check_channels(m, x, 2, inputs)
    weight = g.weight("weight", m.tensor("weight", (kernel, inputs, outputs)).transpose(2, 1, 0))
    window = Window(kernel, 1, m.integer("pad", 0, minimum=0))
    result = convolve(g, m, g.transpose(x, [1, 2, 0]), weight, bias_of(g, m, outputs), [window])
    return g.transpose(result, [2, 0, 1])


@module("LookupTableGPU", name="embedding", expects=batch_first(None))
def lookup_table_gpu(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """The rows of the weight at the input's indices; with featuresInDim2, as columns if there is a batch."""
    if m.flag("unk_index"):
        raise m.unsupported(
            "its index for unknown words (unk_index) has an effect on the CPU, but not on the GPU"
        )
    rows = look_up(g, m, x, m.tensor("weight"), 1)
    return g.transpose(rows, [0, 2, 1]) if m.flag("featuresInDim2") and len(dims(x)) == 2 else rows


@module("fbnn.L2Normalize", name="normalize")
def l2_normalize(g: Builder, m: Module, x: ir.Value) -> ir.Value:
    """Each vector divided by its length."""
    check_rank(m, x, 1, 2)
    return g.binary("Div", x, reduce(g, "ReduceL2", x, len(dims(x)) - 1, keep=True))


@structure("ModelParallel", expects=expected_by_branches)
def model_parallel(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """A Concat whose branches run on several GPUs; each GPU but the first has a copy of the input."""
    value, children, gpus = tensor_value(m, x), m.children(), m.sizes("gpu_assignments")
    if len(gpus) < len(children):
        raise m.error(FormatError, f"has {len(children)} modules on {len(gpus)} GPUs")
    places = dict.fromkeys(gpus)
    inputs = {gpu: conversion.output_of(m, value, x, (k,)) if k else x for k, gpu in enumerate(places)}
    parts = run_branches(
        conversion, m, [(child, inputs[gpu]) for child, gpu in zip(children, gpus, strict=False)]
    )
    return join_branches(conversion, m, parts, m.integer("dimension", minimum=1) - 1)
