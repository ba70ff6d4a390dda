"""Recurrent modules (rnn, torch-rnn) against their formulas in NumPy."""

from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from corpus_cases import run_pytorch
from torch7_cases import named, run_model, values

import converters

D, H, T, N = 3, 4, 5, 2


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def linear(inputs: int, outputs: int, seed: int) -> tuple:
    fields = {"weight": values(outputs, inputs, seed=seed), "bias": values(outputs, seed=seed)}
    return "nn.Linear", fields


def apply(module: tuple, x: np.ndarray) -> np.ndarray:
    return x @ module[1]["weight"].T + module[1]["bias"]


def sequential(*modules: tuple) -> tuple:
    return "nn.Sequential", {"modules": list(modules)}


def parallel(*modules: tuple) -> tuple:
    return "nn.ParallelTable", {"modules": list(modules)}


def concat(*modules: tuple) -> tuple:
    return "nn.ConcatTable", {"modules": list(modules)}


def select(index: int) -> tuple:
    return "nn.SelectTable", {"index": index}


ADD, MULTIPLY, TANH = ("nn.CAddTable", {}), ("nn.CMulTable", {}), ("nn.Tanh", {})
FROM_X, FROM_H = linear(D, H, 1), linear(H, H, 2)
STEPS = [values(N, D, seed=k) for k in range(T)]


def elman(x: np.ndarray, h: np.ndarray) -> np.ndarray:
    return np.tanh(apply(FROM_X, x) + apply(FROM_H, h))


def unrolled(steps: list[np.ndarray]) -> list[np.ndarray]:
    h, outputs = np.zeros((N, H)), []
    for x in steps:
        h = elman(x, h)
        outputs.append(h)
    return outputs


def elman_module() -> tuple:
    inside = sequential(parallel(FROM_X, FROM_H), ADD, TANH)
    return "nn.Recurrence", {"recurrentModule": inside, "outputSize": H, "nInputDim": 1}


def sequencer(module: tuple, **more: object) -> tuple:
    return "nn.Sequencer", {"module": module, "modules": [module], "_remember": "neither", **more}


def test_sequencer_of_a_table(run_net):
    got = run_net(sequencer(elman_module()), *STEPS)
    np.testing.assert_allclose(got, unrolled(STEPS), atol=1e-5)


def test_sequencer_of_a_tensor(run_net):
    (got,) = run_net(sequencer(elman_module()), np.stack(STEPS))
    np.testing.assert_allclose(got, unrolled(STEPS), atol=1e-5)


def test_recursor_keeps_what_is_inside_it(run_net):
    cell = sequential(elman_module(), linear(H, 2, 3))
    got = run_net(sequencer(("nn.Recursor", {"recurrentModule": cell, "modules": [cell]})), *STEPS)
    np.testing.assert_allclose(got, [apply(linear(H, 2, 3), h) for h in unrolled(STEPS)], atol=1e-5)


def test_each_sequencer_starts_without_state(run_net):
    shared = elman_module()
    got = run_net(concat(sequencer(shared), sequencer(shared)), *STEPS[:2])
    np.testing.assert_allclose(got, unrolled(STEPS[:2]) * 2, atol=1e-5)


def test_recurrent_has_another_module_for_the_first_step(run_net):
    start = ("nn.Add", {"bias": values(H, seed=5)})
    fields = {
        "initialModule": sequential(FROM_X, start, TANH),
        "recurrentModule": sequential(parallel(FROM_X, FROM_H), ADD, TANH),
    }
    got = run_net(sequencer(("nn.Recurrent", fields)), *STEPS[:3])
    h = np.tanh(apply(FROM_X, STEPS[0]) + values(H, seed=5))
    wanted = [h]
    for x in STEPS[1:3]:
        wanted.append(elman(x, wanted[-1]))
    np.testing.assert_allclose(got, wanted, atol=1e-5)


