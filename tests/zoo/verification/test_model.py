"""All checks of whole models: their files, their nets, and the outputs of the converted nets."""

from __future__ import annotations

import hashlib
import re
import struct
from pathlib import Path

import pytest

import converters
from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.catalog.manifest import Manifest
from zoo.download import add_file
from zoo.store.cache import Cache
from zoo.store.converted import source_net
from zoo.verification.check import Check
from zoo.verification.model import verify_model
from zoo.verification.parity import check_parity
from zoo.verification.structure import check_structure

CAFFE = bundled_folder() / "digits" / "caffe"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def own_model(folder: Path, definition: bytes, weights: bytes, recorded: bytes | None) -> Manifest:
    """A digits model with these files, which lie beside its manifest."""
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


def structure_checks(manifest: Manifest, cache: Cache, baseline: Manifest | None = None) -> list[Check]:
    return check_structure(manifest, source_net(manifest, cache), cache, baseline)


def parity_checks(manifest: Manifest, cache: Cache) -> list[Check]:
    return check_parity(manifest, source_net(manifest, cache), cache)


@pytest.mark.parametrize("name", ["digits-caffe-dsd", "digits-torch7-dsd"])
def test_an_embedded_model_passes_all_checks(name, cache):
    catalog = Catalog.load()
    manifest = catalog.get(name)
    checks = verify_model(manifest, cache, catalog.baseline(manifest))
    assert [check.detail for check in checks if not check.ok] == []
    kinds = [check.kind for check in checks]
    assert kinds == ["integrity"] * len(manifest.files) + ["structure", "structure", "parity", "parity"]
    assert [check.subject.split()[0] for check in checks[-2:]] == ["onnx", "pytorch"]


def test_weights_that_do_not_fit_the_definition_are_found(tmp_path, cache):
    definition = (CAFFE / "deploy.prototxt").read_bytes().replace(b"num_output: 24", b"num_output: 26")
    manifest = own_model(tmp_path, definition, (CAFFE / "dsd.caffemodel").read_bytes(), None)
    checks = verify_model(manifest, cache)
    assert [check.kind for check in checks] == ["integrity", "integrity", "structure"]
    assert not checks[-1].ok
    assert "conv2" in checks[-1].detail


def test_a_net_with_another_input_than_the_manifest_says_is_found(tmp_path, cache):
    definition = (CAFFE / "deploy.prototxt").read_bytes().replace(b"dim: 32", b"dim: 31")
    manifest = own_model(tmp_path, definition, (CAFFE / "dsd.caffemodel").read_bytes(), None)
    (check,) = structure_checks(manifest, cache)
    assert not check.ok
    assert "the input is 3x31x31 per image, the manifest says 3x32x32" in check.detail


def test_outputs_of_another_net_are_found(tmp_path, cache):
    definition = (CAFFE / "deploy.prototxt").read_bytes()
    weights = (CAFFE / "dsd.caffemodel").read_bytes()
    manifest = own_model(tmp_path, definition, weights, (CAFFE / "sparse_golden.npz").read_bytes())
    checks = parity_checks(manifest, cache)
    assert [check.ok for check in checks] == [False, False]


def test_without_recordings_the_two_forms_are_compared(tmp_path, cache):
    definition = (CAFFE / "deploy.prototxt").read_bytes()
    manifest = own_model(tmp_path, definition, (CAFFE / "dsd.caffemodel").read_bytes(), None)
    (check,) = parity_checks(manifest, cache)
    assert check.ok
    assert check.subject == "onnx and pytorch"


def test_another_number_of_classes_than_the_manifest_says_is_found(tmp_path, cache):
    definition = (CAFFE / "deploy.prototxt").read_bytes()
    own_model(tmp_path, definition, (CAFFE / "dsd.caffemodel").read_bytes(), None)
    text = (tmp_path / "own.toml").read_text().replace("classes = 10", "classes = 11")
    text = text.replace('label_order = "digits"', "")
    (tmp_path / "own.toml").write_text(text)
    (check,) = parity_checks(Manifest.read(tmp_path / "own.toml"), cache)
    assert not check.ok
    assert "expected (2, 11)" in check.detail


