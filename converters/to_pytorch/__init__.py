"""Writes an onnx_ir.Model as net.py, readable PyTorch source, with its weights in net.safetensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from converters.net_files import atomic_write_nets
from converters.pending_metadata import complete
from converters.tensor_file import ExternalData
from converters.to_onnx.external_data import with_weights_file
from converters.to_onnx.model_proto import MIN_EXTERNAL_BYTES, initializer_arrays

if TYPE_CHECKING:
    import onnx_ir as ir

    from converters.to_pytorch.generated_net import GeneratedNet

__all__ = ["save", "save_bundle"]


def save(model: ir.Model, path: Path) -> list[Path]:
    """Writes `path`, which ends in .py, and the weights as .safetensors beside it; both or neither.

    The module imports torch and safetensors only, has one nn.Module subclass and `load(weights=None)`, and
    works with torch.compile and torch.export. UnsupportedError names a layer that PyTorch cannot express.
    """
    from converters.to_pytorch.conversion import convert
    from converters.to_pytorch.python_source import python_source

    net = convert(model)
    weights = path.with_suffix(".safetensors")
    with atomic_write_nets(model, path.parent, [path.name], weights.name) as pending:
        written = pending.write_weights(_state_arrays(net))
        complete(model)
        text = python_source(net, model, written.sha256)
        pending.write_net(path.name, lambda _: text.encode())
    return [path, weights]


def save_bundle(model: ir.Model, folder: Path, onnx_form: ir.Model | None = None) -> list[Path]:
    """Writes net.onnx, net.py and the net.safetensors that both use into `folder`; all or none.

    onnx_form: the net as net.onnx is to contain it, with the same arrays of weights; by default `model`.
    Small initializers, and those that PyTorch stores with other bytes, are inside net.onnx.
    """
    from converters.to_pytorch.conversion import convert
    from converters.to_pytorch.python_source import python_source

    net = convert(model)
    onnx_form = onnx_form or model
    with atomic_write_nets(model, folder, ["net.onnx", "net.py"], "net.safetensors") as pending:
        written = pending.write_weights(_state_arrays(net))
        complete(model)
        complete(onnx_form)
        shared = _shared_data(onnx_form, net, written.places)
        record = pending.record(written)
        pending.write_net("net.onnx", lambda name: with_weights_file(onnx_form, shared, name, record))
        text = python_source(net, model, written.sha256)
        pending.write_net("net.py", lambda _: text.encode())
    return [folder / name for name in ("net.onnx", "net.py", "net.safetensors")]


def _state_arrays(net: GeneratedNet) -> dict[str, np.ndarray]:
    return {key: weight.array for key, weight in net.state().items()}


def _shared_data(
    model: ir.Model, net: GeneratedNet, places: Mapping[str, ExternalData]
) -> dict[str, ExternalData]:
    """The places in the weights file of the initializers that it holds unchanged."""
    arrays = dict(initializer_arrays(model))
    found = {}
    for key, weight in net.state().items():
        array = arrays.get(weight.name)
        if (
            array is not None
            and array.nbytes >= MIN_EXTERNAL_BYTES
            and np.may_share_memory(array, weight.array)
        ):
            found[weight.name] = places[key]
    return found
