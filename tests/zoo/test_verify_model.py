"""Verifying whole models: the files, the net they make, and what its converted forms compute."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from zoo.cache import Cache
from zoo.catalog import Catalog, bundled_folder
from zoo.manifest import Manifest
from zoo.verify import check_parity, check_structure, verify_model

CAFFE = bundled_folder() / "digits" / "caffe"


@pytest.fixture
def store(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def own_model(folder: Path, definition: bytes, weights: bytes, recorded: bytes | None) -> Manifest:
    """A digits model of one's own with these files, which lie beside its manifest."""
    text = (bundled_folder() / "digits-caffe-baseline.toml").read_text(encoding="utf-8")
    head = text[: text.index("[recorded]")].replace('"digits-caffe-baseline"', '"own"', 1)
    roles = {"definition": definition, "weights": weights, "recorded": recorded}
    blocks = ["[recorded]\nprob = 'out:prob'\n"] if recorded is not None else []
    for role, content in roles.items():
        if content is not None:
            (folder / role).write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            name = {"definition": "net.prototxt", "weights": "net.caffemodel", "recorded": "golden.npz"}[role]
            blocks.append(f"[[files]]\nname='{name}'\nrole='{role}'\npath='{role}'\nsha256='{sha256}'\n")
    (folder / "own.toml").write_text(head + "\n".join(blocks), encoding="utf-8")
    return Manifest.read(folder / "own.toml")


@pytest.mark.parametrize("name", ["digits-caffe-dsd", "digits-torch7-dsd"])
def test_an_embedded_model_passes_all_checks(name, store):
    manifest = Catalog.load().get(name)
    checks = verify_model(manifest, store)
    assert [check.detail for check in checks if not check.ok] == []
    kinds = [check.kind for check in checks]
    assert kinds == ["integrity"] * len(manifest.files) + ["structure", "parity", "parity"]
    assert [check.subject.split()[0] for check in checks[-2:]] == ["onnx", "pytorch"]


def test_weights_that_do_not_fit_the_definition_are_found(tmp_path, store):
    definition = (CAFFE / "deploy.prototxt").read_bytes().replace(b"num_output: 24", b"num_output: 26")
    manifest = own_model(tmp_path, definition, (CAFFE / "dsd.caffemodel").read_bytes(), None)
    checks = verify_model(manifest, store)
    assert [check.kind for check in checks] == ["integrity", "integrity", "structure"]
    assert not checks[-1].ok
    assert "conv2" in checks[-1].detail


def test_a_net_with_another_input_than_the_manifest_says_is_found(tmp_path, store):
    definition = (CAFFE / "deploy.prototxt").read_bytes().replace(b"dim: 32", b"dim: 31")
    manifest = own_model(tmp_path, definition, (CAFFE / "dsd.caffemodel").read_bytes(), None)
    check = check_structure(manifest, store)
    assert not check.ok


def test_outputs_of_another_net_are_found(tmp_path, store):
    definition = (CAFFE / "deploy.prototxt").read_bytes()
    weights = (CAFFE / "dsd.caffemodel").read_bytes()
    manifest = own_model(tmp_path, definition, weights, (CAFFE / "sparse_golden.npz").read_bytes())
    checks = check_parity(manifest, store)
    assert [check.ok for check in checks] == [False, False]


def test_without_recordings_the_two_forms_are_held_against_each_other(tmp_path, store):
    definition = (CAFFE / "deploy.prototxt").read_bytes()
    manifest = own_model(tmp_path, definition, (CAFFE / "dsd.caffemodel").read_bytes(), None)
    (check,) = check_parity(manifest, store)
    assert check.ok
    assert check.subject == "onnx and pytorch"


def test_another_number_of_classes_than_the_manifest_says_is_found(tmp_path, store):
    definition = (CAFFE / "deploy.prototxt").read_bytes()
    own_model(tmp_path, definition, (CAFFE / "dsd.caffemodel").read_bytes(), None)
    text = (tmp_path / "own.toml").read_text().replace("classes = 10", "classes = 11")
    (tmp_path / "own.toml").write_text(text)
    (check,) = check_parity(Manifest.read(tmp_path / "own.toml"), store)
    assert not check.ok
    assert "expected (2, 11)" in check.detail
