"""Training images: the same batches from memory and from files, the windows of Caffe's data layer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from small_training import PREPROCESSING, small_data, write_images

from zoo.datasets import open_dataset
from zoo.errors import DataError, UsageError
from zoo.evaluation.settings import Settings
from zoo.preprocessing import preprocessor
from zoo.preprocessing.settings import Preprocessing
from zoo.training.images import EpochOrder, TrainingImages
from zoo.training.recipe import Augmentation

RANDOM = Augmentation(crop="random", mirror=True)


def batches(images: TrainingImages, seed: int = 1, epoch: int = 0, size: int = 7, **options):
    return [(b.images.numpy(), b.labels.numpy()) for b in images.batches(seed, epoch, size, **options)]


@pytest.mark.parametrize("augmentation", [RANDOM, Augmentation()])
def test_memory_and_files_give_the_same_batches(tmp_path, augmentation):
    data, _ = small_data(tmp_path)
    kept = TrainingImages(data, Settings(PREPROCESSING), augmentation)
    read = TrainingImages(data, Settings(PREPROCESSING), augmentation, most_bytes=0)
    assert kept.in_memory
    assert not read.in_memory
    for (first, labels), (second, others) in zip(batches(kept), batches(read), strict=True):
        assert np.array_equal(first, second)
        assert np.array_equal(labels, others)


def test_every_image_comes_once_in_an_order_of_the_seed_and_the_epoch(tmp_path):
    data, _ = small_data(tmp_path)
    images = TrainingImages(data, Settings(PREPROCESSING), Augmentation())
    whole = np.concatenate([b for b, _ in batches(images, size=24)])
    for size in (1, 5, 24, 100):
        assert np.array_equal(np.concatenate([b for b, _ in batches(images, size=size)]), whole)
    assert len(np.unique(whole.reshape(24, -1), axis=0)) == 24
    assert not np.array_equal(np.concatenate([b for b, _ in batches(images, epoch=1)]), whole)
    assert not np.array_equal(np.concatenate([b for b, _ in batches(images, seed=2)]), whole)
    assert np.array_equal(batches(images, skip=2)[0][0], batches(images)[2][0])


def test_windows_and_mirrorings_are_those_that_chance_chose(tmp_path):
    """Cut and normalised here from the pixels that OpenCV resizes."""
    data, _ = small_data(tmp_path)
    got = np.concatenate([b for b, _ in batches(TrainingImages(data, Settings(PREPROCESSING), RANDOM))])
    order = EpochOrder.of(24, 1, 0)
    places = set()
    for k, image in enumerate(order.images):
        pixels = cv2.imread(str(tmp_path / "images" / f"{image:03}.png"))
        resized = cv2.resize(pixels, (10, 10), interpolation=cv2.INTER_LINEAR)
        top, left = (int(share * 3) for share in order.windows[k])
        places.add((top, left))
        window = resized[top : top + 8, left : left + 8].astype(np.float32).transpose(2, 0, 1)
        window = (window - np.float32(127)) * np.float32(0.0078125)
        assert np.array_equal(got[k], window[..., ::-1] if order.mirrored[k] else window)
    assert len(places) > 5
    assert 0 < order.mirrored.sum() < 24


def test_images_to_measure_with_are_those_of_an_evaluation(tmp_path):
    data, _ = small_data(tmp_path)
    images = TrainingImages(data, Settings(PREPROCESSING), Augmentation())
    prepare = preprocessor(PREPROCESSING)
    wanted = np.stack([prepare(sample.read()) for sample in data])
    assert np.array_equal(np.concatenate([b.images for b in images.in_order(10)]), wanted)


def test_the_processes_share_every_batch(tmp_path):
    data, _ = small_data(tmp_path)
    images = TrainingImages(data, Settings(PREPROCESSING), RANDOM)
    alone = [b for b, _ in batches(images)]
    shares = [list(images.batches(1, 0, 7, rank=rank, ranks=3)) for rank in range(3)]
    for k, whole in enumerate(alone):
        assert np.array_equal(np.concatenate([share[k].images for share in shares]), whole)
        assert [share[k].first for share in shares] == [rank * len(whole) // 3 for rank in range(3)]
        assert {share[k].size for share in shares} == {len(whole)}


def test_a_mean_image_is_cut_at_the_window(tmp_path):
    data, _ = small_data(tmp_path)
    mean = np.random.default_rng(0).random((3, 10, 10)).astype(np.float32) * 100
    np.save(tmp_path / "mean.npy", mean)
    settings = Settings(
        Preprocessing(flavour="caffe-warp10", crop=8, mean_image=True), mean_image=tmp_path / "mean.npy"
    )
    kept = TrainingImages(data, settings, RANDOM)
    read = TrainingImages(data, settings, RANDOM, most_bytes=0)
    (first, _), *_ = batches(kept)
    assert np.array_equal(first, batches(read)[0][0])
    order = EpochOrder.of(24, 1, 0)
    resized = cv2.resize(cv2.imread(str(tmp_path / "images" / f"{order.images[0]:03}.png")), (10, 10))
    top, left = (int(share * 3) for share in order.windows[0])
    window = (resized.transpose(2, 0, 1).astype(np.float32) - mean)[:, top : top + 8, left : left + 8]
    assert np.array_equal(first[0], window[..., ::-1] if order.mirrored[0] else window)


def test_images_of_different_sizes_have_windows_in_their_own_size(tmp_path):
    data, _ = small_data(tmp_path)
    path = tmp_path / "images" / "003.png"
    path.write_bytes(cv2.imencode(".png", np.full((30, 12, 3), 9, np.uint8))[1].tobytes())
    settings = Settings(Preprocessing(flavour="torch7-bicubic10", crop=8, mean=[0.5], std=[0.25]))
    images = TrainingImages(data, settings, RANDOM)
    assert not images.in_memory
    assert sum(len(b) for b, _ in batches(images)) == 24


def test_an_image_that_cannot_be_read_is_named(tmp_path):
    data, _ = small_data(tmp_path)
    (tmp_path / "images" / "011.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match=r"images: 011\.png: cannot decode"):
        TrainingImages(data, Settings(PREPROCESSING), RANDOM)
    images = TrainingImages(data, Settings(PREPROCESSING), RANDOM, most_bytes=0)
    with pytest.raises(DataError, match=r"images: 011\.png: cannot decode"):
        images.check_all()
    with pytest.raises(DataError, match=r"images: 011\.png: cannot decode"):
        batches(images)


def test_images_that_another_flavour_packed_are_refused(tmp_path):
    from zoo.datasets.packing import pack
    from zoo.preprocessing import resolve

    write_images(tmp_path / "images", 6)
    with open_dataset(tmp_path / "images") as data:
        pack(data, resolve("caffe-warp10"), tmp_path / "images.packed")
    with open_dataset(tmp_path / "images.packed") as packed:
        assert len(TrainingImages(packed, Settings(PREPROCESSING), RANDOM)) == 6
        other = Settings(PREPROCESSING.model_copy(update={"flavour": "caffe-warp12"}))
        with pytest.raises(UsageError, match="packed by caffe-warp10"):
            TrainingImages(packed, other, RANDOM)


def test_an_image_smaller_than_the_window_is_named_before_the_first_step(tmp_path):
    """Where images are not resized, nothing else makes them large enough."""
    data, _ = small_data(tmp_path)
    path = tmp_path / "images" / "003.png"
    path.write_bytes(cv2.imencode(".png", np.zeros((7, 12, 3), np.uint8))[1].tobytes())
    settings = Settings(Preprocessing(flavour="caffe-stored", crop=8, mean=[127.0]))
    images = TrainingImages(data, settings, RANDOM)
    with pytest.raises(DataError, match=r"003\.png: an image of 12x7 pixels is smaller than the 8x8 window"):
        images.check_all()
