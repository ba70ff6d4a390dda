"""Accuracies that others measured: what an entry may say, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from zoo.catalog.claim import PublishedMeasurement
from zoo.catalog.manifest import Manifest
from zoo.errors import UsageError

COMMIT = "20dace7c1f9b974947df4f8f276dea4635d65eba"
GIVEN = {
    "metric": "top1",
    "n": 50000,
    "correct": 35484,
    "published": "70.968%",
    "percent": 70.968,
    "who": "A laboratory",
    "source": f"https://github.com/owner/name/blob/{COMMIT}/README.md",
    "preprocessing": {"flavour": "caffe-short256", "crop": 224, "mean": [103.939, 116.779, 123.68]},
}
MANIFEST = """
schema_version = 1
name = "tiny"
title = "Tiny"
summary = "A net for tests."
architecture = "tiny"
recipe = "dense"
framework = "caffe"
dataset = "ilsvrc2012-val"
classes = 1000
input_shape = [3, 32, 32]
citation = "nobody"
license = { name = "BSD-2-Clause" }
preprocessing = { flavour = "caffe-warp36", crop = 32 }
[[files]]
name = "tiny.caffemodel"
role = "weights"
sha256 = "{sha256}"
"""
MEASUREMENT = """
[[measurements]]
metric = "top1"
n = 50000
published = "29.03/10.12"
percent = 70.97
who = "Somebody"
source = "https://example.org/results"
preparation = "shorter side 256, crop 224"
"""


def measurement(**changes: object) -> PublishedMeasurement:
    kept = {name: value for name, value in (GIVEN | changes).items() if value is not None}
    return PublishedMeasurement.model_validate(kept)


def test_what_a_measurement_says():
    found = measurement(weights={"sha1": "0a" * 20}, tool="a tool", note="a note")
    assert found.preprocessing is not None
    assert (found.preprocessing.flavour, found.preprocessing.crop) == ("caffe-short256", 224)
    assert found.weights is not None
    assert found.weights.hashes == {"sha1": "0a" * 20}
    assert found.preparation is None


@pytest.mark.parametrize(
    ("correct", "percent"),
    [(35484, 70.968), (35484, 70.97), (35484, 71.0 - 0.03), (35485, 70.97), (None, 71.0), (40500, 81.0)],
)
def test_the_percentage_is_the_count_rounded_to_its_digits(correct, percent):
    assert measurement(correct=correct, percent=percent).percent == percent


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"correct": 35485}, r"35485 of 50000 is 70\.97 %, which does not round to 70\.968"),
        ({"correct": 50001}, "50001 correct of only 50000 images"),
        ({"correct": 35400}, r"35400 of 50000 is 70\.8000 %, but percent says 70\.968"),
        ({"correct": 35484, "percent": 71.0}, r"70\.9680 %, but percent says 71\.0"),
        ({"percent": 100.5}, "less than or equal to 100"),
        ({"metric": "mAP"}, "'top1' or 'top5'"),
        ({"who": " "}, "one line of text"),
        ({"note": "two\nlines"}, "one line of text"),
        ({"source": "tiny.log"}, "starts with https://"),
        ({"source": "https://github.com/owner/name"}, "a repository changes; give a file in it, at a commit"),
        ({"source": "https://github.com/owner/name/blob/master/README.md"}, "'master' may change"),
        ({"source": f"https://github.com/owner/name/blob/{COMMIT[:12]}/README.md"}, "all 40 hex digits"),
        ({"source": "https://gitlab.com/group/sub/name/-/blob/v1/README.md"}, "'v1' may change"),
        ({"source": "https://raw.githubusercontent.com/owner/name/main/README.md"}, "'main' may change"),
        ({"preparation": "shorter side 256, crop 224"}, "not both"),
        ({"preprocessing": {"flavour": "caffe-wrap256", "crop": 224}}, "did you mean caffe-warp256"),
        ({"preprocessing": {"flavour": "caffe-warp200", "crop": 224}}, "does not fit"),
        ({"weights": {}}, "give one hash or more"),
        ({"weights": {"sha1": "0a" * 19}}, "40 lower-case hex digits"),
        ({"weights": {"md5": "0a" * 16}}, "Extra inputs are not permitted"),
        ({"tolerance_images": 3}, "Extra inputs are not permitted"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        measurement(**changes)


@pytest.mark.parametrize(
    "source",
    [
        f"https://raw.githubusercontent.com/owner/name/{COMMIT}/README.md",
        f"https://gitlab.com/group/sub/name/-/blob/{COMMIT}/README.md",
        "https://arxiv.org/abs/1602.07360",
        "https://www.vlfeat.org/matconvnet/pretrained/",
    ],
)
def test_sources_that_do_not_change_and_those_outside_repositories(source):
    assert measurement(source=source).source == source


def read(folder: Path, measurements: str, sha256: str = "ab" * 32) -> Manifest:
    path = folder / "tiny.toml"
    path.write_text(MANIFEST.replace("{sha256}", sha256) + measurements, encoding="utf-8")
    return Manifest.read(path)


def test_a_manifest_has_measurements_without_any_claim(tmp_path):
    manifest = read(tmp_path, MEASUREMENT + MEASUREMENT.replace("top1", "top5").replace("70.97", "89.88"))
    assert manifest.claims == []
    assert [(found.metric, found.percent) for found in manifest.measurements] == [
        ("top1", 70.97),
        ("top5", 89.88),
    ]


def test_the_same_measurement_twice_is_refused(tmp_path):
    with pytest.raises(UsageError, match="measurement given twice: top1 by Somebody, https://example"):
        read(tmp_path, MEASUREMENT + MEASUREMENT)
    other = MEASUREMENT.replace("shorter side 256", "warped to 256x256")
    assert len(read(tmp_path, MEASUREMENT + other).measurements) == 2


def test_a_measurement_of_other_weights_is_refused(tmp_path):
    weights = f'weights = {{ sha256 = "{"cd" * 32}" }}\n'
    with pytest.raises(UsageError, match=f"is of weights with sha256 {'cd' * 32}, those of this model"):
        read(tmp_path, MEASUREMENT + weights)
    assert read(tmp_path, MEASUREMENT + weights, sha256="cd" * 32).measurements[0].weights is not None