def test_lstm_passes_its_cell_to_the_next_step(run_net):
    # A cell that adds up what it gets, and an output gated by the input: {x, h, c} -> {tanh(c') * x, c'}.
    # The last cell comes first: the sum is written over it.
    cell = sequential(concat(select(3), select(1), select(2)), ADD)
    inside = sequential(
        concat(select(1), cell),
        ("nn.FlattenTable", {}),
        concat(sequential(concat(select(1), sequential(select(2), TANH)), MULTIPLY), select(2)),
    )
    got = run_net(sequencer(("nn.LSTM", {"recurrentModule": inside, "outputSize": D})), *STEPS)
    h = c = np.zeros((N, D))
    for x, output in zip(STEPS, got, strict=True):
        c = x + h + c
        h = np.tanh(c) * x
        np.testing.assert_allclose(output, h, atol=1e-5)


def test_bi_sequencer(run_net):
    reverse = ("nn.ReverseTable", {})
    both = concat(sequencer(elman_module()), sequential(reverse, sequencer(elman_module()), reverse))
    merge = sequencer(("nn.JoinTable", {"dimension": 1, "nInputDims": 1}))
    module = sequential(both, ("nn.ZipTable", {}), merge)
    got = run_net(("nn.BiSequencer", {"module": module, "modules": [module]}), *STEPS)
    ahead, back = unrolled(STEPS), unrolled(STEPS[::-1])[::-1]
    np.testing.assert_allclose(got, np.concatenate([ahead, back], 2), atol=1e-5)


@pytest.mark.parametrize("name", ["nn.MaskZero", "nn.TrimZero"])
def test_mask_zero(run_net, name):
    x = values(3, D)
    x[1] = 0
    masked = (name, {"module": FROM_X, "modules": [FROM_X], "nInputDim": 1})
    (got,) = run_net(masked, x)
    np.testing.assert_allclose(got, apply(FROM_X, x) * [[1], [0], [1]], atol=1e-5)


WEIGHT, BIAS = values(D + H, 4 * H, seed=7), values(4 * H, seed=8)
SEQUENCE = values(T, N, D, seed=9)


def lstm(
    x: np.ndarray, weight: np.ndarray = WEIGHT, projection: np.ndarray | None = None, mask: bool = False
) -> np.ndarray:
    c = np.zeros((x.shape[1], H))
    h = c if projection is None else c @ projection
    outputs = []
    for step in x:
        there = step.any(1, keepdims=True) if mask else 1
        i, f, o, g = np.split(np.concatenate([step, h], 1) @ weight + BIAS, 4, 1)
        c = (sigmoid(f) * c + sigmoid(i) * np.tanh(g)) * there
        h = sigmoid(o) * np.tanh(c)
        h = (h if projection is None else h @ projection) * there
        outputs.append(h)
    return np.stack(outputs)


def in_both_forms(save_t7, tmp_path, module: tuple, *given: np.ndarray) -> list[list[np.ndarray]]:
    """The outputs of a net in ONNX and in PyTorch."""
    inputs = named("input", list(given))
    model = converters.load(save_t7(module), input_shapes={key: x.shape for key, x in inputs.items()})
    converters.save(model, tmp_path / "net.py")
    results = run_model(model, inputs), run_pytorch(tmp_path / "net.py", inputs, model)
    return [list(outputs.values()) for outputs in results]


def with_gaps() -> np.ndarray:
    """A sequence with steps of zeros, other ones in each sample."""
    x = SEQUENCE.copy()
    x[2, 0] = x[0, 1] = x[3:, 1] = 0
    return x


@pytest.mark.parametrize("mask", [False, True])
def test_lstm_that_projects_its_output(save_t7, tmp_path, mask):
    weight, projection = values(D + 2, 4 * H, seed=11), values(H, 2, seed=12)
    fields = {"inputsize": D, "hiddensize": H, "outputsize": 2, "maskzero": mask}
    fields |= {"weight": weight, "bias": BIAS, "weightO": projection}
    for (got,) in in_both_forms(save_t7, tmp_path, ("nn.SeqLSTMP", fields), with_gaps()):
        np.testing.assert_allclose(got, lstm(with_gaps(), weight, projection, mask), atol=1e-5)


