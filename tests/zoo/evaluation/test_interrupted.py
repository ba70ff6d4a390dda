"""Runs that are interrupted at any moment and resumed: the same rows as an uninterrupted run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest
from colour_net import PLAIN, save_net

from zoo.datasets import open_dataset
from zoo.errors import DataError, UsageError
from zoo.evaluation.evaluate import evaluate, evaluate_variants
from zoo.evaluation.job import Job
from zoo.evaluation.variants import Variant
from zoo.evidence import journal
from zoo.preprocessing.settings import Preprocessing


@pytest.fixture
def images(tmp_path):
    """23 images; one is damaged and one has an EXIF orientation."""
    folder = tmp_path / "images"
    folder.mkdir()
    generator = np.random.default_rng(0)
    exif = bytes.fromhex(
        "ffe1 0022 45786966 0000 4d4d002a 00000008 0001 0112 0003 00000001 0006 0000 00000000"
    )
    lines = []
    for i in range(23):
        data = cv2.imencode(".jpg", generator.integers(0, 256, (10, 12, 3), np.uint8))[1].tobytes()
        data = b"<html>" if i == 9 else data[:2] + exif + data[2:] if i == 17 else data
        (folder / f"{i:02d}.jpg").write_bytes(data)
        lines.append(f"{i:02d}.jpg {i % 3}\n")
    (folder / "labels.txt").write_text("".join(lines))
    return folder


@pytest.fixture
def make_job(tmp_path, images):
    net = save_net(tmp_path / "net.onnx")

    def make(data, **changes) -> Job:
        return Job(
            **{"net": net, "data": data, "model": "m", "batch_size": 4, "skip_unreadable": True, **changes}
        )

    return make


class Ended(BaseException):
    pass


def comparable(run) -> dict:
    changing = {"seconds", "images_per_second", "started", "resumed"}
    return {"rows": run.rows, **run.result.model_dump(exclude=changing)}


@pytest.mark.parametrize("after", [0, 1, 3, 5])
def test_a_run_resumes_wherever_it_was_interrupted(tmp_path, images, make_job, after):
    """Two variants at once, so that both come back."""
    variants = [Variant(PLAIN), Variant(Preprocessing(flavour="caffe-short8", crop=8))]
    out = tmp_path / "out"
    with open_dataset(images) as data:
        job = make_job(data)
        expected = evaluate_variants(job, variants)
        calls = []

        def end(done: int, total: int) -> None:
            calls.append(done)
            if len(calls) > after:
                raise Ended

        with pytest.raises(Ended):
            evaluate_variants(job, variants, folder=out, progress=end)
        kept = journal.read(out)
        assert sorted(kept) == list(range(after + 1))
        seen = []
        runs = evaluate_variants(
            job, variants, folder=out, resume=True, progress=lambda done, total: seen.append((done, total))
        )
    assert [comparable(run) for run in runs] == [comparable(run) for run in expected]
    assert runs[0].result.unreadable == ["09.jpg"]
    assert (runs[0].result.n, runs[0].result.exif_rotated) == (22, 1)
    assert runs[0].result.resumed == sum(len(batch.rows[0]) for batch in kept.values())
    left = 23 - 4 * (after + 1)
    assert seen[-1:] == ([(left, left)] if left > 0 else [])


def test_a_run_with_another_plan_does_not_resume(tmp_path, images, make_job):
    with open_dataset(images) as data:
        job = make_job(data, limit=8)
        evaluate_variants(job, [Variant(PLAIN)], folder=tmp_path / "out")
        for changes, message in (
            ({"limit": 9}, "images was 8 and is 9"),
            ({"batch_size": 5}, "batch size was 4 and is 5"),
            ({"model": "other"}, "model was"),
            ({"files": {"net.prototxt": "0" * 64}}, r"files: net\.prototxt was not given"),
            ({"preprocess_on": "device"}, "preprocess on was"),
        ):
            with pytest.raises(UsageError, match=message):
                evaluate_variants(
                    make_job(data, **{"limit": 8, **changes}), [Variant(PLAIN)], folder=tmp_path / "out",
                    resume=True,
                )  # fmt: skip
        scaled = Preprocessing(flavour="caffe-warp8", crop=8, scale=2)
        with pytest.raises(UsageError, match=r"preprocessing: scale was 1\.0 and is 2\.0"):
            evaluate_variants(job, [Variant(scaled)], folder=tmp_path / "out", resume=True)
        (images / "labels.txt").write_text(
            (images / "labels.txt").read_text().replace("02.jpg 2", "02.jpg 0")
        )
        with open_dataset(images) as relabelled, pytest.raises(UsageError, match="names and labels was"):
            evaluate_variants(
                make_job(relabelled, limit=8), [Variant(PLAIN)], folder=tmp_path / "out", resume=True
            )


def test_images_prepared_on_the_device_change_nothing(images, make_job):
    with open_dataset(images) as data:
        runs = [
            evaluate_variants(make_job(data, preprocess_on=place), [Variant(PLAIN)])[0]
            for place in ("host", "device")
        ]
    assert runs[0].rows == runs[1].rows


def test_an_error_in_the_middle_keeps_what_was_done(tmp_path, images, make_job):
    with open_dataset(images) as data:
        with pytest.raises(DataError, match=r"09\.jpg: cannot decode"):
            evaluate_variants(
                make_job(data, skip_unreadable=False), [Variant(PLAIN)], folder=tmp_path / "out"
            )
        # The batches before the broken image, and nothing else.
        assert sorted(journal.read(tmp_path / "out")) == [0, 1]


SLOW = """
import sys, time
import zoo.evaluation.batches
rows = zoo.evaluation.batches._rows

def slow(*arguments):
    time.sleep(0.2)
    return rows(*arguments)

zoo.evaluation.batches._rows = slow
sys.argv[0] = "dsd-zoo"
from zoo.cli.main import main
main()
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_kill_9_from_the_command_line(tmp_path):
    """The digits in 100 batches, which take 20 seconds; the process is killed twice at arbitrary moments."""
    arguments = ["validate", "digits-caffe-dsd", "--batch-size", "5", "--out", str(tmp_path / "out")]
    environment = {**os.environ, "DSD_ZOO_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-c", SLOW, *arguments]
    done = 0
    for attempt in range(2):
        process = subprocess.Popen(
            command + ["--resume"] * attempt, env=environment, stdout=subprocess.DEVNULL
        )
        while len(journal.read(tmp_path / "out")) < done + 7:
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        before, done = done, len(journal.read(tmp_path / "out"))
        assert before + 7 <= done < 100
        assert not (tmp_path / "out" / "result.json").exists()
    finished = subprocess.run(
        [sys.executable, "-m", "zoo", *arguments, "--resume"],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert f"{5 * done} images were ranked before an interruption" in finished.stdout
    assert "492  500" in finished.stdout
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["evidence.csv", "result.json"]
    evidence = (tmp_path / "out" / "evidence.csv").read_bytes()
    subprocess.run(
        [sys.executable, "-m", "zoo", *arguments], env=environment, check=True, capture_output=True
    )
    assert (tmp_path / "out" / "evidence.csv").read_bytes() == evidence


def test_evaluate_without_a_folder_writes_nothing(tmp_path, images, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    with open_dataset(images) as data:
        evaluate(save_net(tmp_path / "net.onnx"), data, PLAIN, model="m", skip_unreadable=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == [*before, "net.onnx"]
