"""`dsd-zoo list`, `show` and `schema` as a user meets them."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from zoo.bundled import TASKS, bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.evidence.run import write_run


def cells(line: str) -> list[str]:
    return re.split(r"\s{2,}", line)


def groups_of(text: str) -> dict[str, list[str]]:
    """Title of every group of a listing, with the names of its models."""
    found: dict[str, list[str]] = {}
    blocks = text.split("\n\n")
    for title, table in zip(blocks[:-1:2], blocks[1:-1:2], strict=True):
        names = [line.split()[0] for line in table.splitlines()[1:] if not line.startswith(" ")]
        found[" ".join(title.split())] = names
    return found


def test_list_shows_claims_gain_and_what_is_here(dsd_zoo, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    outcome = dsd_zoo("list")
    assert outcome.code == 0
    rows = [cells(line) for line in outcome.out.splitlines()]
    assert ["squeezenet-dsd", "61.76", "83.47", "+4.32", "0 of 3", "caffe", "pinned"] in rows
    assert ["digits-torch7-dsd", "98.00", "100.00", "-0.20", "shipped", "torch7", "pinned"] in rows
    # Not claimed, but measured by others.
    assert ["vgg19-vgg", "71.06", "89.83", "0 of 2", "VGG-19 of the Visual G..."] in rows


def test_pairs_come_first_and_the_others_by_task(dsd_zoo):
    catalog = {manifest.name: manifest for manifest in Catalog.load()}
    (dsd, pairs), *others = groups_of(dsd_zoo("list").out).items()
    assert dsd.startswith("DSD: ")
    models = [manifest for manifest in catalog.values() if manifest.baseline is not None]
    assert set(pairs) == {name for model in models for name in (model.name, model.baseline)}
    titles = [task.title for task in TASKS.values()]
    assert [title for title, _ in others] == [title for title in titles if title in dict(others)]
    for title, names in others:
        assert {TASKS[catalog[name].task].title for name in names} == {title}
    assert sorted([*pairs, *(name for _, names in others for name in names)]) == sorted(catalog)


@pytest.mark.parametrize("columns", [200, 100, 80, 60, 40, 32])
def test_a_listing_fits_the_terminal(dsd_zoo, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = dsd_zoo("list").out.splitlines()
    assert max(map(len, lines)) <= columns
    text = "\n".join(lines)
    assert all(re.search(rf"^{re.escape(name)}( |$)", text, re.MULTILINE) for name in Catalog.load().names())
    assert ("FRAMEWORK" in text) == (columns >= 60)


def test_a_name_is_never_cut(dsd_zoo, monkeypatch):
    monkeypatch.setenv("COLUMNS", "10")
    lines = dsd_zoo("list", "--search", "starry").out.splitlines()
    assert "fast-neural-style-starry-night" in lines


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--task", "style-transfer"], ["fast-neural-style-feathers", "fast-neural-style-starry-night"]),
        (["--task", "segmentation", "--framework", "torch7"], ["enet-cityscapes"]),
        (["--search", "MTCNN"], ["mtcnn-o", "mtcnn-p", "mtcnn-r"]),
        (["--search", "vgg16_dsd.caffemodel"], ["vgg16-dsd"]),
        # A file, a name that others use, words of the summary.
        (["--search", "res10_300x300_ssd_iter_140000.caffemodel"], ["res10-ssd-face"]),
        (["--search", "resnet-101"], ["resnet101-msra", "se-resnet-101"]),
        (["--search", "van gogh"], ["fast-neural-style-starry-night"]),
        (
            ["--task", "classification", "--framework", "torch7", "--search", "resnet-18.t7"],
            [
                "resnet18-fb",
            ],
        ),
        (["--search", "no such net"], []),
    ],
)
def test_only_what_was_asked_for_is_listed(dsd_zoo, options, expected):
    entries = json.loads(dsd_zoo("list", "--json", *options).out)
    assert [entry["name"] for entry in entries] == expected
    shown = dsd_zoo("list", *options)
    assert shown.code == 0
    if expected:
        assert sorted(name for names in groups_of(shown.out).values() for name in names) == expected
    else:
        assert (
            shown.out == f"None of the {len(Catalog.load())} models is like that. All models: dsd-zoo list\n"
        )


def test_an_unknown_task_is_refused_with_all_tasks(dsd_zoo):
    outcome = dsd_zoo("list", "--task", "detection")
    assert outcome.code == 2
    assert "--task detection: no such task; expected one of classification, object-detection, " in outcome.err


def test_a_listing_reads_every_manifest_once_and_loads_nothing_heavy(tmp_path):
    """With 100 models; in a process of its own, as other tests have loaded everything."""
    text = (bundled_folder() / "se-resnet-50.toml").read_text(encoding="utf-8")
    count = 100 - len(Catalog.load())
    for number in range(count):
        own = text.replace('name = "se-resnet-50"', f'name = "own{number}"', 1)
        (tmp_path / f"own{number}.toml").write_text(own, encoding="utf-8")
    program = """
