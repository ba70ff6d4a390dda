"""The nets of a training as files, and their evidence."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import converters
from zoo.evaluation.evaluate import evaluate
from zoo.evidence.run import Run, write_run
from zoo.files import sha256
from zoo.runtimes.input_shape import COLOURS
from zoo.training.job import TrainingJob
from zoo.training.manifests import TrainedNet, write_manifest
from zoo.training.net import trained_model
from zoo.training.run_folder import RunFolder
from zoo.training.stages import EpochRecord

if TYPE_CHECKING:
    import onnx_ir as ir
    import torch


def write_net(
    job: TrainingJob,
    seed: int,
    result: str,
    model: ir.Model,
    state: Mapping[str, torch.Tensor],
    record: EpochRecord,
    folder: RunFolder,
    classes: int,
) -> TrainedNet:
    """Write the net of one result as ONNX, with what it was trained by in its metadata, and its manifest."""
    path = folder.seed(seed) / f"{job.name}-{result}.onnx"
    about = {"recipe": job.recipe.title, "seed": seed, "result": result, "net": dict(job.hashes)}
    trained = trained_model(model, state, about)
    trained.metadata_props["dsd-zoo.preprocessing"] = json.dumps(job.settings.preprocessing.model_dump())
    converters.save(trained, path)
    net = trained_net(job, seed, result, model, path, record, classes)
    write_manifest(folder.path, net, job.recipe, job.settings)
    return net


def trained_net(
    job: TrainingJob,
    seed: int,
    result: str,
    model: ir.Model,
    path: Path,
    record: EpochRecord,
    classes: int,
) -> TrainedNet:
    """What the manifest of a net is written from."""
    shape = model.graph.inputs[0].shape
    channels = shape[1] if shape is not None and len(shape) == 4 else None
    return TrainedNet(
        net_name=job.name,
        seed=seed,
        result=result,
        onnx=path,
        record=record,
        classes=classes,
        dataset=job.test.name,
        parameters=_parameters(model),
        channels=channels if isinstance(channels, int) else COLOURS,
        inherits=job.manifest,
    )


def _parameters(model: ir.Model) -> int:
    return sum(math.prod(array.shape) for array in converters.weights_of(model).values())


def measure(job: TrainingJob, nets: list[TrainedNet], out: Path) -> dict[int, dict[str, Run]]:
    """The evidence of every net, measured from the image files on in ONNX Runtime, by seed and result."""
    runs: dict[int, dict[str, Run]] = {}
    for net in nets:
        run = evaluate(
            net.onnx,
            job.test,
            job.settings.preprocessing,
            model=net.model,
            mean_image=job.settings.mean_image,
            files={net.onnx.name: sha256(net.onnx)},
            command=job.command,
        )
        write_run(out / "evidence" / net.model, run)
        runs.setdefault(net.seed, {})[net.result] = run
    return runs
