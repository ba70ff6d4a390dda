"""Ranking and staging on tensors, as for a GPU, give what numpy gives on the host."""

from __future__ import annotations

import ctypes
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from colour_net import save_net

from zoo.errors import DataError
from zoo.preprocessing import EncodedImage, preprocessor
from zoo.preprocessing.decode import DecodedImage, DecodedImages
from zoo.preprocessing.settings import Preprocessing
from zoo.runtimes import best, memory, open_runtime
from zoo.runtimes.ranking import rank_scores, rank_tensor
from zoo.runtimes.staging import DeviceStaging, HostStaging

DEVICES = ["cpu", pytest.param("cuda", marks=[pytest.mark.gpu])]


@pytest.fixture(params=DEVICES)
def device(request):
    if request.param == "cuda" and not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    return request.param


def test_ranks_count_what_is_ahead_of_the_truth(device):
    generator = np.random.default_rng(0)
    # Few values, so that there are ties everywhere.
    scores = generator.integers(0, 12, (200, 30)).astype(np.float32)
    scores[7, 3] = np.nan
    labels = generator.integers(0, 30, 200).tolist()
    host, there = rank_scores(scores, labels), rank_tensor(torch.from_numpy(scores).to(device), labels)
    for row in range(200):
        if row == 7:
            continue
        order = sorted(range(30), key=lambda c: (-scores[row, c], c))
        assert host.ids[row].tolist() == order[:5]
        assert host.ranks[row] == order.index(labels[row]) + 1
    keep = np.arange(200) != 7
    for name in ("ids", "scores", "ranks"):
        np.testing.assert_array_equal(getattr(there, name)[keep], getattr(host, name)[keep])
    np.testing.assert_array_equal(there.finite, host.finite)
    assert host.finite.tolist() == keep.tolist()
    np.testing.assert_array_equal(best(scores[keep])[0], host.ids[keep])


@pytest.mark.parametrize("value", [None, np.nan, -np.inf, np.inf])
def test_the_best_of_many_classes_are_those_of_a_stable_sort(value):
    scores = np.random.default_rng(0).integers(0, 40, (50, 1000)).astype(np.float32)
    if value is not None:
        scores[3, 10:] = value
        scores[4, ::2] = value
        scores[5, :3] = value
    ids, values = best(scores)
    for row in range(len(scores)):
        # Numbers first, the largest before the others, equal ones in the order of the classes.
        order = sorted(range(1000), key=lambda c: (np.isnan(scores[row, c]), -scores[row, c], c))
        assert ids[row].tolist() == order[:5]
    np.testing.assert_array_equal(values, np.take_along_axis(scores, ids, axis=1))


@pytest.mark.parametrize("fixed", ["N", 6])
def test_onnx_runtime_ranks_where_the_images_lie(tmp_path, device, fixed):
    net = save_net(tmp_path / "net.onnx", batch=fixed)
    batch = np.random.default_rng(0).standard_normal((6, 3, 8, 8)).astype(np.float32)
    labels = [0, 1, 2, 3]
    expected = rank_scores(open_runtime("onnx", net).run(batch)[:4], labels)
    runtime = open_runtime("onnx", net, device)
    for images in (batch, torch.from_numpy(batch).to(device)):
        if isinstance(images, np.ndarray) and device != "cpu":
            continue
        found = runtime.rank(images, labels)
        np.testing.assert_array_equal(found.ids, expected.ids)
        np.testing.assert_allclose(found.scores, expected.scores, rtol=1e-6)
        assert found.ranks.tolist() == expected.ranks.tolist()


FLAVOURS = {
    "caffe-warp32": {"mean": [104, 117, 123]},
    "caffe-short32": {"mean_image": True},
    "torch7-bicubic32": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]},
    "pil-bicubic-short32": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]},
}


def encoded_images(sizes: list[tuple[int, int]]) -> list[EncodedImage]:
    import cv2

    generator = np.random.default_rng(0)
    return [
        EncodedImage(cv2.imencode(".png", generator.integers(0, 256, (*size, 3), np.uint8))[1].tobytes())
        for size in sizes
    ]


