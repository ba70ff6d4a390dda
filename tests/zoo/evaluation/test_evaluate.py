"""Evaluation of images and nets so small that every result is known."""

from __future__ import annotations

import dataclasses
import threading

import cv2
import numpy as np
import onnx
import pytest
from colour_net import PLAIN, WEIGHTS, save_net

from zoo.datasets import Dataset, Sample, open_dataset
from zoo.errors import DataError, DeviceError, UsageError
from zoo.evaluation import sessions
from zoo.evaluation.distributed import SingleProcess
from zoo.evaluation.evaluate import evaluate, evaluate_variants
from zoo.evaluation.job import Evaluation, Job
from zoo.evaluation.sessions import choose_batch_size, open_sessions, plan_batches
from zoo.evaluation.variants import Variant
from zoo.preprocessing.decode import DecodedImage
from zoo.preprocessing.settings import Preprocessing
from zoo.runtimes.backends import onnx as onnx_runtime
from zoo.runtimes.backends.onnx import OnnxRuntime
from zoo.runtimes.memory import ACTIVATIONS_PER_INPUT

COLOURS = {"blue": (200, 60, 10), "green": (20, 250, 30), "red": (1, 2, 130)}


@pytest.fixture
def make_net(tmp_path):
    return lambda **options: save_net(tmp_path / "net.onnx", **options)


@pytest.fixture
def colours(tmp_path):
    """Eleven images in three colours with labels; the second to last label is wrong on purpose."""
    folder = tmp_path / "images"
    folder.mkdir()
    lines = []
    for i in range(11):
        name, colour = list(COLOURS.items())[i % 3]
        cv2.imwrite(str(folder / f"{i:02d}_{name}.png"), np.full((5 + i, 9, 3), colour, np.uint8))
        lines.append(f"{i:02d}_{name}.png {5 if i == 9 else i % 3}\n")
    (folder / "labels.txt").write_text("".join(lines))
    return folder


def test_every_image_is_ranked_in_order(make_net, colours):
    seen = []
    with open_dataset(colours) as data:
        run = evaluate(
            make_net(),
            data,
            PLAIN,
            model="colours",
            batch_size=4,
            command="dsd-zoo validate ...",
            files={"net.prototxt": "1" * 64},
            progress=lambda *counts: seen.append(counts),
        )
        result, rows = run.result, run.rows
    assert [row.image for row in rows] == [sample.id for sample in data]
    for i, row in enumerate(rows):
        pixel = list(COLOURS.values())[i % 3]
        scores = [*pixel, *(-value for value in pixel)]
        order = sorted(range(6), key=lambda c: (-scores[c], c))[:5]
        assert row.top5 == tuple(order)
        assert row.scores == tuple(scores[c] for c in order)
    assert (result.n, result.n_dataset, result.top1_correct, result.top5_correct) == (11, 11, 10, 11)
    assert rows[9].rank == 4
    assert (result.model, result.dataset, result.labels) == ("colours", "images", "labels.txt")
    assert (result.runtime, result.device, result.precision, result.batch_size) == (
        "onnx",
        "cpu",
        "float32",
        4,
    )
    assert result.preprocessing == PLAIN.model_dump()
    assert set(result.files) == {"net.prototxt", "net.onnx"}
    assert {"python", "platform", "cpu", "dsd-zoo", "numpy", "opencv", "onnxruntime"} <= set(
        result.environment
    )
    assert seen == [(4, 11), (8, 11), (11, 11)]


@pytest.mark.parametrize("batch_size", [1, 3, 11, 50, None])
def test_the_batch_size_changes_nothing(make_net, colours, batch_size):
    with open_dataset(colours) as data:
        rows = evaluate(make_net(), data, PLAIN, model="m", batch_size=batch_size).rows
        one_by_one = evaluate(make_net(), data, PLAIN, model="m", batch_size=1).rows
    assert rows == one_by_one


def test_a_net_of_fixed_batch_gets_full_batches(make_net, colours):
    with open_dataset(colours) as data:
        run = evaluate(make_net(batch=4), data, PLAIN, model="m")
        result, rows = run.result, run.rows
        expected = evaluate(make_net(), data, PLAIN, model="m").rows
        assert (result.batch_size, rows) == (4, expected)
        with pytest.raises(UsageError, match="takes batches of 4 only, not of 5"):
            evaluate(make_net(batch=4), data, PLAIN, model="m", batch_size=5)


def test_a_limited_run_records_the_size_of_the_whole_dataset(make_net, colours):
    with open_dataset(colours) as data:
        run = evaluate(make_net(), data, PLAIN, model="m", limit=5)
        result, rows = run.result, run.rows
        assert (result.n, result.n_dataset, len(rows)) == (5, 11, 5)
        with pytest.raises(UsageError, match="limit must be 1 image or more, not 0"):
            evaluate(make_net(), data, PLAIN, model="m", limit=0)


