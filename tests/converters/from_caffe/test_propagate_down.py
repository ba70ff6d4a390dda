"""propagate_down of a definition: no gradient passes to that bottom, in net.py as in Caffe.

The expected gradients are those of Net::AppendBottom: torch computes them on the net without what lies
before the bottom in question.
"""

from __future__ import annotations

import importlib.util

import onnx
import pytest
import torch
from torch import nn

import converters
from converters.errors import FormatError

DATA = 'input: "data" input_shape { dim: 4 dim: 3 dim: 5 dim: 5 } '
CONV = 'convolution_param { num_output: 3 kernel_size: 1 weight_filler { type: "xavier" } }'


def layer(name: str, kind: str, bottoms: str, more: str = "", top: str | None = None) -> str:
    read = " ".join(f'bottom: "{bottom}"' for bottom in bottoms.split())
    return f'layer {{ name: "{name}" type: "{kind}" {read} top: "{top or name}" {more} }} '


def model_of(tmp_path, text: str):
    (tmp_path / "net.prototxt").write_text(DATA + text)
    return converters.load(tmp_path / "net.prototxt", init=1)


def net_of(tmp_path, text: str) -> nn.Module:
    converters.save(model_of(tmp_path, text), tmp_path / "net.py")
    spec = importlib.util.spec_from_file_location("net_that_stops_gradients", tmp_path / "net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def reached(net: nn.Module) -> set[str]:
    """The parameters that get a gradient from the outputs."""
    outputs = net.train()(torch.rand(4, 3, 5, 5))
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    sum(output.square().sum() for output in outputs).backward()
    return {name.split(".")[0] for name, parameter in net.named_parameters() if parameter.grad is not None}


def test_what_lies_before_such_a_bottom_gets_no_gradient(tmp_path):
    text = layer("one", "Convolution", "data", CONV) + layer(
        "two", "Convolution", "one", f"propagate_down: false {CONV}"
    )
    net = net_of(tmp_path, text)
    assert reached(net) == {"two"}
    assert net.without_gradient == ("one.weight", "one.bias")


def test_another_reader_of_the_blob_still_passes_its_gradient_on(tmp_path):
    """And it is the gradient of that reader alone."""
    text = layer("one", "Convolution", "data", CONV)
    branches = (
        layer("two", "Convolution", "one", CONV),
        layer("three", "Convolution", "one", f"propagate_down: false {CONV}"),
    )
    net, alone = net_of(tmp_path, text + "".join(branches)), net_of(tmp_path, text + branches[0])
    assert not hasattr(net, "without_gradient")
    alone.load_state_dict({key: net.state_dict()[key] for key in alone.state_dict()})
    x = torch.rand(4, 3, 5, 5)
    two, three = net(x)
    (two.square().sum() + three.square().sum()).backward()
    alone(x).square().sum().backward()
    assert torch.equal(net.one.weight.grad, alone.one.weight.grad)
    assert net.three.weight.grad.abs().sum() > 0


def test_of_two_bottoms_each_is_as_stated_though_they_are_one_blob(tmp_path):
    text = layer("one", "Convolution", "data", CONV) + layer(
        "sum", "Eltwise", "one one", "propagate_down: true propagate_down: false"
    )
    net = net_of(tmp_path, text)
    whole = net_of(tmp_path, text.replace("propagate_down: true propagate_down: false", ""))
    whole.load_state_dict(net.state_dict())
    x = torch.rand(4, 3, 5, 5)
    for module in (net, whole):
        module(x).sum().backward()
    torch.testing.assert_close(net.one.weight.grad, whole.one.weight.grad / 2)


@pytest.mark.parametrize(
    "between",
    [
        layer("relu", "ReLU", "one", "propagate_down: false", top="one"),
        layer("drop", "Dropout", "one", "propagate_down: false", top="one"),
        layer(
            "none", "Dropout", "one", "propagate_down: false dropout_param { dropout_ratio: 0 }", top="one"
        ),
        layer("bn", "BatchNorm", "one", "propagate_down: false", top="one"),
        layer("bn", "BatchNorm", "one", top="one")
        + layer("scale", "Scale", "one", "propagate_down: false", top="one"),
    ],
)
def test_layers_in_place_stop_gradients_too(tmp_path, between):
    text = layer("one", "Convolution", "data", CONV) + between + layer("two", "Convolution", "one", CONV)
    net = net_of(tmp_path, text)
    assert "one" not in reached(net)
    assert "two" in reached(net)
    assert set(net.without_gradient) == {"one.weight", "one.bias"}


@pytest.mark.parametrize("kind", ["ReLU", "Split", "Flatten", "Convolution"])
def test_an_onnx_file_holds_nothing_of_it(tmp_path, kind):
    """What inference computes, under the same names."""
    text = layer("one", "Convolution", "data", CONV) + layer(
        "two", kind, "one", "propagate_down: false STATED"
    )
    text = text.replace("STATED", CONV if kind == "Convolution" else "")
    for name, definition in (("with", text), ("without", text.replace("propagate_down: false", ""))):
        converters.save(model_of(tmp_path, definition), tmp_path / f"{name}.onnx")
    nodes, others = (
        [
            (n.op_type, n.name, list(n.input), list(n.output))
            for n in onnx.load(tmp_path / f"{f}.onnx").graph.node
        ]
        for f in ("with", "without")
    )
    assert nodes == others


def test_a_layer_that_is_there_twice_is_trained_by_the_one_of_phase_train(tmp_path):
    text = layer("one", "Convolution", "data", CONV)
    for phase, passes in (("TEST", "true"), ("TRAIN", "false")):
        include = f"include {{ phase: {phase} }} propagate_down: {passes} {CONV}"
        text += layer("two", "Convolution", "one", include)
    assert reached(net_of(tmp_path, text)) == {"two"}


def test_as_in_caffe_it_is_stated_for_all_bottoms_or_for_none(tmp_path):
    text = layer("sum", "Eltwise", "data data", "propagate_down: false")
    with pytest.raises(FormatError, match=r"'sum'.*states propagate_down 1 times; it has 2 bottom\(s\)"):
        model_of(tmp_path, text)
