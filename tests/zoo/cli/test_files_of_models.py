"""`dsd-zoo fetch`, `add`, `verify`, `export-cache` and `import-cache` as a user meets them."""

from __future__ import annotations

import json

import pytest

import converters
from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog


def test_fetch_wants_models_or_all(dsd_zoo):
    for arguments, given in ((), "neither is given"), (("--all", "squeezenet-dsd"), "both are given"):
        outcome = dsd_zoo("fetch", *arguments)
        assert outcome.code == 2
        assert f"name the models to fetch, or say --all; {given}" in outcome.err


def test_fetch_offline_reports_each_missing_file(dsd_zoo):
    outcome = dsd_zoo("fetch", "--offline", "digits-caffe-dsd", "squeezenet-v1.0")
    assert outcome.code == 1
    assert "dsd.caffemodel: 110,856 bytes (0.1 MB), pinned, ships with the zoo" in outcome.out
    assert outcome.err.count("no source delivered") == 2
    assert "dsd-zoo add squeezenet-v1.0 SAVED_FILE --as deploy.prototxt" in outcome.err


def test_fetch_verify_and_change_of_an_unpinned_file(dsd_zoo, own, tmp_path):
    assert dsd_zoo("verify", "tiny", "--manifests", own).code == 1
    fetched = dsd_zoo("fetch", "tiny", "--manifests", own)
    assert fetched.code == 0
    assert "tiny.caffemodel: 106 bytes, recorded, from file://" in fetched.out
    assert "already in the cache" in dsd_zoo("fetch", "tiny", "--manifests", own).out
    verified = dsd_zoo("verify", "tiny", "--manifests", own)
    assert "tiny.caffemodel: ok (recorded)" in verified.out

    (stored,) = (tmp_path / "cache" / "sha256").rglob("tiny.caffemodel")
    stored.write_bytes(b"\x0a\x04Tiny" + bytes(100))
    outcome = dsd_zoo("verify", "tiny", "--manifests", own)
    assert outcome.code == 1
    assert "tiny.caffemodel: FAILED (recorded)" in outcome.out


def test_add_takes_the_right_file_and_refuses_the_wrong_one(dsd_zoo, own, shared):
    folder = shared / "models" / "squeezenet-deep-compression"
    right = dsd_zoo("add", "squeezenet-deep-compression", folder / "compressed_SqueezeNet.net")
    assert right.code == 0
    assert "compressed_SqueezeNet.net is now in the cache (pinned)" in right.out
    assert "still missing: SqueezeNet_deploy.prototxt" in right.out
    wrong = dsd_zoo("add", "squeezenet-deep-compression", folder / "SqueezeNet_trainval.prototxt")
    assert wrong.code == 1
    assert "for SqueezeNet_deploy.prototxt of squeezenet-deep-compression this is not the file" in wrong.err
    assert "bytes: expected 10486, came 11598" in wrong.err


def test_verify_says_which_file_of_the_zoo_a_file_is(dsd_zoo, tmp_path):
    known = bundled_folder() / "digits" / "torch7" / "dsd.t7"
    outcome = dsd_zoo("verify", known)
    assert (outcome.code, outcome.out) == (0, f"{known}\n  this is dsd.t7 of digits-torch7-dsd\n")
    strange = tmp_path / "strange.t7"
    strange.write_bytes(b"x")
    outcome = dsd_zoo("verify", strange)
    assert outcome.code == 1
    assert (
        "unknown to the zoo: 1 bytes, sha256 2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db" in outcome.out
    )


def test_verify_finds_a_changed_embedded_file(dsd_zoo, tmp_path):
    manifest = Catalog.load().get("digits-torch7-dsd")
    for file in manifest.files:
        assert file.path is not None
        copy = tmp_path / "own" / file.path
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((manifest.directory / file.path).read_bytes())
    text = (bundled_folder() / "digits-torch7-dsd.toml").read_text(encoding="utf-8")
    (tmp_path / "own" / "copy.toml").write_text(text.replace('"digits-torch7-dsd"', '"copy"', 1))
    weights = tmp_path / "own" / "digits" / "torch7" / "dsd.t7"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\xff")
    outcome = dsd_zoo("verify", "copy", "--manifests", tmp_path / "own")
    assert outcome.code == 1
    assert "dsd.t7: FAILED (pinned)" in outcome.out
    assert "sha256: expected bcf3a08b2c8773b89c8be544c6d462bd8e5f427aa74960ae3d880cf7fa78fa56" in outcome.out
    assert "dsd.accuracy.log: ok (pinned): size, sha256, git_blob" in outcome.out


def test_weights_that_are_not_finite_are_reported_beside_valid_json(dsd_zoo, tmp_path):
    caffe = bundled_folder() / "digits" / "caffe"
    model = converters.load(caffe / "train_val.prototxt", caffe / "dsd.caffemodel")
    values = model.graph.initializers["ip2.weight"].const_value.numpy().reshape(-1)
    content = (caffe / "dsd.caffemodel").read_bytes()
    assert content.count(values[:4].tobytes()) == 1
    broken = tmp_path / "broken.caffemodel"
    broken.write_bytes(content.replace(values[:4].tobytes(), b"\xff" * 16))
    arguments = ("inspect", "--weights", f"{caffe / 'train_val.prototxt'},{broken}", "digits-caffe-dsd")
    for more in ((), ("--json",)):
        outcome = dsd_zoo(*arguments, *more)
        assert outcome.code == 1
        assert "broken.caffemodel: ip2.weight holds values that are no numbers" in outcome.err
    found = json.loads(outcome.out, parse_constant=pytest.fail)
    (array,) = [array for array in found["arrays"] if array["name"] == "ip2.weight"]
    assert (array["correlation"], array["rms"][0]) == (None, None)


def test_export_and_import_of_the_cache(dsd_zoo, own, tmp_path, monkeypatch):
    out = tmp_path / "stick"
    assert "nothing to export" in dsd_zoo("export-cache", out, "tiny", "--manifests", own).err
    dsd_zoo("fetch", "tiny", "--manifests", own)
    exported = dsd_zoo("export-cache", out, "--manifests", own)
    assert exported.code == 0
    assert exported.out == f"  tiny/tiny.caffemodel: 106 bytes\n1 files in {out}\n"
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "elsewhere"))
    imported = dsd_zoo("import-cache", out, "--manifests", own)
    assert imported.code == 0
    assert "  tiny/tiny.caffemodel: 106 bytes" in imported.out
    without = dsd_zoo("import-cache", out)
    assert without.code == 1
    assert "no such model or file in the catalog (see --manifests)" in without.err


def test_a_mirror_may_be_a_folder(dsd_zoo, own, tmp_path, monkeypatch):
    out = tmp_path / "mirror"
    dsd_zoo("fetch", "tiny", "--manifests", own)
    dsd_zoo("export-cache", out, "--manifests", own)
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "elsewhere"))
    (own / "source.caffemodel").unlink()
    fetched = dsd_zoo("fetch", "tiny", "--manifests", own, "--mirror", out)
    assert fetched.code == 0
    assert f"from {(out / 'tiny' / 'tiny.caffemodel').as_uri()}" in fetched.out
    wrong = dsd_zoo("fetch", "tiny", "--manifests", own, "--mirror", "nowhere")
    assert wrong.code == 2
    assert "--mirror nowhere: expected a URL" in wrong.err
