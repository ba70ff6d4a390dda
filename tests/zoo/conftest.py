"""A lock file of its own for every test, and made-up runs over the embedded digits set."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from zoo.catalog.catalog import Catalog
from zoo.evidence.rows import Row
from zoo.evidence.run import Result, Run

# From the recorded logits: which of the 500 test images each net gets wrong.
WRONG = {
    "digits-caffe-baseline": {91, 95, 124, 161, 162, 207, 243},
    "digits-caffe-dsd": {12, 91, 95, 124, 161, 162, 207, 360},
}


@pytest.fixture(autouse=True)
def lock_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No test reads or writes the record of first use of whoever runs it."""
    path = tmp_path / "lock.json"
    monkeypatch.setenv("DSD_ZOO_LOCK", str(path))
    return path


@pytest.fixture(scope="session")
def made_run() -> Callable[..., Run]:
    """`made_run(model)`: a run that found what the original framework found; see `make_run` for changes."""
    return make_run


def make_run(
    model: str,
    /,
    wrong: Iterable[int] | None = None,
    images: int = 500,
    **changes: object,
) -> Run:
    """A run of a digits model in which exactly the images `wrong` are not ranked first."""
    missed = WRONG[model] if wrong is None else set(wrong)
    rows = [
        Row(f"test_{i:05d}.png", 0, (1, 0, 2, 3, 4) if i in missed else (0, 1, 2, 3, 4), (0.9, 0.1, 0, 0, 0))
        for i in range(images)
    ]
    manifest = Catalog.load().get(model)
    values: dict[str, object] = {
        "model": model,
        "n": images,
        "n_dataset": 500,
        "top1_correct": sum(row.top1_correct for row in rows),
        "top5_correct": images,
        "dataset": "digits-test",
        "dataset_source": "test_images.tar",
        "labels": "val.txt",
        "flavour": manifest.preprocessing.flavour,
        "preprocessing": manifest.preprocessing.model_dump(),
        "runtime": "onnx",
        "device": "cpu",
        "precision": "float32",
        "files": {file.name: file.sha256 for file in manifest.source_files()},
        "environment": {"python": "3.11.9", "onnxruntime": "1.31.1"},
        "command": f"dsd-zoo validate {model} --data test_images.tar",
        "started": "2026-11-20T10:11:12+00:00",
        "seconds": 1.5,
        "images_per_second": 333.3,
    }
    return Run(Result.model_validate(values | changes), rows)
