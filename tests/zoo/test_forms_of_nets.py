"""Converted forms: made once, never stale, whole or not there."""

from __future__ import annotations

import shutil

import pytest

import converters
from zoo import forms
from zoo.catalog import bundled_folder
from zoo.errors import UsageError
from zoo.forms import converted


@pytest.fixture
def sources(tmp_path):
    """A copy of the embedded digits net, to be changed at will."""
    return [
        shutil.copy(bundled_folder() / "digits" / "caffe" / name, tmp_path / name)
        for name in ("train_val.prototxt", "dsd.caffemodel")
    ]


def test_a_form_is_made_once(sources, tmp_path, monkeypatch):
    form = converted(sources, "onnx", tmp_path / "cache")
    assert form.name == "net.onnx"
    monkeypatch.setattr(converters, "convert", lambda *a, **k: pytest.fail("converted a second time"))
    assert converted(sources, "onnx", tmp_path / "cache") == form
    leftovers = [path for path in (tmp_path / "cache").rglob("*") if path.name.startswith(".")]
    assert leftovers == []


def test_other_content_is_another_form(sources, tmp_path):
    first = converted(sources, "onnx", tmp_path / "cache")
    sources[0].write_text(sources[0].read_text().replace("digits_lenet", "another"))
    second = converted(sources, "onnx", tmp_path / "cache")
    assert first != second
    assert first.read_bytes() != second.read_bytes()


def test_another_converter_is_another_form(sources, tmp_path, monkeypatch):
    first = converted(sources, "onnx", tmp_path / "cache")
    package = tmp_path / "converters"
    shutil.copytree(forms.Path(converters.__file__).parent, package)
    monkeypatch.setattr(converters, "__file__", str(package / "__init__.py"))
    assert converted(sources, "onnx", tmp_path / "cache") == first
    (package / "graph.py").write_text("# changed")
    assert converted(sources, "onnx", tmp_path / "cache") != first


def test_the_scores_can_be_any_blob(sources, tmp_path):
    whole = converted(sources, "onnx", tmp_path / "cache")
    logits = converted(sources, "onnx", tmp_path / "cache", scores="ip2")
    assert whole != logits
    assert list(converters.load(logits).meta["report"].outputs) == ["ip2"]


def test_a_failed_conversion_leaves_nothing(sources, tmp_path):
    sources[1].write_bytes(sources[1].read_bytes()[:500])
    with pytest.raises(converters.ConverterError):
        converted(sources, "onnx", tmp_path / "cache")
    assert [path for path in (tmp_path / "cache").rglob("*") if path.is_file() or path.name == "onnx"] == []


def test_the_faster_of_two_processes_wins(sources, tmp_path, monkeypatch):
    convert = converters.convert

    def slowly(*arguments, **options):
        monkeypatch.setattr(converters, "convert", convert)
        fast.append(converted(sources, "onnx", tmp_path / "cache"))
        return convert(*arguments, **options)

    fast = []
    monkeypatch.setattr(converters, "convert", slowly)
    assert converted(sources, "onnx", tmp_path / "cache") == fast[0]
    assert fast[0].is_file()


def test_what_has_the_form_already_is_taken_as_it_is(tmp_path):
    for name, target in (("mine.onnx", "onnx"), ("mine.py", "pytorch")):
        assert converted([tmp_path / name], target, tmp_path / "cache") == tmp_path / name
    with pytest.raises(UsageError, match=r"mine\.py: a net\.py runs in PyTorch only"):
        converted([tmp_path / "mine.py"], "onnx", tmp_path / "cache")
    with pytest.raises(UsageError, match=r"absent\.t7: no such file"):
        converted([tmp_path / "absent.t7"], "onnx", tmp_path / "cache")
