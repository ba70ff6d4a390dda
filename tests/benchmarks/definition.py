"""Writes Caffe definitions with seeded weights: the text of a net, and the blobs that its layers need.

The weights are no trained ones: how fast a net computes does not depend on them. Blob k of layer L comes from
`numpy.random.default_rng(crc32("L/k"))`: weights are normal with the variance 2 / inputs (He et al. 2015), so
that values neither vanish nor grow in a deep net; biases are uniform in -0.1 to 0.1; a BatchNorm has means in
-0.1 to 0.1 and variances in 0.5 to 1.5, and its Scale factors in 0.5 to 1.5. All are float32.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from caffemodel_writer import write_caffemodel

# A blob in Caffe's text: channels, height, width of one image.
Shape = tuple[int, int, int]


class Definition:
    """A net under way. Each method adds a layer to the top `x`, and returns the name of its own top.

    size: the side of its images. scores: the top with the scores before the softmax, of a classifier.
    """

    def __init__(self, name: str, size: int, channels: int = 3) -> None:
        self.name = name
        self.size = size
        self.scores = ""
        self.shapes: dict[str, Shape] = {"data": (channels, size, size)}
        self.blobs: dict[str, list[np.ndarray]] = {}
        shape = f"shape {{ dim: 1 dim: {channels} dim: {size} dim: {size} }}"
        self._lines = [
            f'name: "{name}"',
            f'layer {{ name: "data" type: "Input" top: "data" input_param {{ {shape} }} }}',
        ]

    @property
    def text(self) -> str:
        """The definition."""
        return "\n".join([*self._lines, ""])

    def write(self, folder: Path) -> list[Path]:
        """Write NAME.prototxt and NAME.caffemodel into the folder."""
        definition = folder / f"{self.name}.prototxt"
        definition.write_text(self.text, encoding="utf-8")
        return [definition, write_caffemodel(folder / f"{self.name}.caffemodel", self.blobs)]

    def conv(
        self,
        x: str,
        name: str,
        filters: int,
        kernel: int | tuple[int, int],
        *,
        stride: int = 1,
        pad: int | tuple[int, int] = 0,
        group: int = 1,
        bias: bool = True,
    ) -> str:
        """Convolution; kernel and pad may be (height, width)."""
        channels, *sizes = self.shapes[x]
        kernels, pads = _pair(kernel), _pair(pad)
        high, wide = ((s + 2 * p - k) // stride + 1 for s, p, k in zip(sizes, pads, kernels, strict=True))
        options = [f"num_output: {filters}", f"stride: {stride}"]
        options += [f"kernel_h: {kernels[0]} kernel_w: {kernels[1]} pad_h: {pads[0]} pad_w: {pads[1]}"]
        options += [f"group: {group}"] if group > 1 else []
        options += [] if bias else ["bias_term: false"]
        self._weights(name, (filters, channels // group, *kernels), bias)
        return self._layer(
            name, "Convolution", [x], name, (filters, high, wide), "convolution_param", options
        )

    def fc(self, x: str, name: str, outputs: int) -> str:
        """InnerProduct with bias."""
        self._weights(name, (outputs, int(np.prod(self.shapes[x]))), bias=True)
        return self._layer(
            name,
            "InnerProduct",
            [x],
            name,
            (outputs, 1, 1),
            "inner_product_param",
            [f"num_output: {outputs}"],
        )

    def relu(self, x: str) -> str:
        """ReLU in place."""
        return self._layer(f"{x}/relu", "ReLU", [x], x, self.shapes[x])

    def bn(self, x: str, *, top: str | None = None) -> str:
        """BatchNorm and Scale, in place or to a top of their own."""
        channels, top = self.shapes[x][0], top or x
        random = [_random(f"{top}/bn", k) for k in range(4)]
        mean, shift = random[0].uniform(-0.1, 0.1, channels), random[3].uniform(-0.1, 0.1, channels)
        variance, factor = (r.uniform(0.5, 1.5, channels) for r in random[1:3])
        self.blobs[f"{top}/bn"] = [_float32(blob) for blob in (mean, variance, np.ones(1))]
        self.blobs[f"{top}/scale"] = [_float32(factor), _float32(shift)]
        shape = self.shapes[x]
        self._layer(f"{top}/bn", "BatchNorm", [x], top, shape, "batch_norm_param", ["eps: 1e-5"])
        return self._layer(f"{top}/scale", "Scale", [top], top, shape, "scale_param", ["bias_term: true"])

    def pool(self, x: str, name: str, kind: str, kernel: int = 0, *, stride: int = 1, pad: int = 0) -> str:
        """Pooling of kind "MAX" or "AVE"; kernel 0 is over the whole image. Sizes are rounded up."""
        channels, *sizes = self.shapes[x]
        if not kernel:
            return self._layer(
                name, "Pooling", [x], name, (channels, 1, 1), "pooling_param",
                [f"pool: {kind}", "global_pooling: true"],
            )  # fmt: skip
        high, wide = (_pooled(size, kernel, stride, pad) for size in sizes)
        options = [f"pool: {kind}", f"kernel_size: {kernel}", f"stride: {stride}", f"pad: {pad}"]
        return self._layer(name, "Pooling", [x], name, (channels, high, wide), "pooling_param", options)

    def lrn(self, x: str, name: str) -> str:
        """Local response normalisation over 5 channels, as AlexNet and GoogLeNet have it."""
        options = ["local_size: 5", "alpha: 0.0001", "beta: 0.75"]
        return self._layer(name, "LRN", [x], name, self.shapes[x], "lrn_param", options)

    def concat(self, name: str, *parts: str) -> str:
        """Concatenation of channels."""
        channels = sum(self.shapes[part][0] for part in parts)
        return self._layer(name, "Concat", list(parts), name, (channels, *self.shapes[parts[0]][1:]))

    def add(self, name: str, *parts: str) -> str:
        """Sum."""
        return self._layer(name, "Eltwise", list(parts), name, self.shapes[parts[0]])

    def scaled(self, x: str, name: str, factors: str) -> str:
        """Each channel of `x` times its number in `factors`."""
        return self._layer(name, "Scale", [x, factors], name, self.shapes[x], "scale_param", ["axis: 0"])

    def flatten(self, x: str, name: str) -> str:
        """A row of numbers for each image."""
        return self._layer(name, "Flatten", [x], name, (int(np.prod(self.shapes[x])), 1, 1))

    def other(self, x: str, name: str, kind: str) -> str:
        """A layer without settings that keeps the shape: "Softmax", "Sigmoid", "Dropout"."""
        return self._layer(name, kind, [x], name, self.shapes[x])

    def _layer(
        self,
        name: str,
        kind: str,
        bottoms: list[str],
        top: str,
        shape: Shape,
        parameter: str = "",
        options: list[str] | None = None,
    ) -> str:
        wired = "".join(f'bottom: "{bottom}" ' for bottom in bottoms) + f'top: "{top}"'
        settings = f" {parameter} {{ {' '.join(options or [])} }}" if parameter else ""
        self._lines.append(f'layer {{ name: "{name}" type: "{kind}" {wired}{settings} }}')
        self.shapes[top] = shape
        return top

    def _weights(self, name: str, shape: tuple[int, ...], bias: bool) -> None:
        spread = np.float32(np.sqrt(2 / np.prod(shape[1:])))
        self.blobs[name] = [_random(name, 0).standard_normal(shape, np.float32) * spread]
        if bias:
            self.blobs[name].append(_float32(_random(name, 1).uniform(-0.1, 0.1, shape[0])))


def _random(layer: str, blob: int) -> np.random.Generator:
    return np.random.default_rng(zlib.crc32(f"{layer}/{blob}".encode()))


def _float32(array: np.ndarray) -> np.ndarray:
    return array.astype(np.float32)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else value


def _pooled(size: int, kernel: int, stride: int, pad: int) -> int:
    """The size that Caffe's pooling gives: rounded up, but no window begins in the padding at the end."""
    count = -(-(size + 2 * pad - kernel) // stride) + 1
    return count - 1 if pad and (count - 1) * stride >= size + pad else count


# Makes a net: the size of its images as the authors have it.
Architecture = Callable[[], Definition]
