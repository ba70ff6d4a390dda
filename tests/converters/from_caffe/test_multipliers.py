"""lr_mult and decay_mult of a definition, and statistics that are never those of a batch, in net.py.

The expected factors are what Caffe's own rules give: Net::AppendParam, UpgradeV1LayerParameter.
"""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from corpus_cases import CORPUS, Case
from torch import nn

import converters
from converters.from_caffe.bind import Binder
from converters.to_pytorch.conversion import convert
from converters.training_settings import Multipliers

DATA = 'input: "data" input_shape { dim: 4 dim: 3 dim: 5 dim: 5 } '
CONV = "convolution_param { num_output: 2 kernel_size: 3 }"
INNER = "inner_product_param { num_output: 2 }"


def net_of(tmp_path, text: str) -> nn.Module:
    (tmp_path / "net.prototxt").write_text(text)
    converters.save(converters.load(tmp_path / "net.prototxt", init=0), tmp_path / "net.py")
    spec = importlib.util.spec_from_file_location("net_with_multipliers", tmp_path / "net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.load()
    net.module = module
    return net


def layer(name: str, kind: str, more: str, bottom: str = "data") -> str:
    return f'layer {{ name: "{name}" type: "{kind}" bottom: "{bottom}" top: "{name}" {more} }} '


def groups(net: nn.Module, lr: float = 0.5, weight_decay: float = 0.25) -> dict[str, tuple[float, float]]:
    """By name of the parameter: the learning rate and weight decay that net.py gives it."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    return {
        names[id(parameter)]: (group["lr"], group["weight_decay"])
        for group in net.module.parameter_groups(net, lr, weight_decay)
        for parameter in group["params"]
    }


def test_each_parameter_has_what_the_definition_states(tmp_path):
    net = net_of(
        tmp_path,
        DATA
        + layer("conv", "Convolution", f"param {{ lr_mult: 1 }} param {{ lr_mult: 2 decay_mult: 0 }} {CONV}")
        + layer("relu", "PReLU", "param { lr_mult: 0.1 }", "conv")
        + layer("fc", "InnerProduct", f"param {{ lr_mult: 0 }} {INNER}", "relu"),
    )
    assert net.multipliers == {"conv.bias": (2.0, 0.0), "relu.weight": (0.1, 1.0), "fc.weight": (0.0, 1.0)}
    assert groups(net) == {
        "conv.weight": (0.5, 0.25), "conv.bias": (1.0, 0.0),
        "relu.weight": (0.05, 0.25), "fc.bias": (0.5, 0.25),
    }  # fmt: skip


def test_a_net_whose_definition_states_nothing_has_neither(tmp_path):
    net = net_of(tmp_path, DATA + layer("fc", "InnerProduct", f"param {{ lr_mult: 1 }} {INNER}"))
    assert not hasattr(net, "multipliers")
    assert "parameter_groups" not in (tmp_path / "net.py").read_text()


@pytest.mark.parametrize(
    "text",
    [
        'layers {{ name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" {} {} }}',
        'layers {{ bottom: "data" top: "fc" layer {{ name: "fc" type: "innerproduct" num_output: 2 {} }} }}',
    ],
)
def test_old_definitions_state_them_as_blobs_lr_and_weight_decay(tmp_path, text):
    old = "blobs_lr: 1 blobs_lr: 2 weight_decay: 1 weight_decay: 0"
    text = 'input: "data" input_dim: 4 input_dim: 3 input_dim: 5 input_dim: 5 ' + text.format(old, INNER)
    assert net_of(tmp_path, text).multipliers == {"fc.bias": (2.0, 0.0)}


def shared(first: str, second: str) -> str:
    return (
        DATA
        + layer("a", "InnerProduct", f'param {{ name: "w" {first} }} {INNER}')
        + layer("b", "InnerProduct", f'param {{ name: "w" {second} }} {INNER}')
    )


@pytest.mark.parametrize(
    ("first", "second"),
    [("lr_mult: 3", ""), ("", "lr_mult: 3"), ("lr_mult: 3", "lr_mult: 3"), ("decay_mult: 1", "lr_mult: 3")],
)
def test_of_layers_that_share_a_parameter_one_may_state_it_for_all(tmp_path, first, second):
    assert net_of(tmp_path, shared(first, second)).multipliers["a.weight"] == (3.0, 1.0)


def test_but_they_must_not_contradict_each_other(tmp_path):
    (tmp_path / "net.prototxt").write_text(shared("decay_mult: 1", "decay_mult: 2"))
    with pytest.raises(
        converters.FormatError, match=r"layer 'a'.*'w' state different decay_mult: \[1.0, 2.0\]"
    ):
        converters.load(tmp_path / "net.prototxt", init=0)


@pytest.mark.parametrize("number", ["nan", "inf", "-inf"])
def test_a_factor_is_a_finite_number(tmp_path, number):
    text = DATA + layer("fc", "InnerProduct", f"param {{ lr_mult: {number} }} {INNER}")
    (tmp_path / "net.prototxt").write_text(text)
    with pytest.raises(converters.FormatError, match="its lr_mult is no finite number"):
        converters.load(tmp_path / "net.prototxt", init=0)


def test_what_trains_a_layer_of_phase_test_is_its_namesake_of_phase_train(tmp_path):
    text = layer("fc", "InnerProduct", f"include {{ phase: TEST }} {INNER}")
    other = layer("fc", "InnerProduct", f"include {{ phase: TRAIN }} param {{ lr_mult: 4 }} {INNER}")
    assert net_of(tmp_path, DATA + text + other).multipliers == {"fc.weight": (4.0, 1.0)}
    # One that exists in both phases is trained by itself.
    text = layer("fc", "InnerProduct", f"param {{ lr_mult: 5 }} {INNER}")
    assert net_of(tmp_path, DATA + text).multipliers == {"fc.weight": (5.0, 1.0)}


def test_the_factors_of_a_scale_are_those_of_the_joined_batch_norm(tmp_path):
    statistics = "param { lr_mult: 0 } " * 3
    scale = "param { lr_mult: 7 } param { decay_mult: 0 } scale_param { bias_term: true }"
    net = net_of(tmp_path, DATA + layer("bn", "BatchNorm", statistics) + layer("sc", "Scale", scale, "bn"))
    assert net.multipliers == {"bn.weight": (7.0, 1.0), "bn.bias": (1.0, 0.0)}


def norms(*stated: str) -> str:
    text = DATA
    for k, param in enumerate(stated):
        text += layer(f"bn{k}", "BatchNorm", param, f"bn{k - 1}" if k else "data")
    return text


GLOBAL = "batch_norm_param { use_global_stats: true }"


@pytest.mark.parametrize("stated", [(GLOBAL, GLOBAL), (GLOBAL, ""), ("", GLOBAL), ("", GLOBAL, GLOBAL)])
def test_stored_statistics_stay_in_training_where_the_definition_says_so(tmp_path, stated):
    net = net_of(tmp_path, norms(*stated))
    rng = np.random.default_rng(0)
    x = torch.from_numpy((rng.standard_normal((4, 3, 5, 5)) * 3 + 1).astype(np.float32))
    for k in range(len(stated)):
        getattr(net, f"bn{k}").running_mean.fill_(0.5)
        getattr(net, f"bn{k}").running_var.fill_(4.0)
    result = net.train()(x).numpy()
    assert net.training
    y = x.numpy().astype(np.float64)
    for k, param in enumerate(stated):
        norm = getattr(net, f"bn{k}")
        assert norm.training == (param != GLOBAL)
        assert bool((norm.running_mean == 0.5).all()) == (param == GLOBAL)
        mean, variance = y.mean((0, 2, 3), keepdims=True), y.var((0, 2, 3), keepdims=True)
        y = (y - 0.5) / np.sqrt(4 + 1e-5) if param == GLOBAL else (y - mean) / np.sqrt(variance + 1e-5)
    np.testing.assert_allclose(result, y, atol=1e-5)
    assert not any(module.training for module in net.eval().modules())


def test_statistics_of_phase_test_alone_are_learned_in_training(tmp_path):
    """Definitions have the layer twice: with statistics of the batch to train, with stored ones to test."""
    text = norms("include { phase: TEST } " + GLOBAL)
    text += layer("bn0", "BatchNorm", "include { phase: TRAIN } batch_norm_param { use_global_stats: false }")
    assert net_of(tmp_path, text).train().bn0.training


def test_every_parameter_of_every_layer_type_gets_its_factors(monkeypatch):
    """What is trained and got none would be a parameter that its layer stores under another name."""
    monkeypatch.setattr(Binder, "_multipliers", lambda self, layer, index: Multipliers(2.0, 0.0))
    seen, missed = set(), {}
    for case_file in sorted([*CORPUS.glob("caffe/*/case.json"), *CORPUS.glob("caffe-forks/*/case.json")]):
        folder = case_file.parent
        try:
            case = Case.load(folder)
            net = convert(converters.load(*case.sources, **case.options))
        except converters.ConverterError:  # other tests say why
            continue
        stated = net.multipliers()
        trained = [tensor.attribute for tensor in net.tensors.values() if tensor.trainable]
        for module in net.submodules.values():
            made = module.type(*module.arguments, **module.keywords)
            trained += [f"{module.attribute}.{name}" for name, _ in made.named_parameters()]
        seen |= {key for key in stated if stated[key] == (2.0, 0.0)}
        if left := [key for key in trained if key not in stated]:
            missed[folder.name] = left
    assert missed == {}
    assert len(seen) > 300