import collections, contextlib, io, json, sys
opened = collections.Counter()
sys.addaudithook(lambda event, given: opened.update([str(given[0])]) if event == "open" else None)
from zoo.cli.main import main
sys.argv = ["dsd-zoo", "list", "--manifests", sys.argv[1]]
with contextlib.redirect_stdout(io.StringIO()) as out, contextlib.suppress(SystemExit):
    main()
manifests = [count for path, count in opened.items() if path.endswith(".toml")]
heavy = {"numpy", "torch", "cv2", "scipy", "onnx", "onnx_ir", "onnxruntime", "PIL", "requests"}
print(json.dumps([manifests, sorted(heavy & set(sys.modules)), out.getvalue().count("own")]))
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, check=True
    )
    manifests, heavy, own_models = json.loads(done.stdout)
    assert manifests == [1] * 100
    assert heavy == []
    assert own_models == count


def test_list_as_json(dsd_zoo):
    entries = {entry["name"]: entry for entry in json.loads(dsd_zoo("list", "--json").out)}
    assert list(entries) == Catalog.load().names()
    entry = entries["squeezenet-dsd"]
    assert entry["claims"]["top1"] == {"percent": 61.7579, "correct": 30879, "n": 50000}
    assert entry["gain"] == {"top1": 4.318, "top5": 2.994}
    assert entry["files"] == {"here": 0, "shipped": 0, "total": 3}
    assert entry["trust"] == "pinned"


def test_what_was_measured_is_listed_and_shown(dsd_zoo, made_run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_run(Path("results/a"), made_run("digits-caffe-dsd"))
    write_run(Path("results/b"), made_run("digits-caffe-dsd", images=100, device="cuda", runtime="pytorch"))
    lines = dsd_zoo("list").out.splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("digits-caffe-dsd"))
    assert lines[row + 1 : row + 3] == [
        "  measured here: top-1 98.40 onnx",
        "  measured here: top-1 97.00 pytorch on cuda of 100 images",
    ]
    shown = dsd_zoo("show", "digits-caffe-dsd").out
    assert "98.40 onnx: top-1 492, top-5 500 of 500 images; caffe-warp36, float32" in shown
    entry = json.loads(dsd_zoo("show", "digits-caffe-dsd", "--json").out)["measured"][0]
    assert (entry["runtime"], entry["top1_correct"], entry["n"]) == ("onnx", 492, 500)
    assert "measured here" not in dsd_zoo("list", "--evidence", "elsewhere").out


def test_no_accuracy_over_other_images_stands_beside_a_claim(dsd_zoo, made_run, tmp_path, monkeypatch):
    """A folder with a part of the images is a part, though its run covers all of the folder."""
    monkeypatch.chdir(tmp_path)
    part = {"images": 100, "n_dataset": 100, "runtime": "pytorch"}
    write_run(Path("results/other"), made_run("digits-caffe-dsd", wrong=range(222), dataset="photographs"))
    write_run(Path("results/part"), made_run("digits-caffe-dsd", **part))
    lines = dsd_zoo("list").out.splitlines()
    row = next(number for number, line in enumerate(lines) if line.startswith("digits-caffe-dsd"))
    assert lines[row + 1 : row + 3] == [
        "  measured here: top-1 97.00 pytorch of 100 images",
        "  measured here over other images (photographs): dsd-zoo show digits-caffe-dsd",
    ]
    assert "55.60" not in "".join(lines)
    shown = dsd_zoo("show", "digits-caffe-dsd").out
    assert "of 500 images; caffe-warp36, float32; other images (photographs)" in shown


def test_a_broken_result_is_named(dsd_zoo, tmp_path):
    (tmp_path / "result.json").write_text("{}")
    outcome = dsd_zoo("list", "--evidence", tmp_path)
    assert outcome.code == 2
    assert (
        outcome.err == f"dsd-zoo: {tmp_path / 'result.json'}: not the result of a run: "
        "model: Field required\n"
    )


def test_show_prints_everything_about_a_model(dsd_zoo):
    text = dsd_zoo("show", "squeezenet-dsd").out
    for expected in (
        "SqueezeNet v1.0, Dense-Sparse-Dense",
        "30,879 of 50,000 images",
        'printed as "0.617579"',
        "SqueezeNet/accuracy.log",
        "claimed gain of 4.32 points",
        "28,842 right, of 50,000",
        "57.61 % according to the web page",
        "pinned: a hash known beforehand",
        "ffce3635e4a837e7bc783fea3f48fcc48a1e93a6",
        "https://1drv.ms/u/s!AkOf0kjGMRd2bgMQDqHa43dNYVM",
        "not here yet",
        "dsd-zoo fetch squeezenet-dsd",
        "dsd-zoo validate squeezenet-dsd",
    ):
        assert expected in text
    assert "dsd-zoo verify squeezenet-dsd" not in text
    digits = dsd_zoo("show", "digits-caffe-dsd").out
    assert "No significant gain is published" in digits
    assert "dsd-zoo demo" in digits
    assert "dsd-zoo fetch" not in digits


