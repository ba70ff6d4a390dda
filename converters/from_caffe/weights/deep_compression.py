"""Deep Compression's .net: codebooks, codes and positions of a pruned, quantised net, not Huffman-coded.

All numbers are little-endian. First comes one uint32 for each layer with parameters, in net order: the number
of its stored codes. Then follow for each layer:

- the codebook: 256 float32 for 8-bit codes (convolutions), 16 for 4-bit codes (InnerProduct layers);
- the bias: a float32 for each output;
- the codes: one byte each, or two in a byte with the low nibble first;
- the positions, as nibbles: the distance from the previous position, minus 1.

A weight at any other position has the code 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from converters.errors import FormatError
from converters.from_caffe import schema
from converters.from_caffe.weights.blobs import Blob, StoredLayer
from converters.graph_bounds import filled
from converters.source_files import SourceFile

_CODE_BITS = {"Convolution": 8, "InnerProduct": 4}


class DeepCompression:
    """Weights decoded layer by layer, because a layer starts where the one before it ends."""

    def __init__(self, file: SourceFile, layers: Sequence[schema.Message]) -> None:
        self.path = file.path
        self.are_placeholders = False
        self.files: list[SourceFile] = []
        # Never mapped, as most of it is decoded anyway.
        self._data = np.frombuffer(file.read(), np.uint8) if file.is_mapped else file.data
        self._names = [layer.name for layer in layers if layer.type in _CODE_BITS]
        self._types = {layer.name: layer.type for layer in layers}
        self._decoded: dict[str, StoredLayer] = {}
        self._position = 0
        counts = self._take(np.dtype("<u4"), len(self._names), "the number of codes per layer")
        self._counts = dict(zip(self._names, counts.tolist(), strict=True))

    def layers(self) -> Sequence[StoredLayer]:
        """The layers decoded so far."""
        return list(self._decoded.values())

    def parameter_fields(self, layer_type: str) -> frozenset[int]:
        """See Weights."""
        return frozenset()

    def stored(self, layer: str, shapes: Sequence[tuple[int, ...]] | None) -> StoredLayer | None:
        """The weight and bias of a layer. The first requests must be in net order and give their shapes."""
        if layer not in self._decoded and shapes is not None and layer in self._counts:
            expected = self._names[len(self._decoded)]
            if layer != expected:
                raise FormatError(
                    f"{self.path}: the definition asks for layer {layer!r} where {expected!r} is stored"
                )
            self._decoded[layer] = self._decode(layer, shapes)
            if len(self._decoded) == len(self._names) and self._position != self._data.size:
                raise FormatError(
                    f"{self.path}: {self._data.size - self._position:,} bytes are left after the last layer: "
                    "the file belongs to another definition"
                )
        return self._decoded.get(layer)

    def _decode(self, layer: str, shapes: Sequence[tuple[int, ...]]) -> StoredLayer:
        if len(shapes) != 2:
            raise FormatError(
                f"{self.path}: layer {layer!r} needs {len(shapes)} parameter blobs; the format has two"
            )
        weight_shape, bias_shape = shapes
        count, bits = self._counts[layer], _CODE_BITS[self._types[layer]]
        size = math.prod(weight_shape)
        if count > size:
            raise FormatError(
                f"{self.path}: layer {layer!r} stores {count:,} codes for {size:,} weights: "
                "damaged, or not the file of this definition"
            )
        codebook = self._take(np.dtype("<f4"), 2**bits, f"the codebook of layer {layer!r}")
        bias = self._take(np.dtype("<f4"), math.prod(bias_shape), f"the bias of layer {layer!r}")
        codes = self._take_codes(count, bits, f"the codes of layer {layer!r}")
        distances = self._take_codes(count, 4, f"the positions of layer {layer!r}").astype(np.int64) + 1
        positions = np.cumsum(distances) - 1
        if count and positions[-1] >= size:
            raise FormatError(
                f"{self.path}: layer {layer!r} names weight {positions[-1]:,} of {size:,}: "
                "damaged, or not the file of this definition"
            )
        weight = filled((size,), codebook[0])
        weight[positions] = codebook[codes]
        blobs = [Blob(weight, tuple(weight_shape)), Blob(bias, tuple(bias_shape))]
        return StoredLayer(layer, self._types[layer], blobs, len(self._decoded))

    def _take_codes(self, count: int, bits: int, what: str) -> np.ndarray:
        if bits == 8:
            return self._take(np.dtype(np.uint8), count, what)
        pairs = self._take(np.dtype(np.uint8), (count + 1) // 2, what)
        return np.stack([pairs & 0x0F, pairs >> 4], axis=1).reshape(-1)[:count]

    def _take(self, dtype: np.dtype, count: int, what: str) -> np.ndarray:
        size = count * dtype.itemsize
        if size > self._data.size - self._position:
            raise FormatError(
                f"{self.path}: byte {self._position:,} of {self._data.size:,}: {what} needs {size:,} bytes, "
                f"{self._data.size - self._position:,} remain: truncated, or not the file of this definition"
            )
        self._position += size
        return self._data[self._position - size : self._position].view(dtype)
