"""Whole networks against the outputs recorded from the real Torch7."""

from __future__ import annotations

import shutil

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from corpus_cases import CORPUS
from torch7_cases import assert_same, recorded

import converters
from converters.source_files import sources_of

MODELS = CORPUS / "torch7-models"


@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.iterdir()))
def test_network_gives_the_recorded_outputs(name, check_case):
    check_case(MODELS / name)


@pytest.mark.parametrize("name", sorted(path.name for path in MODELS.iterdir()))
def test_pytorch_form_gives_the_recorded_outputs(name, check_pytorch):
    check_pytorch(MODELS / name)


@pytest.mark.parametrize("name", ["resnet18-full", "resnet50-full"])
def test_full_width_resnet(name, shared, check_case):
    check_case(shared / "corpus" / "torch7-models" / name)


def test_weights_stay_views_of_the_file():
    model = converters.load(MODELS / "resnet18-thin" / "net.t7")
    (file,) = sources_of(model)
    for value in model.graph.initializers.values():
        array = value.const_value.numpy()
        if array.dtype == np.float32 and array.size > 1:
            assert file.offset_of(array) is not None


def test_linked_weights_stay_in_the_t7(tmp_path):
    case = MODELS / "resnet18-thin"
    shutil.copy(case / "net.t7", tmp_path)
    inputs, wanted = recorded(case)
    converters.convert(tmp_path / "net.t7", tmp_path / "net.onnx", link=True)
    referred = onnx.load(tmp_path / "net.onnx", load_external_data=False).graph.initializer
    places = {entry.value for tensor in referred for entry in tensor.external_data if entry.key == "location"}
    assert places == {"net.t7"}
    session = ort.InferenceSession(tmp_path / "net.onnx", providers=["CPUExecutionProvider"])
    assert_same(dict(zip(wanted, session.run(None, inputs), strict=True)), wanted)


def test_layers_can_be_asked_for_by_name(check_case):
    model = converters.load(MODELS / "resnet18-thin" / "net.t7", outputs=["maxpool1", "linear1"])
    assert [value.name for value in model.graph.outputs] == ["maxpool1", "linear1"]
    with pytest.raises(converters.UsageError, match="no value called 'maxpol1'; did you mean maxpool1"):
        converters.load(MODELS / "resnet18-thin" / "net.t7", outputs=["maxpol1"])
