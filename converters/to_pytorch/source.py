"""The text of net.py."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
import onnx_ir as ir
import torch
from torch import fx

from converters.to_pytorch import helpers
from converters.to_pytorch.context import torch_dtype
from converters.to_pytorch.docstring import class_docstring, module_docstring
from converters.to_pytorch.expressions import WIDTH, Expression, Writer, call, lines, telling
from converters.to_pytorch.naming import class_name, printable
from converters.to_pytorch.net import Net, Submodule, Weight
from converters.to_pytorch.statements import INDENT, Body

_LOAD = '''\
def load(weights: str | None = None) -> {name}:
    """The net in eval mode; its weights lie beside this file unless said otherwise."""
    if weights is None:
        weights = __file__.removesuffix(".py") + ".safetensors"
    with torch.device("meta"):  # allocates nothing; the weights are assigned next
        net = {name}()
    net.load_state_dict(load_file(weights), assign=True)
    return net.eval()
'''


def source_text(net: Net, model: ir.Model) -> str:
    """A Python module with one nn.Module subclass and `load`, formatted as formatters would."""
    name = class_name(model.graph.name or "")
    parts = [inspect.getsource(helper).rstrip() for helper in _helpers(net.graph)]
    parts += ["\n".join(_class(net, model, name)), _LOAD.format(name=name)]
    code = "\n\n\n".join(parts)
    imports = ["import torch", "from safetensors.torch import load_file", "from torch import nn"]
    if re.search(r"\bF\.", code):
        imports.insert(1, "import torch.nn.functional as F")
    text = "\n".join([*module_docstring(model), "", *imports, "", "", code])
    compile(text, "net.py", "exec")  # it is Python, whatever the names in the model are
    return text


def _class(net: Net, model: ir.Model, name: str) -> list[str]:
    body = Body(net)
    inputs = [f"{body.variables[node]}: torch.Tensor" for node in body.inputs]
    count = len(model.graph.outputs)
    each = ["torch.Tensor"] * count
    result = each[0] if count == 1 else f"tuple[{', '.join(each) if count < 5 else 'torch.Tensor, ...'}]"
    signature = call("def forward", [Expression(text) for text in ("self", *inputs)])
    return [
        f"class {name}(nn.Module):",
        *class_docstring(model, "    "),
        "",
        *_constructor(net),
        *lines("    ", "", signature, f" -> {result}:"),
        *body.lines(),
    ]


def _constructor(net: Net) -> list[str]:
    """`__init__`, if there is anything to construct."""
    made = [line for module in net.submodules.values() for line in _submodule(module)]
    made += [line for weight in net.weights.values() for line in _weight(weight)]
    if not made:
        return []
    return ["    def __init__(self) -> None:", f"{INDENT}super().__init__()", *made, ""]


def _submodule(module: Submodule) -> list[str]:
    keywords = telling(module.type.__init__, module.keywords)
    writer = Writer({})
    value = call(
        f"nn.{module.type.__name__}",
        [writer.value(argument) for argument in module.arguments],
        {key: writer.value(argument) for key, argument in keywords.items()},
    )
    comment = "" if module.layer == module.attribute else f"# {printable(module.layer)}"
    text = lines(INDENT, f"self.{module.attribute} = ", value)
    if comment and len(text) == 1 and len(text[0]) + 2 + len(comment) <= WIDTH:
        return [f"{text[0]}  {comment}"]
    return [f"{INDENT}{comment}", *text] if comment else text


def _weight(weight: Weight) -> list[str]:
    array = weight.initializer.array
    empty = call("torch.empty", [Expression(str(size)) for size in array.shape or ("()",)], _dtype(array))
    if weight.trainable:
        return lines(INDENT, f"self.{weight.attribute} = ", call("nn.Parameter", [empty]))
    name = Expression(f'"{weight.attribute}"')
    return lines(INDENT, "", call("self.register_buffer", [name, empty]))


def _helpers(graph: fx.Graph) -> list[Callable[..., Any]]:
    """The functions of `helpers` that the graph calls, each after those it calls itself."""
    found: list[Callable[..., Any]] = []

    def add(function: object) -> None:
        if not isinstance(function, FunctionType) or not function.__module__.startswith(helpers.__name__):
            return
        if function not in found:
            for name in function.__code__.co_names:
                add(function.__globals__.get(name))
            found.append(function)

    for node in graph.nodes:
        add(node.target)
    return found


def _dtype(array: np.ndarray) -> dict[str, Expression]:
    dtype = torch_dtype(ir.DataType.from_numpy(array.dtype))
    return {} if dtype is torch.float32 else {"dtype": Expression(str(dtype))}
