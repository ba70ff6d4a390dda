"""Writing net.py and bundles: which files appear, and that a failure changes nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from arrays import values
from pytorch_nets import N, fire_net, onnx_outputs, onnx_run, shared_layers
from safetensors.numpy import load_file

from converters import to_pytorch
from converters.errors import UsageError
from converters.graph import Graph


def test_bundle_shares_one_weights_file(tmp_path, import_net):
    folder = tmp_path / "bundle"
    files = to_pytorch.save_bundle(fire_net(), folder)
    assert files == [folder / "net.onnx", folder / "net.py", folder / "net.safetensors"]
    assert sorted(folder.iterdir()) == files
    moved = folder.rename(tmp_path / "moved")
    x = values(2, 3, 16, 16)
    wanted = onnx_outputs(fire_net(), tmp_path, x)[0]
    np.testing.assert_array_equal(onnx_run(moved / "net.onnx", x)[0], wanted)
    with torch.no_grad():
        got = import_net(moved / "net.py").load()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(got, wanted, atol=1e-6)
    large = (2 * 4 * 9 + 4 * 4 * 9 + 64 * 10) * 4
    (record,) = (
        entry.ByteSize()
        for entry in onnx.load(moved / "net.onnx", load_external_data=False).metadata_props
        if entry.key == "dsd-zoo.weights"
    )
    saved = (tmp_path / "reference.onnx").stat().st_size - (moved / "net.onnx").stat().st_size
    assert saved > large - record


def test_bundle_keeps_other_layouts_inside_the_onnx(tmp_path):
    graph = Graph("turned")
    x = graph.input("x", (N, 30))
    with graph.layer("fc"):
        x = graph.node("Gemm", x, graph.parameter("weight", values(30, 40)), shape=(N, 40))
    model = graph.model({"y": x})
    to_pytorch.save_bundle(model, tmp_path / "bundle")
    given = values(2, 30)
    assert load_file(tmp_path / "bundle" / "net.safetensors")["fc.weight"].shape == (40, 30)
    np.testing.assert_array_equal(
        onnx_run(tmp_path / "bundle" / "net.onnx", given)[0], onnx_outputs(model, tmp_path, given)[0]
    )


def full_disk(*args, **kwargs):
    raise OSError(28, "No space left on device")


def test_failure_leaves_what_was_there(tmp_path, monkeypatch):
    to_pytorch.save(fire_net(), tmp_path / "net.py")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    monkeypatch.setattr("converters.net_files.write_tensors", full_disk)
    for write in (
        lambda m: to_pytorch.save(m, tmp_path / "net.py"),
        lambda m: to_pytorch.save_bundle(m, tmp_path),
    ):
        with pytest.raises(UsageError, match="cannot be written: No space left on device"):
            write(shared_layers())
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_failure_of_the_last_move_undoes_the_first(tmp_path, monkeypatch):

    to_pytorch.save(fire_net(), tmp_path / "net.py")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    replace = Path.replace

    def failing(self, target):
        if self.name == "net.safetensors" and target.parent == tmp_path:
            raise OSError(5, "Input/output error")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", failing)
    with pytest.raises(UsageError, match="Input/output error"):
        to_pytorch.save(shared_layers(), tmp_path / "net.py")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_failure_leaves_no_new_folder(tmp_path, monkeypatch):
    monkeypatch.setattr("converters.net_files.write_tensors", full_disk)
    with pytest.raises(UsageError, match="No space left on device"):
        to_pytorch.save_bundle(fire_net(), tmp_path / "new")
    assert not list(tmp_path.iterdir())


def test_directory_in_the_way_is_a_usage_error(tmp_path):
    (tmp_path / "net.safetensors").mkdir()
    with pytest.raises(UsageError, match=r"net.safetensors: a directory is in the way"):
        to_pytorch.save(fire_net(), tmp_path / "net.py")
    assert [path.name for path in tmp_path.iterdir()] == ["net.safetensors"]
