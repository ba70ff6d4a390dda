"""Nets whose weights lie in a file of their own: what a runtime has loaded does not depend on it any more."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

import converters
from zoo.bundled import bundled_folder
from zoo.errors import UsageError
from zoo.runtimes import open_runtime

DIGITS = bundled_folder() / "digits" / "caffe"
FORMS = {
    "linked": ("onnx", "net.onnx", "dsd.caffemodel", {"link": True}),
    "external": ("onnx", "net.onnx", "net.safetensors", {"external": True}),
    "openvino": ("openvino", "net.onnx", "dsd.caffemodel", {"link": True}),
    "pytorch": ("pytorch", "net.py", "net.safetensors", {}),
}
BATCH = np.random.default_rng(0).standard_normal((4, 3, 32, 32), np.float32)


@pytest.fixture
def sources(tmp_path):
    return [shutil.copy(DIGITS / name, tmp_path) for name in ("train_val.prototxt", "dsd.caffemodel")]


@pytest.mark.parametrize("form", FORMS)
def test_a_weights_file_that_is_cut_off_later_changes_nothing(sources, tmp_path, form):
    runtime, name, weights, options = FORMS[form]
    converters.convert(sources, tmp_path / name, outputs=["ip2"], **options)
    converters.convert(sources, tmp_path / "whole.onnx", outputs=["ip2"])
    wanted = open_runtime("onnx", tmp_path / "whole.onnx").run(BATCH)
    net = open_runtime(runtime, tmp_path / name)
    os.truncate(tmp_path / weights, 0)
    found = net.run(BATCH)
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.parametrize("form", FORMS)
def test_other_weights_are_refused(sources, tmp_path, form):
    runtime, name, weights, options = FORMS[form]
    converters.convert(sources, tmp_path / name, outputs=["ip2"], **options)
    content = bytearray((tmp_path / weights).read_bytes())
    content[-1000] ^= 1
    (tmp_path / weights).write_bytes(content)
    with pytest.raises(UsageError, match=rf"{weights}: not the weights (of|that) .*{name}"):
        open_runtime(runtime, tmp_path / name)


def test_half_precision_takes_weights_from_other_files_too(sources, tmp_path):
    from zoo.runtimes.half import in_half_precision

    converters.convert(sources, tmp_path / "net.onnx", link=True)
    converters.convert(sources, tmp_path / "whole.onnx")
    linked, whole = in_half_precision(tmp_path / "net.onnx"), in_half_precision(tmp_path / "whole.onnx")
    assert len(linked) >= len(whole)
    (tmp_path / "half.onnx").write_bytes(linked)
    assert converters.external_files(tmp_path / "half.onnx") == {}
