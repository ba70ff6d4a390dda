"""How long large files take to convert, beside copying and hashing the same bytes in the same run."""

from __future__ import annotations

import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
from caffemodel_writer import write_caffemodel
from inference import written
from measurement import Row, Settings, measurement
from processes import Cost, cost_of, least
from torch7_net import SIDE, WIDTH, write_vgg

GROWTH = (10, 100, 500, 1_000, 2_500)
# OpenSSL's, which uses the instructions that processors have for it: sha256sum took four times as long.
_SHA256 = """
import hashlib, sys
with open(sys.argv[1], "rb", buffering=0) as file:
    hashlib.file_digest(file, "sha256")
"""


def _costs(settings: Settings, sources: list[Path], small: list[Path], rounds: int) -> dict[str, Cost]:
    """Costs of cp, SHA-256 and conversions beyond what a conversion of a small net takes, in turns."""
    folder = settings.folder / "converted"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    weights, linked = sources[-1], sources[-1].with_suffix(".linked.onnx")
    commands: dict[str, list[str | Path]] = {
        "cp": ["cp", weights, folder / "copy"],
        "sha256": [sys.executable, "-I", "-S", "-c", _SHA256, weights],
    }
    if weights.suffix == ".t7":
        for name, source in (("small tensors", small[-1]), ("tensors", weights)):
            out = folder / f"{source.stem}.safetensors"
            commands[name] = [sys.executable, "-m", "zoo", "convert", source, "-o", out]
    for prefix, python in settings.builds.items():
        convert: list[str | Path] = [python, "-m", "zoo", "convert"]
        if weights.suffix == ".t7":
            convert += ["--input-shape", f"input=N,3,{SIDE},{SIDE}"]
        commands[f"{prefix}small"] = [*convert, *small, "-o", folder / "small.onnx"]
        commands[f"{prefix}small PyTorch"] = [*convert, *small, "-o", folder / "small.py"]
        commands[f"{prefix}onnx"] = [*convert, *sources, "-o", folder / "net.onnx"]
        commands[f"{prefix}linked"] = [*convert, *sources, "-o", linked, "--link"]
        commands[f"{prefix}PyTorch"] = [*convert, *sources, "-o", folder / "net.py"]
    runs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(settings.rounds(rounds)):
        for name, command in commands.items():
            runs[name].append(cost_of(command, folder, memory=name.endswith(("onnx", "PyTorch"))))
    shutil.rmtree(folder)
    linked.unlink()
    return {name: least(costs) for name, costs in runs.items()}


def _row(settings: Settings, name: str, sources: list[Path], small_net: list[Path], rounds: int) -> Row:
    costs = _costs(settings, sources, small_net, rounds)
    row: Row = {"net": name, "MB": sources[-1].stat().st_size / 1e6}
    row |= {"cp, s": costs["cp"].wall, "sha256, s": costs["sha256"].wall}
    slower = max(costs["cp"].wall, costs["sha256"].wall)
    for prefix in settings.builds:
        for kind, small in (("onnx", "small"), ("linked", "small"), ("PyTorch", "small PyTorch")):
            row[f"{prefix}{kind}, s"] = costs[f"{prefix}{kind}"].wall - costs[f"{prefix}{small}"].wall
    row["tensors, s"] = ""
    if "tensors" in costs:
        row["tensors, s"] = costs["tensors"].wall - costs["small tensors"].wall
    row["onnx to the slower"] = float(row["onnx, s"]) / slower
    row["PyTorch to the slower"] = float(row["PyTorch, s"]) / slower
    row["linked to sha256"] = float(row["linked, s"]) / costs["sha256"].wall
    row["anonymous MB"] = costs["onnx"].anonymous / 1e6
    return row


@measurement(
    "converting",
    "Seconds of wall time beyond the conversion of a small net, warm cache, the least of 5, in turns with "
    "`cp` and Python's own SHA-256 of the same file; anonymous memory is what is not a file's, at its peak.",
)
def converting(settings: Settings) -> list[Row]:
    """VGG16's size to ONNX with a copy of the weights, linked to them, and to PyTorch."""
    name = "squeezenet" if settings.quick else "vgg-16"
    small, _ = written(settings, "squeezenet")
    sources, _ = written(settings, name)
    small_torch7 = write_vgg(settings.folder / "vgg-2.t7", 2)
    width = 4 if settings.quick else WIDTH
    torch7 = write_vgg(settings.folder / f"vgg-{width}.t7", width)
    return [
        _row(settings, name, sources, small, 5),
        _row(settings, "VGG-16 in Torch7", [torch7], [small_torch7], 5),
    ]


@measurement(
    "growth",
    "The same for InnerProducts in a row, up to 2.5 GB, the least of 2; beyond 2 GB the weights come to lie "
    "beside the model by themselves.",
)
def growth(settings: Settings) -> list[Row]:
    """Time and memory as files grow."""
    settings = replace(settings, baseline=None)  # older builds end at 2 GB
    small, _ = written(settings, "squeezenet")
    rows = []
    for megabytes in GROWTH[:2] if settings.quick else GROWTH:
        sources = _grown(settings.folder, megabytes)
        rows.append(_row(settings, f"{megabytes:,} MB of weights", sources, small, 2))
        sources[-1].unlink()
    return rows


def _grown(folder: Path, megabytes: int) -> list[Path]:
    """Square InnerProducts of 10 MB each."""
    side, random = 1581, np.random.default_rng(0)
    weights = random.standard_normal((side, side), np.float32)
    lines = [f'input: "data" input_shape {{ dim: 1 dim: {side} }}']
    blobs, x = {}, "data"
    for number in range(megabytes // 10):
        name = f"fc{number}"
        lines.append(
            f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{x}" top: "{name}" '
            f"inner_product_param {{ num_output: {side} bias_term: false }} }}"
        )
        blobs[name], x = [weights], name
    definition = folder / "grown.prototxt"
    definition.write_text("\n".join(lines), encoding="utf-8")
    return [definition, write_caffemodel(folder / "grown.caffemodel", blobs)]
