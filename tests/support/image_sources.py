"""The same labelled images in every form that `open_dataset` reads."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Sequence
from pathlib import Path

import lmdb
import pytest

from zoo.datasets import open_dataset
from zoo.datasets.packing import pack
from zoo.preprocessing import resolve

Images = Sequence[tuple[str, int, bytes]]


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def write_lmdb(folder: Path, images: Images) -> Path:
    """As `convert_imageset --encoded` writes it."""
    with lmdb.open(str(folder), map_size=1 << 28) as env, env.begin(write=True) as transaction:
        for i, (name, label, data) in enumerate(images):
            datum = b"\x22" + varint(len(data)) + data + b"\x28" + varint(label) + b"\x38\x01"
            transaction.put(f"{i:08d}_{name}".encode(), datum)
    return folder


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def write_webdataset(folder: Path, images: Images, shards: int = 2) -> Path:
    folder.mkdir()
    size = -(-len(images) // shards)
    for shard in range(shards):
        with tarfile.open(folder / f"shard-{shard:03d}.tar", "w") as archive:
            for name, label, data in images[shard * size : (shard + 1) * size]:
                key = name.partition(".")[0]
                add(archive, f"{key}.cls", str(label).encode())
                add(archive, name, data)
    return folder


def write_parquet(folder: Path, images: Images, shards: int = 2, group: int = 7) -> Path:
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'data')")
    parquet = pytest.importorskip("pyarrow.parquet")
    (folder / "data").mkdir(parents=True)
    size = -(-len(images) // shards)
    for shard in range(shards):
        part = images[shard * size : (shard + 1) * size]
        table = arrow.table(
            {
                "image": [{"bytes": data, "path": name} for name, _, data in part],
                "label": [label for _, label, _ in part],
            }
        )
        parquet.write_table(table, folder / "data" / f"val-{shard:05d}.parquet", row_group_size=group)
    return folder


def write_tar(path: Path, images: Images) -> Path:
    with tarfile.open(path, "w") as archive:
        add(archive, "val.txt", "".join(f"{name} {label}\n" for name, label, _ in images).encode())
        for name, _, data in images:
            add(archive, name, data)
    return path


def write_folder(folder: Path, images: Images) -> Path:
    folder.mkdir(parents=True)
    for name, _, data in images:
        (folder / name).write_bytes(data)
    (folder / "labels.txt").write_text("".join(f"{name} {label}\n" for name, label, _ in images))
    return folder


def write_list(folder: Path, images: Images) -> Path:
    write_folder(folder, images)
    lines = [f"images/{name} {label}\n" for name, label, _ in images]
    folder.with_name("list.txt").write_text("".join(lines))
    folder.rename(folder.with_name("images"))
    return folder.with_name("list.txt")


def write_packed(path: Path, images: Images, flavour: str) -> Path:
    with open_dataset(write_folder(path.with_name("to_pack"), images)) as data:
        pack(data, resolve(flavour), path)
    return path


FORMS = ("folder", "tar", "list", "lmdb", "webdataset", "parquet", "packed")


def write(form: str, folder: Path, images: Images, flavour: str) -> Path:
    """The images in `form` somewhere in `folder`; `flavour` is what they are packed with."""
    if form == "folder":
        return write_folder(folder / "images", images)
    if form == "tar":
        return write_tar(folder / "images.tar", images)
    if form == "list":
        return write_list(folder / "images", images)
    if form == "lmdb":
        return write_lmdb(folder / "db", images)
    if form == "webdataset":
        return write_webdataset(folder / "shards", images)
    if form == "parquet":
        return write_parquet(folder / "parquet", images)
    return write_packed(folder / "images.pack", images, flavour)
