"""Two processes under torchrun, on the CPU over gloo: the losses of one process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file
from small_training import small_job, small_recipe, write_definition, write_images

from zoo.training.checkpoints import read_checkpoint
from zoo.training.train import train

STAGES = ("dense", "sparse", "dsd", "baseline-half", "baseline")
PROGRAM = """
import json, pathlib, sys
from small_training import *
from zoo.evaluation.distributed import join_group
from zoo.training import images
from zoo.training.run_folder import RunFolder
from zoo.training.stage_run import StageRun
from zoo.training.train import train
saved, save = [], RunFolder.save
def noted(folder, seed, checkpoint):
    saved.append((checkpoint.stage, checkpoint.epochs, checkpoint.batches))
    save(folder, seed, checkpoint)
RunFolder.save = noted
# Ten minutes are over at every look at the clock; that of the first process decides.
StageRun._seconds_left = lambda run: -1.0 if run.trainer.group.rank == 0 else 1e9
here = pathlib.Path(sys.argv[1])
source = Source([here / "small.prototxt"])
data, test = (open_dataset(here / name) for name in ("images", "test"))
files = {"small.prototxt": "0" * 64}
recipe = small_recipe(**json.loads(sys.argv[2]))
images.free_memory = lambda *device: int(sys.argv[3])
job = TrainingJob("small", source, files, Settings(PREPROCESSING), data, test, recipe)
with join_group("cpu") as group:
    train(job, here / "run", group=group)
    (here / f"saved-{group.rank}.json").write_text(json.dumps(saved))
"""


@pytest.mark.parametrize(
    ("changes", "memory", "steps"),
    [
        # The last batch has 3 images, which cannot be halved.
        ({}, 1 << 30, 4),
        # The last batch has one image, of which one process has none; images are read from their files.
        ({"batch_size": 23}, 0, 2),
        ({"images_at_once": 3}, 1 << 30, 4),
    ],
    ids=["whole batches", "fewer images than processes", "parts of batches"],
)
def test_two_processes_give_the_losses_of_one(tmp_path, changes, memory, steps):
    """With batch normalisation, dropout and a mask."""
    processes = 2
    (tmp_path / "alone").mkdir()
    train(small_job(tmp_path / "alone", recipe=small_recipe(**changes)), tmp_path / "alone" / "run")
    write_definition(tmp_path / "small.prototxt")
    write_images(tmp_path / "images", 24)
    write_images(tmp_path / "test", 15, seed=1)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    path = os.pathsep.join(filter(None, [*sys.path, os.environ.get("PYTHONPATH", "")]))
    subprocess.run(
        [
            sys.executable, "-m", "torch.distributed.run", "--standalone",
            f"--nproc-per-node={processes}", str(program), str(tmp_path), json.dumps(changes), str(memory),
        ],
        env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "TMPDIR": str(tmp_path)},
        check=True, timeout=600,
    )  # fmt: skip
    saved = [json.loads((tmp_path / f"saved-{rank}.json").read_text()) for rank in range(processes)]
    assert saved[0] == saved[1]  # at the same steps, also within an epoch of 4
    assert [(epochs, batches) for stage, epochs, batches in saved[0] if stage == "dsd"] == [
        (0, done + 1) for done in range(steps - 1)
    ]  # fmt: skip
    for stage in STAGES:
        paths = [
            folder / "run" / "seed-3" / f"{stage}.safetensors" for folder in (tmp_path / "alone", tmp_path)
        ]
        ours, theirs = (read_checkpoint(path).records for path in paths)
        assert [r.loss for r in ours] == pytest.approx([r.loss for r in theirs], rel=1e-5)
        assert [(r.top1, r.top5, r.zeros) for r in ours] == [(r.top1, r.top5, r.zeros) for r in theirs]
        first, second = map(load_file, paths)
        for key in first:
            np.testing.assert_allclose(second[key], first[key], rtol=1e-3, atol=1e-5)
