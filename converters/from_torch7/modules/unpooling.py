"""Max unpooling: each value returns to the place from which a max pooling took it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx_ir as ir

from converters.errors import FormatError
from converters.from_torch7.conversion import Conversion
from converters.from_torch7.module import Module
from converters.from_torch7.modules.checks import tensor_value
from converters.from_torch7.modules.windows import Window, output_sizes, overhangs, pooling_window
from converters.from_torch7.registry import structure
from converters.from_torch7.tensor_references import NestedTensors
from converters.sizes import Shape, dims, shape_text


@structure("SpatialMaxUnpooling")
def spatial_max_unpooling(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """Each value where a SpatialMaxPooling found it, zeros elsewhere."""
    return unpool(conversion, m, x, "HW")


@structure("VolumetricMaxUnpooling")
def volumetric_max_unpooling(conversion: Conversion, m: Module, x: NestedTensors) -> NestedTensors:
    """Each value where a VolumetricMaxPooling found it, zeros elsewhere."""
    return unpool(conversion, m, x, "THW")


def unpool(conversion: Conversion, m: Module, x: NestedTensors, sides: str) -> NestedTensors:
    """Each value at the place where the pooling found the maximum, zeros elsewhere; sides: "HW" or "THW"."""
    pooling = m.child("pooling")
    source, value = conversion.last_inputs.get(pooling.torch_object), tensor_value(m, x)
    if source is None:
        raise m.error(FormatError, "the pooling it belongs to does not run before it")
    single = len(dims(source)) == len(sides) + 1
    windows = [pooling_window(pooling, side) for side in sides]
    if any(window.stride < window.kernel for window in windows) and value is not conversion.last_outputs.get(
        pooling.torch_object
    ):
        raise m.unsupported("the windows of its pooling overlap, so several values may go to one place")
    with conversion.layer(m, "unpool") as layer:
        g = conversion.graph
        whole = g.unsqueeze(source, 0) if single else source
        given = g.unsqueeze(value, 0) if single else value
        sizes = tuple(m.static_size(size) for size in dims(whole)[2:])
        shape = (*dims(whole)[:2], *output_sizes(g, m, sizes, windows))
        if dims(given) != shape:
            raise m.error(
                FormatError,
                f"takes the output shape of its pooling, {shape_text(shape)}, not {shape_text(dims(given))}",
            )
        attributes = window_attributes(m, sizes, windows)
        _, places = g.nodes(
            "MaxPool",
            whole,
            shapes=[shape, shape],
            dtypes=[ir.DataType.FLOAT, ir.DataType.INT64],
            **attributes,
        )
        target = []
        if not all(window.covers(size) for window, size in zip(windows, sizes, strict=True)):
            # Pixels that no window reaches make the output size ambiguous: it has to be given.
            target = [np.array([m.static_size(size) for size in dims(whole)], np.int64)]
        result = g.node("MaxUnpool", given, places, *target, shape=dims(whole), **attributes)
        result = g.squeeze(result, [0]) if single else result
        layer.set_output(value, result)
    return conversion.output_of(m, result, x)


def window_attributes(m: Module, sizes: Shape, windows: Sequence[Window]) -> dict[str, Any]:
    """The ONNX attributes of a max pooling by these windows, and of its unpooling."""
    ends = overhangs(m, sizes, windows)
    return {
        "kernel_shape": [window.kernel for window in windows],
        "strides": [window.stride for window in windows],
        "pads": [w.pad for w in windows] + [w.pad + end for w, end in zip(windows, ends, strict=True)],
    }
