"""With --json every command prints one document on stdout, whether it succeeds or fails."""

from __future__ import annotations

import inspect
import json
import shutil

import pytest
from command_calls import ELSEWHERE, FAILURE, NET, SUCCESS

from zoo.cli.command import all_commands
from zoo.cli.commands import validate as validating
from zoo.errors import DataError


@pytest.fixture
def workplace(dsd_zoo, own, tmp_path, monkeypatch):
    """Runs the command line in a folder with a model of the user's, and its files in the cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSD_ZOO_LOCK", str(tmp_path / "lock.json"))
    return dsd_zoo


def with_json() -> set[str]:
    """The commands that have the option; `report` gets it with its tables."""
    commands = all_commands().items()
    return {name for name, entry in commands if "json" in inspect.signature(entry.function).parameters}


def test_every_command_has_the_option():
    assert set(all_commands()) - with_json() <= {"report"}


def test_every_command_is_tested_here():
    assert set(SUCCESS) == set(all_commands())


@pytest.mark.parametrize("name", sorted(set(SUCCESS) - ELSEWHERE))
def test_success_is_one_document(workplace, name):
    if name in ("export-cache", "import-cache"):
        assert workplace("fetch", "tiny", "--manifests", "own").code == 0
    if name == "import-cache":
        assert workplace("export-cache", "export", "tiny", "--manifests", "own").code == 0
    outcome = workplace(name, *SUCCESS[name], "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert document
    assert "error" not in document


@pytest.mark.parametrize("name", sorted(with_json()))
def test_failure_is_one_document_too(workplace, name):
    outcome = workplace(name, *FAILURE.get(name, ["nothing"]), "--json")
    assert outcome.code in (1, 2)
    document = json.loads(outcome.out)
    error = document["error"]
    assert error["exit_code"] == outcome.code
    assert error["type"].isidentifier()
    # What a person reads on stderr, without the name of the program.
    assert error["message"].splitlines()[0] in outcome.err


@pytest.mark.parametrize(
    "arguments", [["list", "--nonsense"], ["show"], ["nonsense"], ["validate", "x", "--limit", "y"]]
)
def test_what_cannot_be_understood_is_a_document_where_json_was_asked_for(workplace, arguments):
    outcome = workplace(*arguments, "--json")
    assert outcome.code == 2
    assert json.loads(outcome.out)["error"]["type"] == "UsageError"
    assert workplace(*arguments).out == ""


def test_fetch_tells_each_file_and_why_one_failed(workplace, own):
    (fetched,) = json.loads(workplace("fetch", "tiny", "--manifests", "own", "--json").out)["files"]
    assert (fetched["model"], fetched["name"], fetched["error"]) == ("tiny", "tiny.caffemodel", None)
    assert (fetched["bytes"], fetched["trust"], fetched["failed"]) == (106, "recorded", [])
    assert fetched["source"] == (own / "source.caffemodel").as_uri()
    again = json.loads(workplace("fetch", "tiny", "--manifests", "own", "--json").out)["files"]
    assert again == [{**fetched, "source": None}]
    outcome = workplace("fetch", "squeezenet-dsd", "--offline", "--json")
    assert outcome.code == 1
    document = json.loads(outcome.out)
    assert "error" not in document  # it ran, and says of each file what became of it
    assert all("offline" in file["error"] for file in document["files"])


def test_add_and_the_mirror_tell_where_files_are(workplace, tmp_path):
    added = json.loads(workplace("add", "tiny", "own/source.caffemodel", "--manifests", "own", "--json").out)
    assert added["missing"] == {"tiny": []}
    (file,) = added["files"]
    assert (file["name"], file["role"], file["trust"]) == ("tiny.caffemodel", "weights", "recorded")
    exported = json.loads(workplace("export-cache", "export", "tiny", "--manifests", "own", "--json").out)
    entry = {"model": "tiny", "name": "tiny.caffemodel", "outcome": "106 bytes", "error": None}
    assert exported == {"folder": "export", "cache": str(tmp_path / "cache"), "files": [entry]}
    (tmp_path / "export" / "tiny" / "tiny.caffemodel").write_bytes(b"other")
    shutil.rmtree(tmp_path / "cache")
    outcome = workplace("import-cache", "export", "--manifests", "own", "--json")
    (entry,) = json.loads(outcome.out)["files"]
    assert outcome.code == 1
    assert entry["outcome"] is None
    assert entry["error"] in outcome.err


def test_verify_tells_each_check_and_what_a_file_is(workplace, tmp_path):
    (tmp_path / "unknown").write_bytes(b"x")
    outcome = workplace("verify", "digits-torch7-dsd", NET[1], "unknown", "--json")
    assert outcome.code == 1
    document = json.loads(outcome.out)
    (model,) = document["models"]
    assert (document["holds"], model["model"], model["holds"]) == (False, "digits-torch7-dsd", True)
    assert {check["kind"] for check in model["checks"]} == {"integrity", "structure", "parity"}
    known, unknown = document["files"]
    assert (known["holds"], unknown["holds"], unknown["bytes"]) == (True, False, 1)
    assert {"model": "digits-caffe-dsd", "name": "dsd.caffemodel", "role": "weights"} in known["known_as"]


def test_a_late_error_stands_beside_what_was_measured(workplace, monkeypatch):
    before = ["validate", "digits-caffe-dsd", "--limit", "20"]
    assert workplace(*before, "-o", "before").code == 0

    def misfit(*arguments: object, **options: object) -> None:
        raise DataError("the runs do not fit")

    monkeypatch.setattr("zoo.claims.findings.collect_pass", misfit)
    outcome = workplace(*before, "-o", "after", "--baseline", "before/result.json", "--json")
    document = json.loads(outcome.out)
    assert outcome.code == 2
    assert document["result"]["n"] == 20
    assert document["error"] == {"type": "DataError", "message": "the runs do not fit", "exit_code": 2}


def test_a_report_that_cannot_be_written_stands_there_too(workplace, tmp_path):
    (tmp_path / "taken").mkdir()
    outcome = workplace("validate", "digits-caffe-dsd", "--limit", "20", "--markdown", "taken", "--json")
    document = json.loads(outcome.out)
    assert outcome.code == 2
    assert document["result"]["n"] == 20
    assert "taken" in document["error"]["message"]


def test_ctrl_c_is_told(workplace, monkeypatch):
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(validating, "find_subjects", interrupt)
    outcome = workplace("validate", "digits-caffe-dsd", "--json")
    assert outcome.code == 130
    error = {"type": "KeyboardInterrupt", "message": "interrupted", "exit_code": 130}
    assert json.loads(outcome.out) == {"error": error}
