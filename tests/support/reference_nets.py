"""Small Caffe nets written by a test, and what their converted forms compute.

No outputs recorded from forks of Caffe exist. Their layers are tested against a second implementation: the
float64 numpy functions in the reference_*.py files, which are written from the public definition of each
layer and share no code with the converter.
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


def exposed(
    folder: Path, net: str, x: np.ndarray, outputs: Sequence[str], *weights: Path
) -> dict[str, np.ndarray]:
    """These blobs of a net whose input x has this value, computed by the ONNX form."""
    sources = write_net(folder, net, {"x": x.shape})
    converters.convert([*sources, *weights], folder / "net.onnx", outputs=outputs)
    return run_onnx(folder / "net.onnx", {"x": x.astype(np.float32)})


def shared(name: str, parameters: str, bottom: str, top: str, names: Sequence[str]) -> str:
    """The text of an InnerProduct whose parameters have these names; "" for a parameter without a name."""
    specs = " ".join(f'param {{ name: "{n}" }}' if n else "param { }" for n in names)
    return layer("InnerProduct", bottom, top, f"{specs} {parameters}", name)


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


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normally distributed float64 values that float32 holds exactly."""
    return rng(seed).normal(size=shape).astype(np.float32).astype(float)


def image(*shape: int, seed: int = 0) -> np.ndarray:
    return rng(seed).normal(size=shape)


def one_item(x: np.ndarray) -> dict[str, tuple[int, ...]]:
    """The shape of x in the definition: a batch of one, as in deploy files, whatever is run later."""
    return {"x": (1, *x.shape[1:])}
