"""The text of net.py."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from torch import nn

from converters.image_preparation import ImagePreparation
from converters.net_files import HASH_DIGITS
from converters.to_pytorch import helpers
from converters.to_pytorch.context import torch_dtype
from converters.to_pytorch.docstring import class_docstring, module_docstring
from converters.to_pytorch.expressions import (
    WIDTH,
    Expression,
    ExpressionWriter,
    break_lines,
    call,
    non_default_keywords,
)
from converters.to_pytorch.forward_body import INDENT, ForwardBody
from converters.to_pytorch.generated_net import (
    GATES,
    MULTIPLIERS,
    UNREACHED,
    GeneratedNet,
    NetTensor,
    Submodule,
)
from converters.to_pytorch.helpers.training import parameter_groups
from converters.to_pytorch.naming import class_name, printable
from converters.to_pytorch.preprocess_source import preprocess_source

BATCH_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_LOAD = '''\
WEIGHTS_SHA256 = "{sha256}"


def load(weights: str | None = None) -> {name}:
    """The net in eval mode; its weights lie beside this file unless said otherwise."""
    if weights is None:
        weights = _weights_beside()
    with torch.device("meta"):  # allocates nothing; the weights are assigned next
        net = {name}()
    net.load_state_dict(load_file(weights), assign=True)
    return net.eval()


def _weights_beside() -> str:
    name = __file__.removesuffix(".py")
    weights = f"{{name}}.{{WEIGHTS_SHA256[:{digits}]}}.safetensors"  # while a net is replaced
    if not os.path.exists(weights):
        weights = f"{{name}}.safetensors"
    digest = hashlib.sha256()
    with open(weights, "rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != WEIGHTS_SHA256:
        raise ValueError(
            f"{{weights}}: not the weights of {{__file__}}: expected the SHA-256 "
            f"{{WEIGHTS_SHA256}}, came {{digest.hexdigest()}}. Put the weights there that "
            "it was written with, or give others to load() by their name."
        )
    return weights
'''


def python_source(net: GeneratedNet, model: ir.Model, weights_sha256: str) -> str:
    """A Python module with one nn.Module subclass, `load`, and `preprocess` where the preparation is known.

    It is formatted as ruff and black format. weights_sha256: of the weights file beside it.
    """
    name = class_name(model.graph.name or "")
    preparation = ImagePreparation.in_metadata(model.metadata_props)
    preprocess, resize = (None, None) if preparation is None else preprocess_source(preparation)
    before = _helpers(node.target for node in net.graph.nodes)
    # What prepares images comes last: the net is what one opens the file for.
    after = [helper for helper in _helpers([resize]) if helper not in before]
    parts = [inspect.getsource(helper).rstrip() for helper in before]
    load = _LOAD.format(name=name, sha256=weights_sha256, digits=HASH_DIGITS)
    parts += ["\n".join(_class(net, model, name)), load.rstrip()]
    if net.multipliers():
        parts.append(inspect.getsource(parameter_groups).rstrip())
    parts += [inspect.getsource(helper).rstrip() for helper in after]
    parts += [] if preprocess is None else [preprocess]
    code = "\n\n\n".join(parts) + "\n"
    imports = ["import torch", "from safetensors.torch import load_file", "from torch import nn"]
    if re.search(r"\bF\.", code):
        imports.insert(1, "import torch.nn.functional as F")
    text = "\n".join(
        [*module_docstring(model), "", "import hashlib", "import os", "", *imports, "", "", code]
    )
    compile(text, "net.py", "exec")  # SyntaxError here if a name in the model ever became code
    return text


def _class(net: GeneratedNet, model: ir.Model, name: str) -> list[str]:
    body = ForwardBody(net)
    inputs = [f"{body.variables[node]}: torch.Tensor" for node in body.inputs]
    count = len(model.graph.outputs)
    types = ["torch.Tensor"] * count
    result = types[0] if count == 1 else f"tuple[{', '.join(types) if count < 5 else 'torch.Tensor, ...'}]"
    signature = call("def forward", [Expression(text) for text in ("self", *inputs)])
    return [
        f"class {name}(nn.Module):",
        *class_docstring(model, "    "),
        "",
        *_multipliers(net),
        *_gates(net),
        *_without_gradient(net),
        *_constructor(net),
        *_train(net),
        *break_lines("    ", "", signature, f" -> {result}:"),
        *body.lines(),
    ]


def _constructor(net: GeneratedNet) -> list[str]:
    """The lines of `__init__`; none if the net has no modules and no tensors."""
    body = [line for module in net.submodules.values() for line in _submodule(module)]
    body += [line for tensor in net.tensors.values() for line in _net_tensor(tensor)]
    if not body:
        return []
    return ["    def __init__(self) -> None:", f"{INDENT}super().__init__()", *body, ""]


def _multipliers(net: GeneratedNet) -> list[str]:
    """The class attribute with the factors of the source; none if they are all 1."""
    factors = net.multipliers()
    if not factors:
        return []
    return [
        "    # Factors of the source on the learning rate and the weight decay, where they are",
        "    # not 1 (Caffe's lr_mult and decay_mult); parameter_groups() uses them.",
        f"    {MULTIPLIERS} = {{",
        *(f'        "{key}": ({rate!r}, {decay!r}),' for key, (rate, decay) in factors.items()),
        "    }",
        "",
    ]


def _gates(net: GeneratedNet) -> list[str]:
    """The class attribute that says which matrices of the net itself are those of several gates."""
    stored = {tensor.attribute for tensor in net.tensors.values()}
    lines = [f'        "{key}": {count},' for key, count in net.gates.items() if key in stored]
    if not lines:
        return []
    return [
        "    # Matrices that are those of several gates, one above the other.",
        f"    {GATES} = {{",
        *lines,
        "    }",
        "",
    ]


def _without_gradient(net: GeneratedNet) -> list[str]:
    """The class attribute with the parameters that no gradient reaches; none if there are none."""
    keys = net.without_gradient()
    if not keys:
        return []
    return [
        "    # No gradient reaches these: layers after them pass none on (propagate_down: false).",
        "    # torch.optim leaves them as they are; Caffe applies their weight decay.",
        f"    {UNREACHED} = (",
        *(f'        "{key}",' for key in keys),
        "    )",
        "",
    ]


def _train(net: GeneratedNet) -> list[str]:
    """The method that keeps batch normalisations in eval mode whose source never uses batch statistics."""
    norms = {key: module for key, module in net.submodules.items() if module.type in BATCH_NORMS}
    fixed = [key for key in norms if key in net.fixed_statistics]
    if not fixed:
        return []
    if len(fixed) == len(norms):
        types = sorted({f"nn.{module.type.__name__}" for module in norms.values()})
        loop = [
            f"{INDENT}for module in self.modules():",
            f"{INDENT}    if isinstance(module, {' | '.join(types)}):",
            f"{INDENT}        module.eval()",
        ]
    else:
        parts = [Expression(f"self.{key}") for key in fixed]
        text = ", ".join(part.text for part in parts) + ("," if len(parts) == 1 else "")
        norm_tuple = Expression(f"({text})", head="(", arguments=tuple(parts), tail=")")
        loop = [*break_lines(INDENT, "for module in ", norm_tuple, ":"), f"{INDENT}    module.eval()"]
    return [
        "    def train(self, mode: bool = True) -> nn.Module:",
        f'{INDENT}"""Batch normalisation that uses its stored statistics in training too stays so."""',
        f"{INDENT}super().train(mode)",
        *loop,
        f"{INDENT}return self",
        "",
    ]


def _submodule(module: Submodule) -> list[str]:
    keywords = non_default_keywords(module.type.__init__, module.keywords)
    writer = ExpressionWriter({})
    value = call(
        f"nn.{module.type.__name__}",
        [writer.value(argument) for argument in module.arguments],
        {key: writer.value(argument) for key, argument in keywords.items()},
    )
    comment = "" if module.layer == module.attribute else f"# {printable(module.layer)}"
    text = break_lines(INDENT, f"self.{module.attribute} = ", value)
    if comment and len(text) == 1 and len(text[0]) + 2 + len(comment) <= WIDTH:
        return [f"{text[0]}  {comment}"]
    return [f"{INDENT}{comment}", *text] if comment else text


def _net_tensor(tensor: NetTensor) -> list[str]:
    array = tensor.initializer.array
    empty = call("torch.empty", [Expression(str(size)) for size in array.shape or ("()",)], _dtype(array))
    if tensor.trainable:
        return break_lines(INDENT, f"self.{tensor.attribute} = ", call("nn.Parameter", [empty]))
    name = Expression(f'"{tensor.attribute}"')
    return break_lines(INDENT, "", call("self.register_buffer", [name, empty]))


def _helpers(called: Iterable[object]) -> list[Callable[..., Any]]:
    """The functions of `helpers` among those that are called, each after the helpers it calls itself."""
    found: list[Callable[..., Any]] = []

    def add(function: object) -> None:
        if not isinstance(function, FunctionType) or not function.__module__.startswith(helpers.__name__):
            return
        if function not in found:
            for name in function.__code__.co_names:
                add(function.__globals__.get(name))
            found.append(function)

    for function in called:
        add(function)
    return found


def _dtype(array: np.ndarray) -> dict[str, Expression]:
    dtype = torch_dtype(ir.DataType.from_numpy(array.dtype))
    return {} if dtype is torch.float32 else {"dtype": Expression(str(dtype))}
