"""The manifests against the collected facts about widely used models: known-models.json beside this file.

Every file, hash, size, address, preparation and accuracy of the facts is in a manifest, and what the
manifests of these models say of their files is in the facts.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from zoo.bundled import TASKS
from zoo.catalog.catalog import Catalog
from zoo.catalog.file import File, Identified
from zoo.catalog.manifest import Manifest

FACTS = json.loads(Path(__file__).with_name("known-models.json").read_text(encoding="utf-8"))
ZOO: dict[str, dict[str, Any]] = FACTS["open_model_zoo"]
OPENCV: dict[str, dict[str, Any]] = {model["name"]: model for model in FACTS["opencv"]}
MODELS = {manifest.name: manifest for manifest in Catalog.load()}
# Models of the DSD zoo that the facts know, too; their manifests have more sources.
BASELINES = {"alexnet-bvlc", "googlenet-bvlc", "squeezenet-v1.0", "squeezenet-v1.1", "vgg16-vgg"}
KINDS = ("sha1", "sha256", "sha384")
ILSVRC = {
    "imagenet_1000_classes": ("ilsvrc2012-val", "sorted-synsets"),
    "imagenet_1000_classes_2015": ("ilsvrc2015-val", "ilsvrc2015"),
}
# The archive of a member whose address the facts give in words.
MEMBER = re.compile(r"member (\S+) of (?:(\S+) \(sha1 ([0-9a-f]{40})\)|the same archive)")
FASTER_RCNN = next(
    match.groups()[1:]
    for model in OPENCV.values()
    for file in model["files"]
    if (match := MEMBER.match(file["source"])) and match[2] and "faster" in match[1]
)


def hashes(fact: dict[str, Any]) -> dict[str, str]:
    return {kind: fact[kind] for kind in KINDS if kind in fact}


def address(source: str) -> str:
    """As a URL; the facts abbreviate those of Google Drive."""
    drive = "https://drive.google.com/uc?export=download&id="
    return source.replace("gdrive:", drive) if source.startswith("gdrive:") else source


def addresses(fact: dict[str, Any]) -> set[str]:
    if match := MEMBER.match(fact["source"]):
        return {match[2] or FASTER_RCNN[0]}
    return {address(fact[key]) for key in ("source", "original_source") if key in fact}


def all_facts() -> list[dict[str, Any]]:
    return [file for models in (ZOO, OPENCV) for model in models.values() for file in model["files"]]


def identified(file: File) -> list[Identified]:
    """What the hashes of a file's entry are of: itself, and the archive that it comes in."""
    return [file, *([] if file.archive is None else [file.archive])]


def files_with(fact: dict[str, Any]) -> list[tuple[Manifest, File, Identified]]:
    """Every entry with a hash of the fact."""
    wanted = set(hashes(fact).values())
    return [
        (manifest, file, known)
        for manifest in MODELS.values()
        for file in manifest.files
        for known in identified(file)
        if wanted & set(known.hashes.values())
    ]


def manifest_of(model: dict[str, Any]) -> Manifest:
    """The one manifest with all files of a model of the facts."""
    sets = [{found[0].name for found in files_with(file)} for file in model["files"]]
    # Models that share a definition differ by their weights.
    (name,) = set.intersection(*sets)
    return MODELS[name]


KNOWN = {manifest_of(model).name for models in (ZOO, OPENCV) for model in models.values()}
OTHERS = sorted(KNOWN - BASELINES)


@pytest.mark.parametrize("fact", all_facts(), ids=lambda fact: fact["name"])
def test_every_file_of_the_facts_is_in_a_manifest(fact):
    found = files_with(fact)
    assert found
    for _, _, known in found:
        assert hashes(fact).items() <= known.hashes.items()
        assert known.bytes == fact.get("size", known.bytes)
    urls = [set(file.urls) for _, file, _ in found]
    assert any(addresses(fact) <= given for given in urls)


def test_every_model_of_the_facts_has_one_manifest():
    assert len(KNOWN) == 52
    assert KNOWN > BASELINES


@pytest.mark.parametrize("name", OTHERS)
def test_manifests_say_nothing_of_files_that_is_not_in_the_facts(name):
    facts = all_facts()
    members = [match for fact in facts if (match := MEMBER.match(fact["source"]))]
    known_hashes = {digest for fact in facts for digest in hashes(fact).values()}
    known_hashes |= {match[3] for match in members if match[3]}
    known_urls = set().union(*map(addresses, facts))
    for file in MODELS[name].files:
        assert set(file.urls) <= known_urls
        for known in identified(file):
            assert set(known.hashes.values()) <= known_hashes
            assert known.bytes in {None, *(fact.get("size") for fact in facts)}
        if file.archive is not None and file.hashes:
            assert file.archive.member in {match[1] for match in members}


def percent(share: float) -> float:
    return float(f"{100 * share:.6f}")


@pytest.mark.parametrize("name", ZOO)
def test_accuracies_and_other_figures_are_those_of_the_facts(name):
    model, manifest = ZOO[name], manifest_of(ZOO[name])
    accuracy = model.get("accuracy") or {}
    for metric in accuracy["metrics"] if accuracy else []:
        if metric["type"] == "accuracy":
            kind, share = f"top{metric['top_k']}", metric["reference"]
            numbers = [*manifest.measurements, *manifest.claims]
            (found,) = [one for one in numbers if one.metric == kind and one.percent == percent(share)]
            assert (found.n, found.correct) == (50000, round(share * 50000))
            assert abs(share * 50000 - round(share * 50000)) < 1e-6
        elif "reference" in metric:
            assert str(metric["reference"]) in [figure.published for figure in manifest.reported]
    for _, printed in model.get("doc", []):
        assert printed.strip() in [figure.published for figure in manifest.reported]


