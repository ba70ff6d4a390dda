"""onnx_ir.Model -> net.py, which a PyTorch engineer would be content to have written, and net.safetensors."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from converters.errors import UsageError
from converters.to_onnx.linked import safetensors_places, save_with_references
from converters.to_onnx.self_contained import little_endian
from converters.to_onnx.skeleton import INLINE_BYTES, Reference, initializers
from converters.to_pytorch.placing import placing

if TYPE_CHECKING:
    import onnx_ir as ir

    from converters.to_pytorch.net import Net

__all__ = ["save", "save_bundle"]


def save(model: ir.Model, path: Path) -> list[Path]:
    """Write `path`, which ends in .py, and the weights as .safetensors beside it; both or neither.

    The module imports torch and safetensors only, has one nn.Module subclass and `load(weights=None)`, and
    works with torch.compile and torch.export. UnsupportedError names what PyTorch cannot say.
    """
    from converters.to_pytorch.lowering import lower
    from converters.to_pytorch.source import source_text

    net = lower(model)
    text = source_text(net, model)
    weights = path.with_suffix(".safetensors")
    with placing(path.parent, [path.name, weights.name]) as staging:
        (staging / path.name).write_text(text, encoding="utf-8")
        _save_weights(net, staging / weights.name, like=staging / path.name)
    return [path, weights]


def save_bundle(model: ir.Model, folder: Path) -> list[Path]:
    """Write net.onnx, net.py and the net.safetensors that both use into `folder`; all or none.

    Initializers that the PyTorch form does not keep byte for byte, and small ones, lie inside net.onnx.
    """
    from converters.to_pytorch.lowering import lower
    from converters.to_pytorch.source import source_text

    net = lower(model)
    text = source_text(net, model)
    names = ["net.onnx", "net.py", "net.safetensors"]
    with placing(folder, names) as staging:
        (staging / "net.py").write_text(text, encoding="utf-8")
        weights = _save_weights(net, staging / "net.safetensors", like=staging / "net.py")
        save_with_references(model, staging / "net.onnx", _references(model, net, weights))
    return [folder / name for name in names]


def _save_weights(net: Net, path: Path, *, like: Path) -> Path:
    """Write the state dict, with the permissions of `like`: safetensors writes for the owner alone.

    It reads the arrays where they lie, and only contiguous ones rightly.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    state = {key: little_endian(weight.array) for key, weight in net.state().items()}
    try:
        save_file(state, path, metadata={"format": "pt"})
    except SafetensorError as error:
        raise UsageError(f"{path}: cannot be written: {error}") from error
    shutil.copymode(like, path)
    return path


def _references(model: ir.Model, net: Net, weights: Path) -> dict[str, Reference]:
    """Where initializers lie in the weights file, for those that are in it as they are."""
    places = safetensors_places(weights)
    arrays = dict(initializers(model))
    found = {}
    for key, weight in net.state().items():
        array = arrays.get(weight.name)
        if array is not None and array.nbytes >= INLINE_BYTES and np.may_share_memory(array, weight.array):
            found[weight.name] = places[key]
    return found
