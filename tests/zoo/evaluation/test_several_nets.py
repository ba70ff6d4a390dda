"""Several nets over one pass: every image read once, and the evidence of each net as if it ran alone."""

from __future__ import annotations

import dataclasses
import io
import json
from collections import Counter

import cv2
import numpy as np
import pytest
from colour_net import PLAIN, WEIGHTS, save_net
from PIL import Image

from zoo.datasets import open_dataset
from zoo.errors import DataError, UsageError
from zoo.evaluation.evaluate import evaluate_and_write, evaluate_nets
from zoo.evaluation.job import Evaluation, Job
from zoo.evaluation.variants import Variant
from zoo.evidence import journal
from zoo.preprocessing import decode
from zoo.preprocessing.preprocessor import Preprocessor
from zoo.preprocessing.settings import Preprocessing
from zoo.runtimes.backends.onnx import OnnxRuntime

SHORT = Preprocessing(flavour="caffe-short8", crop=8)
PILLOW = Preprocessing(flavour="pil-bicubic-short8", crop=8)
SMALL = Preprocessing(flavour="caffe-warp8", crop=6, mean=[1, 2, 3])
# What each net is: weights, side of its input, and how its images are prepared.
NETS = {
    "one": (WEIGHTS, 8, [PLAIN, SHORT]),
    "two": (WEIGHTS[::-1].copy(), 8, [PLAIN]),
    "three": (np.roll(WEIGHTS, 1, axis=0) * 3, 8, [PILLOW, PLAIN]),
    "four": (WEIGHTS[:4], 6, [SMALL]),
    "five": (WEIGHTS * 2, 8, [PILLOW]),
}
IMAGES = 23
# The image that only Pillow reads, the one that nothing reads, and the one with an EXIF orientation.
GIF, BROKEN, ROTATED = 5, 9, 17
# What two runs of the same thing need not share.
CHANGING = {"command", "started", "seconds", "images_per_second", "resumed"}


class Ended(BaseException):
    pass


def gif() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (12, 10), (200, 60, 10)).save(file, "GIF")
    return file.getvalue()


