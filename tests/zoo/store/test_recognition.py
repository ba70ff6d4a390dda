"""Files are recognized by whichever hashes are on record, in one pass, and only if their size allows it."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from manifest_files import CLASSIFIER, catalog_of, hashes_of, write_manifest

from zoo.catalog.catalog import Catalog
from zoo.catalog.file import HASH_KINDS
from zoo.download import add_file
from zoo.errors import UsageError
from zoo.store import digests
from zoo.store.cache import Cache
from zoo.store.recognition import MAX_UNSIZED_BYTES, Recognizer

CONTENT = b"\x0a\x04tiny" + bytes(range(256)) * 8000
OTHER = CONTENT[:-1] + b"!"
HASHES = hashes_of(CONTENT)


def weights(**known: object) -> dict[str, object]:
    return {"name": "tiny.caffemodel", "role": "weights", **known}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file with the content, under a name of its own."""
    path = tmp_path / "download (1)"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def recognizer(tmp_path):
    """Makes a recognizer for models; each is a list of files."""

    def make(**models: list[dict[str, object]]) -> Recognizer:
        folder = tmp_path / "manifests"
        paths = [write_manifest(folder, name.replace("_", "-"), *files) for name, files in models.items()]
        return Recognizer(catalog_of(*paths), Cache(tmp_path / "cache"))

    return make


@pytest.fixture
def reads(monkeypatch) -> Counter[Path]:
    """How often each file is read to be hashed."""
    counts: Counter[Path] = Counter()
    read_chunks = digests.read_chunks

    def counted(path):
        counts[path] += 1
        return read_chunks(path)

    monkeypatch.setattr(digests, "read_chunks", counted)
    return counts


@pytest.mark.parametrize("size", [{}, {"bytes": len(CONTENT)}], ids=["no size", "size"])
@pytest.mark.parametrize("kind", HASH_KINDS)
def test_each_kind_of_hash_recognizes_in_one_pass(recognizer, file, reads, kind, size):
    known = recognizer(tiny=[weights(**{kind: HASHES[kind]}, **size)])
    found = known.recognize(file)
    assert [str(one) for one in found.known_as] == ["tiny.caffemodel of tiny"]
    assert (found.bytes, found.hashes) == (len(CONTENT), {kind: HASHES[kind]})
    assert reads == {file: 1}
    file.write_bytes(OTHER)
    found = known.recognize(file)
    assert not found.is_known
    assert found.namesakes == ()


def test_several_kinds_take_one_pass(recognizer, file, reads):
    models = {kind: [weights(**{kind: HASHES[kind]})] for kind in HASH_KINDS}
    found = recognizer(**models).recognize(file)
    assert {one.model.replace("-", "_") for one in found.known_as} == set(HASH_KINDS)
    assert found.hashes == HASHES
    assert reads == {file: 1}


def test_a_file_of_no_known_size_is_not_opened(recognizer, file, reads):
    known = recognizer(tiny=[weights(bytes=len(CONTENT) + 1, **HASHES)], bare=[weights()])
    found = known.recognize(file)
    assert (found.is_known, found.hashes, dict(reads)) == (False, {}, {})
    assert known.recognize(file, ["sha256"]).hashes == {"sha256": HASHES["sha256"]}


def test_only_the_kinds_that_files_of_this_size_need_are_computed(recognizer, file):
    known = recognizer(
        tiny=[weights(bytes=len(CONTENT), **HASHES)],
        longer=[weights(bytes=len(CONTENT) + 1, sha384="0" * 96)],
        unsized=[weights(sha1="0" * 40)],
    )
    assert set(known.recognize(file).hashes) == {"sha1"}
    assert set(known.recognize(file, ["sha256"]).hashes) == {"sha1", "sha256"}
    assert set(known.recognize(file, every_hash=True).hashes) == set(HASH_KINDS)
    assert [one.model for one in known.recognize(file).known_as] == ["tiny"]


def test_a_hash_that_differs_contradicts_one_that_agrees(recognizer, file):
    known = recognizer(tiny=[weights(sha1=HASHES["sha1"], sha256="0" * 64)])
    assert not known.recognize(file, every_hash=True).is_known


