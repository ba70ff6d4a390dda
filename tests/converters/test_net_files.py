"""Nets and their weights are replaced so that each net is whole, and has its own weights, whatever stops."""

from __future__ import annotations

import importlib.util
import itertools
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import pytest
import torch
from arrays import values
from caffemodel_writer import write_caffemodel
from safetensors.numpy import load_file, save_file
from stopped_processes import failed_at, killed_before

import converters
from converters.net_files import interim_name
from converters.source_files import FileState

X = values(1, 8)
PROTOTXT = """
name: "net" layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 8 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "y" inner_product_param { num_output: 96 } }
"""
# Output, options of `converters.save`, names that are there afterwards.
FORMS = {
    "onnx": ("net.onnx", {}, {"net.onnx"}),
    "external": ("net.onnx", {"external": True}, {"net.onnx", "net.safetensors"}),
    "pytorch": ("net.py", {}, {"net.py", "net.safetensors"}),
    "folder": (".", {}, {"net.onnx", "net.py", "net.safetensors"}),
    "link": ("net.onnx", {"link": True}, {"net.onnx"}),
}


def weights(which: str) -> list[np.ndarray]:
    seed = {"old": 1, "new": 2}[which]
    return [values(96, 8, seed=seed), values(96, seed=seed)]


def expected(which: str) -> np.ndarray:
    weight, bias = weights(which)
    return X @ weight.T + bias


