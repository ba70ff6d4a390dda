"""The manifest schema accepts what it documents and refuses the rest, naming file and field."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoo.catalog.manifest import Manifest
from zoo.errors import UsageError

MINIMAL = """
schema_version = 1
name = "tiny"
title = "Tiny"
summary = "A net for tests."
architecture = "tiny"
recipe = "dense"
framework = "caffe"
dataset = "digits-test"
classes = 10
input_shape = [3, 32, 32]
citation = "nobody"
license = { name = "BSD-2-Clause" }
preprocessing = { flavour = "caffe-warp36", crop = 32 }
"""
WEIGHTS = """
[[files]]
name = "tiny.caffemodel"
role = "weights"
"""
CLAIM = """
[[claims]]
metric = "top1"
n = 500
correct = 492
published = "0.984"
percent = 98.4
source = "tiny.log"
how = "counted"
"""
ALSO = """
[[claims.also]]
published = "98.4 %"
percent = 98.4
source = "README"
"""


def read(folder: Path, text: str, name: str = "tiny.toml") -> Manifest:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return Manifest.read(path)


def test_a_minimal_manifest_and_its_defaults(tmp_path):
    manifest = read(tmp_path, MINIMAL + WEIGHTS)
    assert manifest.directory == tmp_path.resolve()
    assert (manifest.scores, manifest.baseline, manifest.claims, manifest.recorded) == (None, None, [], {})
    assert manifest.preprocessing.scale == 1.0
    weights = manifest.file("weights")
    assert weights is not None
    assert (weights.hashes, weights.trust, weights.urls, weights.path) == ({}, "unpinned", [], None)
    assert manifest.file("definition") is None
    assert manifest.claim("top1") is None


def test_source_files_are_definition_then_weights_whatever_the_order_in_the_file(tmp_path):
    definition = '\n[[files]]\nname = "tiny.prototxt"\nrole = "definition"\n'
    manifest = read(tmp_path, MINIMAL + WEIGHTS + definition)
    assert [file.name for file in manifest.source_files()] == ["tiny.prototxt", "tiny.caffemodel"]


def test_any_known_hash_pins_a_file(tmp_path):
    manifest = read(tmp_path, MINIMAL + WEIGHTS + f'sha1 = "{"0a" * 20}"\ngit_blob = "{"1b" * 20}"\n')
    weights = manifest.file("weights")
    assert weights is not None
    assert weights.hashes == {"sha1": "0a" * 20, "git_blob": "1b" * 20}
    assert weights.trust == "pinned"


@pytest.mark.parametrize("percent", ["98.4", "98.40", "98.0"])
def test_other_printings_round_to_the_claim(tmp_path, percent):
    also = ALSO.replace("percent = 98.4", f"percent = {percent}")
    if percent == "98.0":
        with pytest.raises(UsageError, match=r"'98\.4 %' is 98\.0 %, which 98\.4 % does not round to"):
            read(tmp_path, MINIMAL + WEIGHTS + CLAIM + also)
    else:
        (claim,) = read(tmp_path, MINIMAL + WEIGHTS + CLAIM + also).claims
        assert [printing.percent for printing in claim.also] == [98.4]


def test_a_manifest_cannot_be_changed(tmp_path):
    manifest = read(tmp_path, MINIMAL + WEIGHTS)
    with pytest.raises(ValueError, match="frozen"):
        manifest.name = "other"


@pytest.mark.parametrize(
    ("text", "field", "message"),
    [
        (MINIMAL, "files", "Field required"),
        (MINIMAL + "[[files]]\nname='a'\nrole='log'", "manifest", "no file has the role 'weights'"),
        (MINIMAL + WEIGHTS + "licence = 'BSD'", "files.0.licence", "Extra inputs are not permitted"),
        (MINIMAL + WEIGHTS + "bytes = 0", "files.0.bytes", "greater than 0"),
        (MINIMAL + WEIGHTS + "bytes = -1", "files.0.bytes", "greater than 0"),
        (MINIMAL + WEIGHTS + f"sha256 = '{'AB' * 32}'", "files.0.sha256", "64 lower-case hex digits"),
        (MINIMAL + WEIGHTS + f"sha384 = '{'ab' * 32}'", "files.0.sha384", "96 lower-case hex digits"),
        (MINIMAL + WEIGHTS + f"git_blob = '{'ab' * 21}'", "files.0.git_blob", "40 lower-case hex digits"),
        (MINIMAL + WEIGHTS + "urls = ['ftp://host/x']", "files.0.urls.0", "starts with https://"),
        (MINIMAL + WEIGHTS + "urls = ['https://host/a b']", "files.0.urls.0", "without blanks"),
        (MINIMAL + WEIGHTS + "path = '../x'", "files.0.path", "inside the manifest's folder"),
        (MINIMAL + WEIGHTS + "path = '/etc/passwd'", "files.0.path", "inside the manifest's folder"),
        (MINIMAL + WEIGHTS + "path = 'C:/x'", "files.0.path", "inside the manifest's folder"),
        (MINIMAL + WEIGHTS.replace("tiny.", "../tiny."), "files.0.name", "no folder"),
        (MINIMAL + WEIGHTS.replace("tiny.caffemodel", ".."), "files.0.name", "no folder"),
        (MINIMAL + WEIGHTS + WEIGHTS, "manifest", "file name given twice: tiny.caffemodel"),
        (MINIMAL + WEIGHTS + WEIGHTS.replace("tiny.", "b."), "manifest", "file role given twice: weights"),
        (MINIMAL + WEIGHTS + CLAIM + CLAIM, "manifest", "claim given twice: top1"),
        (MINIMAL + WEIGHTS + CLAIM.replace("492", "501"), "claims.0", "501 correct of only 500 images"),
        (MINIMAL + WEIGHTS + CLAIM.replace("492", "491"), "claims.0", "491 of 500 is 98.2000 %, but percent"),
        (MINIMAL + WEIGHTS + CLAIM.replace("98.4", "984"), "claims.0.percent", "less than or equal to 100"),
        (MINIMAL + WEIGHTS + CLAIM.replace("top1", "top2"), "claims.0.metric", "'top1' or 'top5'"),
        (MINIMAL + WEIGHTS + CLAIM + ALSO.replace("98.4", "98.39"), "claims.0", "does not round to"),
        (MINIMAL + WEIGHTS + CLAIM + ALSO.replace("98.4", "1e-40"), "claims.0", "far too many digits"),
        (MINIMAL + WEIGHTS + CLAIM.replace("n = 500", f"n = {10**20}"), "claims.0.n", "less than or equal"),
        (MINIMAL + WEIGHTS + f"bytes = {10**20}", "files.0.bytes", "less than or equal"),
        (MINIMAL.replace("[3, 32", f"[{10**20}, 32") + WEIGHTS, "input_shape.0", "less than or equal"),
        (MINIMAL + "parameters = 0" + WEIGHTS, "parameters", "greater than 0"),
        (
            MINIMAL + "label_order = 'sorted'" + WEIGHTS,
            "label_order",
            "no label order of that name is known: expected one of 'sorted-synsets', ",
        ),
        (MINIMAL.replace("= 1", "= 2", 1) + WEIGHTS, "schema_version", "Input should be 1"),
        (MINIMAL.replace("[3, 32, 32]", "[32, 32]") + WEIGHTS, "input_shape", "at least 3 items"),
        (MINIMAL.replace("caffe-warp36", "Caffe") + WEIGHTS, "preprocessing.flavour", "should match pattern"),
        (MINIMAL + "baseline = 'tiny'" + WEIGHTS, "manifest", "cannot be its own baseline"),
        (MINIMAL + "recorded = {output = 'logits'}" + WEIGHTS, "manifest", "go together"),
        (
            MINIMAL.replace("crop = 32", "crop = 32, mean_image = true") + WEIGHTS,
            "manifest",
            "needs a file with the role 'mean'",
        ),
        (
            MINIMAL.replace("crop = 32", "crop = 32, mean_image = true, mean = [1.0]") + WEIGHTS,
            "preprocessing",
            "mean and mean_image exclude each other",
        ),
    ],
)
def test_what_does_not_fit_is_refused_by_file_and_field(tmp_path, text, field, message):
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    first, second, *_ = str(caught.value).splitlines()
    assert first == f"{tmp_path / 'tiny.toml'}: the manifest does not fit the schema"
    assert second.startswith(f"  {field}: ")
    assert message in second


def test_the_file_has_the_name_of_the_model(tmp_path):
    with pytest.raises(
        UsageError, match=r"other\.toml: the manifest is of 'tiny'; rename the file to tiny\.toml"
    ):
        read(tmp_path, MINIMAL + WEIGHTS, name="other.toml")


@pytest.mark.parametrize(
    ("settings", "setting", "message"),
    [
        ("flavour = 'caffe-wrap36', crop = 32", "flavour", "did you mean caffe-warp256?"),
        ("flavour = 'caffe-warp36', crop = 40", "crop", "does not fit into an image resized by caffe-warp36"),
        ("flavour = 'caffe-warp36', crop = 30", "crop", "makes images of 30x30, input_shape says 32x32"),
        ("flavour = 'caffe-warp36', crop = 32, mean = [1.0, 2.0]", "mean", "one number or three"),
        ("flavour = 'caffe-warp36', crop = 32, mean = [nan]", "mean", "one number or three"),
        ("flavour = 'caffe-warp36', crop = 32, scale = 0.0", "scale", "other than 0"),
        ("flavour = 'caffe-warp36', crop = 32, std = [1.0]", "std", "give scale instead"),
        ("flavour = 'torch7-bicubic36', crop = 32, std = [0.0]", "std", "must be positive"),
        ("flavour = 'torch7-bicubic36', crop = 32, scale = 2.0", "scale", "give std instead"),
        ("flavour = 'torch7-bicubic36', crop = 32, mean_image = true", "mean_image", "subtracts no mean"),
    ],
)
def test_preprocessing_that_could_not_run_is_refused_when_it_is_read(tmp_path, settings, setting, message):
    text = MINIMAL.replace('flavour = "caffe-warp36", crop = 32', settings)
    mean = "\n[[files]]\nname = 'mean.npy'\nrole = 'mean'\n"
    with pytest.raises(
        UsageError, match=rf"tiny\.toml: .*\n  manifest: preprocessing\.{setting}\b"
    ) as caught:
        read(tmp_path, text + WEIGHTS + mean)
    assert message in str(caught.value)


def test_a_label_order_is_one_of_its_own_number_of_classes(tmp_path):
    text = MINIMAL + "label_order = 'sorted-synsets'" + WEIGHTS
    with pytest.raises(UsageError, match="label_order sorted-synsets is one of 1000 classes, not of 10"):
        read(tmp_path, text)


@pytest.mark.parametrize(
    "content",
    [
        b"name = ",
        b"\xff\xfe",
        b"a = " + b"[" * 5000,
        b"a = " + b"9" * 5000,
        b"a." * 50_000 + b"a = 1",
        b"'a' . " * 21 + b"a = 1",
        b"#" * (1 << 18),
    ],
)
def test_what_is_no_toml_is_refused(tmp_path, content):
    (tmp_path / "tiny.toml").write_bytes(content)
    with pytest.raises(UsageError, match=r"tiny\.toml: not a TOML file"):
        Manifest.read(tmp_path / "tiny.toml")


def test_a_missing_file_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="cannot be read"):
        Manifest.read(tmp_path / "tiny.toml")