def test_an_unreadable_image_ends_the_run_by_name_or_is_listed(make_net, colours):
    (colours / "04_green.png").write_bytes(b"<html>")
    (colours / "10_green.png").write_bytes(b"")
    with open_dataset(colours) as data:
        with pytest.raises(
            DataError, match=r"04_green\.png: cannot decode 6 bytes.*(?s:.*)--skip-unreadable"
        ):
            evaluate(make_net(), data, PLAIN, model="m")
        run = evaluate(make_net(), data, PLAIN, model="m", batch_size=4, skip_unreadable=True)
        result, rows = run.result, run.rows
    assert result.unreadable == ["04_green.png", "10_green.png"]
    assert (result.n, result.n_dataset, result.top1_correct) == (9, 11, 8)
    assert len(rows) == 9
    for path in colours.glob("*.png"):
        path.write_bytes(b"")
    with open_dataset(colours) as data, pytest.raises(DataError, match="none of its 11 images could be read"):
        evaluate(make_net(), data, PLAIN, model="m", skip_unreadable=True)


def test_ignored_exif_orientations_are_counted(make_net, tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    plain = cv2.imencode(".jpg", np.full((8, 16, 3), 100, np.uint8))[1].tobytes()
    exif = bytes.fromhex(
        "ffe1 0022 45786966 0000 4d4d002a 00000008 0001 0112 0003 00000001 0006 0000 00000000"
    )
    (folder / "n01440764_a.jpg").write_bytes(plain)
    (folder / "n01440764_b.jpg").write_bytes(plain[:2] + exif + plain[2:])
    with open_dataset(folder) as data:
        run = evaluate(make_net(), data, PLAIN, model="m")
        result, rows = run.result, run.rows
    assert result.exif_rotated == 1
    assert rows[0].scores == rows[1].scores


@pytest.mark.parametrize(
    ("settings", "options", "error", "message"),
    [
        (PLAIN, {"device": "cuda:99"}, DeviceError, "cuda:99"),
        (PLAIN, {"batch_size": 0}, UsageError, "batch size must be 1 or more"),
        (PLAIN, {"scores": "softmax"}, UsageError, "no output 'softmax'"),
        (
            Preprocessing(flavour="caffe-warp8", crop=7),
            {},
            UsageError,
            "takes 3 x 8 x 8, the preprocessing makes 3 x 7",
        ),
        (Preprocessing(flavour="caffe-warp8", crop=9), {}, UsageError, "does not fit"),
    ],
)
def test_contradicting_settings_are_refused_before_an_image_is_read(
    make_net, colours, settings, options, error, message
):
    for path in colours.glob("*.png"):
        path.write_bytes(b"")
    with open_dataset(colours) as data, pytest.raises(error, match=message):
        evaluate(make_net(), data, settings, model="m", **options)


def test_a_net_of_other_channels_or_without_images_is_not_told_to_crop(tmp_path, colours):
    grey = save_net(tmp_path / "grey.onnx", weights=np.ones((6, 1), np.float32))
    model = onnx.load(grey)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 1
    onnx.save(model, grey)
    with open_dataset(colours) as data:
        with pytest.raises(
            UsageError, match=r"takes 1 x 8 x 8, .* makes 3 x 8 x 8: images come in 3 channels"
        ):
            evaluate(grey, data, PLAIN, model="m")
        for value in (*model.graph.input, *model.graph.output):
            del value.type.tensor_type.shape.dim[2:]
        model.graph.node[0].op_type, model.graph.node[1].op_type = "Identity", "Identity"
        del model.graph.node[0].input[1], model.graph.initializer[0]
        onnx.save(model, grey)
        with pytest.raises(
            UsageError, match="takes 1, the preprocessing makes 3 x 8 x 8: it ranks no images"
        ):
            evaluate(grey, data, PLAIN, model="m")


GREY = """
import torch

class Net(torch.nn.Module):
    def forward(self, data):
        mean = data[:, :1].mean((2, 3))
        assert data.shape[1] == 1
        return torch.cat([mean, 255 - mean], 1)

def load(weights=None):
    return Net()
"""


def test_stored_images_of_one_channel_reach_a_net_that_does_not_say_how_many_it_takes(tmp_path):
    (tmp_path / "net.py").write_text(GREY)
    stored = [DecodedImage(np.full((8, 8, 1), value, np.uint8), "") for value in (250, 3, 200)]
    broken = Sample("broken", 1, lambda: b"<html>")
    images = (broken, *(Sample(str(i), i % 2, lambda i=i: stored[i]) for i in range(3)))
    data = Dataset("grey", "grey", "themselves", images)
    settings = Preprocessing(flavour="caffe-stored", crop=8)
    run = evaluate(tmp_path / "net.py", data, settings, model="m", runtime="pytorch", skip_unreadable=True)
    result, rows = run.result, run.rows
    assert (result.n, result.top1_correct, result.unreadable) == (3, 3, ["broken"])
    assert [row.scores[0] for row in rows] == [250, 252, 200]


class Forgetful(SingleProcess):
    """Loses all batches except the first."""

    def all_gather(self, value, timeout=None):
        batches, seconds = value
        return [(batches[:1], seconds)]


class Deceived(Forgetful):
    """Also reports matching counts: four images, all right."""

    def all_reduce(self, counts):
        return [4, 4, 4]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        (Forgetful(), "gathered is not what the processes counted"),
        (Deceived(), "4 images were ranked or left out, but there are 11"),
    ],
)
def test_batches_lost_between_processes_are_detected(make_net, colours, group, message):
    with open_dataset(colours) as data:
        job = Job(net=make_net(), data=data, model="m", batch_size=4)
        with pytest.raises(DataError, match=message):
            evaluate_variants(job, [Variant(PLAIN)], group=group)