def test_lstm_that_restarts_at_zeros(save_t7, tmp_path):
    fields = {"inputsize": D, "outputsize": H, "maskzero": True, "batchfirst": True}
    module = ("nn.SeqLSTM", {**fields, "weight": WEIGHT, "bias": BIAS})
    for (got,) in in_both_forms(save_t7, tmp_path, module, with_gaps().swapaxes(0, 1)):
        np.testing.assert_allclose(got, lstm(with_gaps(), mask=True).swapaxes(0, 1), atol=1e-5)


def test_a_sequence_of_open_length_cannot_be_unrolled(save_t7):
    fields = {"inputsize": D, "outputsize": H, "maskzero": True, "weight": WEIGHT, "bias": BIAS}
    with pytest.raises(
        converters.StaticSizeRequired, match="the number of time steps must be known beforehand"
    ):
        converters.load(save_t7(("nn.SeqLSTM", fields)))


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_a_sequence_in_reverse(save_t7, tmp_path, dim):
    for (got,) in in_both_forms(save_t7, tmp_path, ("nn.SeqReverseSequence", {"dim": dim}), SEQUENCE):
        np.testing.assert_array_equal(got, np.flip(SEQUENCE, dim - 1))


def test_vanilla_rnn(run_net):
    weight, bias = values(D + H, H, seed=13), values(H, seed=14)
    fields = {"input_dim": D, "hidden_dim": H, "remember_states": False, "weight": weight, "bias": bias}
    (got,) = run_net(("nn.VanillaRNN", fields), SEQUENCE.swapaxes(0, 1))
    h = np.zeros((N, H))
    for k, step in enumerate(SEQUENCE):
        h = np.tanh(np.concatenate([step, h], 1) @ weight + bias)
        np.testing.assert_allclose(got[:, k], h, atol=1e-5)


def test_repeater(run_net):
    module = elman_module()
    got = run_net(("nn.Repeater", {"module": module, "modules": [module], "rho": 3}), STEPS[0])
    np.testing.assert_allclose(got, unrolled([STEPS[0]] * 3), atol=1e-5)


def test_bi_sequencer_for_language_models(run_net):
    reverse = ("nn.ReverseTable", {})
    back = sequential(reverse, sequencer(elman_module()), reverse)
    merge = sequential(("nn.ZipTable", {}), sequencer(("nn.JoinTable", {"dimension": 1, "nInputDims": 1})))
    got = run_net(("nn.BiSequencerLM", {"modules": [sequencer(elman_module()), back, merge]}), *STEPS)
    zeros = np.zeros((1, N, H))
    ahead = np.concatenate([zeros, unrolled(STEPS[:-1])])
    behind = np.concatenate([unrolled(STEPS[:0:-1])[::-1], zeros])
    np.testing.assert_allclose(got, np.concatenate([ahead, behind], 2), atol=1e-5)


@pytest.mark.parametrize(
    ("name", "fields", "swapped"),
    [
        ("nn.SeqLSTM", {"inputsize": D, "outputsize": H, "batchfirst": False}, False),
        ("nn.SeqLSTM", {"inputsize": D, "outputsize": H, "hiddensize": H, "batchfirst": True}, True),
        ("nn.SeqLSTM", {"inputsize": D, "outputsize": H, "remember_states": False}, True),
        ("nn.LSTM", {"input_dim": D, "hidden_dim": H, "remember_states": False}, True),
    ],
)
def test_lstm_of_a_sequence(run_net, name, fields, swapped):
    x = SEQUENCE.swapaxes(0, 1).copy() if swapped else SEQUENCE
    (got,) = run_net((name, {"weight": WEIGHT, "bias": BIAS, **fields}), x)
    wanted = lstm(SEQUENCE)
    np.testing.assert_allclose(got, wanted.swapaxes(0, 1) if swapped else wanted, atol=1e-5)


