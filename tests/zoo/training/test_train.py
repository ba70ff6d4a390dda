"""A whole training: what the branches share, what lies in its folder, and that it resumes bit for bit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file
from small_training import small_job, small_recipe, write_definition, write_images

import converters
from zoo.catalog.catalog import Catalog
from zoo.datasets import open_dataset
from zoo.errors import DataError, DeviceError, UsageError
from zoo.evidence.run import read_run
from zoo.locks import hold
from zoo.training import images, stage_run
from zoo.training.checkpoints import read_checkpoint
from zoo.training.net import Source
from zoo.training.pruning import pruned_count
from zoo.training.stage_run import DivergedError
from zoo.training.train import Progress, train

STAGES = ("dense", "sparse", "dsd", "baseline-half", "baseline")
WEIGHTS = {"conv.weight": 162, "fc.weight": 648}


def weights(folder, stage: str, seed: int = 3) -> dict[str, np.ndarray]:
    tensors = load_file(folder / f"seed-{seed}" / f"{stage}.safetensors")
    return {key.removeprefix("net/"): array for key, array in tensors.items()}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A training of two seeds, and its verdicts."""
    folder = tmp_path_factory.mktemp("finished")
    job = small_job(folder, recipe=small_recipe(seeds=[3, 4]))
    return folder / "run", train(job, folder / "run"), job


def test_the_sparse_net_has_exactly_the_share_of_zeros_and_the_others_none(finished):
    folder, _, _ = finished
    for name, size in WEIGHTS.items():
        zeros = {stage: int((weights(folder, stage)[name] == 0).sum()) for stage in STAGES}
        assert zeros["sparse"] == pruned_count(size, 0.4)
        assert zeros["dense"] == zeros["baseline-half"] == zeros["baseline"] == 0
        # What was pruned starts again from zero and moves; a weight without gradient stays there.
        assert zeros["dsd"] < zeros["sparse"] // 4


def test_pruned_are_the_smallest_weights_of_the_dense_net(finished):
    folder, _, _ = finished
    for name in WEIGHTS:
        dense, zero = np.abs(weights(folder, "dense")[name]), weights(folder, "sparse")[name] == 0
        assert dense[zero].max() <= dense[~zero].min()


def test_each_seed_has_its_own_initial_weights_and_both_branches_one_dense_net(finished):
    folder, _, _ = finished
    assert not np.array_equal(
        weights(folder, "dense", 3)["fc.weight"], weights(folder, "dense", 4)["fc.weight"]
    )
    records = {s: read_checkpoint(folder / "seed-3" / f"{s}.safetensors").records for s in STAGES}
    assert [len(records[stage]) for stage in STAGES] == [2, 2, 1, 2, 1]
    for ours, theirs in (("sparse", "baseline-half"), ("dsd", "baseline")):
        rates = [[record.learning_rate for record in records[stage]] for stage in (ours, theirs)]
        assert rates[0] == rates[1]
    assert all(record.distance > 0 for record in records["baseline"])
    assert records["dense"][0].distance == 0


def test_distances_and_zeros_are_those_of_the_weights(finished):
    folder, _, _ = finished
    dense = weights(folder, "dense")
    length = sum(np.square(dense[name].astype(np.float64)).sum() for name in WEIGHTS) ** 0.5
    for stage in STAGES:
        last = read_checkpoint(folder / "seed-3" / f"{stage}.safetensors").records[-1]
        came = weights(folder, stage)
        apart = [np.square(came[name].astype(np.float64) - dense[name]).sum() for name in WEIGHTS]
        assert last.distance == pytest.approx(sum(apart) ** 0.5 / length, rel=1e-6)
        assert last.zeros == sum(int((came[name] == 0).sum()) for name in WEIGHTS)


def test_without_pruning_both_branches_are_the_same_to_the_last_bit(tmp_path):
    """So they share the order of images, windows, mirrorings, dropout and learning rates."""
    job = small_job(tmp_path, recipe=small_recipe(pruning={"sparsity": 0.0}))
    (verdict, _) = train(job, tmp_path / "run")
    for ours, theirs in (("sparse", "baseline-half"), ("dsd", "baseline")):
        first, second = weights(tmp_path / "run", ours), weights(tmp_path / "run", theirs)
        assert all(np.array_equal(first[key], second[key]) for key in first)
    assert verdict.mean_gain == 0
    assert verdict.seeds[0].paired.p_value == 1


def test_the_nets_of_the_result_are_models_of_a_folder_of_manifests(finished):
    folder, verdicts, _ = finished
    catalog = Catalog.load([folder])
    for seed in (3, 4):
        for result in ("baseline", "sparse", "dsd"):
            manifest = catalog.get(f"small-seed{seed}-{result}")
            assert manifest.framework == "pytorch"
            assert manifest.file("weights").sha256
            run = read_run(folder / "evidence" / manifest.name)
            assert run.result.top1_correct == manifest.claim("top1").correct
            assert run.result.dataset == manifest.dataset
        assert catalog.baseline(catalog.get(f"small-seed{seed}-dsd")).name == f"small-seed{seed}-baseline"
    stored = json.loads((folder / "verdict.json").read_text())
    assert [v["metric"] for v in stored["verdicts"]] == ["top1", "top5"]
    assert stored["verdicts"][0]["mean_gain"] == verdicts[0].mean_gain