def test_a_label_that_is_no_class_is_named(make_net, colours):
    (colours / "labels.txt").write_text("00_blue.png 0\n01_green.png 6\n")
    with (
        open_dataset(colours) as data,
        pytest.raises(DataError, match=r"01_green\.png has label 6.*6 classes \(0 to 5\)"),
    ):
        evaluate(make_net(), data, PLAIN, model="m")


def test_scores_that_are_not_numbers_end_the_run(make_net, colours):
    with open_dataset(colours) as data, pytest.raises(DataError, match=r"00_blue\.png: .*NaN"):
        evaluate(make_net(weights=WEIGHTS * np.float32("nan")), data, PLAIN, model="m")


def test_onnx_runtime_ranks_batches_concurrently(make_net, colours, monkeypatch):
    """One batch per processor, with one thread each; rows and their order stay the same."""
    both, rank = threading.Barrier(2), OnnxRuntime.rank

    def together(self, batch, labels):
        both.wait(timeout=30)
        return rank(self, batch, labels)

    with open_dataset(colours) as data:
        job = Job(net=make_net(), data=data, model="m", batch_size=2, limit=8)
        monkeypatch.setattr(onnx_runtime, "processors", lambda: 1)
        expected = evaluate_variants(job, [Variant(PLAIN)])[0].rows
        monkeypatch.setattr(onnx_runtime, "processors", lambda: 2)
        monkeypatch.setattr(OnnxRuntime, "rank", together)
        run = evaluate_variants(job, [Variant(PLAIN)])[0]
        result, rows = run.result, run.rows
    assert rows == expected
    assert result.environment["threads"] == "1"


def test_a_ranked_batch_does_not_wait_for_images_that_are_slow_to_come(make_net, colours):
    first_is_done = threading.Event()

    def late(sample: Sample) -> Sample:
        def read() -> bytes | DecodedImage:
            assert first_is_done.wait(timeout=30)
            return sample.read()

        return dataclasses.replace(sample, read=read)

    with open_dataset(colours) as data:
        samples = [late(sample) if number >= 2 else sample for number, sample in enumerate(data.samples)]
        slow = dataclasses.replace(data, samples=tuple(samples))
        job = Job(net=make_net(), data=slow, model="m", batch_size=2)
        result = evaluate_variants(job, [Variant(PLAIN)], progress=lambda done, total: first_is_done.set())[
            0
        ].result
    assert result.n == 11


def test_as_many_concurrent_batches_as_fit_into_memory(make_net, colours, monkeypatch):
    monkeypatch.setattr(onnx_runtime, "processors", lambda: 16)
    image = 2 * 4 * 3 * 8 * 8 * ACTIVATIONS_PER_INPUT
    with open_dataset(colours) as data:
        nets = [Evaluation(Job(net=make_net(), data=data, model="m"), [Variant(PLAIN)])]
        with open_sessions(nets, SingleProcess()) as opened:
            for images, size, chosen, concurrent in ((640, 4, 4, 16), (40, 4, 2, 10), (3, 4, 1, 1)):
                monkeypatch.setattr(
                    sessions, "free_memory", lambda kind, index, images=images: images * image
                )
                assert choose_batch_size(nets, opened, SingleProcess()) == chosen
                assert plan_batches(nets, opened, SingleProcess(), size).concurrent == concurrent
