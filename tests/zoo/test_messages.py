"""Messages quote at most 200 characters of anything that comes from a file, whatever it is."""

from __future__ import annotations

import io
import json
import re
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from misbehaving_server import model

from zoo.catalog.manifest import Manifest
from zoo.claims.trace import read_trace, reprint
from zoo.datasets import open_dataset
from zoo.download.archive import find_member
from zoo.download.stream import ContentError
from zoo.errors import MOST_QUOTED, ZooError, excerpt
from zoo.evidence import journal
from zoo.evidence.pairing import pair_rows
from zoo.evidence.row_text import HEADER, rows_from_cells
from zoo.evidence.rows import Row
from zoo.evidence.run import read_run
from zoo.preprocessing.decode import decode_bgr, decode_pillow
from zoo.preprocessing.mean_image import read_mean_image
from zoo.preprocessing.settings import carried_settings, settings
from zoo.store.index import Index

LONG = "q" * 30_000


def put(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def tar(*names: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def parquet(folder: Path, **columns: object) -> Path:
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'data')")
    writer = pytest.importorskip("pyarrow.parquet")
    writer.write_table(arrow.table(columns), folder / "val.parquet")
    return folder / "val.parquet"


def images(*names: str) -> dict[str, object]:
    return {"image": [{"bytes": b"x" * 100, "path": name} for name in names], "label": [0] * len(names)}


def evidence(folder: Path, *rows: str) -> None:
    put(folder, "result.json", json.dumps({"model": LONG, "n": LONG}))
    put(folder, "evidence.csv", "\n".join([",".join(HEADER), *rows]))
    read_run(folder)


def zipped(folder: Path) -> None:
    with zipfile.ZipFile(folder / "x.zip", "w") as archive:
        for k in range(3):
            archive.writestr(f"{k}{LONG}.caffemodel", b"x")
    find_member(folder / "x.zip", "zip", model().entry, 100)


def npy(folder: Path) -> Path:
    head = f"{{'descr': '{LONG[:8000]}', 'fortran_order': False, 'shape': (1,), }}\n"
    return put(folder, "m.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head.encode())


def manifest(folder: Path, text: str) -> None:
    Manifest.read(put(folder, "tiny.toml", text))


CASES: dict[str, Callable[[Path], object]] = {
    "label line": lambda folder: open_dataset(put(folder, "a.list", LONG)),
    "label twice": lambda folder: open_dataset(put(folder, "a.list", f"{LONG} 1\n{LONG} 2\n")),
    "missing file": lambda folder: open_dataset(put(folder, "a.list", f"{LONG} 1\n")),
    "tar twice": lambda folder: open_dataset(put(folder, "a.tar", tar(f"{LONG}.jpg", f"{LONG}.jpg"))),
    "tar without labels": lambda folder: open_dataset(put(folder, "a.tar", tar(f"{LONG}.jpg"))),
    "shard without label": lambda folder: open_dataset(put(folder, "a.tar", tar("0.cls", f"{LONG}.jpg"))),
    "shard with two images": lambda folder: open_dataset(
        put(folder, "a.tar", tar("0.cls", f"{LONG}.jpg", f"{LONG}.png"))
    ),
    "label of a shard": lambda folder: open_dataset(put(folder, "a.tar", tar(f"{LONG}.cls", f"{LONG}.jpg"))),
    "parquet columns": lambda folder: open_dataset(parquet(folder, **{LONG: [1]})),
    "parquet label": lambda folder: open_dataset(parquet(folder, **{**images("a"), "label": [LONG]})),
    "parquet twice": lambda folder: open_dataset(parquet(folder, **images(LONG, LONG))),
    "result": lambda folder: evidence(folder),
    "row": lambda folder: rows_from_cells([[LONG] * len(HEADER)]),
    "journal": lambda folder: (
        put(folder, "partial/a.jsonl", json.dumps({"batch": LONG, "rows": []}) + "\n")
        and journal.read(folder)
    ),
    "plan": lambda folder: (
        put(folder, "partial/plan.json", json.dumps({LONG: 1, "model": LONG}))
        and journal.start(folder, {"model": "m", "images": 1}, resume=True)
    ),
    "trace": lambda folder: read_trace(
        put(folder, "t.csv", f"batch,top1_correct,top5_correct\n{'9' * 4000},1,2\n"), 50
    ),
    "claim": lambda folder: reprint(LONG, [1], 5),
    "manifest name": lambda folder: manifest(folder, f'name = "{LONG}"\n"{LONG}" = 1'),
    "manifest text": lambda folder: manifest(folder, LONG),
    "flavour": lambda folder: settings({}, {"flavour": "q" * 30_000, "crop": LONG}),
    "metadata": lambda folder: carried_settings([LONG]),
    "index": lambda folder: list(Index(put(folder, "i.json", json.dumps({LONG: 1})), None, "fetch again")),
    "version of the index": lambda folder: list(
        Index(put(folder, "i.json", json.dumps({"schema_version": LONG})), None, "fetch again")
    ),
    "zip": zipped,
    "mean image": lambda folder: read_mean_image(put(folder, "m", LONG), None),
    "npy": lambda folder: read_mean_image(npy(folder), None),
    "image": lambda folder: decode_bgr(LONG.encode()),
    "image for Pillow": lambda folder: decode_pillow(LONG.encode()),
    "pairs": lambda folder: pair_rows([Row(LONG, 0, (), ())], [Row("a", 0, (), ())]),
    "labels of pairs": lambda folder: pair_rows([Row(LONG, 0, (), ())], [Row(LONG, 1, (), ())]),
}


@pytest.mark.parametrize("case", CASES)
def test_a_message_quotes_at_most_200_characters(tmp_path, case):
    with pytest.raises((ZooError, ContentError, ValueError)) as caught:
        CASES[case](tmp_path)
    said = str(caught.value)
    assert not re.search(f"q{{{MOST_QUOTED + 1}}}|9{{{MOST_QUOTED + 1}}}", said)
    assert len(said) < 2000


def test_an_excerpt_keeps_both_ends_and_says_how_much_there_was():
    text = "".join(map(chr, np.random.default_rng(0).integers(97, 123, 5000)))
    shown = excerpt(text)
    assert len(shown) <= MOST_QUOTED
    assert "(5,000 characters)" in shown
    assert shown.startswith(text[:80])
    assert shown.endswith(text[-80:])
    assert excerpt(text[:MOST_QUOTED]) == text[:MOST_QUOTED]
