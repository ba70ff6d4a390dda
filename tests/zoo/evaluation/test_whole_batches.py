"""A packed file is evaluated batch by batch: the evidence is that of its images one by one."""

from __future__ import annotations

import dataclasses
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest
from colour_net import PLAIN, WEIGHTS, save_net
from image_sources import write_packed

from zoo.datasets import Sample, Samples, open_dataset
from zoo.datasets.sources import packed
from zoo.errors import DataError
from zoo.evaluation.evaluate import evaluate_and_write, evaluate_nets
from zoo.evaluation.job import Evaluation, Job
from zoo.evaluation.variants import Variant
from zoo.evidence import rows
from zoo.preprocessing.settings import Preprocessing

IMAGES, BROKEN = 45, 19
SHORT = Preprocessing(flavour="caffe-short8", crop=8, mean=[1, 2, 3])
BICUBIC = Preprocessing(flavour="torch7-bicubic8", crop=8, mean=[0.4, 0.5, 0.6], std=[0.2, 0.3, 0.4])


def images() -> list[tuple[str, int, bytes]]:
    generator = np.random.default_rng(0)
    made = []
    for at in range(IMAGES):
        pixels = generator.integers(0, 256, (9 + at % 4, 11, 3), np.uint8)
        made.append((f"{at:02d}.png", at % 6, cv2.imencode(".png", pixels)[1].tobytes()))
    return made


def one_by_one(data):
    """The same images, from a source that cannot read several at once."""
    return dataclasses.replace(data, samples=Samples.of([*data.samples]))


@pytest.fixture
def evaluations(tmp_path):
    """Evaluations of two nets over images; one of them takes batches of four only, if asked."""

    def made(data, preprocessing, out, size=8, **options):
        nets = [
            save_net(tmp_path / "one.onnx", **options),
            save_net(tmp_path / "two.onnx", weights=WEIGHTS[::-1].copy(), **options),
        ]
        jobs = [Job(net, data, net.stem, batch_size=size, skip_unreadable=True) for net in nets]
        other = preprocessing.model_copy(update={"mean": [7.0, 5.0, 3.0]})
        variants = [[Variant(preprocessing), Variant(other)], [Variant(preprocessing)]]
        return [
            Evaluation(job, of_net, [tmp_path / out / job.model / str(at) for at in range(len(of_net))])
            for job, of_net in zip(jobs, variants, strict=True)
        ]

    return made


def evidence(evaluations) -> list[tuple[bytes, list[str]]]:
    """What the runs left: the bytes of each evidence.csv and the unreadable images."""
    runs = evaluate_and_write(evaluations)
    folders = [folder for evaluation in evaluations for folder in evaluation.folders]
    left = [run.result.unreadable for of_net in runs for run in of_net]
    return [
        ((folder / "evidence.csv").read_bytes(), names) for folder, names in zip(folders, left, strict=True)
    ]


@pytest.mark.parametrize("preprocessing", [PLAIN, SHORT, BICUBIC])
@pytest.mark.parametrize("damaged", [False, True])
@pytest.mark.parametrize("read_at_once", [1, 1000, packed.READ_AT_ONCE])
def test_the_evidence_is_that_of_images_one_by_one(
    tmp_path, evaluations, preprocessing, damaged, read_at_once, monkeypatch
):
    monkeypatch.setattr(packed, "READ_AT_ONCE", read_at_once)
    path = write_packed(tmp_path / "x.pack", images(), preprocessing.flavour)
    if damaged:
        with open_dataset(path) as data:
            place = data.samples[BROKEN].read().pixels.tobytes()
        content = path.read_bytes()
        assert content.count(place) == 1
        path.write_bytes(content.replace(place, bytes(len(place))))
    with open_dataset(path) as data:
        together = evidence(evaluations(data, preprocessing, "together"))
        alone = evidence(evaluations(one_by_one(data), preprocessing, "alone"))
    assert together == alone
    assert [names for _, names in together] == [[f"{BROKEN}.png"] if damaged else []] * 3
    assert all(text.count(b"\n") == 1 + IMAGES - damaged for text, _ in together)


def test_nets_of_one_batch_size_get_full_batches(tmp_path, evaluations):
    with open_dataset(write_packed(tmp_path / "x.pack", images(), PLAIN.flavour)) as data:
        together = evidence(evaluations(data, PLAIN, "together", size=4, batch=4))
        alone = evidence(evaluations(one_by_one(data), PLAIN, "alone", size=4, batch=4))
    assert together == alone


def test_a_damaged_image_is_named_as_one_by_one(tmp_path, evaluations):
    path = write_packed(tmp_path / "x.pack", images(), PLAIN.flavour)
    content = bytearray(path.read_bytes())
    content[100] ^= 255
    path.write_bytes(content)
    with open_dataset(path) as data:
        first = evaluations(data, PLAIN, "x")[0]
        strict = Evaluation(dataclasses.replace(first.job, skip_unreadable=False), first.variants)
        with pytest.raises(DataError, match=r"x\.pack: 00\.png: the packed pixels are damaged"):
            evaluate_nets([strict])


def test_the_work_is_that_of_batches_not_of_images(tmp_path, monkeypatch):
    """Counted: tasks for threads, and objects of Python for single images."""
    net = save_net(tmp_path / "net.onnx")
    submitted, samples, made = [], [], []
    real, get = ThreadPoolExecutor.submit, Samples.__getitem__
    monkeypatch.setattr(ThreadPoolExecutor, "submit", lambda *a, **k: (submitted.append(1), real(*a, **k))[1])
    monkeypatch.setattr(rows, "Row", lambda *values: made.append(values))

    def counted(self, at):
        found = get(self, at)
        samples.extend([1] if isinstance(found, Sample) else [])
        return found

    monkeypatch.setattr(Samples, "__getitem__", counted)
    with open_dataset(write_packed(tmp_path / "x.pack", images(), PLAIN.flavour)) as data:
        submitted.clear()
        samples.clear()
        evaluation = Evaluation(Job(net, data, "m", batch_size=15), [Variant(PLAIN)], [tmp_path / "out"])
        ((run,),) = evaluate_and_write([evaluation])
    assert run.result.n == IMAGES
    # Three batches: read, staged, and ranked by a task each, and a task that finds no more.
    assert len(submitted) <= 10
    assert not samples
    assert not made
