"""The PyTorch net under construction: an fx graph, the modules it calls and the tensors it holds itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import fx, nn

from converters.to_pytorch.naming import Names
from converters.training_settings import NO_MULTIPLIERS, Multipliers

# Attributes of the generated class beside those of its layers.
MULTIPLIERS, GATES, UNREACHED = "multipliers", "gates", "without_gradient"


@dataclass(frozen=True, eq=False)
class Initializer:
    """A constant tensor of the ONNX graph. The array is the reader's own, not a copy.

    is_weight: see `converters.weights.is_weight`. multipliers: with which the source trains it.
    """

    name: str
    array: np.ndarray
    is_weight: bool | None = None
    multipliers: Multipliers = NO_MULTIPLIERS

    def reshape(self, *shape: int) -> Initializer:
        """The same memory in another shape."""
        return replace(self, array=self.array.reshape(shape))


@dataclass(frozen=True)
class Submodule:
    """A module of the net: its layer, its constructor call and its weights by parameter name."""

    attribute: str
    layer: str
    type: type[nn.Module]
    arguments: tuple[Any, ...]
    keywords: Mapping[str, Any]
    weights: Mapping[str, Initializer]

    @property
    def signature(self) -> str:
        """Equal for modules with the same constructor call and the same weights in the same memory layout."""
        weights = {
            key: (w.array.ctypes.data, w.array.shape, w.array.strides) for key, w in self.weights.items()
        }
        return repr((self.type, self.arguments, self.keywords, weights))


@dataclass(frozen=True)
class NetTensor:
    """A tensor that the net holds outside its modules: an nn.Parameter if trainable, else a buffer."""

    attribute: str
    initializer: Initializer
    trainable: bool


class _Tracer(fx.proxy.GraphAppendingTracer):
    """Adds nodes to a graph and lists them, because a graph cannot be read from a place on."""

    def __init__(self, graph: fx.Graph) -> None:
        super().__init__(graph)
        self.added: list[fx.Node] = []

    def create_node(self, *arguments: Any, **keywords: Any) -> fx.Node:  # noqa: ANN401
        """See fx.TracerBase."""
        self.added.append(super().create_node(*arguments, **keywords))
        return self.added[-1]


@dataclass
class GeneratedNet:
    """The contents of net.py.

    graph: a node that computes the value of an ONNX node has that value in `meta["value"]`; all others are
        parts of the expressions for such values. All have the name of their layer in `meta["layer"]`.
    submodules: by attribute. attributes_by_signature: the attribute of each `Submodule.signature`.
    tensors: by the name of their initializer.
    weight_shapes: by constructor call: the shapes of the weights that the module has.
    fixed_statistics: the attributes of batch normalisations that never use the statistics of a batch.
    gates: how many gates have their matrices in one tensor of the net itself, by its attribute.
    names: the attribute names given so far.
    """

    graph: fx.Graph = field(default_factory=fx.Graph)
    submodules: dict[str, Submodule] = field(default_factory=dict)
    attributes_by_signature: dict[str, str] = field(default_factory=dict)
    tensors: dict[str, NetTensor] = field(default_factory=dict)
    weight_shapes: dict[str, dict[str, tuple[int, ...]]] = field(default_factory=dict)
    fixed_statistics: dict[str, None] = field(default_factory=dict)
    gates: dict[str, int] = field(default_factory=dict)
    names: Names = field(default_factory=lambda: Names([*dir(nn.Module()), MULTIPLIERS, GATES, UNREACHED]))

    def __post_init__(self) -> None:
        self._tracer = _Tracer(self.graph)

    @property
    def new_nodes(self) -> list[fx.Node]:
        """The nodes added since this list was last cleared."""
        return self._tracer.added

    def proxy(
        self,
        kind: str,
        target: Any,  # noqa: ANN401
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401
        """A new node of the graph, as a proxy: torch functions and Python operators on it add nodes."""
        return self._tracer.create_proxy(kind, target, tuple(arguments), dict(keywords or {}))

    def tensor(self, value: Any, *, trainable: bool = True) -> Any:  # noqa: ANN401
        """An initializer or an array of sizes as a tensor expression. An expression is returned unchanged."""
        if isinstance(value, Initializer):
            tensor = self._net_tensor(value)
            if not trainable:
                self.tensors[value.name] = replace(tensor, trainable=False)
            proxy = self.proxy("get_attr", tensor.attribute)
            proxy.node.meta["initializer"] = value
            return proxy
        if isinstance(value, np.ndarray):
            if not value.size:  # an empty list would lose its shape and type
                keywords = {"dtype": torch.int64, **self.device()}
                return self.proxy("call_function", torch.zeros, value.shape, keywords)
            return self.proxy("call_function", torch.tensor, (value.tolist(),), self.device())
        return value

    def first_input(self) -> Any:  # noqa: ANN401
        """The first input of the net, None if it has none."""
        first = next((node for node in self.graph.nodes if node.op == "placeholder"), None)
        return None if first is None else fx.Proxy(first, self._tracer)

    def device(self) -> dict[str, Any]:
        """The keyword argument that creates a new tensor on the device of the net's first input."""
        first = self.first_input()
        return {} if first is None else {"device": first.device}

    def remove_unused(self) -> None:
        """Removes the nodes that no output needs, then the modules and tensors that only those used."""
        for node in reversed(self.graph.nodes):
            if not node.users and node.op not in ("placeholder", "output"):
                self.graph.erase_node(node)
        used = {node.target for node in self.graph.nodes if node.op in ("call_module", "get_attr")}
        self.submodules = {key: module for key, module in self.submodules.items() if key in used}
        self.tensors = {key: tensor for key, tensor in self.tensors.items() if tensor.attribute in used}
        # An output that depends on no input is stored data, such as prior boxes, and is not trained.
        output = next(node for node in self.graph.nodes if node.op == "output")
        stored = set().union(*map(_stored_tensors, output.all_input_nodes))
        for key, tensor in self.tensors.items():
            if tensor.attribute in stored:
                self.tensors[key] = replace(tensor, trainable=False)

    def _net_tensor(self, initializer: Initializer) -> NetTensor:
        known = self.tensors.get(initializer.name)
        if known is None:
            trainable = bool(initializer.is_weight) and initializer.array.dtype.kind == "f"
            attribute = self.names.unique(initializer.name)
            known = self.tensors[initializer.name] = NetTensor(attribute, initializer, trainable)
        return known

    def state(self) -> dict[str, Initializer]:
        """The stored tensors under their keys in the state dict."""
        keyed = {tensor.attribute: tensor.initializer for tensor in self.tensors.values()}
        for module in self.submodules.values():
            keyed.update({f"{module.attribute}.{key}": weight for key, weight in module.weights.items()})
        return keyed

    def multipliers(self) -> dict[str, Multipliers]:
        """By key in the state dict, the factors with which the source trains a weight, if they are not 1."""
        trained = {tensor.attribute for tensor in self.tensors.values() if tensor.trainable}
        return {
            key: weight.multipliers
            for key, weight in self.state().items()
            if weight.multipliers != NO_MULTIPLIERS
            and (key in trained if "." not in key else not key.rpartition(".")[2].startswith("running_"))
        }

    def without_gradient(self) -> list[str]:
        """The parameters, by key in the state dict, that no gradient of an output reaches."""
        output = next(node for node in self.graph.nodes if node.op == "output")
        pending, seen = [output], {output}
        while pending:
            node = pending.pop()
            passes = not (node.op == "call_method" and node.target == "detach")
            new = [other for other in node.all_input_nodes if passes and other not in seen]
            pending += new
            seen.update(new)
        reached = {str(node.target) for node in seen if node.op in ("call_module", "get_attr")}
        tensors = [tensor.attribute for tensor in self.tensors.values() if tensor.trainable]
        weights = [
            (attribute, f"{attribute}.{key}")
            for attribute, module in self.submodules.items()
            for key in module.weights
            if not key.startswith("running_")
        ]
        parameters = [*((name, name) for name in tensors), *weights]
        return [key for attribute, key in parameters if attribute not in reached]


def _stored_tensors(node: fx.Node) -> set[str]:
    """The attributes of the tensors from which a value is computed; empty if it depends on an input."""
    seen, pending, found = {node}, [node], set()
    while pending:
        operand = pending.pop()
        if operand.op in ("placeholder", "call_module"):
            return set()
        if operand.op == "get_attr":
            found.add(str(operand.target))
        # Attributes of an input, its shape and device, do not depend on its values.
        reads = [] if operand.target is getattr else operand.all_input_nodes
        pending += [other for other in reads if other not in seen]
        seen.update(reads)
    return found


def number(value: np.ndarray | np.generic) -> Any:  # noqa: ANN401
    """A single element as a Python number; a float32 as its shortest decimal, which reads back the same."""
    element = value.reshape(()).item()
    # The shortest decimal of the largest float32 is larger than that number, and torch refuses it.
    if value.dtype != np.float32 or abs(element) == np.finfo(np.float32).max:
        return element
    return float(str(np.float32(element)))
