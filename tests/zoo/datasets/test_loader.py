"""Images decoded ahead by threads: in order, in bounded memory, and with what went wrong in its place."""

from __future__ import annotations

import os
import threading

import numpy as np
import pytest

from zoo.datasets import Sample
from zoo.datasets.loader import load_samples, map_in_order
from zoo.environment import processors


def make_samples(count: int, read) -> list[Sample]:
    return [Sample(str(i), 0, lambda i=i: read(i)) for i in range(count)]


def test_images_come_in_order_even_if_a_later_one_is_ready_first():
    second_is_read = threading.Event()

    def read(i: int) -> bytes:
        if i == 0:
            assert second_is_read.wait(10)
        if i == 1:
            second_is_read.set()
        return bytes([i])

    pixels = load_samples(
        make_samples(20, read), lambda image: np.array([image.data[0]], np.float32), ahead=4, workers=2
    )
    assert [int(image.pixels[0]) for image in pixels] == list(range(20))


def test_no_more_images_than_allowed_are_ahead():
    lock, read_so_far = threading.Lock(), [0]

    def read(i: int) -> bytes:
        with lock:
            read_so_far[0] += 1
        return b""

    images = load_samples(make_samples(100, read), lambda data: np.zeros(1, np.float32), ahead=7, workers=3)
    for taken, _ in enumerate(images, 1):
        # Those taken, the one being handed over, and seven ahead.
        assert read_so_far[0] <= taken + 7


def test_stopping_early_reads_no_further():
    read_so_far = []
    images = load_samples(
        make_samples(1000, lambda i: read_so_far.append(i) or b""),
        lambda data: np.zeros(1, np.float32),
        ahead=4,
    )
    next(images)
    images.close()
    assert len(read_so_far) <= 5


def test_processors_are_counted_where_no_system_call_tells_which_may_be_used(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert processors() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert processors() == 1


def test_a_fault_in_the_preprocessing_is_not_taken_for_a_bad_image():
    def prepare(data: bytes) -> np.ndarray:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        list(load_samples(make_samples(3, lambda i: b""), prepare, ahead=2))


def test_an_error_comes_after_what_was_before_it():
    quarters = map_in_order(lambda number: 4 // number, (1, 2, 0, 4), threads=2, ahead=9, name="divide")
    assert [next(quarters), next(quarters)] == [4, 2]
    with pytest.raises(ZeroDivisionError):
        next(quarters)