@pytest.fixture(scope="module")
def sources(tmp_path_factory) -> Path:
    """A folder with net.prototxt, and a caffemodel in each of the folders old and new."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "net.prototxt").write_text(PROTOTXT)
    for which in ("old", "new"):
        (folder / which).mkdir()
        write_caffemodel(folder / which / "w.caffemodel", {"fc": weights(which)})
    return folder


def load(folder: Path, which: str) -> ir.Model:
    return converters.load(folder / "net.prototxt", folder / which / "w.caffemodel")


def onnx_output(path: Path) -> np.ndarray:
    return onnxruntime.InferenceSession(path).run(None, {"data": X})[0]


def pytorch_output(path: Path, *weights: Path) -> np.ndarray:
    spec = importlib.util.spec_from_file_location("replaced_net", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.load(*weights)(torch.from_numpy(X)).detach().numpy()


RUNS = {"net.onnx": onnx_output, "net.py": pytorch_output}


def which_net(path: Path) -> str:
    """Whether a written net computes what the old or the new one does; it must be one of them."""
    found = RUNS[path.name](path)
    (which,) = [which for which in ("old", "new") if np.allclose(found, expected(which), atol=1e-5)]
    if path.suffix == ".onnx":
        converters.load(path)
    return which


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if path.is_file()}


def leftovers(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir() and path.name.startswith(".dsd-zoo-")]


@pytest.fixture
def folder(sources, tmp_path) -> Path:
    """A folder with both caffemodels, which links need in or below it."""
    shutil.copytree(sources, tmp_path / "folder")
    return tmp_path / "folder"


def emptied(folder: Path) -> None:
    for path in folder.iterdir():
        if path.name not in ("old", "new", "net.prototxt"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


@pytest.mark.parametrize("before", ["old", "nothing"])
@pytest.mark.parametrize("form", FORMS)
def test_a_kill_leaves_every_net_old_or_new(folder, form, before):
    out, options, names = FORMS[form]
    models = {which: load(folder, which) for which in ("old", "new")}
    seen = []
    for k in itertools.count(1):
        emptied(folder)
        if before == "old":
            converters.save(models["old"], folder / out, **options)
        if not killed_before(k, lambda: converters.save(models["new"], folder / out, **options)):
            break
        for name in names & RUNS.keys():
            assert (folder / name).exists() or before == "nothing"
            if (folder / name).exists():
                seen.append(which_net(folder / name))
        # The next run, to its end, leaves nothing else behind.
        converters.save(models["new"], folder / out, **options)
        assert names_in(folder) == names | {"net.prototxt"}
        assert not leftovers(folder)
        assert all(which_net(folder / name) == "new" for name in names & RUNS.keys())
    assert k > 3
    assert before == "nothing" or {"old", "new"} == set(seen)


@pytest.mark.parametrize("form", FORMS)
def test_a_failure_leaves_the_old_files(folder, form):
    out, options, names = FORMS[form]
    models = {which: load(folder, which) for which in ("old", "new")}
    for k in itertools.count(1):
        emptied(folder)
        converters.save(models["old"], folder / out, **options)
        content = {name: (folder / name).read_bytes() for name in names}
        if not failed_at(k, lambda: converters.save(models["new"], folder / out, **options)):
            break
        found = {name: (folder / name).read_bytes() for name in names}
        # A failure while cleaning up, after all is done, may leave the new files; never some of both.
        new = {which_net(folder / name) for name in names & RUNS.keys()} == {"new"}
        assert found == content or new
        converters.save(models["new"], folder / out, **options)
        assert names_in(folder) == names | {"net.prototxt"}
    assert k > 3


def test_weights_keep_their_usual_name_and_have_one_link(folder):
    for which in ("old", "new"):
        converters.save(load(folder, which), folder)
        assert {"net.onnx", "net.py", "net.safetensors"} < names_in(folder)
        assert (folder / "net.safetensors").stat().st_nlink == 1
        onnx.checker.check_model(folder / "net.onnx")
    assert which_net(folder / "net.onnx") == which_net(folder / "net.py") == "new"


def test_interim_weights_of_another_net_are_kept(folder):
    """net.py of a killed write still finds its weights after net.onnx is written beside it."""
    converters.save(load(folder, "old"), folder / "net.py")
    text = (folder / "net.py").read_text()
    sha256 = text.partition('WEIGHTS_SHA256 = "')[2][:64]
    (folder / "net.safetensors").rename(folder / interim_name("net.safetensors", sha256))
    stray = folder / "net.0123456789abcdef.safetensors"
    stray.touch()
    converters.save(load(folder, "new"), folder / "net.onnx", external=True)
    assert which_net(folder / "net.py") == "old"
    assert which_net(folder / "net.onnx") == "new"
    assert not stray.exists()


def test_other_weights_beside_a_net_are_refused(folder):
    converters.save(load(folder, "old"), folder / "net.py")
    state = load_file(folder / "net.safetensors")
    state["fc.weight"][3, 4] += 1
    save_file(state, folder / "net.safetensors")
    with pytest.raises(ValueError, match=r"net\.safetensors: not the weights of .*net\.py: expected the SHA"):
        pytorch_output(folder / "net.py")


def test_other_weights_can_be_given(folder):
    converters.save(load(folder, "old"), folder / "net.py")
    converters.save(load(folder, "new"), folder / "other.py")
    found = pytorch_output(folder / "net.py", folder / "other.safetensors")
    np.testing.assert_allclose(found, expected("new"), atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
def test_a_source_that_changes_before_the_last_rename_is_found(folder, form, monkeypatch):
    out, options, _ = FORMS[form]
    model = load(folder, "new")
    path = folder / "new" / "w.caffemodel"
    check, calls = FileState.check, []

    def change_first(state: FileState) -> None:
        if not calls:
            path.write_bytes(path.read_bytes()[:-100])
        calls.append(state.path)
        check(state)

    monkeypatch.setattr(FileState, "check", change_first)
    with pytest.raises(converters.SourceChangedError, match=r"w\.caffemodel: the file was changed .* bytes"):
        converters.save(model, folder / out, **options)
    assert names_in(folder) == {"net.prototxt"}
    assert not leftovers(folder)


def test_a_net_may_be_written_over_its_own_source_and_again(folder):
    converters.save(load(folder, "new"), folder / "net.onnx", external=True)
    model = converters.load(folder / "net.onnx")
    converters.save(model, folder / "net.onnx", external=True)
    converters.save(model, folder / "other.py")
    converters.save(model, folder / "net.onnx")
    assert which_net(folder / "net.onnx") == "new"
    np.testing.assert_allclose(pytorch_output(folder / "other.py"), expected("new"), atol=1e-5)


def run_all(action: Callable[[], object]) -> int:
    return sum(1 for _ in itertools.takewhile(lambda k: killed_before(k, action), itertools.count(1)))


def test_the_helper_stops_before_every_change(tmp_path):
    def action() -> None:
        (tmp_path / "a").mkdir(exist_ok=True)
        (tmp_path / "b").write_text("b")
        (tmp_path / "b").rename(tmp_path / "c")

    assert run_all(action) == 2
    assert (tmp_path / "c").exists()