def test_the_written_net_computes_what_the_trained_one_does(finished):
    folder, _, job = finished
    model = converters.load(folder / "seed-3" / "small-dsd.onnx")
    stored = converters.weights_of(model)
    trained = weights(folder, "dsd")
    assert np.array_equal(stored["conv.weight"], trained["conv.weight"])
    assert np.array_equal(stored["bn.running_var"], trained["bn.running_var"])
    assert json.loads(model.metadata_props["dsd-zoo.training"])["seed"] == 3
    assert converters.preprocessing_of(model) == job.settings.preprocessing.model_dump()
    assert [node.op_type for node in model.graph][-1] == "Softmax"


def test_of_two_trainings_into_one_folder_the_second_says_who_works_there(tmp_path):
    job, run = small_job(tmp_path), tmp_path / "run"
    run.mkdir()
    with (
        hold(run / ".running"),
        pytest.raises(UsageError, match=f"another run writes there: process {os.getpid()}"),
    ):
        train(job, run)
    assert not list(run.iterdir())
    (run / ".running").write_text("left behind by a process that was killed")
    train(job, run)
    assert not (run / ".running").exists()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("steps", [1, 6, 9, 27])
def test_a_training_resumes_bit_for_bit_from_any_step(tmp_path, finished, monkeypatch, steps):
    """Ended between two steps: within an epoch, between epochs, between stages; 32 steps in all."""
    reference, _, _ = finished
    job = small_job(tmp_path, steps_per_checkpoint=2)
    done = 0

    def end(*_: int) -> None:
        nonlocal done
        done += 1
        if done == steps:
            raise Killed

    with pytest.raises(Killed):
        train(job, tmp_path / "run", progress=Progress(step=end))
    with pytest.raises(UsageError, match="holds a training already; --resume"):
        train(job, tmp_path / "run")
    trained: list[int] = []
    train(job, tmp_path / "run", resume=True, progress=Progress(step=lambda *_: trained.append(1)))
    assert len(trained) <= 32 - steps + 2
    for stage in STAGES:
        expected, came = weights(reference, stage), weights(tmp_path / "run", stage)
        assert came.keys() == expected.keys()
        assert all(np.array_equal(came[key], expected[key]) for key in expected), stage
        records = [
            read_checkpoint(f / "seed-3" / f"{stage}.safetensors").records
            for f in (reference, tmp_path / "run")
        ]
        assert [r.loss for r in records[0]] == pytest.approx([r.loss for r in records[1]], abs=1e-12)


