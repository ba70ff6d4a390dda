"""What inspect, convert, verify and add make of files of known models, under whatever name they come."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from caffemodel_writer import write_caffemodel
from corpus_cases import CORPUS, run_onnx
from manifest_files import CLASSIFIER, hashes_of, write_manifest
from torch7_cases import recorded

import zoo
from zoo.bundled import bundled_folder

DEFINITION = """
name: "Toy"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 32 dim: 32 } } }
layer { name: "score" type: "InnerProduct" bottom: "data" top: "score"
        inner_product_param { num_output: 10 } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""
DETECTOR = {
    "framework": "caffe",
    "task": "object-detection",
    "inputs": [
        {"name": "data", "shape": [3, 32, 32], "layout": "CHW", "mean": [1.0, 2.0, 3.0], "scale": 0.5}
    ],
    "outputs": [{"description": "boxes"}],
}


class Toy:
    """The files of a net, as a person has them, and the folder of the manifest that knows them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifests = folder / "manifests"
        self.weights = folder / "download.bin.caffemodel"
        arrays = [np.ones((10, 3072), np.float32) / 3072, np.arange(10, dtype=np.float32)]
        write_caffemodel(self.weights, {"score": arrays})
        self.definition = folder / "net.prototxt"
        self.definition.write_text(DEFINITION)

    def manifest(
        self, name: str = "toy", *, definition: bool = True, urls: bool = True, **fields: object
    ) -> None:
        files: list[dict[str, object]] = []
        for path, role in ((self.definition, "definition"), (self.weights, "weights")):
            if role == "weights" or definition:
                known = hashes_of(path.read_bytes())
                url = {"urls": [path.as_uri()]} if urls else {}
                ending = "prototxt" if role == "definition" else "caffemodel"
                files.append({"name": f"toy.{ending}", "role": role, "sha1": known["sha1"], **url})
        write_manifest(self.manifests, name, *files, **fields)


@pytest.fixture
def toy(tmp_path) -> Toy:
    return Toy(tmp_path)


@pytest.fixture
def run(dsd_zoo, toy, tmp_path, monkeypatch):
    """Runs a command in a folder of its own, with the manifests of the toy."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    toy.manifests.mkdir()
    return lambda *arguments: dsd_zoo(*arguments, "--manifests", toy.manifests)


def metadata(path: str) -> dict[str, object]:
    entries = onnx.load(path).metadata_props
    return {
        entry.key.removeprefix("dsd-zoo."): json.loads(entry.value)
        for entry in entries
        if entry.key not in ("dsd-zoo.version", "dsd-zoo.framework")
    }


def test_what_is_known_of_the_model_travels_in_the_converted_net(run, toy):
    toy.manifest()
    outcome = run("convert", toy.definition, toy.weights, "-o", "net.onnx")
    assert (outcome.code, outcome.err) == (0, "")
    assert "known as       net.prototxt is toy.prototxt of toy" in outcome.out
    assert "               download.bin.caffemodel is toy.caffemodel of toy" in outcome.out
    assert "licence        MIT" in outcome.out
    assert "preprocessing  flavour caffe-warp36, crop 32" in outcome.out
    found = metadata("net.onnx")
    assert (found["model"], found["licence"], found["citation"]) == ("toy", "MIT", "nobody")
    assert found["labels"] == [str(digit) for digit in range(10)]
    assert found["preprocessing"] == {
        **CLASSIFIER["preprocessing"],  # type: ignore[dict-item]
        "mean_image": False,
        "std": None,
        "scale": 1.0,
    }


def test_the_same_net_unknown_travels_with_nothing(run, toy):
    assert run("convert", toy.definition, toy.weights, "-o", "net.onnx").code == 0
    assert set(metadata("net.onnx")) == {"sources"}


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_json_carries_it(run, toy, command):
    toy.manifest()
    options = ["-o", "net.onnx"] if command == "convert" else []
    outcome = run(command, toy.definition, toy.weights, *options, "--json")
    known = json.loads(outcome.out)["known"]
    assert (known["model"], known["licence"], known["definition_published"]) == ("toy", "MIT", True)
    definition, weights = known["files"]
    assert definition["file"] == str(toy.definition)
    assert definition["known_as"] == [{"model": "toy", "name": "toy.prototxt", "role": "definition"}]
    assert weights["known_as"] == [{"model": "toy", "name": "toy.caffemodel", "role": "weights"}]
    assert weights["sha1"] == hashes_of(toy.weights.read_bytes())["sha1"]
    assert weights["other_versions"] == []


@pytest.mark.parametrize("command", ["inspect", "convert"])
def test_weights_alone_say_where_their_definition_is(run, toy, command):
    toy.manifest()
    options = ["-o", "net.onnx"] if command == "convert" else []
    outcome = run(command, toy.weights, *options)
    assert outcome.code != 0
    assert "toy.prototxt: dsd-zoo fetch toy" in outcome.out + outcome.err
    assert run("fetch", "toy").code == 0
    outcome = run(command, toy.weights, *options)
    assert (outcome.code, outcome.err) == (0, "")
    assert "the definition is toy.prototxt of toy, from the cache" in outcome.out


def test_weights_with_the_definition_of_the_cache_are_the_whole_net(run, toy):
    toy.manifest()
    for fetched in ("add", "fetch"):
        run(fetched, toy.definition if fetched == "add" else "toy")
        outcome = run("convert", toy.weights, "-o", "alone.onnx")
        assert metadata("alone.onnx")["model"] == "toy"
        (line,) = [line for line in outcome.out.splitlines() if "dsd-zoo compare" in line]
        compared = run(*line.split("dsd-zoo ")[1].split())
        assert compared.code == 0, compared.err
    assert line.endswith("dsd-zoo compare toy alone.onnx")
    run("convert", toy.definition, toy.weights, "-o", "both.onnx")
    image = {"data": np.random.default_rng(0).normal(size=(1, 3, 32, 32)).astype(np.float32)}
    alone, both = (run_onnx(Path(name), image)["prob"] for name in ("alone.onnx", "both.onnx"))
    np.testing.assert_array_equal(alone, both)


def test_a_definition_that_nobody_published_is_said_to_be_missing(run, toy):
    note = "nobody published it"
    toy.manifest(definition=False, definition_note=note, **CLASSIFIER)
    assert f"toy: {note}" in run("inspect", toy.weights).out
    assert f"its definition: {note}" in run("verify", toy.weights).out
    assert note not in run("inspect", toy.definition, toy.weights).out


def test_another_definition_keeps_its_own_sizes_and_loses_the_claims(run, toy):
    claim = {"metric": "top1", "n": 500, "published": "50 %", "percent": 50.0, "source": "x", "how": "y"}
    toy.manifest(**CLASSIFIER, claims=[claim])
    run("convert", toy.definition, toy.weights, "-o", "net.onnx")
    assert len(metadata("net.onnx")["claims"]) == 1  # type: ignore[arg-type]
    toy.definition.write_text(DEFINITION.replace('"prob"', '"probability"'))
    outcome = run("convert", toy.definition, toy.weights, "-o", "net.onnx")
    assert "the weights are those of toy, the definition is not its toy.prototxt" in outcome.out
    found = metadata("net.onnx")
    assert "claims" not in found
    assert "crop" not in found["preprocessing"]  # type: ignore[operator]
    assert found["preprocessing"]["mean"] == [104.0, 117.0, 123.0]  # type: ignore[index]


def test_what_another_definition_states_of_its_images_wins(run, toy):
    toy.manifest()
    data = """layer { name: "data" type: "Data" top: "data" top: "label" include { phase: TEST }
        transform_param { crop_size: 32 mean_value: 7 mean_value: 8 mean_value: 9 }
        data_param { source: "x" batch_size: 1 } }"""
    lines = [line for line in DEFINITION.splitlines() if '"Input"' not in line]
    toy.definition.write_text("\n".join([lines[0], lines[1], data, *lines[2:]]))
    outcome = run("convert", toy.definition, toy.weights, "-o", "net.onnx")
    assert outcome.code == 0, outcome.err
    stated = metadata("net.onnx")["preprocessing"]
    assert stated["mean"] == [7.0, 8.0, 9.0]  # type: ignore[index,call-overload]
    assert "flavour" not in stated  # type: ignore[operator]


def test_a_known_definition_alone_says_nothing_of_the_weights(run, toy):
    toy.manifest()
    toy.weights.write_bytes(
        toy.weights.read_bytes().replace(np.float32(9).tobytes(), np.float32(8).tobytes())
    )
    outcome = run("convert", toy.definition, toy.weights, "-o", "net.onnx")
    assert "known as  net.prototxt is toy.prototxt of toy" in outcome.out
    assert "licence" not in outcome.out
    assert "labels" not in metadata("net.onnx")


def test_weights_of_two_models_are_of_neither(run, toy):
    toy.manifest("one")
    toy.manifest("two")
    outcome = run("convert", toy.definition, toy.weights, "-o", "net.onnx")
    assert "is toy.caffemodel of one" in outcome.out
    assert "is toy.caffemodel of two" in outcome.out
    assert "the files fit one and two alike, so what is known of them is not used" in outcome.out
    assert "model" not in metadata("net.onnx")


def test_mean_and_scale_of_a_known_detector_can_be_embedded(run, toy):
    toy.manifest(**DETECTOR)
    run("convert", toy.definition, toy.weights, "-o", "plain.onnx")
    assert metadata("plain.onnx")["inputs"][0]["mean"] == [1.0, 2.0, 3.0]  # type: ignore[index]
    outcome = run("convert", toy.definition, toy.weights, "-o", "pixels.onnx", "--embed-preprocessing")
    assert outcome.code == 0, outcome.err
    assert "mean" not in metadata("pixels.onnx")["inputs"][0]  # type: ignore[index]
    pixels = np.random.default_rng(0).integers(0, 256, (1, 3, 32, 32)).astype(np.float32)
    prepared = (pixels - np.float32([1, 2, 3]).reshape(3, 1, 1)) * np.float32(0.5)
    np.testing.assert_allclose(
        run_onnx(Path("pixels.onnx"), {"data": pixels})["prob"],
        run_onnx(Path("plain.onnx"), {"data": prepared})["prob"],
        rtol=1e-6,
    )


@pytest.mark.parametrize("command", ["inspect", "convert", "verify"])
def test_a_known_name_with_other_content_is_a_warning(run, toy, command):
    toy.manifest()
    path = toy.weights.rename(toy.folder / "toy.caffemodel")
    with path.open("ab") as file:
        file.write(b"\x0a\x04tiny")
    options = ["-o", "net.onnx"] if command == "convert" else []
    files = [path] if command == "verify" else [toy.definition, path]
    outcome = run(command, *files, *options)
    assert outcome.code == (1 if command == "verify" else 0)
    assert f"warning: {path}: has the name of a known file, and other content" in outcome.err
    assert f"this one: {path.stat().st_size:,} bytes, sha1 " in outcome.err
    assert "of unknown size, sha1 " in outcome.err
    assert "it is damaged or was changed: dsd-zoo fetch toy" in outcome.err


def test_options_win_over_what_is_known(run, toy):
    toy.manifest(**CLASSIFIER)
    image = toy.folder / "mean.npy"
    np.save(image, np.zeros((3, 32, 32)))
    refused = run(
        "convert", toy.definition, toy.weights, "-o", "x.onnx", "--embed-preprocessing", "--mean-image", image
    )
    assert "the net has the mean values" in refused.err
    found = zoo.convert(
        [toy.definition, toy.weights],
        "own.onnx",
        manifests=[toy.manifests],
        metadata={"licence": "mine", "preprocessing": {"crop": 7}},
    )
    assert found.files == [Path("own.onnx")]
    assert metadata("own.onnx")["licence"] == "mine"
    assert metadata("own.onnx")["preprocessing"] == {"crop": 7}


def test_add_needs_no_model_where_the_content_tells_it(run, toy):
    toy.manifest()
    added = run("add", toy.weights)
    assert added.code == 0, added.err
    assert "toy: toy.caffemodel is now in the cache (pinned)" in added.out
    assert "still missing: toy.prototxt; run: dsd-zoo fetch toy" in added.out
    toy.definition.write_text("name: 'other'")
    unknown = run("add", toy.definition)
    assert unknown.code == 2
    assert (
        "net.prototxt: not known by its content; say of which model it is: dsd-zoo add MODEL" in unknown.err
    )
    shipped = run("add", bundled_folder() / "digits" / "torch7" / "dsd.t7")
    assert "it is dsd.t7 of digits-torch7-dsd, which ships with the zoo" in shipped.err


def test_add_says_what_a_wrong_file_is(run, toy):
    toy.manifest()
    wrong = run("add", "squeezenet-v1.1", toy.weights)
    assert wrong.code == 1
    assert "for squeezenet_v1.1.caffemodel of squeezenet-v1.1 this is not the file on record" in wrong.err
    assert f"it is toy.caffemodel of toy: dsd-zoo add {toy.weights}" in wrong.err


def test_an_archive_is_added_with_all_it_holds(run, toy):
    path = toy.folder / "published.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in (("a/toy.prototxt", toy.definition), ("a/toy.caffemodel", toy.weights)):
            info = tarfile.TarInfo(f"./{name}")
            info.size = content.stat().st_size
            archive.addfile(info, io.BytesIO(content.read_bytes()))
    known = {"name": "published.tar.gz", "sha384": hashes_of(path.read_bytes())["sha384"]}
    roles = (("toy.prototxt", "definition"), ("toy.caffemodel", "weights"))
    files = [
        {"name": name, "role": role, "archive": {**known, "member": f"a/{name}"}} for name, role in roles
    ]
    write_manifest(toy.manifests, "toy", *files)
    path = path.rename(toy.folder / "archive.bin")
    assert (
        f"the archive in which toy.prototxt of toy was published: dsd-zoo add {path}"
        in run("verify", path).out
    )
    refused = run("inspect", path)
    assert f"it is the archive in which toy was published: dsd-zoo add {path}" in refused.err
    for arguments in ((path,), ("toy", path)):
        added = run("add", *arguments)
        assert added.code == 0, added.err
        assert [line for line in added.out.splitlines() if line.startswith("toy: ")] == [
            f"toy: {name} is now in the cache (pinned)" for name, _ in roles
        ]
    assert run("inspect", "toy").code == 0
    assert run("verify", toy.weights).out == f"{toy.weights}\n  this is toy.caffemodel of toy\n"


UNPOOLING = CORPUS / "torch7" / "SpatialMaxUnpooling" / "net.t7"
SEGMENTER = {
    "framework": "torch7",
    "task": "segmentation",
    "inputs": [{"name": "input", "shape": [3, 8, 8], "layout": "CHW", "scale": 0.5}],
    "outputs": [{"description": "scores of the classes at every pixel"}],
}


@pytest.fixture
def segmenter(toy) -> Path:
    """A Torch7 file that does not state the size that its net must know, and is known by its hash."""
    path = toy.folder / "saved.net"
    path.write_bytes(UNPOOLING.read_bytes())
    file = {"name": "model-best.net", "role": "weights", "sha1": hashes_of(path.read_bytes())["sha1"]}
    write_manifest(toy.manifests, "segmenter", file, **SEGMENTER)
    return path


def test_a_known_torch7_net_gets_the_size_that_it_needs(run, segmenter):
    outcome = run("inspect", segmenter)
    assert (outcome.code, outcome.err) == (0, "")
    assert "known as    saved.net is model-best.net of segmenter" in outcome.out
    assert "the size of its input is that of the model: 3x8x8" in outcome.out
    outcome = run("convert", segmenter, "-o", "net.onnx")
    assert (outcome.code, outcome.err) == (0, "")
    assert "does not state it: 3x8x8" in outcome.out
    assert metadata("net.onnx")["inputs"][0]["scale"] == 0.5  # type: ignore[index]
    inputs, wanted = recorded(UNPOOLING.parent)
    np.testing.assert_array_equal(run_onnx(Path("net.onnx"), inputs)["output"], wanted["output"])


def test_the_size_that_an_option_gives_wins(run, segmenter):
    outcome = run("convert", segmenter, "-o", "net.onnx", "--input-shape", "input=N,3,16,16")
    assert "inputs    input  Nx3x16x16" in outcome.out
    assert "3x8x8" not in outcome.out
    segmenter.write_bytes(segmenter.read_bytes() + b"\0")
    unknown = run("convert", segmenter, "-o", "net.onnx")
    assert unknown.code == 2
    assert "--input-shape" in unknown.err
