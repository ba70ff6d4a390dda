"""`dsd-zoo train` on a device: how far its losses are from those of one process on a processor in float32.

On GPUs the processes of torchrun sum over nccl, on processors over gloo. With a single GPU there is one such
process: then nccl sums the counts only, and no gradients.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from measurement import Row
from processes import cost_of
from safetensors import safe_open

# Few steps: over many, rounding grows by itself.
RECIPE = """
schema_version = 1
title = "gpu-check"
source = "Short, to compare devices."
seeds = [1]
batch_size = 50
weight_decay = 0.0005
[augmentation]
crop = "random"
[pruning]
sparsity = 0.4
[dense]
epochs = 1
learning_rate = { policy = "fixed", base = 0.01 }
[sparse]
epochs = 1
learning_rate = { policy = "fixed", base = 0.003 }
[redense]
epochs = 1
learning_rate = { policy = "fixed", base = 0.001 }
"""
STAGES = ("dense", "sparse", "dsd", "baseline-half", "baseline")


def training_rows(folder: Path, device: str) -> list[Row]:
    """One row for each way to train: by precision, again, and by the processes that torchrun starts."""
    (folder / "gpu-check.toml").write_text(RECIPE, encoding="utf-8")
    processes = min(2, torch.cuda.device_count()) if device == "cuda" else 2
    alone = [sys.executable, "-m", "zoo"]
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    together += [f"--nproc-per-node={processes}", "-m", "zoo"]
    backend = "nccl" if device == "cuda" else "gloo"
    runs = [
        ("one process", alone, ["--device", device]),
        ("the same again", alone, ["--device", device]),
        (f"torchrun, {processes} over {backend}", together, ["--device", device]),
        ("bf16", alone, ["--device", device, "--precision", "bf16"]),
    ]
    if device == "cuda":
        runs.append(("tf32", alone, ["--device", device, "--precision", "tf32"]))
    reference = _trained(folder, "processor", alone, [])[0]
    rows: list[Row] = []
    for number, (name, program, options) in enumerate(runs):
        losses, seconds = _trained(folder, f"run-{number}", program, options)
        pairs = zip(losses, reference, strict=True)
        difference = max(abs(ours - theirs) / theirs for ours, theirs in pairs)
        rows.append({"training": name, "difference of losses": f"{difference:.1e}", "s": seconds})
        rows[-1]["weights of one process"] = (
            "the same" if _same(folder, "run-0", f"run-{number}") else "other"
        )
    return rows


def _trained(folder: Path, name: str, program: list[str], options: list[str]) -> tuple[list[float], float]:
    """(the loss of every epoch of every stage, seconds) of a training into folder/name."""
    command = [*program, "train", "digits", "--recipe", "gpu-check.toml", "-o", name, *options]
    cost = cost_of(command, folder)
    losses: list[float] = []
    for stage in STAGES:
        with safe_open(folder / name / "seed-1" / f"{stage}.safetensors", "np") as file:
            records = json.loads(file.metadata()["dsd-zoo.training"])["records"]
        losses += [record["loss"] for record in records]
    return losses, cost.wall


def _same(folder: Path, first: str, second: str) -> bool:
    paths = [folder / name / "seed-1" / "dsd.safetensors" for name in (first, second)]
    with safe_open(paths[0], "pt") as ours, safe_open(paths[1], "pt") as theirs:
        return all(torch.equal(ours.get_tensor(key), theirs.get_tensor(key)) for key in ours.keys())  # noqa: SIM118
