"""The readers of nets: Caffe, Torch7, Deep Compression, ONNX."""

from __future__ import annotations

import contextlib
import functools
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from reader import CORPUS, files, own_errors, reader, written

import converters

# The first byte of an input says which of these nets the other file is of.
V2_NETS = ("caffe/dag-07", "caffe/bn-factor1", "caffe/lstm-basic", "caffe/prelu", "caffe/wire-dims-split")
OLD_NETS = ("caffe/v1-basic", "caffe/v1-share", "caffe/v1-deconv", "caffe/v0-basic", "caffe/v0-padding")
HDF5_NETS = ("caffe/h5-basic", "caffe/h5-bn", "caffe/h5-lstm", "caffe/h5-scalar", "caffe/h5-shared")
ONNX_NETS = ("caffe/dag-07", "caffe/bn-factor1", "caffe/pool-ave-cover", "caffe/lstm-basic")
COMPRESSED_LAYERS = (("Convolution", 4 * 3 * 3 * 3, 4), ("InnerProduct", 5 * 4 * 4 * 4, 5))
COMPRESSED = """name: "n" input: "data" input_shape { dim: 1 dim: 3 dim: 6 dim: 6 }
layer { name: "c" type: "Convolution" bottom: "data" top: "c"
        convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "f" type: "InnerProduct" bottom: "c" top: "f" inner_product_param { num_output: 5 } }
"""


def inspect_and_load(*paths: Path) -> None:
    """`inspect` answers for much that `load` refuses."""
    with contextlib.suppress(*own_errors()):
        converters.inspect(*paths)
    converters.load(*paths)


def _definitions(folder: Path) -> Iterator[bytes]:
    for path in files("caffe/*/net.prototxt", "caffe-forks/*/net.prototxt", "field-caffe/*/*.prototxt"):
        yield path.read_bytes()


@reader("prototxt", _definitions)
def read_prototxt(content: bytes, folder: Path) -> None:
    inspect_and_load(written(folder / "net.prototxt", content))


def _weights_of(nets: Sequence[str], name: str, folder: Path) -> Iterator[bytes]:
    for number, net in enumerate(nets):
        path = CORPUS / net / name
        if path.exists():
            yield bytes([number]) + path.read_bytes()


def _load_weights(nets: Sequence[str], name: str, content: bytes, folder: Path) -> None:
    net = nets[content[0] % len(nets)] if content else nets[0]
    inspect_and_load(CORPUS / net / "net.prototxt", written(folder / name, content[1:]))


for title, nets, name in (
    ("caffemodel", V2_NETS, "net.caffemodel"),
    ("caffemodel of V0 and V1 nets", OLD_NETS, "net.caffemodel"),
    ("weights in HDF5", HDF5_NETS, "net.caffemodel.h5"),
):
    reader(title, functools.partial(_weights_of, nets, name))(functools.partial(_load_weights, nets, name))


def _whole_caffemodels(folder: Path) -> Iterator[bytes]:
    for path in files("caffe/*/net.caffemodel", "caffe-forks/*/net.caffemodel", most=100):
        yield path.read_bytes()


@reader("caffemodel alone", _whole_caffemodels)
def read_caffemodel_alone(content: bytes, folder: Path) -> None:
    inspect_and_load(written(folder / "net.caffemodel", content))


def _compressed(folder: Path) -> Iterator[bytes]:
    """Every weight stored, as the format has it: see converters.from_caffe.weights.deep_compression."""
    generator = np.random.default_rng(0)
    parts = [struct.pack("<2I", *(size for _, size, _ in COMPRESSED_LAYERS))]
    for kind, size, outputs in COMPRESSED_LAYERS:
        codes = 256 if kind == "Convolution" else 16
        parts.append(generator.normal(size=codes + outputs).astype("<f4").tobytes())
        length = size if codes == 256 else -(-size // 2)
        parts.append(generator.integers(0, 256, length, np.uint8).tobytes())
        parts.append(bytes(-(-size // 2)))
    yield b"".join(parts)


@reader("Deep Compression", _compressed)
def read_compressed(content: bytes, folder: Path) -> None:
    inspect_and_load(
        written(folder / "net.prototxt", COMPRESSED.encode()), written(folder / "net.net", content)
    )


def _torch7(*patterns: str) -> Iterator[bytes]:
    for path in files(*patterns, most=150):
        yield path.read_bytes()


def _binary(folder: Path) -> Iterator[bytes]:
    return _torch7("torch7/*/net.t7", "torch7-community/*/net.t7", "torch7-hostile/*.t7")


def _ascii(folder: Path) -> Iterator[bytes]:
    return _torch7("torch7/*/net_ascii.t7")


def _read_torch7(content: bytes, folder: Path) -> None:
    path = written(folder / "net.t7", content)
    with contextlib.suppress(*own_errors()):
        converters.convert([path], folder / "net.safetensors")
    inspect_and_load(path)


reader("Torch7, binary", _binary)(_read_torch7)
reader("Torch7, ASCII", _ascii)(_read_torch7)


def _onnx(folder: Path, external: bool) -> Iterator[bytes]:
    """The nets as the zoo writes them; in front of those with external data the number of the net."""
    for number, net in enumerate(ONNX_NETS):
        case = CORPUS / net
        weights = [path for path in (case / "net.caffemodel",) if path.exists()]
        out = folder / str(number) / "net.onnx"
        out.parent.mkdir(parents=True, exist_ok=True)
        converters.convert([case / "net.prototxt", *weights], out, external=external)
        content = out.read_bytes()
        yield bytes([number]) + content if external else content


@reader("ONNX", functools.partial(_onnx, external=False))
def read_onnx(content: bytes, folder: Path) -> None:
    inspect_and_load(written(folder / "net.onnx", content))


@functools.cache
def _external_folders(root: Path) -> Path:
    place = root.with_name(f"{root.name}-external")
    list(_onnx(place, external=True))
    return place


@reader("ONNX with external data", functools.partial(_onnx, external=True))
def read_external_onnx(content: bytes, folder: Path) -> None:
    """The ONNX is fuzzed; the data beside it are those of the net."""
    number = content[0] % len(ONNX_NETS) if content else 0
    inspect_and_load(written(_external_folders(folder) / str(number) / "net.onnx", content[1:]))
