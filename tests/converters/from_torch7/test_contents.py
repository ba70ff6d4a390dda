"""Files that are not a single network: checkpoints, tables of tensors, several networks."""
# ruff: noqa: E501

from __future__ import annotations

import numpy as np
import pytest
from corpus_cases import CORPUS
from safetensors.numpy import load_file

import converters
from converters import from_torch7


def linear(outputs: int) -> tuple:
    return "nn.Linear", {"weight": np.ones((outputs, 3), np.float32), "bias": np.zeros(outputs, np.float32)}


def test_the_only_network_of_a_checkpoint_is_taken(save_t7):
    model = ("nn.Sequential", {"modules": [linear(2)]})
    moments = {"state": {"momentum": np.ones(8, np.float32)}, "learningRate": 0.1}
    criterion = ("nn.ClassNLLCriterion", {"sizeAverage": True, "gradInput": np.zeros(1, np.float32)})
    path = save_t7({"epoch": 3, "model": model, "best": model, "optimState": moments, "criterion": criterion})
    report = converters.load(path).meta["report"]
    assert report.outputs == {"output": "Nx2"}
    assert report.notes == ["the network is the one at 'model' of the file"]


def test_the_network_of_a_training_object_is_taken(save_t7):
    path = save_t7(("my.Trainer", {"net": linear(5), "epoch": 3}))
    assert converters.load(path).meta["report"].outputs == {"output": "Nx5"}


def test_among_several_networks_one_is_chosen(save_t7):
    path = save_t7({"generator": linear(4), "critics": [linear(1), linear(2)]})
    with pytest.raises(converters.UsageError) as error:
        converters.load(path)
    assert "the file holds 3 networks: generator (nn.Linear), critics.1 (nn.Linear), " in str(error.value)
    assert "choose one, such as --select generator" in str(error.value)
    model = converters.load(path, select="critics.2")
    assert model.graph.outputs[0].shape[1] == 2
    found = converters.inspect(path)
    assert not found.complete
    assert found.problems == ["choose one with --select: generator, critics.1, critics.2"]
    chosen = converters.inspect(path, select="critics.2")
    assert chosen.complete
    assert chosen.outputs == {"output": "Nx2"}
    inner = converters.load(CORPUS / "torch7" / "Sequential" / "net.t7", select="modules.3")
    assert inner.meta["report"].layers == 1


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("critics.3", "--select critics.3: there is no '3' under 'critics'; there is 1, 2"),
        ("discriminator", "--select discriminator: there is no 'discriminator' at the top; there is generator, critics"),
        ("critics", "at 'critics' is no network, but a table of 2 entries"),
    ],
)  # fmt: skip
def test_a_choice_that_leads_nowhere(save_t7, select, message):
    path = save_t7({"generator": linear(4), "critics": [linear(1), linear(2)]})
    with pytest.raises(converters.UsageError) as error:
        converters.load(path, select=select)
    assert message in str(error.value)


def test_tensors_of_data_by_path(save_t7):
    data, labels = np.arange(6, dtype=np.float64).reshape(2, 3), np.array([1, 2])
    path = save_t7(
        {"data": data, "meta": {"labels": labels, "name": "digits"}, "again": data, "rows": [data[0]]}
    )
    found = from_torch7.tensors(path)
    assert sorted(found) == ["data", "meta.labels", "rows.1"]
    np.testing.assert_array_equal(found["data"], data)
    np.testing.assert_array_equal(found["meta.labels"], labels)
    assert found["meta.labels"].dtype == np.int64


def test_a_bare_tensor_has_a_name():
    found = from_torch7.tensors(CORPUS / "torch7-hostile" / "bare_tensor.t7")
    assert {name: array.shape for name, array in found.items()} == {"tensor": (2,)}


def test_tensors_expanded_beyond_measure_are_refused():
    path = CORPUS / "torch7-hostile" / "expanded_bomb.t7"
    with pytest.raises(
        converters.UnsupportedError, match=r"expanded_bomb.t7: modules.1.weight: .* 16,777,216"
    ):
        from_torch7.tensors(path)


def test_tensors_alone_become_a_safetensors_file(save_t7, tmp_path):
    path = save_t7({"model": linear(2), "best": np.float32([1, 2])})
    report = converters.convert([path], tmp_path / "data.safetensors")
    saved = load_file(report.files[0])
    assert saved.keys() == from_torch7.tensors(path).keys()
    assert all(np.array_equal(saved[name], array) for name, array in from_torch7.tensors(path).items())


def test_a_file_without_tensors_is_not_written_as_one(save_t7, tmp_path):
    with pytest.raises(converters.UsageError, match="holds no tensors"):
        converters.convert([save_t7({"epoch": 7})], tmp_path / "data.safetensors")
    with pytest.raises(converters.UsageError, match=r"is for the tensors of one \.t7"):
        converters.convert([CORPUS / "caffe" / "relu-slope" / "net.prototxt"], tmp_path / "data.safetensors")
    assert not (tmp_path / "data.safetensors").exists()
