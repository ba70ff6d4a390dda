"""What was measured on this machine, for `list` and `show`: the results of runs, without their rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.evidence.run import Result


def in_short(result: Result) -> str:
    """`98.40 onnx`, with the number of images where it is not all, and the device where it is not the CPU."""
    parts = [f"{100 * result.top1_correct / result.n:.2f}", result.runtime]
    parts += [] if result.device == "cpu" else [f"on {result.device}"]
    parts += [] if result.n == result.n_dataset else [f"of {result.n} images"]
    return " ".join(parts)


def as_json(result: Result) -> dict[str, object]:
    """The fields of a result that tell what was measured, and how."""
    fields = {
        "runtime",
        "device",
        "precision",
        "flavour",
        "dataset",
        "n",
        "n_dataset",
        "top1_correct",
        "top5_correct",
    }
    return result.model_dump(mode="json", include=fields)
