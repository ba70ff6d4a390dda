"""Converted nets: made once, never stale, and complete."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from corpus_cases import CORPUS
from stopped_processes import killed_before

import converters
from zoo.bundled import bundled_folder
from zoo.errors import UsageError
from zoo.runtimes import open_runtime
from zoo.store.converted import SourceNet


@pytest.fixture
def sources(tmp_path):
    """A copy of the embedded digits net, for tests to change."""
    return [
        shutil.copy(bundled_folder() / "digits" / "caffe" / name, tmp_path / name)
        for name in ("train_val.prototxt", "dsd.caffemodel")
    ]


def test_a_form_is_made_once(sources, tmp_path, monkeypatch):
    form = SourceNet(sources).converted("onnx", tmp_path / "cache")
    assert form.name == "net.onnx"
    monkeypatch.setattr(converters, "load", lambda *a, **k: pytest.fail("read a second time"))
    assert SourceNet(sources).converted("onnx", tmp_path / "cache") == form
    assert not list((tmp_path / "cache").rglob(".dsd-zoo-*"))


def test_other_content_is_another_form(sources, tmp_path):
    first = SourceNet(sources).converted("onnx", tmp_path / "cache")
    sources[0].write_text(sources[0].read_text().replace("digits_lenet", "another"))
    second = SourceNet(sources).converted("onnx", tmp_path / "cache")
    assert first != second
    assert first.read_bytes() != second.read_bytes()


def test_another_converter_is_another_form(sources, tmp_path, monkeypatch):
    first = SourceNet(sources).converted("onnx", tmp_path / "cache")
    package = tmp_path / "converters"
    shutil.copytree(Path(converters.__file__).parent, package)
    monkeypatch.setattr(converters, "__file__", str(package / "__init__.py"))
    assert SourceNet(sources).converted("onnx", tmp_path / "cache") == first
    (package / "graph.py").write_text("# changed")
    assert SourceNet(sources).converted("onnx", tmp_path / "cache") != first


def test_the_scores_can_be_any_blob(sources, tmp_path):
    whole = SourceNet(sources).converted("onnx", tmp_path / "cache")
    logits = SourceNet(sources, output="ip2").converted("onnx", tmp_path / "cache")
    assert whole != logits
    assert list(converters.load(logits).meta["report"].outputs) == ["ip2"]


def test_a_failed_conversion_leaves_nothing(sources, tmp_path):
    sources[1].write_bytes(sources[1].read_bytes()[:500])
    with pytest.raises(converters.ConverterError):
        SourceNet(sources).converted("onnx", tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [".onnx.lock"]
    assert not list((tmp_path / "cache").rglob(".dsd-zoo-*"))


@pytest.mark.parametrize("form", ["onnx", "pytorch"])
def test_a_killed_conversion_leaves_all_of_a_form_or_nothing_in_its_place(sources, tmp_path, form):
    """What it leaves elsewhere is gone with the next conversion, also of another net."""
    cache = tmp_path / "cache"
    whole = {
        path.name: path.read_bytes() for path in SourceNet(sources).converted(form, cache).parent.iterdir()
    }
    for k in itertools.count(1):
        shutil.rmtree(cache)
        if not killed_before(k, lambda: SourceNet(sources).converted(form, cache)):
            break
        for folder in (cache / "converted").glob(f"[!.]*/{form}"):
            assert {path.name: path.read_bytes() for path in folder.iterdir()} == whole
        SourceNet(sources, "ip2").converted(form, cache)
        assert not list((cache / "converted").glob(".dsd-zoo-*"))
    assert k > 5


def test_a_source_that_changes_while_it_is_converted(sources, tmp_path, monkeypatch):
    """After it was hashed and before it is read: the cache must not hold it under that hash."""
    load = converters.load

    def change_and_load(*arguments, **options):
        sources[0].write_text(sources[0].read_text().replace("digits_lenet", "another"))
        return load(*arguments, **options)

    monkeypatch.setattr(converters, "load", change_and_load)
    with pytest.raises(converters.SourceChangedError, match=r"train_val\.prototxt: the file was changed"):
        SourceNet(sources).converted("onnx", tmp_path / "cache")
    assert not list((tmp_path / "cache" / "converted").glob("[!.]*/onnx"))


def test_of_two_at_once_one_converts(sources, tmp_path, monkeypatch):
    load, calls = converters.load, []
    other = threading.Thread(
        target=lambda: calls.append(SourceNet(sources).converted("onnx", tmp_path / "cache"))
    )

    def slowly(*arguments, **options):
        calls.append("read")
        other.start()
        return load(*arguments, **options)

    monkeypatch.setattr(converters, "load", slowly)
    form = SourceNet(sources).converted("onnx", tmp_path / "cache")
    other.join()
    assert calls == ["read", form]


def test_a_cache_that_cannot_be_written_says_what_to_do(sources, tmp_path, monkeypatch):
    def denied(*_arguments, **_options):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", denied)
    with pytest.raises(UsageError, match=r"Read-only file system\n  set DSD_ZOO_CACHE"):
        SourceNet(sources).converted("onnx", tmp_path / "cache")


def test_a_full_disk_says_what_to_do(sources, tmp_path):
    """A limit on file sizes fails in the middle of a write, as a full disk does."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    try:
        with pytest.raises(UsageError, match=r"the disk is full: File too large\n  .* set DSD_ZOO_CACHE"):
            SourceNet(sources).converted("onnx", tmp_path / "cache")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not list((tmp_path / "cache").rglob(".dsd-zoo-*"))


@pytest.mark.parametrize("target", ["onnx", "pytorch"])
def test_a_torch7_net_that_does_not_tell_its_size_takes_any_batch(tmp_path, target):
    """A View in this net needs the number of pixels; the batch stays symbolic."""
    case = CORPUS / "torch7-models" / "nin-like"
    with np.load(case / "io.npz") as recorded:
        images, wanted = recorded["in:0"], recorded["out:0"]
    net = open_runtime(
        target, SourceNet([case / "net.t7"], image_shape=images.shape[1:]).converted(target, tmp_path)
    )
    assert net.batch is None
    scores = net.run(np.repeat(images[:1], 3, axis=0))
    np.testing.assert_allclose(scores, np.repeat(wanted[:1], 3, axis=0), atol=1e-5 * np.abs(wanted).max())


def test_what_has_the_form_already_is_taken_as_it_is(tmp_path):
    for name, target in (("mine.onnx", "onnx"), ("mine.py", "pytorch")):
        assert SourceNet([tmp_path / name]).converted(target, tmp_path / "cache") == tmp_path / name
    with pytest.raises(UsageError, match=r"mine\.py: a net\.py runs in PyTorch only"):
        SourceNet([tmp_path / "mine.py"]).converted("onnx", tmp_path / "cache")
    with pytest.raises(UsageError, match=r"absent\.t7: no such file"):
        SourceNet([tmp_path / "absent.t7"]).converted("onnx", tmp_path / "cache")
