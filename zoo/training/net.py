"""The net of a training: read from its files, as a torch module that gives scores, and back as ONNX."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import converters
from zoo.errors import UsageError

if TYPE_CHECKING:
    import onnx_ir as ir
    from torch import Tensor
    from torch.nn import Module

# Without sources that hold weights there is nothing to start from but the fillers of a definition.
_WEIGHTLESS = frozenset({converters.Kind.PROTOTXT})


@dataclass(frozen=True)
class Source:
    """The files of a net, and how they are read. scores: the output that ranks the classes (None: the only).

    image_shape: (channels, height, width), for a net that must know its size and does not state it.
    hashes: the sha256 of each file, in order; computed by default.
    kept: what was read of the files before; they are read once for all seeds.
    """

    paths: Sequence[Path]
    scores: str | None = None
    image_shape: Sequence[int] | None = None
    hashes: Sequence[str] | None = None
    kept: converters.KeptSources | None = field(
        default_factory=converters.KeptSources, compare=False, repr=False
    )

    @property
    def is_untrained(self) -> bool:
        """Whether the files hold no weights, so that training starts from initial ones."""
        return {converters.identify(path) for path in self.paths} <= _WEIGHTLESS

    def read(self, seed: int) -> ir.Model:
        """The model; where the files hold no weights, with initial ones by the seed.

        Raises:
            UsageError: a net.py, whose code is not read.
            converters.ConverterError: the net cannot be converted.
        """
        for path in self.paths:
            if path.suffix == ".py":
                raise UsageError(f"{path}: give the files that it was converted from, or its .onnx")
        options: dict[str, Any] = {"init": seed} if self.is_untrained else {}
        if self.paths[0].suffix != ".onnx":
            options["image_shape"] = self.image_shape
        if self.scores is not None and self.paths[0].suffix != ".onnx":
            options["outputs"] = [self.scores]
        return converters.load(*self.paths, sha256=self.hashes, kept=self.kept, **options)


def classes_of(model: ir.Model) -> int | None:
    """How many classes the only output of a model ranks; None where the model does not say."""
    shape = _only_output(model).shape
    size = shape[1] if shape is not None and len(shape) > 1 else None
    return size if isinstance(size, int) else None


def module_of(model: ir.Model) -> Module:
    """The model as a torch module in eval mode that gives scores, not probabilities, for the loss.

    converters.ConverterError if PyTorch cannot express it.
    """
    from zoo.runtimes.backends.pytorch import load_module

    with TemporaryDirectory(prefix="dsd-zoo-") as folder:
        path = Path(folder) / "net.py"
        converters.save(_without_softmax(model), path)
        return _owning(load_module(path))


def trained_model(model: ir.Model, state: Mapping[str, Tensor], about: Mapping[str, object]) -> ir.Model:
    """The model with the weights of a trained module; `about` says in its metadata how it was trained."""
    arrays = {key: tensor.detach().cpu().numpy() for key, tensor in state.items()}
    trained = converters.with_weights(model, arrays)
    trained.metadata_props["dsd-zoo.training"] = json.dumps(about)
    return trained


def scores_of(module: Module, images: Tensor) -> Tensor:
    """The scores (images, classes) of a module. UsageError for a net that ranks no classes."""
    scores = module(images)
    if not hasattr(scores, "shape") or scores.ndim < 2 or scores.numel() != len(images) * scores.shape[1]:
        what = "several outputs" if not hasattr(scores, "shape") else f"an output {tuple(scores.shape)}"
        raise UsageError(f"the net gives {what}; training needs one score for each image and class")
    result: Tensor = scores.reshape(scores.shape[:2])
    return result


def _owning(module: Module) -> Module:
    """The module with tensors in memory of their own: those that were loaded may be views of a file."""
    for tensor in (*module.parameters(), *module.buffers()):
        tensor.data = tensor.data.clone()
    return module


def _without_softmax(model: ir.Model) -> ir.Model:
    """A copy that ends before its last Softmax or LogSoftmax, if that is over the classes."""
    output = _only_output(model)
    copy = model.clone()
    copy.meta.update(model.meta)
    node = copy.graph.outputs[0].producer()
    if node is None or node.op_type not in ("Softmax", "LogSoftmax"):
        return copy
    rank = len(output.shape) if output.shape is not None else 0
    if node.attributes.get_int("axis", -1) not in (1, 1 - rank):
        return copy
    (scores,) = node.inputs
    assert scores is not None
    copy.graph.outputs[0] = scores
    copy.graph.remove(node, safe=True)
    return copy


def _only_output(model: ir.Model) -> ir.Value:
    if len(model.graph.inputs) != 1 or len(model.graph.outputs) != 1:
        names = ", ".join(str(value.name) for value in model.graph.outputs)
        raise UsageError(
            f"the net has {len(model.graph.inputs)} inputs and {len(model.graph.outputs)} outputs ({names}); "
            "training needs a classifier of images: --scores NAME keeps the output that ranks the classes"
        )
    return model.graph.outputs[0]
