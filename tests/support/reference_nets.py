"""Small nets for the layers of Caffe's forks, and what their converted form computes.

No outputs recorded from those forks exist. The truth these tests hold the converter to is a second
implementation: float64 numpy functions in the reference_*.py files, written from the public definition of
each layer and sharing nothing with the converter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from corpus_cases import DEFAULT_TOLERANCE, assert_agrees, run_onnx, run_pytorch

import converters
from converters.from_caffe import schema


def write_net(
    folder: Path,
    layers: str,
    shapes: Mapping[str, Sequence[int]],
    blobs: Mapping[str, Sequence[np.ndarray]] | None = None,
) -> list[Path]:
    """A definition with these inputs and layers and, where there are blobs (by layer name), their weights."""
    text = "".join(
        f'input: "{name}" input_shape {{ {" ".join(f"dim: {size}" for size in shape)} }}\n'
        for name, shape in shapes.items()
    )
    sources = [folder / "net.prototxt"]
    sources[0].write_text(text + layers)
    if blobs:
        net = schema.new("NetParameter")
        for name, arrays in blobs.items():
            stored = net.layer.add()
            stored.name = name
            for array in arrays:
                blob = stored.blobs.add()
                blob.shape.dim.extend(array.shape)
                blob.data.extend(np.asarray(array, np.float32).ravel().tolist())
        sources.append(folder / "net.caffemodel")
        sources[1].write_bytes(net.SerializeToString())
    return sources


def computed(
    folder: Path,
    layers: str,
    inputs: Mapping[str, np.ndarray],
    blobs: Mapping[str, Sequence[np.ndarray]] | None = None,
    declared: Mapping[str, Sequence[int]] | None = None,
) -> dict[str, np.ndarray]:
    """Outputs by name of the converted net; its ONNX form passes full checks, its PyTorch form agrees.

    declared: input shapes for the definition where they are not those of the arrays (another batch).
    """
    shapes = {name: array.shape for name, array in inputs.items()} | dict(declared or {})
    model = converters.load(*write_net(folder, layers, shapes, blobs))
    converters.save(model, folder / "net.onnx")
    converters.save(model, folder / "net.py")
    onnx.checker.check_model(folder / "net.onnx", full_check=True)
    given = {name: array.astype(np.float32) for name, array in inputs.items()}
    results = run_onnx(folder / "net.onnx", given)
    assert_agrees(run_pytorch(folder / "net.py", given, model), results, DEFAULT_TOLERANCE)
    return results


def layer(kind: str, bottoms: str, tops: str, parameters: str = "", name: str = "layer") -> str:
    """The text of one layer; bottoms and tops separated by spaces."""
    wired = [f'bottom: "{b}"' for b in bottoms.split()] + [f'top: "{t}"' for t in tops.split()]
    return f'layer {{ name: "{name}" type: "{kind}" {" ".join(wired)} {parameters} }}\n'


def assert_close(got: np.ndarray, wanted: np.ndarray, tolerance: float = 1e-5) -> None:
    """Same shape, NaN in the same places, and within `tolerance` of the largest magnitude."""
    assert got.shape == wanted.shape
    assert np.array_equal(np.isnan(got), np.isnan(wanted))
    scale = max(1.0, float(np.nanmax(np.abs(wanted), initial=0.0)))
    assert np.nanmax(np.abs(got - wanted), initial=0.0) <= tolerance * scale