def test_show_tells_what_a_detector_takes_and_gives(dsd_zoo):
    text = " ".join(dsd_zoo("show", "ssd300").out.split())
    for expected in (
        " task object detection ",
        " input data: 3 x 300 x 300; BGR; 0 to 255; minus 104, 117, 123; resized to 300x300",
        " output detection_out: one row per box: image, class, score, left, top, right, bottom",
        " classes 21 classes, background first, then the 20 of Pascal VOC",
        "Reported; it is no accuracy over labelled images, so the zoo cannot check it",
        "mAP 0.8709 on Pascal VOC 2007, test, by Open Model Zoo",
        "SSD_300x300_ft.tar.gz, 97,789,219 bytes",
        "in it: models/VGGNet/VOC0712Plus/SSD_300x300_ft/deploy.prototxt",
        "dsd-zoo verify ssd300",
    ):
        assert expected in text
    assert "Claims" not in text
    assert "dsd-zoo validate" not in text
    assert "dsd-zoo audit" not in text


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("mtcnn-o", "3 x 48 x 48 (channels, width, height); RGB; 0 to 255; minus 127.5, 127.5, 127.5"),
        ("openpose-mpi", "3 x 368 x 368; BGR; 0 to 255; divided by 255"),
        ("rfcn-resnet50", "BGR; 0 to 255; minus 102.9801, 115.9465, 122.7717; an image of any size"),
        ("rfcn-resnet50", "no definition is among the sources on record"),
        ("colorization-v2", "data_l: 1 x 224 x 224; L of Lab; 0 to 100; minus 50"),
        ("se-resnext-50", "1000 classes, in the order of ILSVRC2015's development kit (class 0 is kit fox)"),
        ("resnet50-msra", "also called resnet-50"),
    ],
)
def test_show_tells_of_inputs_classes_and_other_names(dsd_zoo, model, expected):
    assert expected in " ".join(dsd_zoo("show", model).out.split())


def test_show_as_json_is_the_manifest_and_what_is_here(dsd_zoo):
    data = json.loads(dsd_zoo("show", "digits-caffe-dsd", "--json").out)
    assert data["claims"][0]["correct"] == 492
    assert data["gain"] == {"top1": -0.2, "top5": 0.0}
    weights = next(file for file in data["files"] if file["role"] == "weights")
    assert weights["trust"] == "pinned"
    assert weights["here"].endswith("dsd.caffemodel")


def test_the_schema_describes_what_the_bundled_manifests_say(dsd_zoo):
    """Checked by hand for the keywords that the schema uses; no package is needed for that."""
    schema = json.loads(dsd_zoo("schema").out)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    for path in bundled_folder().glob("*.toml"):
        check(tomllib.loads(path.read_text(encoding="utf-8")), schema, schema)
    wrong = tomllib.loads((bundled_folder() / "vgg16-vgg.toml").read_text(encoding="utf-8"))
    wrong["files"][0]["sha256"] = "F" * 64
    with pytest.raises(AssertionError):
        check(wrong, schema, schema)


def test_the_schema_says_what_fields_mean_those_of_a_base_too(dsd_zoo):
    schema = json.loads(dsd_zoo("schema").out)
    assert schema["properties"]["baseline"].get("description") is None
    assert schema["properties"]["reported"]["description"].startswith("Figures of other kinds, as published.")
    files = schema["$defs"]["File"]["properties"]
    assert files["urls"]["description"] == "In order of preference."
    assert files["git_blob"]["description"].startswith("SHA-1 of `blob <size>`")


def check(value: object, rule: dict[str, Any], root: dict[str, Any]) -> None:
    """AssertionError unless `value` keeps the JSON Schema `rule`; KeyError for a keyword not known here."""
    if "$ref" in rule:
        check(value, root["$defs"][rule["$ref"].removeprefix("#/$defs/")], root)
        return
    if "anyOf" in rule:
        assert any(_holds(value, option, root) for option in rule["anyOf"])
        return
    kinds = {"object": dict, "array": list, "string": str, "integer": int, "number": (int, float)}
    if "type" in rule:
        assert isinstance(value, kinds.get(rule["type"], bool if rule["type"] == "boolean" else type(None)))
    assert value == rule.get("const", value)
    assert value in rule.get("enum", [value])
    if isinstance(value, str):
        assert re.search(rule.get("pattern", ""), value)
    if isinstance(value, int | float):
        assert rule.get("minimum", value) <= value <= rule.get("maximum", value)
        assert value > rule.get("exclusiveMinimum", value - 1)
    if isinstance(value, list):
        assert rule.get("minItems", 0) <= len(value) <= rule.get("maxItems", len(value))
        for item in value:
            check(item, rule["items"], root)
    if isinstance(value, dict):
        assert set(rule.get("required", [])) <= set(value)
        for name, item in value.items():
            extra = rule["additionalProperties"]
            check(item, rule["properties"][name] if extra is False else extra, root)


def _holds(value: object, rule: dict[str, Any], root: dict[str, Any]) -> bool:
    try:
        check(value, rule, root)
    except (AssertionError, KeyError):
        return False
    return True
