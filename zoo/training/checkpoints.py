"""Weights and momentum on disk: after each stage, and at points within one.

A file is a safetensors with the tensors of the net (`net/KEY`) and the optimiser's momentum
(`momentum/PARAMETER`); its metadata say how far the stage is. It is written under another name and then
renamed, so a process may be killed at any moment.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from converters import atomic_write
from zoo.errors import DataError, UsageError
from zoo.training.stages import EpochRecord

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

_KEY = "dsd-zoo.training"


@dataclass
class Checkpoint:
    """How far a stage is.

    epochs: those that are done; batches: of the next epoch; loss_sum: the sum of the losses of their images.
    records: of the epochs that are done. net: the state dict; momentum: by the name of the parameter.
    """

    stage: str
    epochs: int = 0
    batches: int = 0
    loss_sum: float = 0.0
    records: Sequence[EpochRecord] = ()
    net: Mapping[str, Tensor] = field(default_factory=dict)
    momentum: Mapping[str, Tensor] = field(default_factory=dict)


def write_checkpoint(path: Path, checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all. UsageError if the folder cannot be written."""
    from safetensors.torch import save_file

    parts = (("net", checkpoint.net), ("momentum", checkpoint.momentum))
    tensors = {
        f"{part}/{key}": tensor.detach().cpu().contiguous().clone()
        for part, state in parts
        for key, tensor in state.items()
    }
    about = {
        "stage": checkpoint.stage,
        "epochs": checkpoint.epochs,
        "batches": checkpoint.batches,
        "loss_sum": checkpoint.loss_sum,
        "records": [asdict(record) for record in checkpoint.records],
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_write(path) as temporary:
            save_file(tensors, temporary, {_KEY: json.dumps(about)})
    except OSError as error:
        raise UsageError(f"{path}: the checkpoint cannot be written: {error.strerror}") from error


def read_checkpoint(path: Path) -> Checkpoint | None:
    """The checkpoint in a file; None if there is none. DataError if it is damaged."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        return None
    found: dict[str, dict[str, Tensor]] = {"net": {}, "momentum": {}}
    try:
        with safe_open(path, "pt") as file:
            about = json.loads((file.metadata() or {})[_KEY])
            for name in file.keys():  # noqa: SIM118 - not a dict
                part, _, key = name.partition("/")
                found[part][key] = file.get_tensor(name)
        records = [EpochRecord(**record) for record in about.pop("records")]
        return Checkpoint(**about, records=records, net=found["net"], momentum=found["momentum"])
    except (SafetensorError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{path}: not a checkpoint of dsd-zoo train ({error}); remove it to train this stage again"
        ) from error


def net_state(module: Module) -> dict[str, Tensor]:
    """The state dict of a net under the names that it has without masks."""
    return {
        key.removesuffix("_orig"): tensor
        for key, tensor in module.state_dict().items()
        if not key.endswith("_mask")
    }


def load_net_state(module: Module, state: Mapping[str, Tensor]) -> None:
    """Give a net these values; masks stay as they are. DataError for the state of another net."""
    import torch

    own = net_state(module)
    if {key: tuple(t.shape) for key, t in own.items()} != {key: tuple(t.shape) for key, t in state.items()}:
        raise DataError("the checkpoint is that of another net; train into an empty folder")
    with torch.no_grad():
        for key, tensor in own.items():
            tensor.copy_(state[key])
