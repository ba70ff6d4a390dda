"""Subjects: the files of a model are those that were verified, or there is an error."""

from __future__ import annotations

import pytest

from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.download import add_file
from zoo.errors import IntegrityError
from zoo.store.cache import Cache
from zoo.store.subject import find_subject

CAFFE = bundled_folder() / "digits" / "caffe"


def test_a_file_that_was_changed_in_the_cache_is_refused(tmp_path, monkeypatch):
    """Also where no sha256 was known beforehand."""
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    text = (bundled_folder() / "digits-caffe-dsd.toml").read_text(encoding="utf-8")
    head = text[: text.index("[recorded]")].replace('name = "digits-caffe-dsd"', 'name = "own"')
    files = "".join(
        f'[[files]]\nname = "{name}"\nrole = "{role}"\n'
        for name, role in (("train_val.prototxt", "definition"), ("dsd.caffemodel", "weights"))
    )
    (tmp_path / "own.toml").write_text(head + files, encoding="utf-8")
    catalog = Catalog.load([tmp_path])
    manifest = catalog.get("own")
    for name in ("train_val.prototxt", "dsd.caffemodel"):
        _, path = add_file(manifest, CAFFE / name, Cache(), name=name)
    assert set(find_subject("own", catalog, Cache()).hashes) == {"train_val.prototxt", "dsd.caffemodel"}
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(
        IntegrityError, match=r"(?s)dsd\.caffemodel of own is not the file that was verified.*verify own"
    ):
        find_subject("own", catalog, Cache()).hashes  # noqa: B018 - read for its error
