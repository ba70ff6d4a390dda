"""Which arguments belong to which net."""

from __future__ import annotations

import shutil

import pytest

import converters
from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.errors import UsageError
from zoo.store.cache import Cache
from zoo.store.nets import find_subjects, split_into_nets

DIGITS = bundled_folder() / "digits"


@pytest.fixture(scope="module")
def catalog():
    return Catalog.load()


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Definitions p, q; weights v, w; a .t7, an .onnx and a .py; all under names without meaning."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DSD_ZOO_CACHE", str(tmp_path / "cache"))
    for source, name in (("deploy.prototxt", "p"), ("train_val.prototxt", "q.prototxt")):
        shutil.copyfile(DIGITS / "caffe" / source, name)
    for source, name in (("baseline.caffemodel", "v.caffemodel"), ("dsd.caffemodel", "w")):
        shutil.copyfile(DIGITS / "caffe" / source, name)
    shutil.copyfile(DIGITS / "torch7" / "dsd.t7", "t.t7")
    converters.convert(["p", "w"], "o.onnx")
    (tmp_path / "n.py").write_text("raise RuntimeError('never run')\n")


@pytest.mark.parametrize(
    ("arguments", "nets"),
    [
        # As ever: one net in any order.
        ("p v.caffemodel", ["p v.caffemodel"]),
        ("v.caffemodel p", ["v.caffemodel p"]),
        ("v.caffemodel", ["v.caffemodel"]),
        ("t.t7", ["t.t7"]),
        ("digits-caffe-dsd", ["digits-caffe-dsd"]),
        # A definition for all weights after it.
        ("p v.caffemodel q.prototxt w", ["p v.caffemodel", "q.prototxt w"]),
        ("p v.caffemodel w", ["p v.caffemodel", "p w"]),
        ("v.caffemodel w", ["v.caffemodel", "w"]),
        ("v.caffemodel p w", ["v.caffemodel", "p w"]),
        # Whole nets, and all together.
        ("t.t7 o.onnx n.py", ["t.t7", "o.onnx", "n.py"]),
        ("digits-caffe-dsd digits-caffe-baseline", ["digits-caffe-dsd", "digits-caffe-baseline"]),
        ("o.onnx digits-caffe-dsd p w t.t7 v.caffemodel",
         ["o.onnx", "digits-caffe-dsd", "p w", "t.t7", "p v.caffemodel"]),
    ],
)  # fmt: skip
def test_arguments_are_split_by_what_the_files_are(files, catalog, arguments, nets):
    assert [" ".join(map(str, net)) for net in split_into_nets(arguments.split(), catalog)] == nets


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("v.caffemodel p w q.prototxt", "q.prototxt: no weights follow this definition"),
        ("p q.prototxt v.caffemodel w", "p: no weights follow this definition"),
        ("p t.t7", "p: no weights follow this definition"),
        ("t.t7 absent.onnx", "absent.onnx: no such file"),
        ("t.t7 digits-caffe-dst", "did you mean digits-caffe-ds"),
        ("t.t7 .", ". is a folder"),
        ("digits-caffe-dsd digits-caffe-dsd", "two nets are called digits-caffe-dsd"),
        ("p v.caffemodel sub/v.onnx", "two nets are called v: v.caffemodel and sub/v.onnx"),
    ],
)
def test_what_is_no_net_is_named(files, catalog, tmp_path, arguments, message):
    (tmp_path / "sub").mkdir()
    shutil.copyfile("o.onnx", "sub/v.onnx")
    with pytest.raises(UsageError) as error:
        find_subjects(arguments.split(), catalog, Cache())
    assert message in str(error.value)


def test_a_model_a_net_of_files_and_a_shared_definition(files, catalog):
    subjects = find_subjects(["p", "v.caffemodel", "w", "digits-caffe-dsd"], catalog, Cache())
    assert [subject.name for subject in subjects] == ["v", "w", "digits-caffe-dsd"]
    assert [list(subject.files) for subject in subjects[:2]] == [["p", "v.caffemodel"], ["p", "w"]]
    assert [subject.manifest is None for subject in subjects] == [True, True, False]
