"""Results of runs on this machine, as `list` and `show` print them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest
    from zoo.evidence.run import Result


def is_on_claimed_images(manifest: Manifest, result: Result) -> bool:
    """Whether the run saw images that the model's published numbers are about, if not all of them."""
    return result.dataset == manifest.dataset


def published_images(manifest: Manifest) -> int:
    """How many images the model's published numbers are about; 0 if nothing is published."""
    counts = [claim.n for claim in manifest.claims] + [found.n for found in manifest.measurements]
    return max(counts, default=0)


def in_short(result: Result, whole: int = 0) -> str:
    """`98.40 onnx`, with the device if it is not the CPU and the number of images if it is not all.

    whole: how many images there are, if the dataset at hand may hold only a part of them.
    """
    parts = [f"{100 * result.top1_correct / result.n:.2f}", result.runtime]
    parts += [] if result.device == "cpu" else [f"on {result.device}"]
    parts += [] if result.n == max(result.n_dataset, whole) else [f"of {result.n} images"]
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