@pytest.mark.parametrize("resize", [False, True])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_the_device_makes_the_same_batch(tmp_path, flavour, resize, device):
    np.save(tmp_path / "mean.npy", np.random.default_rng(1).uniform(0, 255, (3, 32, 32)))
    settings = Preprocessing(flavour=flavour, crop=27, **FLAVOURS[flavour])
    prepare = preprocessor(settings, tmp_path / "mean.npy")
    images = encoded_images([(40, 50), (50, 40), (32, 32), (64, 64), (20, 90)])
    host, there = HostStaging(prepare), DeviceStaging(prepare, device, resize)
    expected = host.stage([host.prepare(image) for image in images], 7)
    batch = there.stage([there.prepare(image) for image in images], 7)
    assert tuple(batch.shape) == expected.shape == (7, 3, 27, 27)
    np.testing.assert_array_equal(batch[:5].cpu().numpy(), expected[:5])


def part_of(images: DecodedImages, first: int, end: int) -> DecodedImages:
    return DecodedImages(
        images.pixels[first:end], images.sha256[first:end], images.flavour, images.rotated[first:end]
    )


@pytest.mark.parametrize("sizes", ["equal", "different"])
@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_batch_prepared_together_is_that_of_its_images(tmp_path, flavour, sizes, device):
    np.save(tmp_path / "mean.npy", np.random.default_rng(1).uniform(0, 255, (3, 32, 32)))
    settings = Preprocessing(flavour=flavour, crop=27, **FLAVOURS[flavour])
    prepare = preprocessor(settings, tmp_path / "mean.npy")
    lengths = [(40, 50)] * 5 if sizes == "equal" else [(40, 50), (50, 40), (32, 32), (64, 64), (20, 90)]
    resized = [prepare.resize(image) for image in encoded_images(lengths)]
    alone = [DecodedImage(pixels, "", flavour) for pixels in resized]
    pixels = np.stack(resized) if len({image.shape for image in resized}) == 1 else resized
    together = DecodedImages(pixels, [""] * 5, flavour, [False] * 5)
    expected = HostStaging(prepare).stage([prepare(image) for image in alone], 7)
    for staging in (HostStaging(prepare), DeviceStaging(prepare, device)):
        room = staging.room(together, 5, 7)
        for place in (0, 3):
            staging.prepare_together(part_of(together, place, min(place + 3, 5)), room[place:])
        batch = staging.stage_together(room)
        found = batch if isinstance(batch, np.ndarray) else batch.cpu().numpy()
        assert found.shape == (7, 3, 27, 27)
        assert found[:5].tobytes() == expected[:5].tobytes()


def test_a_batch_with_an_image_that_is_too_small_is_not_prepared_together(device):
    prepare = preprocessor(Preprocessing(flavour="caffe-stored", crop=8))
    pixels = [np.zeros((8, 8, 3), np.uint8), np.zeros((8, 7, 3), np.uint8)]
    together = DecodedImages(pixels, ["", ""], "caffe-stored", [False] * 2)
    for staging in (HostStaging(prepare), DeviceStaging(prepare, device)):
        room = staging.room(together, 2, 2)
        with pytest.raises(DataError, match="smaller than the 8x8 window"):
            staging.prepare_together(together, room)


def test_stored_pixels_with_a_mean_image_of_their_size(tmp_path, device):
    np.save(tmp_path / "mean.npy", np.random.default_rng(1).uniform(0, 255, (3, 20, 30)))
    prepare = preprocessor(
        Preprocessing(flavour="caffe-stored", crop=16, mean_image=True, scale=0.5), tmp_path / "mean.npy"
    )
    fits, other = (
        DecodedImage(np.random.default_rng(2).integers(0, 256, (20, w, 3), np.uint8), "") for w in (30, 31)
    )
    for resize in (False, True):
        staging = DeviceStaging(prepare, device, resize)
        batch = staging.stage([staging.prepare(fits)], 1)
        np.testing.assert_array_equal(batch.cpu().numpy()[0], prepare(fits))
        with pytest.raises(DataError, match="the mean is 3 x 20 x 30"):
            staging.prepare(other)
    with pytest.raises(DataError, match="the mean is 3 x 20 x 30"):
        HostStaging(prepare).prepare(other)


