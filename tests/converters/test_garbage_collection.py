"""How often Python searches for garbage: rarely inside, and as before afterwards."""

from __future__ import annotations

import gc

import pytest
from corpus_cases import CORPUS

import converters
from converters.garbage_collection import rare_collections


@pytest.fixture(autouse=True)
def threshold():
    before = gc.get_threshold()
    gc.set_threshold(500, 5, 5)
    yield
    gc.set_threshold(*before)


def test_it_is_as_before_afterwards_also_where_one_is_inside_another():
    with rare_collections():
        with rare_collections():
            assert gc.get_threshold() == (100_000, 5, 5)
        assert gc.get_threshold() == (100_000, 5, 5)
    assert gc.get_threshold() == (500, 5, 5)


def test_it_is_as_before_after_an_error():
    with pytest.raises(converters.UsageError):
        converters.load()
    with pytest.raises(ZeroDivisionError), rare_collections():
        _ = 1 / 0
    assert gc.get_threshold() == (500, 5, 5)


@pytest.mark.parametrize("chosen", [(0, 5, 5), (200_000, 5, 5)], ids=["off", "rare"])
def test_what_was_chosen_is_kept(chosen):
    gc.set_threshold(*chosen)
    with rare_collections():
        assert gc.get_threshold() == chosen
    assert gc.get_threshold() == chosen


def test_a_long_conversion_searches_rarely(tmp_path):
    folder = CORPUS / "caffe" / "arch-densenet"
    found = []
    gc.callbacks.append(lambda phase, info: found.append(phase))
    try:
        converters.convert([folder / "net.prototxt", folder / "net.caffemodel"], tmp_path / "net.onnx")
    finally:
        gc.callbacks.pop()
    assert found.count("start") <= 5
