"""What nets spend their time on, per operator: the convolutions, and what else there is to take out."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
from inference import BATCH, MORE_NETS, written
from measurement import Row, Settings, measurement

import converters

# Convolutions and matrix products, by the names that the runtimes have for them.
PRODUCTS = {
    *("Conv", "FusedConv", "Gemm", "FusedGemm", "MatMul", "ConvTranspose"),
    *("mkldnn_convolution", "_slow_conv2d_forward", "slow_conv_dilated2d", "addmm", "mm", "linear"),
}
OTHERS = 3


def _in_onnx_runtime(net: Path, batch: np.ndarray, rounds: int) -> Counter[str]:
    """Seconds by operator, of the fastest of the rounds for each node, in one thread."""
    import onnxruntime

    from zoo.runtimes.local_response import onnx_without_powers

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.enable_profiling = True
    options.profile_file_prefix = str(net.with_suffix(""))
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        onnx_without_powers(net) or str(net), options, providers=["CPUExecutionProvider"]
    )
    for _ in range(rounds):
        session.run(None, {session.get_inputs()[0].name: batch})
    profile = Path(session.end_profiling())
    least: dict[tuple[str, str], float] = {}
    for event in json.loads(profile.read_text(encoding="utf-8")):
        if event["cat"] == "Node" and event["name"].endswith("_kernel_time"):
            key = event["args"]["op_name"], event["name"]
            least[key] = min(least.get(key, float("inf")), event["dur"] / 1e6)
    profile.unlink()
    found: Counter[str] = Counter()
    for (operator, _), seconds in least.items():
        found[operator] += seconds
    return found


def _in_pytorch(net: Path, batch: np.ndarray, rounds: int) -> Counter[str]:
    """Seconds by operator, of all rounds after the first."""
    import torch

    from zoo.runtimes import open_runtime

    opened = open_runtime("pytorch", net)
    opened.compute(batch)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as profile:
        for _ in range(rounds):
            opened.compute(batch)
    found: Counter[str] = Counter()
    for event in profile.key_averages():
        found[event.key.removeprefix("aten::").rstrip("_")] += event.self_cpu_time_total / 1e6 / rounds
    return found


def _row(name: str, runtime: str, found: Counter[str]) -> Row:
    whole = sum(found.values())
    others = [(key, value) for key, value in found.most_common() if key not in PRODUCTS][:OTHERS]
    row: Row = {"net": name, "runtime": runtime, "ms an image": 1000 * whole / BATCH}
    row["convolutions and products, %"] = 100 * sum(found[key] for key in PRODUCTS) / whole
    row["what else"] = ", ".join(f"{key} {100 * value / whole:.1f} %" for key, value in others)
    return row


@measurement(
    "operators",
    "Where the time goes in a net as `validate` opens it: the share of convolutions and matrix products, and "
    "the operators after them. Batches of 4; ONNX Runtime in one thread, the least of 5 for each node.",
)
def operators(settings: Settings) -> list[Row]:
    """All nets, in ONNX Runtime and in PyTorch."""
    rows = []
    for name in MORE_NETS[2:4] if settings.quick else MORE_NETS:
        sources, size = written(settings, name)
        net = settings.folder / "profiled.py"
        converters.convert(sources, net.with_suffix(".onnx"))
        converters.convert(sources, net)
        shape = (BATCH, 3, size, size)
        batch = np.random.default_rng(0).uniform(-128, 128, shape).astype(np.float32)
        rounds = settings.rounds(5)
        rows.append(_row(name, "onnx", _in_onnx_runtime(net.with_suffix(".onnx"), batch, rounds)))
        rows.append(_row(name, "pytorch", _in_pytorch(net, batch, rounds)))
    return rows