def shape_of(model: dict[str, Any]) -> tuple[str, list[int], str | None]:
    """Name, shape per image and, where they are stated, axes of the only input."""
    given = model["input"]
    if isinstance(given[0], dict):
        return given[0]["name"], given[0]["shape"][1:], given[0]["layout"][1:]
    options = dict(option.split("=", 1) for option in given)
    return options["--input"], json.loads(options["--input_shape"])[1:], None


def numbers_of(model: dict[str, Any], option: str) -> list[float]:
    """The numbers of an option of the conversion: `--mean_values=data[1,2,3]`."""
    texts = [text for text in model["mo"] if text.startswith(f"--{option}=")]
    return json.loads(texts[0][texts[0].index("[") :]) if texts else []


# The definition says 12x12, any larger size works, and the size of the facts is one of them.
ANY_SIZE = {"mtcnn-p", "mtcnn/mtcnn-p"}


@pytest.mark.parametrize("name", [name for name in ZOO if manifest_of(ZOO[name]).name in OTHERS])
def test_inputs_and_preparation_are_those_of_the_facts(name):
    model, manifest = ZOO[name], manifest_of(ZOO[name])
    input_name, shape, axes = shape_of(model)
    mean = numbers_of(model, "mean_values")
    divisors = numbers_of(model, "scale_values") or [
        float(text.removeprefix("--scale=")) for text in model["mo"] if text.startswith("--scale=")
    ]
    scale = 1 / divisors[0] if divisors else 1
    if manifest.preprocessing is None:
        (given,) = manifest.inputs
        assert given.name == input_name
        assert axes in (None, given.layout)
        assert given.shape == (None if name in ANY_SIZE else shape)
        assert (given.mean or []) == mean
        assert (given.scale or 1) == pytest.approx(scale, rel=1e-12)
        return
    steps = {step["type"]: step for step in model["accuracy"]["pre"]}
    assert manifest.input_shape == shape
    kept = steps["resize"].get("aspect_ratio_scale") == "greater"
    settings = manifest.preprocessing
    assert settings.flavour == f"caffe-{'short' if kept else 'warp'}{steps['resize']['size']}"
    assert settings.crop == steps["crop"]["size"]
    assert settings.mean == mean
    assert settings.scale == pytest.approx(scale, rel=1e-9)
    assert (manifest.dataset, manifest.label_order) == ILSVRC[model["accuracy"]["dataset"]]


@pytest.mark.parametrize("name", [name for name in OPENCV if manifest_of(OPENCV[name]).name in OTHERS])
def test_preparation_is_what_opencvs_list_says(name):
    """The words of the list: 300x300 BGR, mean 104 177 123, scale 1/255."""
    words = OPENCV[name]["preprocessing"]
    if match := re.match(r"as (\S+)", words):
        other = next(key for key in OPENCV if key.endswith(match[1]))
        words = OPENCV[other]["preprocessing"]
    manifest = manifest_of(OPENCV[name])
    if manifest.preprocessing is not None:
        assert f"crop {manifest.preprocessing.crop}" in words
        return
    given = manifest.inputs[0]
    if match := re.search(r"(\d+)x(\d+)", words):
        assert given.shape == [3, int(match[2]), int(match[1])]
    if match := re.search(r"BGR|RGB", words):
        assert given.channels == match[0]
    if match := re.search(r"mean ([\d. ]+\d)", words):
        mean = [float(number) for number in match[1].split()]
        assert given.mean in (mean, mean * 3)
    if match := re.search(r"scale (?:1/)?([\d.]+)", words):
        scale = float(match[1]) if "scale 1/" not in words else 1 / float(match[1])
        assert given.scale == pytest.approx(scale, rel=1e-12)
    assert ("im_info" in words) == ("im_info" in [one.name for one in manifest.inputs])


TASK_WORDS = {
    "classification": "classification",
    "detection": "detection",
    "face_recognition": "face recognition",
    "colorization": "colorization",
}


def test_tasks_are_those_of_the_facts():
    for model in ZOO.values():
        title = TASKS[manifest_of(model).task].title.lower()
        assert TASK_WORDS[model["task"]] in title
    same = {"face embedding": "face recognition", "colourisation": "colorization"}
    for model in OPENCV.values():
        words = model["task"]
        for theirs, ours in same.items():
            words = words.replace(theirs, ours)
        assert words.startswith(TASKS[manifest_of(model).task].title.lower())


@pytest.mark.parametrize("name", OTHERS)
def test_a_known_model_says_what_one_needs_to_know(name):
    manifest = MODELS[name]
    assert manifest.claims == []
    needs_definition = manifest.framework == "caffe" and manifest.file("definition") is None
    assert (manifest.definition_note is not None) == needs_definition
    assert all(file.hashes or (file.archive and file.archive.hashes) for file in manifest.files)
    assert manifest.outputs or manifest.is_counted
    assert name == name.lower()