@pytest.mark.parametrize(("batch_first", "axes"), [(False, ["T", "N"]), (True, ["N", "T"])])
def test_which_axis_of_a_sequence_is_the_batch(save_t7, batch_first, axes):
    fields = {"inputsize": D, "outputsize": H, "batchfirst": batch_first, "weight": WEIGHT, "bias": BIAS}
    model = converters.load(save_t7(("nn.SeqLSTM", fields)))
    for value in (*model.graph.inputs, *model.graph.outputs):
        assert [str(size) for size in value.shape[:2]] == axes


@pytest.mark.parametrize("mask", [False, True])
def test_gru_of_a_sequence(run_net, mask):
    weight, bias, sequence = WEIGHT[:, : 3 * H].copy(), BIAS[: 3 * H].copy(), with_gaps()
    fields = {"inputSize": D, "outputSize": H, "weight": weight, "bias": bias, "maskzero": mask}
    (got,) = run_net(("nn.SeqGRU", fields), sequence)
    h = np.zeros((N, H))
    for step, output in zip(sequence, got, strict=True):
        gates = np.concatenate([step, h], 1) @ weight[:, : 2 * H] + bias[: 2 * H]
        r, u = np.split(sigmoid(gates), 2, 1)
        candidate = np.tanh(np.concatenate([step, r * h], 1) @ weight[:, 2 * H :] + bias[2 * H :])
        h = ((1 - u) * candidate + u * h) * (step.any(1, keepdims=True) if mask else 1)
        np.testing.assert_allclose(output, h, atol=1e-5)


def given_a_state(module: tuple) -> tuple:
    """The state that encoder-decoder models leave: the decoder starts from the last state of the encoder."""
    name, fields = module
    return name, {**fields, "userPrevOutput": values(N, H)}


@pytest.mark.parametrize(
    ("module", "given", "message"),
    [
        (elman_module(), STEPS[0], "outside a Sequencer its output depends on the calls before"),
        (
            sequencer(elman_module(), _remember="eval"),
            STEPS[0],
            "keeps its state from one call of the net to the next",
        ),
        (sequencer(given_a_state(elman_module())), STEPS[0], "starts from a given state"),
        (("nn.LanguageModel", {}), STEPS[0], "keeps its state from one call to the next"),
    ],
)
def test_what_depends_on_other_calls_is_refused(run_net, module, given, message):
    with pytest.raises(converters.UnsupportedError, match=message):
        run_net(module, given)


def test_a_table_of_absurd_length_is_refused(run_net):
    copies = ("nn.Replicate", {"nfeatures": 1e9, "dim": 1})
    with pytest.raises(converters.UnsupportedError, match="makes a table of 1,000,000,000 entries"):
        run_net(sequential(copies, ("nn.SplitTable", {"dimension": 1})), STEPS[0])


def test_the_one_bias_of_an_lstm_is_trained_once(save_t7, tmp_path):
    """torch's LSTM adds two biases, with equal gradients: trained both, their sum would move twice as far."""
    fields = {"inputsize": D, "outputsize": H, "batchfirst": False, "weight": WEIGHT, "bias": BIAS}
    converters.save(converters.load(save_t7(("nn.SeqLSTM", fields))), tmp_path / "net.py")
    spec = importlib.util.spec_from_file_location("net_with_one_bias", tmp_path / "net.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    net = module.load()
    before = {name: parameter.detach().clone() for name, parameter in net.named_parameters()}
    optimizer = torch.optim.SGD(module.parameter_groups(net, lr=0.1))
    net(torch.from_numpy(SEQUENCE.astype(np.float32))).square().sum().backward()
    optimizer.step()
    (frozen,) = [name for name, factors in net.multipliers.items() if factors[0] == 0]
    assert frozen.endswith("bias_hh_l0")
    for name, parameter in net.named_parameters():
        step = torch.zeros_like(parameter) if name == frozen else -0.1 * parameter.grad
        torch.testing.assert_close(parameter.detach(), before[name] + step)
    assert not before[frozen].any()
