"""Weights of a trained net.py, put back into the model: the ONNX then computes what the module does."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from arrays import values
from corpus_cases import CORPUS, Case, run_onnx
from pytorch_nets import fire_net, shared_layers

import converters
from converters.graph import Graph
from converters.to_pytorch import trained_weights


def module_of(model, folder: Path):
    converters.save(model, folder / "net.py")
    spec = importlib.util.spec_from_file_location("net_of_trained_weights", folder / "net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load()


def changed(module) -> dict[str, np.ndarray]:
    """Gives every parameter and statistic other values; returns the state."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for tensor in module.state_dict().values():
            if tensor.is_floating_point():
                tensor.copy_(tensor * 0.5 + torch.rand(tensor.shape, generator=generator) * 0.2 + 0.05)
    return {key: tensor.numpy().copy() for key, tensor in module.state_dict().items()}


def check(model, tmp_path, inputs: dict[str, np.ndarray]) -> None:
    module = module_of(model, tmp_path)
    trained = converters.with_weights(model, changed(module))
    converters.save(trained, tmp_path / "trained.onnx")
    names = [str(value.name) for value in model.graph.inputs]
    with torch.no_grad():
        expected = module(*(torch.from_numpy(inputs[name]) for name in names))
    expected = expected if isinstance(expected, tuple) else (expected,)
    came = run_onnx(tmp_path / "trained.onnx", inputs)
    for output, reference in zip(model.graph.outputs, expected, strict=True):
        np.testing.assert_allclose(came[output.name], reference.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    "name",
    [
        *("arch-alexnet", "arch-densenet", "arch-mobilenet", "arch-resnet-pre", "arch-unet", "ip-transpose"),
        *("lstm-basic", "bn-params3", "prelu-shared", "share-scale-bn", "deconv-group3"),
    ],
)
def test_nets_of_caffe(tmp_path, name):
    case = Case.load(CORPUS / "caffe" / name)
    model = converters.load(*case.sources, **case.options)
    before = {key: array.copy() for key, array in converters.weights_of(model).items()}
    check(model, tmp_path, case.inputs)
    # The model itself stays as it was.
    assert all(np.array_equal(array, before[key]) for key, array in converters.weights_of(model).items())


@pytest.mark.parametrize("name", ["resnet20-cifar10", "vgg-like", "alexnet-like"])
def test_nets_of_torch7(tmp_path, name):
    folder = CORPUS / "torch7-models" / name
    model = converters.load(folder / "net.t7")
    with np.load(folder / "io.npz") as io:
        (x,) = (io[key] for key in io.files if key.startswith("in:"))
    check(model, tmp_path, {"input": x})


def recurrent(op_type: str, gates: int, **attributes):
    """A bidirectional recurrent layer, whose gates torch stores in another order."""
    graph = Graph("recurrent")
    x = graph.input("x", (3, 2, 4))
    with graph.layer("rnn"):
        weights = [graph.parameter(n, values(2, gates * 5, w) / 3) for n, w in (("w", 4), ("r", 5))]
        bias = graph.parameter("b", values(2, 2 * gates * 5) / 3)
        outputs = graph.nodes(
            op_type,
            x,
            *weights,
            bias,
            shapes=[(3, 2, 2, 5)],
            hidden_size=5,
            direction="bidirectional",
            **attributes,
        )
        graph.name_result(outputs[0], "rnn", "rnn")
    return graph.model({"rnn": outputs[0]})


@pytest.mark.parametrize(
    ("op_type", "gates", "options"),
    [("LSTM", 4, {}), ("GRU", 3, {"linear_before_reset": 1}), ("GRU", 3, {})],
)
def test_gates_go_back_into_their_order(tmp_path, op_type, gates, options):
    check(recurrent(op_type, gates, **options), tmp_path, {"x": values(3, 2, 4)})


def test_a_bias_that_is_the_sum_of_two_goes_back_into_the_first(tmp_path):
    """A GRU that resets the state before its product has one bias in torch where ONNX adds two."""
    model = recurrent("GRU", 3)
    state = changed(module_of(model, tmp_path))
    trained = converters.weights_of(converters.with_weights(model, state))
    (bias,) = (array for name, array in trained.items() if name == "rnn.b")
    of_input, of_state = bias[:, :15], bias[:, 15:]
    assert np.array_equal(of_input[0], state["rnn_b"])
    assert np.array_equal(of_input[1], state["rnn_b_reverse"])
    assert not of_state.any()
    # The next net.py has exactly the trained values.
    again = module_of(converters.with_weights(model, state), tmp_path).state_dict()
    assert all(np.array_equal(again[key].numpy(), state[key]) for key in state)


def test_the_matrices_of_several_gates_are_named_as_such(tmp_path):
    net = module_of(recurrent("GRU", 3), tmp_path)
    assert net.gates == dict.fromkeys(("rnn_w", "rnn_r", "rnn_w_reverse", "rnn_r_reverse"), 3)
    assert all(getattr(net, name).shape[0] == 3 * 5 for name in net.gates)
    assert not hasattr(module_of(recurrent("LSTM", 4), tmp_path), "gates")


def test_what_is_computed_from_several_weights_cannot_be_put_back(tmp_path, monkeypatch):
    """As if a bias were something else than a sum: no operator does so today."""
    model = recurrent("GRU", 3)
    state = changed(module_of(model, tmp_path))
    monkeypatch.setattr(
        trained_weights, "_two_places", lambda sums, squares, end: (sums.astype(int) * 0,) * 2
    )
    with pytest.raises(converters.UnsupportedError, match="computed from several weights"):
        converters.with_weights(model, state)


def test_a_weight_that_was_trained_in_two_copies_cannot_be_put_back(tmp_path):
    model = shared_layers()
    state = changed(module_of(model, tmp_path))
    weights = [key for key in state if key.endswith("weight")]
    if len(weights) > 1:
        with pytest.raises(converters.UnsupportedError, match="trained apart"):
            converters.with_weights(model, state)
        for key in weights[1:]:
            state[key] = state[weights[0]]
    converters.with_weights(model, state)


def test_the_state_of_another_net_is_refused(tmp_path):
    model = fire_net()
    state = changed(module_of(model, tmp_path))
    with pytest.raises(converters.MismatchError, match=r"no conv1\.weight"):
        converters.with_weights(model, {k: v for k, v in state.items() if k != "conv1.weight"})
    with pytest.raises(converters.MismatchError, match=r"fc4\.weight is \(1, 1\)"):
        converters.with_weights(model, {**state, "fc4.weight": np.zeros((1, 1), np.float32)})
    check(model, tmp_path, {"data": values(2, 3, 16, 16)})
