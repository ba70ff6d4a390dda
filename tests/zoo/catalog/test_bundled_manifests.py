"""The bundled manifests agree with the files beside them and with the published facts."""

from __future__ import annotations

import csv
import hashlib
import re
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.catalog.claim import rounds_to
from zoo.catalog.manifest import Manifest

CATALOG = Catalog.load()
MODELS = {manifest.name: manifest for manifest in CATALOG}
DIGITS = sorted(name for name in MODELS if name.startswith("digits-"))


def read_counts(path: Path) -> list[tuple[int, int]]:
    with path.open(newline="") as file:
        return [(int(row["top1_correct"]), int(row["top5_correct"])) for row in csv.DictReader(file)]


def counts_of_log(text: str, framework: str) -> list[tuple[int, int]]:
    """Correct images per batch, from the log of the original framework."""
    if framework == "torch7":
        wrong = re.findall(r"^batch .* top-1 +(\d+) of 50 .* top-5 +(\d+) of 50 ", text, re.MULTILINE)
        return [(50 - int(top1), 50 - int(top5)) for top1, top5 in wrong]
    shares = {
        metric: [float(value) for value in re.findall(rf"Batch \d+, accuracy_{metric} = (\S+)", text)]
        for metric in ("top1", "top5")
    }
    return [(round(a * 50), round(b * 50)) for a, b in zip(shares["top1"], shares["top5"], strict=True)]


# The models of the DSD papers, their baselines and the embedded ones; others may be added.
OF_DSD = [
    "alexnet-bvlc",
    "alexnet-dsd",
    "digits-caffe-baseline",
    "digits-caffe-dsd",
    "digits-caffe-sparse",
    "digits-torch7-baseline",
    "digits-torch7-dsd",
    "digits-torch7-sparse",
    "googlenet-bvlc",
    "googlenet-dsd",
    "resnet18-dsd",
    "resnet18-fb",
    "resnet50-dsd",
    "resnet50-fb",
    "squeezenet-deep-compression",
    "squeezenet-dsd",
    "squeezenet-residual",
    "squeezenet-v1.0",
    "squeezenet-v1.1",
    "vgg16-dsd",
    "vgg16-vgg",
]


def test_the_models_of_the_catalog():
    assert [name for name in CATALOG.names() if name in OF_DSD] == OF_DSD


def test_only_weights_that_never_had_a_checksum_are_unpinned():
    unpinned = {
        (name, file.name)
        for name, manifest in MODELS.items()
        for file in manifest.files
        if file.trust == "unpinned" and name in OF_DSD
    }
    assert unpinned == {
        ("alexnet-dsd", "alexnet_dsd.caffemodel"),
        ("googlenet-dsd", "googlenet_dsd.caffemodel"),
        ("resnet18-dsd", "resnet18_dsd.t7"),
        ("resnet18-fb", "resnet-18.t7"),
        ("resnet50-dsd", "resnet50_dsd.t7"),
        ("resnet50-fb", "resnet-50.t7"),
        ("vgg16-dsd", "vgg16_dsd.caffemodel"),
    }


@pytest.mark.parametrize("name", MODELS)
def test_every_model_says_where_its_files_are(name):
    manifest = MODELS[name]
    assert all(file.urls or file.path for file in manifest.files)
    assert manifest.baseline is None or manifest.baseline in CATALOG


@pytest.mark.parametrize("name", OF_DSD)
def test_a_model_of_dsd_says_what_one_needs_to_know(name):
    manifest = MODELS[name]
    assert manifest.label_order == ("digits" if name in DIGITS else "sorted-synsets")
    assert len(manifest.claims) == 2
    settings = manifest.preprocessing
    assert settings.mean_image != (settings.mean is not None)
    assert (settings.std is not None) == (manifest.framework == "torch7")


@pytest.mark.parametrize(
    ("model", "baseline", "top1", "top5", "baseline_top1", "baseline_top5"),
    [
        ("alexnet-dsd", "alexnet-bvlc", "41.48", "18.71", "42.78", "19.73"),
        ("vgg16-dsd", "vgg16-vgg", "27.19", "8.67", "31.50", "11.32"),
        ("googlenet-dsd", "googlenet-bvlc", "30.02", "10.34", "31.14", "10.96"),
        ("squeezenet-dsd", "squeezenet-v1.0", "38.24", "16.53", "42.56", "19.52"),
        ("resnet18-dsd", "resnet18-fb", "29.17", "10.13", "30.43", "10.76"),
        ("resnet50-dsd", "resnet50-fb", "22.89", "6.47", "24.01", "7.02"),
    ],
)
def test_the_table_of_the_dsd_zoo(model, baseline, top1, top5, baseline_top1, baseline_top5):
    """Single-crop errors in the README of songhan/DSD, row by row."""
    assert MODELS[model].baseline == baseline
    assert MODELS[model].architecture == MODELS[baseline].architecture
    expected = {model: (top1, top5), baseline: (baseline_top1, baseline_top5)}
    for name, errors in expected.items():
        for claim, error in zip(MODELS[name].claims, errors, strict=True):
            printings = [
                (claim.published, claim.percent),
                *((also.published, also.percent) for also in claim.also),
            ]
            assert (f"{error}% error", float(Decimal(100) - Decimal(error))) in printings