@pytest.fixture
def same(tmp_path) -> Manifest:
    """The baseline's own files under another name."""
    definition = (CAFFE / "deploy.prototxt").read_bytes()
    return own_model(tmp_path, definition, (CAFFE / "baseline.caffemodel").read_bytes(), None)


def changed(manifest: Manifest, **fields: object) -> Manifest:
    """The same model with other values in its manifest."""
    path = manifest.directory / "own.toml"
    text = path.read_text(encoding="utf-8")
    for name, value in fields.items():
        text = re.sub(rf"^{name} = .*$", f"{name} = {value}", text, flags=re.MULTILINE)
    path.write_text(text, encoding="utf-8")
    return Manifest.read(path)


BASELINE = Catalog.load().get("digits-caffe-baseline")


def test_a_model_with_the_weights_of_its_baseline_is_found(same, cache):
    net, against = structure_checks(same, cache, BASELINE)
    assert net.ok
    assert not against.ok
    assert against.detail == "the same architecture; 100.00 % of the weights are the very same"


def test_another_number_of_parameters_than_the_manifest_says_is_found(same, cache):
    (check,) = structure_checks(changed(same, parameters=27491), cache, BASELINE)
    assert not check.ok
    assert "27,490 parameters, the manifest says 27,491" in check.detail


def test_weights_that_are_no_numbers_are_found(tmp_path, cache):
    weights = (CAFFE / "baseline.caffemodel").read_bytes()
    value = converters.load(CAFFE / "deploy.prototxt", CAFFE / "baseline.caffemodel").graph.initializers
    stored = value["conv2.bias"].const_value.numpy().tobytes()
    assert weights.count(stored) == 1
    broken = weights.replace(stored, stored[:-4] + struct.pack("<f", float("nan")))
    manifest = own_model(tmp_path, (CAFFE / "deploy.prototxt").read_bytes(), broken, None)
    (check,) = structure_checks(manifest, cache)
    assert not check.ok
    assert check.detail.splitlines()[1:] == ["conv2.bias holds values that are no numbers"]
    (check,) = parity_checks(manifest, cache)
    assert not check.ok
    assert check.detail == "the ONNX form's outputs are not finite, or zero throughout"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"pool: MAX", b"pool: AVE", "only here: 1 x AveragePool to "),
        (b"pool: MAX", b"pool: MAX pad: 1", "only in the baseline: 1 x MaxPool to "),
    ],
)
def test_another_net_than_the_baselines_is_found(tmp_path, cache, old, new, message):
    text = (CAFFE / "deploy.prototxt").read_bytes()
    assert old in text
    definition = text.replace(old, new, 1)
    weights = (CAFFE / "dsd.caffemodel").read_bytes()
    manifest = own_model(tmp_path, definition, weights, None)
    _, against = structure_checks(manifest, cache, BASELINE)
    assert not against.ok
    assert against.detail.startswith("another architecture\n")
    assert message in against.detail


def test_other_architectures_are_not_compared(same, cache):
    checks = structure_checks(changed(same, architecture='"other"'), cache, BASELINE)
    assert [check.subject for check in checks] == ["net"]


def test_a_missing_baseline_is_named(same, cache):
    absent = Catalog.load().get("squeezenet-v1.0").model_copy(update={"architecture": same.architecture})
    _, against = structure_checks(same, cache, absent)
    assert against.ok
    assert against.detail == "not compared; first run: dsd-zoo fetch squeezenet-v1.0"


def test_deep_compression_verifies_from_its_real_files(shared, cache):
    manifest = Catalog.load().get("squeezenet-deep-compression")
    for file in manifest.files:
        add_file(manifest, shared / "models" / manifest.name / file.name, cache)
    net, *more = structure_checks(manifest, cache)
    assert (net.ok, net.detail, more) == (True, "65 layers, 1,248,424 parameters", [])
