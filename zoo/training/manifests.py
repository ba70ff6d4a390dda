"""The manifests of trained nets: what other commands need to treat them as models of the zoo."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from converters import atomic_write
from zoo.catalog.manifest import Manifest
from zoo.errors import UsageError
from zoo.files import sha256

if TYPE_CHECKING:
    from zoo.evaluation.settings import Settings
    from zoo.training.recipe import Recipe
    from zoo.training.stages import EpochRecord

_TITLES = {
    "baseline": "the fair baseline of Dense-Sparse-Dense",
    "sparse": "the sparse phase of Dense-Sparse-Dense",
    "dsd": "Dense-Sparse-Dense",
}
_SUMMARIES = {
    "baseline": "trained as long as Dense-Sparse-Dense, with the same rates and images, without a mask",
    "sparse": "the net between the two dense phases, with its mask",
    "dsd": "pruned, trained, and trained again with all weights",
}


@dataclass(frozen=True)
class TrainedNet:
    """A net that a training wrote. result: baseline, sparse or dsd. model: its name, that of the manifest.

    inherits: the manifest of the model that it was trained from; None for files of the user's own.
    """

    net_name: str
    seed: int
    result: str
    onnx: Path
    record: EpochRecord
    classes: int
    dataset: str
    parameters: int
    channels: int
    inherits: Manifest | None = None

    @property
    def model(self) -> str:
        """The name of the model."""
        return f"{self.net_name}-seed{self.seed}-{self.result}"


def write_manifest(folder: Path, net: TrainedNet, recipe: Recipe, settings: Settings) -> Manifest:
    """Write the manifest of a net into `folder`, which contains its file; returns it as read again."""
    files = [_file(folder, net.onnx, "weights")]
    if settings.mean_image is not None and settings.preprocessing.mean_image:
        files.append(_file(folder, _mean_image(folder, settings.mean_image), "mean"))
    content = _content(net, recipe, settings, files)
    path = folder / f"{net.model}.toml"
    with atomic_write(path) as temporary:
        temporary.write_text(to_toml(content), encoding="utf-8")
    return Manifest.read(path)


def check_manifest(net: TrainedNet, recipe: Recipe, settings: Settings) -> None:
    """UsageError where no manifest can describe such a net: before it is trained, not after."""
    file = {"name": net.onnx.name, "role": "weights", "path": net.onnx.name, "sha256": "0" * 64}
    content = _content(net, recipe, settings, [file])
    if settings.preprocessing.mean_image:
        content["files"].append({**file, "name": "mean", "role": "mean", "path": "mean"})
    try:
        Manifest.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        where = "".join(f"{part}: " for part in problem["loc"])
        why = problem["msg"].removeprefix("Value error, ")
        raise UsageError(f"{net.model}: no manifest can say this: {where}{why}") from error


def _content(
    net: TrainedNet, recipe: Recipe, settings: Settings, files: list[dict[str, Any]]
) -> dict[str, Any]:
    known = net.inherits
    crop = settings.preprocessing.crop
    content: dict[str, Any] = {
        "schema_version": 1,
        "name": net.model,
        "title": f"{net.net_name}, {_TITLES[net.result]}, seed {net.seed}",
        "summary": f"{_SUMMARIES[net.result].capitalize()}. Trained here by `dsd-zoo train`.",
        "architecture": known.architecture if known is not None else net.net_name,
        "recipe": net.result,
        "framework": "pytorch",
        "dataset": net.dataset,
        "classes": net.classes,
        "input_shape": [net.channels, crop, crop],
        "parameters": net.parameters,
        "citation": known.citation if known is not None else f"trained by dsd-zoo: {recipe.title}",
        "notes": [f"recipe: {recipe.title}", "last weights of each phase; no snapshot was selected"],
        "license": {"name": known.license.name if known is not None else "not stated"},
        "preprocessing": settings.preprocessing.model_dump(exclude_none=True, exclude_defaults=True),
        "files": files,
        "claims": [_claim(net, metric) for metric in ("top1", "top5")],
    }
    if known is not None and known.label_order is not None:
        content["label_order"] = known.label_order
    if net.result != "baseline":
        content["baseline"] = f"{net.net_name}-seed{net.seed}-baseline"
    return content


def _file(folder: Path, path: Path, role: str) -> dict[str, Any]:
    return {
        "name": path.name,
        "role": role,
        "path": path.relative_to(folder).as_posix(),
        "bytes": path.stat().st_size,
        "sha256": sha256(path),
    }


def _mean_image(folder: Path, source: Path) -> Path:
    """The mean image of the training, as a file of its folder."""
    target = folder / f"mean{source.suffix}"
    if not target.exists():
        with atomic_write(target) as temporary:
            shutil.copyfile(source, temporary)
    return target


def _claim(net: TrainedNet, metric: str) -> dict[str, Any]:
    record = net.record
    correct = record.top1 if metric == "top1" else record.top5
    percent = round(100 * correct / record.n, 4)
    return {
        "metric": metric,
        "n": record.n,
        "correct": correct,
        "published": f"{correct} of {record.n}",
        "percent": percent,
        "source": f"seed-{net.seed}/{record.stage}.safetensors",
        "how": "counted in PyTorch at the end of the training, after the last epoch",
    }


def to_toml(content: Mapping[str, Any]) -> str:
    """Plain data as TOML: first values, then tables and lists of tables. A string is the same in JSON."""
    lines = [f"{key} = {_value(value)}" for key, value in content.items() if not _is_table(value)]
    for key, value in content.items():
        if isinstance(value, Mapping):
            lines += ["", f"[{key}]", *(f"{name} = {_value(inner)}" for name, inner in value.items())]
        elif _is_table(value):
            for table in value:
                lines += ["", f"[[{key}]]", *(f"{name} = {_value(inner)}" for name, inner in table.items())]
    return "\n".join(lines) + "\n"


def _is_table(value: object) -> bool:
    if isinstance(value, Mapping):
        return True
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and any(isinstance(inner, Mapping) for inner in value)
    )


def _value(value: object) -> str:
    # DEL is the one character that JSON leaves as it is and TOML does not take.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