@pytest.mark.parametrize("section", ["5. Baselines", "6. Network definitions and logs"])
def test_sizes_and_hashes_are_those_of_the_facts(shared, section):
    """The manifests have every size and hash of the collected facts."""
    text = (shared / "facts" / "models.md").read_text(encoding="utf-8")
    (body,) = re.findall(rf"## {re.escape(section)}.*?\n(.*?)(?=\n## |\Z)", text, re.DOTALL)
    files = [file for manifest in MODELS.values() for file in manifest.files]
    looked_at = 0
    for row in re.findall(r"^\|(.*)\|$", body, re.MULTILINE):
        digests = re.findall(r"(?<![@\w])(?:[0-9a-f]{96}|[0-9a-f]{64}|[0-9a-f]{40})\b", row)
        sizes = re.findall(r"\|\s*(\d+)\s*\|", f"|{row}|")
        for file in files:
            known = set(file.hashes.values())
            if known & set(digests):
                looked_at += 1
                assert set(digests) <= known, file.name
                assert [str(file.bytes)] == sizes, file.name
    assert looked_at >= {"5": 5, "6": 15}[section[0]]


@pytest.mark.parametrize("name", DIGITS)
def test_embedded_files_have_the_recorded_size_and_sha256(name):
    manifest = MODELS[name]
    for file in manifest.files:
        assert file.path is not None
        content = (manifest.directory / file.path).read_bytes()
        assert file.bytes == len(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("name", DIGITS)
def test_digits_claims_are_what_the_shipped_log_says(name):
    manifest = MODELS[name]
    log = manifest.file("log")
    assert log is not None
    assert log.path is not None
    text = (manifest.directory / log.path).read_text()
    counts = counts_of_log(text, manifest.framework)
    assert len(counts) == 10
    for position, metric in enumerate(("top1", "top5")):
        claim = manifest.claim(metric)
        assert claim is not None
        assert claim.source == log.path
        assert claim.trace is not None
        assert read_counts(manifest.directory / claim.trace) == counts
        assert claim.correct == sum(pair[position] for pair in counts)
        assert claim.published in text.splitlines()[-1 if manifest.framework == "torch7" else position - 3]


@pytest.mark.parametrize("name", DIGITS)
def test_digits_counts_are_those_of_the_recorded_outputs(name):
    manifest = MODELS[name]
    recorded = manifest.file("recorded")
    assert recorded is not None
    assert recorded.path is not None
    (array,) = manifest.recorded.values()
    scores = np.load(manifest.directory / recorded.path)[array]
    lines = (bundled_folder() / "digits" / "images" / "val.txt").read_text().splitlines()
    labels = np.array([int(line.split()[1]) for line in lines])
    assert scores.shape == (500, manifest.classes)
    best = np.argsort(-scores, axis=1, kind="stable")
    for metric, k in (("top1", 1), ("top5", 5)):
        claim = manifest.claim(metric)
        assert claim is not None
        assert claim.correct == int((best[:, :k] == labels[:, None]).any(axis=1).sum())


@pytest.mark.parametrize(
    ("name", "top1", "top5"),
    [
        ("alexnet-dsd", 29258, 40645),
        ("vgg16-dsd", 36405, 45664),
        ("googlenet-dsd", 34989, 44828),
        ("squeezenet-dsd", 30879, 41737),
        ("resnet18-dsd", 35416, 44935),
        ("resnet50-dsd", 38555, 46764),
    ],
)
def test_published_traces_sum_to_the_published_counts(name, top1, top5):
    counts = read_counts(bundled_folder() / "claims" / f"{name}.csv")
    assert len(counts) == 1000
    assert [sum(column) for column in zip(*counts, strict=True)] == [top1, top5]


def test_squeezenet_dsd_is_as_published():
    manifest = MODELS["squeezenet-dsd"]
    assert [(claim.metric, claim.correct, claim.n, claim.published) for claim in manifest.claims] == [
        ("top1", 30879, 50000, "0.617579"),
        ("top5", 41737, 50000, "0.834742"),
    ]
    weights = manifest.file("weights")
    assert weights is not None
    assert weights.bytes is None
    assert weights.hashes == {"git_blob": "ffce3635e4a837e7bc783fea3f48fcc48a1e93a6"}
    assert weights.urls[-1] == "https://1drv.ms/u/s!AkOf0kjGMRd2bgMQDqHa43dNYVM"


def test_the_squeezenet_baseline_states_its_conflict():
    manifest = MODELS["squeezenet-v1.0"]
    assert [(claim.percent, claim.correct) for claim in manifest.claims] == [(57.44, None), (80.48, None)]
    assert [(conflict.metric, conflict.percent) for conflict in manifest.conflicts] == [
        ("top1", 57.61),
        ("top5", 80.68),
    ]


def test_a_conflict_is_with_the_source_of_the_claim_itself():
    """Another preparation is a measurement, a rounded number is one of the printings of the claim."""
    for manifest in MODELS.values():
        for conflict in manifest.conflicts:
            claim = manifest.claim(conflict.metric)
            assert claim is not None
            assert conflict.source.split("/")[3:5] == claim.source.split("/")[3:5]
            assert not rounds_to(Decimal(str(claim.percent)), conflict.percent)


@pytest.mark.parametrize("name", MODELS)
def test_measurements_are_what_their_sources_print(name):
    for found in MODELS[name].measurements:
        position = 1 if found.metric == "top5" and "/" in found.published else 0
        printed = Decimal(re.findall(r"\d+(?:\.\d+)?", found.published)[position])
        share = printed * 100 if printed <= 1 else printed
        assert Decimal(str(found.percent)) in (share, 100 - share)
        # The kinds of preparation that different people share have one name each.
        words = found.preparation or "shorter side 1, crop 1"
        assert re.fullmatch(r"(shorter side \d+|warped to (\d+)x\2), crop \d+", words)


@pytest.mark.parametrize(
    ("name", "who", "top1", "top5", "correct"),
    [
        ("vgg16-vgg", "Open Model Zoo", 70.968, 89.878, (35484, 44939)),
        ("vgg16-vgg", "soeaver/caffe-model", 70.97, 89.88, (None, None)),
        ("vgg16-dsd", "soeaver/caffe-model", 72.38, 90.98, (None, None)),
        ("alexnet-bvlc", "Open Model Zoo", 56.598, 79.812, (28299, 39906)),
        ("googlenet-bvlc", "Open Model Zoo", 68.928, 89.144, (34464, 44572)),
        ("squeezenet-v1.0", "Open Model Zoo", 57.684, 80.38, (28842, 40190)),
    ],
)
def test_what_others_measured_of_the_pairs_of_dsd(name, who, top1, top5, correct):
    """The facts about the same weights measured by others."""
    found = [entry for entry in MODELS[name].measurements if entry.who == who]
    assert [(entry.metric, entry.percent) for entry in found] == [("top1", top1), ("top5", top5)]
    assert tuple(entry.correct for entry in found) == correct


def test_imagenet_labels_and_synsets_cover_the_validation_set():
    folder = bundled_folder() / "ilsvrc2012"
    labels = [int(line) for line in (folder / "ilsvrc2012-val-labels.txt").read_text().split()]
    synsets = [line.split()[0] for line in (folder / "ilsvrc2012-synsets.txt").read_text().splitlines()]
    assert np.bincount(labels).tolist() == [50] * 1000
    assert synsets == sorted(set(synsets))
    assert len(synsets) == 1000


@pytest.mark.parametrize("name", ["squeezenet-deep-compression"])
def test_pinned_hashes_are_those_of_the_real_files(name, shared):
    manifest: Manifest = MODELS[name]
    for file in manifest.source_files():
        content = (shared / "models" / name / file.name).read_bytes()
        assert file.bytes == len(content)
        assert file.sha256 == hashlib.sha256(content).hexdigest()
        assert file.git_blob == hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("alexnet-dsd", "dsd-alexnet"),
        ("vgg16-dsd", "dsd-vgg16"),
        ("vgg16-vgg", "dsd-vgg16"),
        ("googlenet-dsd", "dsd-googlenet"),
        ("squeezenet-dsd", "dsd-squeezenet"),
        ("squeezenet-residual", "squeezenet-residual"),
    ],
)
def test_definitions_are_the_real_ones(shared, name, folder):
    definition = MODELS[name].file("definition")
    assert definition is not None
    content = (shared / "models" / folder / "net.prototxt").read_bytes()
    assert definition.bytes == len(content)
    assert definition.sha256 == hashlib.sha256(content).hexdigest()