@pytest.fixture
def images(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(0)
    exif = bytes.fromhex(
        "ffe1 0022 45786966 0000 4d4d002a 00000008 0001 0112 0003 00000001 0006 0000 00000000"
    )
    lines = []
    for i in range(IMAGES):
        data = cv2.imencode(".jpg", generator.integers(0, 256, (20, 26, 3), np.uint8))[1].tobytes()
        data = {GIF: gif(), BROKEN: b"<html>", ROTATED: data[:2] + exif + data[2:]}.get(i, data)
        (folder / f"{i:02d}.jpg").write_bytes(data)
        lines.append(f"{i:02d}.jpg {i % 3}\n")
    (folder / "labels.txt").write_text("".join(lines))
    return folder


@pytest.fixture
def make(tmp_path):
    """Evaluations of nets by name, with folders in `out`."""

    def make(data, names, out: str | None = None, **changes) -> list[Evaluation]:
        made = []
        for name in names:
            weights, side, settings = NETS[name]
            net = save_net(tmp_path / f"{name}.onnx", weights=weights, side=side)
            options = {"batch_size": 4, "skip_unreadable": True, **changes}
            variants = [Variant(preprocessing) for preprocessing in settings]
            folders = [tmp_path / out / name / variant.name for variant in variants] if out else []
            made.append(Evaluation(Job(net=net, data=data, model=name, **options), variants, folders))
        return made

    return make


def contents(folder) -> dict:
    """Every file below the folder: evidence as it is, results without what two runs need not share."""
    found = {}
    for path in sorted(folder.rglob("*.*")):
        content: object = path.read_bytes()
        if path.name == "result.json":
            content = {k: v for k, v in json.loads(path.read_bytes()).items() if k not in CHANGING}
        found[str(path.relative_to(folder))] = content
    return found


@pytest.fixture
def separate(tmp_path, images, make):
    """What runs of each net alone write."""
    with open_dataset(images) as data:
        for name in NETS:
            evaluate_and_write(make(data, [name], "separate"))
    return contents(tmp_path / "separate")


def test_each_net_gets_the_files_of_a_run_of_it_alone(tmp_path, images, make, separate):
    with open_dataset(images) as data:
        evaluate_and_write(make(data, NETS, "together"))
    assert contents(tmp_path / "together") == separate
    assert len(separate) == 2 * sum(len(settings) for _, _, settings in NETS.values())
    left_out = {
        name: separate[f"{name}/{NETS[name][2][0].flavour}/result.json"]["unreadable"] for name in NETS
    }
    # Each net leaves out what its own flavours refuse.
    both = [f"{GIF:02d}.jpg", f"{BROKEN:02d}.jpg"]
    assert left_out == {"one": both, "two": both, "three": both, "four": both, "five": both[1:]}


def test_each_image_is_read_once_decoded_once_and_prepared_once_for_each_preprocessing(
    images, make, monkeypatch
):
    counts: Counter[str] = Counter()

    def counting(name, function):
        def counted(*arguments):
            counts[name] += 1
            return function(*arguments)

        return counted

    (images / f"{BROKEN:02d}.jpg").write_bytes((images / "00.jpg").read_bytes())
    (images / f"{GIF:02d}.jpg").write_bytes((images / "00.jpg").read_bytes())
    monkeypatch.setattr(decode, "decode_bgr", counting("OpenCV", decode.decode_bgr))
    monkeypatch.setattr(decode, "decode_pillow", counting("Pillow", decode.decode_pillow))
    monkeypatch.setattr(Preprocessor, "__call__", counting("prepared", Preprocessor.__call__))
    with open_dataset(images) as data:
        samples = [dataclasses.replace(s, read=counting(s.id, s.read)) for s in data.samples]
        evaluate_nets(make(dataclasses.replace(data, samples=tuple(samples)), NETS))
    assert all(counts[sample.id] == 1 for sample in samples)
    # PLAIN, SHORT, PILLOW, SMALL: four different preparations for seven runs.
    assert (counts["OpenCV"], counts["Pillow"], counts["prepared"]) == (IMAGES, IMAGES, 4 * IMAGES)


def test_mean_images_are_told_apart_by_content(tmp_path, images, make, monkeypatch):
    settings = Preprocessing(flavour="caffe-warp8", crop=8, mean_image=True)
    for name, value in (("a", 10), ("b", 10), ("c", 90)):
        np.save(tmp_path / f"{name}.npy", np.full((3, 8, 8), value, np.float64))
    prepared = []
    call = Preprocessor.__call__
    monkeypatch.setattr(
        Preprocessor, "__call__", lambda self, content: prepared.append(id(self)) or call(self, content)
    )
    with open_dataset(images) as data:
        (base,) = make(data, ["two"])
        nets = [
            Evaluation(
                dataclasses.replace(base.job, model=name, mean_image=tmp_path / f"{name}.npy"),
                [Variant(settings)],
            )
            for name in "abc"
        ]
        runs = [of_net[0] for of_net in evaluate_nets(nets)]
        del prepared[:]
        evaluate_nets(nets)
        assert len(set(prepared)) == 2
        alone = [evaluate_nets([net])[0][0] for net in nets]
    assert [run.rows for run in runs] == [run.rows for run in alone]
    assert runs[0].rows == runs[1].rows != runs[2].rows


@pytest.mark.parametrize("after", [0, 2, 5])
@pytest.mark.parametrize("first", [["one", "three"], ["one"], ["three"]])
def test_any_of_the_nets_goes_on_alone_or_with_others(tmp_path, images, make, separate, first, after):
    """Batches that one net has already are ranked in the other only."""
    calls = []

    def end(done: int, total: int) -> None:
        calls.append(done)
        if len(calls) > after:
            raise Ended

    ranked: Counter[str] = Counter()
    with open_dataset(images) as data:
        with pytest.raises(Ended):
            evaluate_and_write(make(data, first, "together"), progress=end)
        kept = {name: journal.read(tmp_path / "together" / name / NETS[name][2][0].flavour) for name in first}
        assert all(sorted(batches) == list(range(after + 1)) for batches in kept.values())
        evaluations = make(data, ["one", "three"], "together")
        evaluate_and_write(
            evaluations,
            resume=True,
            progress=lambda done, total: ranked.update(images=done - ranked["images"]),
        )
    expected = {name: content for name, content in separate.items() if name.startswith(("one/", "three/"))}
    assert contents(tmp_path / "together") == expected
    left = IMAGES - 4 * (after + 1) * (len(first) == 2)
    assert ranked["images"] == max(0, left)


def test_nets_resume_from_different_batches(tmp_path, images, make, separate, monkeypatch):
    with open_dataset(images) as data:
        for name, after in (("one", 1), ("two", 3)):
            calls = []

            def end(done: int, total: int, calls: list[int] = calls, after: int = after) -> None:
                calls.append(done)
                if len(calls) == after:
                    raise Ended

            with pytest.raises(Ended):
                evaluate_and_write(make(data, [name], "together"), progress=end)
        ranks: Counter[str] = Counter()
        rank = OnnxRuntime.rank

        def counted(self, batch, labels):
            ranks[str(self._net.name)] += 1
            return rank(self, batch, labels)

        monkeypatch.setattr(OnnxRuntime, "rank", counted)
        evaluate_and_write(make(data, ["one", "two"], "together"), resume=True)
    expected = {name: content for name, content in separate.items() if name.startswith(("one/", "two/"))}
    assert contents(tmp_path / "together") == expected
    # Six batches; net one has two variants.
    assert ranks == {"one.onnx": 2 * 5, "two.onnx": 3}


def test_a_net_that_cannot_start_leaves_the_folders_of_all_as_they_were(tmp_path, images, make):
    with open_dataset(images) as data:
        evaluate_and_write(make(data, ["two"], "together"))
        before = contents(tmp_path / "together")
        with pytest.raises(UsageError, match="holds a run of 21 images, this one sees 8"):
            evaluate_and_write(make(data, ["one", "two"], "together", limit=8))
    assert contents(tmp_path / "together") == before
    assert not (tmp_path / "together" / "one").exists()


def test_a_net_given_twice_is_computed_once(images, make, monkeypatch):
    ranks: list[int] = []
    rank = OnnxRuntime.rank
    monkeypatch.setattr(
        OnnxRuntime,
        "rank",
        lambda self, batch, labels: ranks.append(len(labels)) or rank(self, batch, labels),
    )
    with open_dataset(images) as data:
        (base,) = make(data, ["two"])
        copy = Evaluation(dataclasses.replace(base.job, model="copy"), base.variants)
        runs = evaluate_nets([base, copy])
    assert sum(ranks) == IMAGES - 2
    assert runs[0][0].rows == runs[1][0].rows
    assert [of_net[0].result.model for of_net in runs] == ["two", "copy"]


def test_one_batch_size_for_all_nets(tmp_path, images):
    def job(data, name, batch, **options) -> Evaluation:
        net = save_net(tmp_path / f"{name}.onnx", batch=batch)
        return Evaluation(
            Job(net=net, data=data, model=name, skip_unreadable=True, **options), [Variant(PLAIN)]
        )

    with open_dataset(images) as data:
        fixed, free = job(data, "fixed", 4), job(data, "free", "N")
        runs = evaluate_nets([free, fixed])
        assert [of_net[0].result.batch_size for of_net in runs] == [4, 4]
        assert runs[0][0].rows == runs[1][0].rows == evaluate_nets([free])[0][0].rows
        with pytest.raises(UsageError, match=r"fixed of 4 only, other of 5 only; validate them one by one"):
            evaluate_nets([fixed, job(data, "other", 5)])


def test_errors_say_which_net_they_are_about(tmp_path, images, make):
    with open_dataset(images) as data:
        nets = make(data, ["one", "two"])
        narrow = save_net(tmp_path / "narrow.onnx", weights=WEIGHTS[:2])
        with pytest.raises(DataError, match=r"two: .*02\.jpg has label 2, but the net ranks 2 classes"):
            evaluate_nets(
                [nets[0], Evaluation(dataclasses.replace(nets[1].job, net=narrow), [Variant(PLAIN)])]
            )
        with pytest.raises(UsageError, match=r"two: .*takes 3 x 8 x 8, the preprocessing makes 3 x 6 x 6"):
            evaluate_nets([nets[0], Evaluation(nets[1].job, [Variant(SMALL)])])
        undefined = save_net(tmp_path / "nan.onnx", weights=WEIGHTS * np.float32("nan"))
        with pytest.raises(DataError, match=r"00\.jpg: two's scores are not numbers"):
            evaluate_nets(
                [nets[0], Evaluation(dataclasses.replace(nets[1].job, net=undefined), [Variant(PLAIN)])]
            )


def test_labels_in_another_order_for_one_net_name_it_and_keep_what_was_done(tmp_path):
    """The colours of 60 images; net one counts classes as the labels do, net two has one more before."""
    folder = tmp_path / "images"
    folder.mkdir()
    colours = [(200, 60, 10), (20, 250, 30), (1, 2, 130)]
    lines = []
    for i in range(60):
        cv2.imwrite(str(folder / f"{i:02d}.png"), np.full((9, 9, 3), colours[i % 3], np.uint8))
        lines.append(f"{i:02d}.png {i % 3}\n")
    (folder / "labels.txt").write_text("".join(lines))
    shifted = np.vstack([np.full((1, 3), -9, np.float32), WEIGHTS])
    with open_dataset(folder) as data:
        nets = [
            Evaluation(
                Job(net=save_net(tmp_path / f"{name}.onnx", weights=weights), data=data, model=name),
                [Variant(PLAIN)],
                [tmp_path / "out" / name],
            )
            for name, weights in (("one", WEIGHTS), ("two", shifted))
        ]
        with pytest.raises(DataError, match=r"two: .*another order than the net's classes.*background"):
            evaluate_and_write(nets)
        (run,) = evaluate_and_write([nets[0]], resume=True)[0]
    assert (run.result.n, run.result.resumed, run.result.top1_correct) == (60, 60, 60)
