"""Results of runs on this machine, as `list` and `show` print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.evidence.run import Result


def in_short(result: Result) -> str:
    """`98.40 onnx`, with the device if it is not the CPU and the number of images if it is not all."""
    parts = [f"{100 * result.top1_correct / result.n:.2f}", result.runtime]
    parts += [] if result.device == "cpu" else [f"on {result.device}"]
    parts += [] if result.n == result.n_dataset else [f"of {result.n} images"]
    return " ".join(parts)


def as_json(result: Result) -> dict[str, object]:
    """The fields of a result that say what was measured, and how."""
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
