"""The commands around the catalog as a user meets them: output, errors, exit codes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from command_line import Run, runner

import converters
from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.cli.command import all_commands
from zoo.evidence.run import write_run


@pytest.fixture
def dsd_zoo(monkeypatch, capsys, tmp_path) -> Run:
    """Runs the command line in this process, with a cache of its own."""
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    return runner(monkeypatch, capsys)


@pytest.fixture
def own(tmp_path):
    """A folder with one manifest of the user's, whose unpinned weights come from a file:// URL."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "source.caffemodel").write_bytes(b"\x0a\x04tiny" + bytes(100))
    url = (folder / "source.caffemodel").as_uri()
    text = (bundled_folder() / "squeezenet-v1.0.toml").read_text(encoding="utf-8")
    head = text[: text.index("[[files]]")].replace('name = "squeezenet-v1.0"', 'name = "tiny"', 1)
    files = f'[[files]]\nname = "tiny.caffemodel"\nrole = "weights"\nurls = ["{url}"]\n'
    (folder / "tiny.toml").write_text(head + files, encoding="utf-8")
    return folder


def test_help_lists_the_commands_and_every_command_has_help(dsd_zoo):
    assert dsd_zoo("--help").code == 0
    overview = dsd_zoo("--help").out
    for name in all_commands():
        outcome = dsd_zoo(name, "--help")
        assert f"\n  {name} " in overview
        assert outcome.code == 0
        assert f"Usage: dsd-zoo {name}" in outcome.out


def test_version(dsd_zoo):
    outcome = dsd_zoo("--version")
    assert (outcome.code, outcome.out) == (0, f"dsd-zoo {converters.__version__}\n")


def test_list_shows_claims_gain_and_what_is_here(dsd_zoo):
    outcome = dsd_zoo("list")
    assert outcome.code == 0
    rows = [re.split(r"\s{2,}", line) for line in outcome.out.splitlines()]
    assert ["squeezenet-dsd", "caffe", "61.76", "83.47", "+4.32", "pinned", "0 of 3", "not yet"] in rows
    digits = ["digits-torch7-dsd", "torch7", "98.00", "100.00", "-0.20", "pinned", "all, shipped", "not yet"]
    assert digits in rows


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
    row = next(line for line in dsd_zoo("list").out.splitlines() if line.startswith("digits-caffe-dsd"))
    assert row.endswith("98.40 onnx; 97.00 pytorch on cuda of 100 images")
    shown = dsd_zoo("show", "digits-caffe-dsd").out
    assert "98.40 onnx: top-1 492, top-5 500 of 500 images; caffe-warp36, float32" in shown
    entry = json.loads(dsd_zoo("show", "digits-caffe-dsd", "--json").out)["measured"][0]
    assert (entry["runtime"], entry["top1_correct"], entry["n"]) == ("onnx", 492, 500)
    assert dsd_zoo("list", "--evidence", "elsewhere").out.count("not yet") == len(Catalog.load())


def test_a_broken_result_is_named(dsd_zoo, tmp_path):
    (tmp_path / "result.json").write_text("{}")
    outcome = dsd_zoo("list", "--evidence", tmp_path)
    assert outcome.code == 2
    assert (
        outcome.err == f"dsd-zoo: {tmp_path / 'result.json'}: not the result of a run: "
        "model: Field required\n"
    )


def test_show_tells_a_newcomer_everything(dsd_zoo):
    text = dsd_zoo("show", "squeezenet-dsd").out
    for expected in (
        "SqueezeNet v1.0, Dense-Sparse-Dense",
        "30,879 of 50,000 images",
        'printed as "0.617579"',
        "SqueezeNet/accuracy.log",
        "claimed gain is +4.32 points",
        "57.61 % according to the web page",
        "pinned: a hash known beforehand",
        "ffce3635e4a837e7bc783fea3f48fcc48a1e93a6",
        "https://1drv.ms/u/s!AkOf0kjGMRd2bgMQDqHa43dNYVM",
        "not here yet",
        "dsd-zoo fetch squeezenet-dsd",
        "dsd-zoo validate squeezenet-dsd",
    ):
        assert expected in text
    digits = dsd_zoo("show", "digits-caffe-dsd").out
    assert "not significant" in digits
    assert "dsd-zoo demo" in digits
    assert "dsd-zoo fetch" not in digits