def test_what_cannot_be_prepared_is_said_by_the_decoding_thread(device):
    for resize in (False, True):
        staging = DeviceStaging(
            preprocessor(Preprocessing(flavour="pil-bicubic-short32", crop=32)), device, resize
        )
        with pytest.raises(DataError, match="too long and narrow"):
            staging.prepare(encoded_images([(1, 6000)])[0])
        staging = DeviceStaging(preprocessor(Preprocessing(flavour="caffe-stored", crop=32)), device, resize)
        with pytest.raises(DataError, match="smaller than the 32x32 window"):
            staging.prepare(encoded_images([(20, 40)])[0])


def test_images_of_different_kinds_do_not_become_one_batch(device):
    prepare = preprocessor(Preprocessing(flavour="caffe-stored", crop=8))
    grey, colour = (DecodedImage(np.zeros((8, 8, channels), np.uint8), "") for channels in (1, 3))
    real = DecodedImage(np.zeros((8, 8, 3), np.float32), "")
    for staging in (HostStaging(prepare), DeviceStaging(prepare, device)):
        with pytest.raises(DataError, match="images of different kinds in one dataset"):
            staging.stage([staging.prepare(colour), staging.prepare(grey)], 2)
    staging = DeviceStaging(prepare, device)
    with pytest.raises(DataError, match="8 x 8 x 3 of uint8 and 8 x 8 x 3 of float32"):
        staging.stage([staging.prepare(colour), staging.prepare(real)], 2)


def test_batches_are_as_large_as_is_useful_and_fits():
    image = 3 * 227 * 227
    assert memory.images_that_fit(image, 1 << 28) == 3
    assert memory.images_that_fit(image, 8 << 30) == 108
    assert memory.images_that_fit(image, 0) == 1
    assert memory.batch_size("cpu", 1000, processors=1) == 4
    assert memory.batch_size("cpu", 1000, processors=2) == 8
    assert memory.batch_size("cpu", 1000, processors=100) == 64
    assert memory.batch_size("cpu", 3, processors=100) == 3
    assert memory.batch_size("cuda", 2000, processors=1) == 512
    assert memory.batch_size("cuda", 108, processors=1) == 64
    assert memory.batch_size("cuda", 1, processors=1) == 1


def test_free_memory_is_what_linux_and_the_container_leave(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    monkeypatch.setattr(memory, "MEMINFO", tmp_path / "meminfo")
    # Neither says anything: half of what there is.
    assert memory.free_memory("cpu", 0) > 1 << 20
    (tmp_path / "meminfo").write_text("MemTotal:  100 kB\nMemAvailable:     7 kB\n")
    assert memory.free_memory("cpu", 0) == 7 * 1024
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "memory.current").write_text("4000\n")
    (tmp_path / "memory.stat").write_text("anon 900\nfile 3100\n")
    assert memory.free_memory("cpu", 0) == 4100
    (tmp_path / "memory.max").write_text("max\n")
    assert memory.free_memory("cpu", 0) == 7 * 1024


def test_freed_memory_is_kept_where_the_c_library_can(monkeypatch):
    set_to = []
    library = SimpleNamespace(mallopt=lambda *arguments: set_to.append(arguments))
    monkeypatch.setattr(ctypes, "CDLL", lambda name: library)
    memory.keep_freed_memory()
    assert set_to == [(-1, 2147483647), (-3, 2147483647), (-8, 1)]
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace())
    memory.keep_freed_memory()
    assert len(set_to) == 3


@pytest.mark.gpu
def test_a_gpu_says_how_much_is_free():
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    assert memory.free_memory("cuda", 0) > 1 << 20
