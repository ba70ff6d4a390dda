"""Hashes, compared with those that `git hash-object`, `sha256sum`, ... printed for an embedded file."""

from __future__ import annotations

import pytest

from zoo.bundled import bundled_folder
from zoo.catalog.file import File
from zoo.store.digests import Digests, Hasher, digest_file, mismatches

DEPLOY = bundled_folder() / "digits" / "caffe" / "deploy.prototxt"
EXPECTED = Digests(
    bytes=1582,
    sha256="2d139381c9e54732c8316217b4f8e0db5e750cae8ff359d9da351b38428100e5",
    sha384="c5da6febedba2e347a5afd5f17cae5a4b5da97e2b3c30c01cbde22b2446e83d6c404ab6e9066a128710df74fb0b209ec",
    sha1="5f7fe6e014c977dfdd24441c4fae3af6b006983a",
    git_blob="25ff13eeacb3a05f0849eb949ea7a0a015902dd2",
)


def test_a_file_has_the_digests_that_the_standard_tools_print():
    assert digest_file(DEPLOY) == EXPECTED


@pytest.mark.parametrize("expected_bytes", [1582, None, 1581, 0], ids=["right", "unknown", "wrong", "zero"])
def test_a_stream_has_the_same_digests_whatever_size_was_expected(expected_bytes):
    hasher = Hasher(expected_bytes)
    content = DEPLOY.read_bytes()
    for start in range(0, len(content), 100):
        hasher.update(content[start : start + 100])
    assert hasher.finish(DEPLOY) == EXPECTED


def test_an_empty_file_has_the_known_git_blob_id(tmp_path):
    empty = tmp_path / "empty"
    empty.touch()
    assert digest_file(empty).git_blob == "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"


def test_each_mismatch_is_named():
    file = File(name="x", role="weights", bytes=1583, sha1="0" * 40, git_blob=EXPECTED.git_blob)
    assert mismatches(file, EXPECTED) == [
        "bytes: expected 1583, came 1582",
        f"sha1: expected {'0' * 40}, came {EXPECTED.sha1}",
    ]
    assert mismatches(File(name="x", role="weights"), EXPECTED) == []