def test_a_killed_process_resumes(tmp_path, finished):
    """kill -9 at a moment that nobody chose."""
    reference, _, _ = finished
    write_definition(tmp_path / "small.prototxt")
    write_images(tmp_path / "images", 24)
    write_images(tmp_path / "test", 15, seed=1)
    program = tmp_path / "program.py"
    program.write_text(
        "import sys, pathlib, dataclasses\n"
        "from small_training import *\n"
        "from zoo.training.train import train\n"
        "here = pathlib.Path(sys.argv[1])\n"
        "source = Source([here / 'small.prototxt'])\n"
        "data, test = (open_dataset(here / name) for name in ('images', 'test'))\n"
        "files = {'small.prototxt': '0' * 64}\n"
        "job = TrainingJob('small', source, files, Settings(PREPROCESSING), data, test, small_recipe(),\n"
        "                  steps_per_checkpoint=1)\n"
        "train(job, here / 'run', resume=(here / 'run' / 'run.json').exists())\n"
    )
    path = os.pathsep.join(filter(None, [*sys.path, os.environ.get("PYTHONPATH", "")]))
    command = [sys.executable, str(program), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(command, env=environment)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "run").glob("seed-3/*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "run" / "verdict.json").exists()
    subprocess.run(command, env=environment, check=True, timeout=300)
    for stage in STAGES:
        expected, came = weights(reference, stage), weights(tmp_path / "run", stage)
        assert all(np.array_equal(came[key], expected[key]) for key in expected), stage


def test_a_resumption_must_be_of_the_same_training(tmp_path, finished):
    folder, _, job = finished
    with pytest.raises(UsageError, match="was started with another recipe"):
        train(replace(job, recipe=small_recipe(batch_size=8)), folder, resume=True)
    with pytest.raises(UsageError, match="no training to resume"):
        train(job, tmp_path / "other", resume=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    with pytest.raises(UsageError, match="is not empty"):
        train(job, tmp_path / "full")


def test_a_damaged_checkpoint_says_what_to_do(tmp_path, finished):
    folder, _, _ = finished
    path = tmp_path / "dense.safetensors"
    path.write_bytes((folder / "seed-3" / "dense.safetensors").read_bytes()[:200])
    with pytest.raises(DataError, match="remove it to train this stage again"):
        read_checkpoint(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("missing class", r"no image of class 2: the net tells 3 classes apart, and 1 of them"),
        ("label out of range", r"has label 3, but the net tells 3 classes apart \(0 to 2\)"),
        ("unreadable image", r"images: 004.png: cannot decode"),
    ],
)
def test_broken_training_data_is_an_error_before_the_first_step(tmp_path, monkeypatch, change, message):
    steps: list[object] = []
    monkeypatch.setattr(stage_run, "train_stage", lambda *arguments: steps.append(arguments))
    job = small_job(tmp_path)
    labels = tmp_path / "images" / "labels.txt"
    lines = labels.read_text().splitlines()
    if change == "unreadable image":
        (tmp_path / "images" / "004.png").write_bytes(b"\x89PNG\r\n")
    elif change == "missing class":
        labels.write_text("\n".join(line for line in lines if not line.endswith(" 2")))
    else:
        labels.write_text("\n".join([*lines[:-1], lines[-1][:-1] + "3"]))
    with open_dataset(tmp_path / "images") as data, pytest.raises(DataError, match=message):
        train(replace(job, data=data), tmp_path / "run")
    assert not steps


def test_a_test_image_that_cannot_be_read_is_an_error_before_the_first_step(tmp_path, monkeypatch):
    """Also where the images are too many to be kept in memory."""
    monkeypatch.setattr(images, "free_memory", lambda *device: 0)
    monkeypatch.setattr(stage_run, "train_stage", lambda *arguments: pytest.fail("a step was taken"))
    job = small_job(tmp_path)
    (tmp_path / "test" / "004.png").write_bytes(b"\x89PNG\r\n")
    with pytest.raises(DataError, match=r"test: 004\.png: cannot decode"):
        train(job, tmp_path / "run")


def test_after_an_error_before_the_first_step_the_same_folder_is_taken_again(tmp_path):
    """Nothing is lost, and what was wrong may have been changed."""
    job, broken = small_job(tmp_path), tmp_path / "images" / "004.png"
    whole = broken.read_bytes()
    broken.write_bytes(b"\x89PNG\r\n")
    with pytest.raises(DataError, match=r"004\.png"):
        train(job, tmp_path / "run")
    broken.write_bytes(whole)
    train(replace(job, recipe=small_recipe(batch_size=8)), tmp_path / "run")
    assert json.loads((tmp_path / "run" / "run.json").read_text())["recipe"]["batch_size"] == 8


def test_a_training_that_diverges_says_so(tmp_path):
    rate = {"epochs": 1, "learning_rate": {"policy": "fixed", "base": 1e30}}
    job = small_job(tmp_path, norm=False, recipe=small_recipe(dense=rate))
    with pytest.raises(DivergedError, match="lower the learning rate"):
        train(job, tmp_path / "run")


def test_a_net_without_weights_to_prune_is_refused(tmp_path):
    text = (
        'input: "data" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 } layer { name: "pool" type: "Pooling" '
        'bottom: "data" top: "pool" pooling_param { pool: AVE global_pooling: true } }'
    )
    job = small_job(tmp_path)
    (tmp_path / "small.prototxt").write_text(text)
    with pytest.raises(UsageError, match="no convolution, inner product or recurrent layer to prune"):
        train(job, tmp_path / "run")


def test_training_continues_from_a_net_that_has_weights(tmp_path, finished):
    """The dense phase of no epoch: both branches start from the weights as they are given."""
    folder, _, _ = finished
    recipe = small_recipe(dense={"epochs": 0, "learning_rate": {"policy": "fixed", "base": 1}})
    net = folder / "seed-3" / "small-baseline.onnx"
    job = small_job(tmp_path, recipe=recipe, source=Source([net]))
    train(job, tmp_path / "run")
    given = converters.weights_of(converters.load(net))
    assert np.array_equal(weights(tmp_path / "run", "dense")["fc.weight"], given["fc.weight"])


def test_reduced_precision_is_chosen_by_name(tmp_path, finished):
    folder, _, _ = finished
    job = small_job(tmp_path, precision="bf16")
    train(job, tmp_path / "run")
    half, whole = (weights(f, "dense")["fc.weight"] for f in (tmp_path / "run", folder))
    assert not np.array_equal(half, whole)
    np.testing.assert_allclose(half, whole, atol=0.05)
    for precision, message in (("tf32", "mode of NVIDIA"), ("fp16", "float32, tf32 or bf16")):
        with pytest.raises(DeviceError, match=message):
            train(replace(job, precision=precision), tmp_path / precision)
    assert torch.get_float32_matmul_precision() == "highest"
