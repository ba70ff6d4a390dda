"""The index is read again only if the file is another one by now, and always then."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from zoo.errors import UsageError
from zoo.store.digests import Digests
from zoo.store.index import Index, IndexEntry

DIGESTS = Digests(bytes=3, sha256="0a" * 32, sha384="0b" * 48, sha1="0c" * 20, git_blob="0d" * 20)
ENTRY = IndexEntry(DIGESTS, "https://example.org/net", "2026-01-01T00:00:00+00:00")


@pytest.fixture
def reads(monkeypatch) -> list[Path]:
    """Every file that was read as text."""
    found: list[Path] = []
    read_text = Path.read_text
    monkeypatch.setattr(
        Path,
        "read_text",
        lambda path, *given, **named: found.append(path) or read_text(path, *given, **named),
    )
    return found


def test_hundreds_of_questions_read_the_file_once(tmp_path, reads):
    Index(tmp_path / "index.json", None, "").put("model", "net", ENTRY)
    index = Index(tmp_path / "index.json", None, "")
    reads.clear()
    assert [index.get("model", "net") for _ in range(200)] == [ENTRY] * 200
    assert index.get("model", "other") is None
    assert reads == [tmp_path / "index.json"]


def test_what_another_process_wrote_is_seen(tmp_path, reads):
    mine, theirs = (Index(tmp_path / "index.json", None, "") for _ in range(2))
    assert mine.get("model", "net") is None
    theirs.put("model", "net", ENTRY)
    assert mine.get("model", "net") == ENTRY
    changed = IndexEntry(DIGESTS, "https://example.org/new", ENTRY.added)
    theirs.put("model", "net", changed)
    assert mine.get("model", "net") == changed
    (tmp_path / "index.json").unlink()
    assert mine.get("model", "net") is None


def test_the_archive_of_a_file_is_kept_and_checked(tmp_path):
    path = tmp_path / "index.json"
    Index(path, None, "").put("model", "net", replace(ENTRY, archive=DIGESTS))
    assert Index(path, None, "").get("model", "net") == replace(ENTRY, archive=DIGESTS)
    data = json.loads(path.read_text())
    data["models"]["model"]["net"]["archive"]["sha1"] = "../.."
    path.write_text(json.dumps(data))
    with pytest.raises(UsageError, match="damaged"):
        Index(path, None, "delete it").get("model", "net")


def test_what_a_caller_changes_does_not_change_the_index(tmp_path):
    index = Index(tmp_path / "index.json", None, "")
    index.put("model", "net", ENTRY)
    index._models()["model"].clear()
    assert index.get("model", "net") == ENTRY


def test_a_file_that_was_damaged_meanwhile_is_an_error_every_time(tmp_path):
    index = Index(tmp_path / "index.json", None, "delete it")
    index.put("model", "net", ENTRY)
    assert index.get("model", "net") == ENTRY
    (tmp_path / "index.json").write_text("{")
    for _ in range(2):
        with pytest.raises(UsageError, match="the file is damaged"):
            index.get("model", "net")