def test_show_as_json_is_the_manifest_and_what_is_here(dsd_zoo):
    data = json.loads(dsd_zoo("show", "digits-caffe-dsd", "--json").out)
    assert data["claims"][0]["correct"] == 492
    assert data["gain"] == {"top1": -0.2, "top5": 0.0}
    weights = next(file for file in data["files"] if file["role"] == "weights")
    assert weights["trust"] == "pinned"
    assert weights["here"].endswith("dsd.caffemodel")


@pytest.mark.parametrize("command", ["show", "fetch", "verify"])
def test_an_unknown_model_is_one_block_on_stderr(dsd_zoo, command):
    outcome = dsd_zoo(command, "squeeznet-dsd")
    assert outcome.code == 2
    assert outcome.err.startswith(
        "dsd-zoo: no model is called 'squeeznet-dsd'\n  did you mean squeezenet-dsd"
    )
    assert "Traceback" not in outcome.err
    assert outcome.out == ""


@pytest.mark.parametrize("command", [("convert", "-o", "net.onnx"), ("validate",), ("inspect",)])
def test_a_models_name_with_a_dot_is_no_file(dsd_zoo, command):
    outcome = dsd_zoo(*command, "squeezenet-v1.0")
    assert outcome.code == 2
    assert "run: dsd-zoo fetch squeezenet-v1.0" in outcome.err


@pytest.mark.parametrize("command", [("convert", "-o", "net.onnx"), ("verify",)])
def test_what_is_neither_file_nor_model_is_told_so(dsd_zoo, command):
    slip = dsd_zoo(*command, "squeezenet-v1.o")
    assert slip.code == 2
    assert "no such file: squeezenet-v1.o, nor is a model called so" in slip.err
    assert "did you mean squeezenet-v1.1 or squeezenet-v1.0" in slip.err
    elsewhere = dsd_zoo(*command, "nowhere/net.t7")
    assert (elsewhere.code, elsewhere.err) == (2, "dsd-zoo: no such file: nowhere/net.t7\n")


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


def test_debug_shows_the_traceback_and_keeps_the_exit_code(dsd_zoo):
    outcome = dsd_zoo("--debug", "show", "nothing")
    assert outcome.code == 2
    assert "Traceback" in outcome.err


def test_a_wrong_option_is_a_usage_error(dsd_zoo):
    outcome = dsd_zoo("list", "--nonsense")
    assert outcome.code == 2
    assert "No such option: --nonsense" in outcome.err


def test_a_fault_of_ours_is_said_to_be_one(dsd_zoo, monkeypatch):
    monkeypatch.setattr(Catalog, "load", lambda extra: 1 / 0)
    outcome = dsd_zoo("list")
    assert outcome.code == 2
    assert outcome.err.startswith("dsd-zoo: internal error: ZeroDivisionError")
    assert "Traceback" not in outcome.err


def test_an_error_of_the_system_names_the_file_and_no_number(dsd_zoo, monkeypatch, tmp_path):
    monkeypatch.setattr(Catalog, "load", lambda extra: (tmp_path / "gone").read_bytes())
    assert dsd_zoo("list").err == f"dsd-zoo: {tmp_path / 'gone'}: No such file or directory\n"


def test_names_that_stdout_cannot_spell_end_no_command(tmp_path):
    (tmp_path / "nét").write_bytes(b"x")
    for arguments, shown in (["verify", "nét"], "n\\xe9t\n"), (["show", "digits-caffe-dsd", "--json"], "{\n"):
        done = subprocess.run(
            [sys.executable, "-m", "zoo", *arguments],
            cwd=tmp_path,
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True,
            text=True,
        )
        assert done.stderr == ""
        assert done.stdout.startswith(shown)


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


def test_weights_that_are_no_numbers_are_told_and_leave_the_json_whole(dsd_zoo, tmp_path):
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


@pytest.mark.parametrize("command", [("show", "vgg16-dsd"), ("audit", "--json"), ("list",)])
def test_a_reader_that_has_seen_enough_is_no_finding(command, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        run = subprocess.run(
            [sys.executable, "-m", "zoo", *command],
            stdout=pipe,
            stderr=subprocess.PIPE,
            cwd=tmp_path,
            check=False,
        )
    assert (run.returncode, run.stderr) == (141, b"")
    closed = subprocess.run(["sh", "-c", f"{sys.executable} -m zoo {' '.join(command)} >&-"], check=False)
    assert closed.returncode == 0
