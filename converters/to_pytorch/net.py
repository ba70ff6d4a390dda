"""The PyTorch net under construction: an expression graph, the modules it calls and the weights it owns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from converters.to_pytorch.naming import Names


@dataclass(frozen=True, eq=False)
class Initializer:
    """A constant tensor of the ONNX graph, its bytes as the reader left them."""

    name: str
    array: np.ndarray

    def reshape(self, *shape: int) -> Initializer:
        """The same bytes in another shape."""
        return Initializer(self.name, self.array.reshape(shape))


@dataclass(frozen=True)
class Submodule:
    """A module of the net: the layer it stands for, how it is made and the weights it takes."""

    attribute: str
    layer: str
    type: type[nn.Module]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    weights: Mapping[str, Initializer]

    @property
    def signature(self) -> str:
        """The same for modules that are made alike and take the same weights in the same layout."""
        weights = {
            key: (w.array.ctypes.data, w.array.shape, w.array.strides) for key, w in self.weights.items()
        }
        return repr((self.type, self.arguments, self.keywords, weights))


@dataclass(frozen=True)
class Weight:
    """A tensor that the net itself owns: a parameter, or a buffer if it is not to be trained."""

    attribute: str
    initializer: Initializer
    trainable: bool


@dataclass
class Net:
    """What the file will say.

    Nodes of `graph` that hold the value of an ONNX node carry that value in `meta["value"]` and the name
    of its layer in `meta["layer"]`; all others are parts of their expressions. `shared` finds submodules
    by their signature.
    """

    graph: fx.Graph = field(default_factory=fx.Graph)
    submodules: dict[str, Submodule] = field(default_factory=dict)
    shared: dict[str, str] = field(default_factory=dict)
    weights: dict[str, Weight] = field(default_factory=dict)
    attributes: Names = field(default_factory=lambda: Names(dir(nn.Module())))

    def __post_init__(self) -> None:
        self._tracer = fx.proxy.GraphAppendingTracer(self.graph)

    def proxy(
        self,
        kind: str,
        target: Any,  # noqa: ANN401
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """A new node of the graph, in the form that torch's functions and Python's operators take."""
        return self._tracer.create_proxy(kind, target, tuple(arguments), dict(keywords or {}))

    def tensor(self, value: Any, *, trainable: bool = True) -> Any:  # noqa: ANN401
        """An initializer or an array of sizes as a tensor expression; an expression as it is."""
        if isinstance(value, Initializer):
            weight = self._weight(value)
            if not trainable:
                self.weights[value.name] = replace(weight, trainable=False)
            proxy = self.proxy("get_attr", weight.attribute)
            proxy.node.meta["initializer"] = value
            return proxy
        if isinstance(value, np.ndarray):
            if not value.size:  # nested lists cannot say its shape, nor its type
                keywords = {"dtype": torch.int64, **self.device()}
                return self.proxy("call_function", torch.zeros, value.shape, keywords)
            return self.proxy("call_function", torch.tensor, (value.tolist(),), self.device())
        return value

    def first_input(self) -> Any:  # noqa: ANN401
        """The first input of the net, None if it has none."""
        first = next((node for node in self.graph.nodes if node.op == "placeholder"), None)
        return None if first is None else fx.Proxy(first, self._tracer)

    def device(self) -> dict[str, Any]:
        """The argument that makes a new tensor where the net runs."""
        first = self.first_input()
        return {} if first is None else {"device": first.device}

    def finish(self) -> None:
        """Remove what no output needs: nodes, then the modules and weights that only those used."""
        for node in reversed(self.graph.nodes):
            if not node.users and node.op not in ("placeholder", "output"):
                self.graph.erase_node(node)
        used = {node.target for node in self.graph.nodes if node.op in ("call_module", "get_attr")}
        self.submodules = {key: module for key, module in self.submodules.items() if key in used}
        self.weights = {key: weight for key, weight in self.weights.items() if weight.attribute in used}
        # What the net gives out as it is stored, or a piece of it, is no parameter to train.
        output = next(node for node in self.graph.nodes if node.op == "output")
        given = set().union(*map(_stored, output.all_input_nodes))
        for key, weight in self.weights.items():
            if weight.attribute in given:
                self.weights[key] = replace(weight, trainable=False)

    def _weight(self, initializer: Initializer) -> Weight:
        known = self.weights.get(initializer.name)
        if known is None:
            # Readers name weights <layer>.<parameter>; anything else is a constant of the computation.
            trainable = "." in initializer.name and initializer.array.dtype.kind == "f"
            attribute = self.attributes.claim(initializer.name)
            known = self.weights[initializer.name] = Weight(attribute, initializer, trainable)
        return known

    def state(self) -> dict[str, Initializer]:
        """The weights under their keys in the state dict."""
        keyed = {weight.attribute: weight.initializer for weight in self.weights.values()}
        for module in self.submodules.values():
            keyed.update({f"{module.attribute}.{key}": weight for key, weight in module.weights.items()})
        return keyed


def _stored(node: fx.Node) -> set[str]:
    """The weights that a value consists of, none if it depends on an input."""
    seen, ahead, found = {node}, [node], set()
    while ahead:
        operand = ahead.pop()
        if operand.op in ("placeholder", "call_module"):
            return set()
        if operand.op == "get_attr":
            found.add(str(operand.target))
        # The sizes and the device of an input say nothing about its values.
        reads = [] if operand.target is getattr else operand.all_input_nodes
        ahead += [other for other in reads if other not in seen]
        seen.update(reads)
    return found


def number(value: np.ndarray | np.generic) -> Any:  # noqa: ANN401
    """A single element as a Python number; a float32 by its shortest decimal, which reads back the same."""
    element = value.reshape(()).item()
    # The shortest decimal of the largest float32 lies above it, which torch refuses.
    if value.dtype != np.float32 or abs(element) == np.finfo(np.float32).max:
        return element
    return float(str(np.float32(element)))
