"""The readers of the zoo's records: manifests, traces, results, rows of evidence, journals, indices."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

from reader import own_errors, reader, written

from zoo.bundled import bundled_folder
from zoo.catalog.manifest import Manifest
from zoo.claims.trace import average_loss, read_trace, reprint
from zoo.evidence import journal
from zoo.evidence.row_text import HEADER
from zoo.evidence.run import RESULT_NAME, ROWS_NAME, read_results, read_run
from zoo.preprocessing.settings import carried_settings, settings
from zoo.store.index import Index

IMAGES = 500
DIGEST = "0123456789abcdef" * 4
ROWS = [["a.png", "3", "1", "3", "1", "0", "2", "4", "0.9", "0.05", "0.03", "0.02", "0.0", DIGEST]] + [
    [f"{i}.png", "3", "", "1", "2", "", "", "", "0.5", "0.25", "", "", "", ""] for i in range(4)
]


def _manifests(folder: Path) -> Iterator[bytes]:
    for path in sorted(bundled_folder().glob("*.toml")):
        yield path.read_bytes()


@reader("manifest", _manifests)
def read_manifest(content: bytes, folder: Path) -> None:
    name = next((line[8:-1] for line in content.split(b"\n") if line.startswith(b'name = "')), b"model")
    safe = (
        name.decode("ascii", "replace") if name.replace(b"-", b"").replace(b".", b"").isalnum() else "model"
    )
    manifest = Manifest.read(written(folder / f"{safe[:60]}.toml", content))
    for claim in manifest.claims:
        with contextlib.suppress(*own_errors()):
            reprint(claim.published, [1] * 10, max(1, claim.n // 10))


def _traces(folder: Path) -> Iterator[bytes]:
    for path in sorted((bundled_folder() / "claims").glob("digits-*.csv")):
        yield path.read_bytes()


@reader("trace of a claim", _traces)
def read_claim_trace(content: bytes, folder: Path) -> None:
    path = written(folder / "trace.csv", content)
    with contextlib.suppress(*own_errors()):
        average_loss(path)
    read_trace(path, IMAGES)


def _result() -> dict[str, object]:
    preprocessing = {"flavour": "caffe-warp36", "crop": 32, "mean": None, "mean_image": False, "scale": 1.0}
    return {
        "model": "m",
        "n": len(ROWS),
        "n_dataset": IMAGES,
        "top1_correct": 1,
        "top5_correct": 1,
        "dataset": "digits-test",
        "dataset_source": "images.tar",
        "labels": "val.txt",
        "flavour": "caffe-warp36",
        "preprocessing": preprocessing,
        "runtime": "onnx",
        "device": "cpu",
        "precision": "float32",
        "files": {"net.prototxt": DIGEST},
        "environment": {"python": "3.11"},
        "command": "dsd-zoo validate m",
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 1.5,
        "images_per_second": 3.3,
    }


def _rows() -> bytes:
    return "".join(",".join(row) + "\n" for row in [HEADER, *ROWS]).encode()


@reader("result of a run", lambda folder: [json.dumps(_result(), indent=2).encode()])
def read_result(content: bytes, folder: Path) -> None:
    written(folder / ROWS_NAME, _rows())
    written(folder / RESULT_NAME, content)
    with contextlib.suppress(*own_errors()):
        read_results(folder)
    read_run(folder)


@reader("rows of evidence", lambda folder: [_rows()])
def read_rows(content: bytes, folder: Path) -> None:
    written(folder / RESULT_NAME, json.dumps(_result()).encode())
    written(folder / ROWS_NAME, content)
    read_run(folder)


def _journals(folder: Path) -> Iterator[bytes]:
    batch = {"batch": 0, "rows": [ROWS], "unreadable": ["b.png"], "rotated": 1}
    yield json.dumps(batch).encode() + b"\n" + json.dumps({**batch, "batch": 1}).encode() + b"\n"


@reader("journal of a run", _journals)
def read_journal(content: bytes, folder: Path) -> None:
    written(folder / journal.FOLDER_NAME / "rank0.jsonl", content)
    journal.read(folder)


@reader(
    "plan of a run", lambda folder: [b'{"model": "m", "images": 5, "batch size": 4, "preprocessing": [{}]}']
)
def read_plan(content: bytes, folder: Path) -> None:
    written(folder / journal.FOLDER_NAME / journal.PLAN_NAME, content)
    journal.start(folder, {"model": "m", "images": 5, "batch size": 4, "preprocessing": [{}]}, resume=True)


def _indices(folder: Path) -> Iterator[bytes]:
    digests = {
        "bytes": 5,
        "sha256": DIGEST,
        "sha384": DIGEST + DIGEST[:32],
        "sha1": DIGEST[:40],
        "git_blob": DIGEST[:40],
    }
    entry = {"digests": digests, "source": "file:///x", "added": "2026"}
    yield json.dumps({"schema_version": 1, "models": {"m": {"net.t7": entry}}}).encode()


@reader("index of the cache", _indices)
def read_index(content: bytes, folder: Path) -> None:
    list(Index(written(folder / "index.json", content), None, "fetch again"))


@reader(
    "preprocessing in a converted net",
    lambda folder: [
        b'{"crop": 227, "mean": [104, 117, 123], "scale": 0.5, "resize": [256, 256]}',
        b'{"flavour": "caffe-warp256", "crop": 224, "mean_image": true, "std": [1, 2, 3]}',
    ],
)
def read_carried_preprocessing(content: bytes, folder: Path) -> None:
    import onnx_ir as ir

    import converters

    model = ir.Model(ir.Graph([], [], nodes=[], opset_imports={"": 18}), ir_version=10)
    model.metadata_props["dsd-zoo.preprocessing"] = content.decode("utf-8", "replace")
    settings({}, carried_settings(converters.preprocessing_of(model)))