def test_a_huge_file_is_not_hashed_for_files_of_unknown_size(recognizer, file, reads):
    os.truncate(file, MAX_UNSIZED_BYTES + 1)
    assert not recognizer(tiny=[weights(sha1=HASHES["sha1"])]).recognize(file).is_known
    assert not reads


def test_a_file_is_not_hashed_for_a_net_that_is_too_small_for_it(recognizer, file, tmp_path, reads):
    files = [weights(sha1=HASHES["sha1"])]
    for parameters, kinds in ((1, set()), (10**6, {"sha1"})):
        path = write_manifest(tmp_path / "sized", "sized", *files, **CLASSIFIER, parameters=parameters)
        known = Recognizer(catalog_of(path), Cache(tmp_path / "cache"))
        os.truncate(file, 60_000_000)
        assert set(known.recognize(file).hashes) == kinds
    assert reads == {file: 1}


def test_first_use_counts_where_no_hash_was_known(recognizer, file):
    known = recognizer(tiny=[weights()])
    assert not known.recognize(file).is_known
    add_file(known.catalog.get("tiny"), file, known.cache, name="tiny.caffemodel")
    again = Recognizer(known.catalog, known.cache)
    assert [str(one) for one in again.recognize(file).known_as] == ["tiny.caffemodel of tiny"]
    file.write_bytes(OTHER)
    assert not again.recognize(file).is_known


def test_an_archive_is_recognized_with_all_it_holds(recognizer, file):
    archive = {"name": "tiny.tar.gz", "sha384": HASHES["sha384"], "bytes": len(CONTENT)}
    files = [weights(archive=archive), {"name": "tiny.prototxt", "role": "definition", "archive": archive}]
    found = recognizer(tiny=files).recognize(file)
    assert [one.name for one in found.archive_of] == ["tiny.caffemodel", "tiny.prototxt"]
    assert found.known_as == ()


@pytest.mark.parametrize("content", [OTHER, CONTENT[:100]], ids=["same size", "shorter"])
def test_a_known_name_with_other_content_is_told_with_every_known_version(recognizer, file, content):
    known = recognizer(
        old=[weights(bytes=5, sha1="0" * 40)],
        new=[weights(bytes=len(CONTENT), sha256=HASHES["sha256"])],
        other=[{**weights(bytes=7), "name": "other.caffemodel"}],
        nothing_known=[weights()],
    )
    path = file.rename(file.with_name("tiny.caffemodel"))
    assert known.recognize(path).namesakes == ()
    path.write_bytes(content)
    found = known.recognize(path)
    assert [(one.file.model, one.bytes) for one in found.namesakes] == [("new", len(CONTENT)), ("old", 5)]


def test_a_definition_whose_name_many_nets_share_is_no_namesake(recognizer, file):
    definition = {"name": "deploy.prototxt", "role": "definition", "bytes": 5}
    path = file.rename(file.with_name("deploy.prototxt"))
    assert recognizer(one=[weights(), definition]).recognize(path).namesakes
    assert not recognizer(one=[weights(), definition], two=[weights(), definition]).recognize(path).namesakes


def test_a_broken_manifest_spoils_only_itself(recognizer, file, tmp_path):
    known = recognizer(tiny=[weights(sha1=HASHES["sha1"])])
    broken = tmp_path / "broken.toml"
    broken.write_text("name =")
    known = Recognizer(Catalog({"broken": broken, "tiny": tmp_path / "manifests" / "tiny.toml"}), known.cache)
    assert known.recognize(file).is_known
    (problem,) = known.unreadable
    assert problem.startswith(f"{broken}: not a TOML file")


def test_what_is_no_file_is_refused(recognizer, tmp_path):
    with pytest.raises(UsageError, match="no such file"):
        recognizer(tiny=[weights()]).recognize(tmp_path / "nowhere")
    with pytest.raises(UsageError, match="is a folder"):
        recognizer(tiny=[weights()]).recognize(tmp_path)


def test_a_file_that_grows_while_it_is_read_is_refused(recognizer, file, monkeypatch):
    monkeypatch.setattr(digests, "read_chunks", lambda path: iter([path.read_bytes(), b"more"]))
    with pytest.raises(UsageError, match="it is being written"):
        recognizer(tiny=[weights(sha1=HASHES["sha1"])]).recognize(file)
