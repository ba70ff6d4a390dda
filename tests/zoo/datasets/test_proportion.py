"""Small files that ask for much: refused before the work is done, and not after it."""

from __future__ import annotations

import io
import os
import re
import struct
import tarfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.datasets import open_dataset
from zoo.datasets.labels import read_list
from zoo.datasets.lmdb_pages import LEAF, MAGIC, META, NODE, PAGE, VERSION, record_locations
from zoo.datasets.sources import listed
from zoo.errors import DataError
from zoo.preprocessing.mean_image import read_mean_image

# What a list was read with before; its time grows with the square of the blanks.
REFERENCE = re.compile(r"\s*(?:\./)?(.*\S)\s+(\d{1,9})\s*")


def test_a_line_of_100_000_blanks(tmp_path):
    (tmp_path / "list.txt").write_text("a" + " " * 100_000 + "x\n")
    with pytest.raises(
        DataError, match=r"line 1: expected 'NAME LABEL' with a label from 0, came 'a  "
    ) as caught:
        open_dataset(tmp_path / "list.txt")
    assert len(str(caught.value)) < 500


@given(st.text(st.sampled_from("a./ \t\x0b\x1c\u2003\u0663 0159"), min_size=1, max_size=12))
def test_lines_are_read_as_ever(tmp_path_factory, line):
    path = tmp_path_factory.getbasetemp() / "list.txt"
    path.write_bytes(line.encode())
    expected = REFERENCE.fullmatch(line)
    if expected is None:
        with pytest.raises(DataError):
            read_list(path)
    else:
        assert read_list(path) == {expected[1]: int(expected[2])}


def test_a_list_of_missing_files_is_refused_after_the_first_thousand(tmp_path, monkeypatch):
    asked, folders = [], []
    monkeypatch.setattr(os.path, "isfile", lambda path: asked.append(path) and False)
    monkeypatch.setattr(listed, "_files_in", lambda folder: folders.append(folder) or frozenset())
    (tmp_path / "list.txt").write_text("".join(f"{i}.jpg 1\n" for i in range(100_000)))
    message = r"at least 1,000 of the 100,000 images it lists are not in .*: 0\.jpg, 1\.jpg, 2\.jpg, \.\.\."
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path / "list.txt")
    assert len(asked) == 1000
    assert folders == [str(tmp_path)]


def test_a_folder_of_which_many_files_are_asked_for_is_listed_once(tmp_path, monkeypatch):
    names = [f"sub/{i}.jpg" for i in range(2000)]
    (tmp_path / "sub").mkdir()
    for name in names:
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "list.txt").write_text("".join(f"{name} 1\n" for name in [*names, f"/{names[0]}x"]))
    asked, isfile = [], os.path.isfile
    monkeypatch.setattr(os.path, "isfile", lambda path: asked.append(path) or isfile(path))
    with pytest.raises(DataError, match=r"1 of the 2,001 images it lists are not in .*: sub/0\.jpgx$"):
        open_dataset(tmp_path / "list.txt")
    assert len(asked) < 40
    (tmp_path / "list.txt").write_text("".join(f"{name} 1\n" for name in names))
    with open_dataset(tmp_path / "list.txt") as data:
        assert [sample.id for sample in data] == names


@pytest.mark.parametrize("name", ["a\0b", "a" * 5000, "a/" * 3000 + "b", "..", ".", "sub/", "a.jpg/"])
def test_names_that_no_file_can_have_are_missing(tmp_path, name):
    (tmp_path / "a.jpg").write_bytes(b"x")
    (tmp_path / "list.txt").write_text(f"{name} 1\n")
    if name == "a.jpg/":
        with open_dataset(tmp_path / "list.txt") as data:
            assert data.samples[0].read() == b"x"
        return
    with pytest.raises(DataError, match="not in") as caught:
        open_dataset(tmp_path / "list.txt")
    assert len(str(caught.value)) < 600


def lmdb_page(nodes: list[tuple[int, int, int, int, int]], entries: int | None = None) -> bytes:
    """An LMDB of one leaf: (start of the node, size of its data, flags, length of its key, overflow page)."""
    pages = bytearray(4096 * 6)
    META.pack_into(pages, 0, MAGIC, VERSION, 4096, 0, 1, entries or len(nodes), 2, 5, 1)
    PAGE.pack_into(pages, 2 * 4096, LEAF, PAGE.size + 2 * len(nodes))
    for at, (start, size, flags, key, page) in enumerate(nodes):
        struct.pack_into("<H", pages, 2 * 4096 + PAGE.size + 2 * at, start)
        NODE.pack_into(pages, 2 * 4096 + start, size & 0xFFFF, size >> 16, flags, key)
        if flags:
            struct.pack_into("<Q", pages, 2 * 4096 + start + NODE.size + key, page)
            PAGE.pack_into(pages, page * 4096, 4, 0)
    return bytes(pages)


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([(3000, 20, 0, 4, 0), (3010, 20, 0, 4, 0)], "records of page 2 overlap"),
        ([(3000, 20, 0, 4, 0)] * 1000, "records of page 2 overlap"),
        ([(3000, 1, 0, 512, 0)], "a key of 512 bytes in page 2; LMDB has 511 at most"),
        ([(3000, 1, 0, 65000, 0)], "a key of 65000 bytes"),
        ([(3000, 5000, 1, 4, 3), (3100, 20, 1, 4, 3)], "page 3 belongs to two records"),
        ([(3000, 5000, 1, 4, 3), (3100, 20, 1, 4, 4)], "page 4 belongs to two records"),
    ],
)
def test_an_lmdb_whose_records_share_bytes_is_refused(nodes, message):
    with pytest.raises(DataError, match=message):
        record_locations(view(lmdb_page(nodes)))


def test_an_lmdb_whose_records_do_not_is_read():
    nodes = [(3000, 5000, 1, 4, 3), (3100, 20, 1, 4, 5), (3200, 10, 0, 511, 0)]
    found = record_locations(view(lmdb_page(nodes)))
    assert [(location.offset, location.size) for location in found[:2]] == [
        (3 * 4096 + 16, 5000),
        (5 * 4096 + 16, 20),
    ]


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 127 | 128)
        number >>= 7
    return bytes([*encoded, number])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (field(7, field(1, b"".join(varint(2**62) for _ in range(50_000)))), "more than 32 axes"),
        (field(7, b"\x08\x01" * 100_000), "more than 32 axes"),
        (b"\x48\x01" * 100_000, "fields"),
        (
            field(7, b"".join(b"\x08" + varint(n) for n in (1, 3, 0, 2**62))),
            "a blob 1 x 3 x 0 x 46116860",
        ),
        (field(7, b"".join(b"\x08" + varint(n) for n in (1, 3, 2**62, 0))), "no mean image, or damaged"),
    ],
)
def test_a_mean_image_of_impossible_sizes_is_refused(tmp_path, content, message):
    path = tmp_path / "mean.binaryproto"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_mean_image(path, None)


@pytest.mark.parametrize("shape", [(3, 0, 2**62), (3, 2**62, 0), (0, 4, 4), (3, 1, 1 << 17)])
def test_a_npy_of_impossible_sizes_is_refused(tmp_path, shape):
    path = tmp_path / "mean.npy"
    np.save(path, np.zeros((3, 1, 1 << 17), np.uint8))
    head = f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    content = path.read_bytes()
    path.write_bytes(content[:8] + struct.pack("<H", len(head)) + head.encode() + content[128:])
    with pytest.raises(DataError):
        read_mean_image(path, None)


def header(name: str, size: int, kind: bytes) -> bytes:
    member = tarfile.TarInfo(name)
    member.size, member.type = size, kind
    return member.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("name", ["images.tar", "shard.tar"])
def test_a_tar_of_long_names_of_long_names_is_an_error(tmp_path, name):
    long_name = header("x", 1, tarfile.GNUTYPE_LONGNAME) + b"a" + bytes(511)
    (tmp_path / name).write_bytes(header("n01440764_a.jpg", 0, b"0") + long_name * 1000 + bytes(1024))
    with pytest.raises(DataError, match="truncated or damaged"):
        open_dataset(tmp_path / name)


def test_a_tar_that_leads_back_is_an_error(tmp_path):
    member = bytearray(header("n01440764_a.jpg", 0, b"0"))
    member[124:136] = b"\xff" * 10 + b"\xfe\x00"  # -512 in base 256
    member[148:156] = b" " * 8
    member[148:156] = b"%06o\0 " % sum(member)
    (tmp_path / "x.tar").write_bytes(header("n01440764_b.jpg", 0, b"0") + bytes(member) + bytes(1024))
    with pytest.raises(DataError, match="damaged"):
        open_dataset(tmp_path / "x.tar")


def shard(table: object, **options: object) -> bytes:
    parquet = pytest.importorskip("pyarrow.parquet", reason="needs pyarrow (the extra 'data')")
    out = io.BytesIO()
    parquet.write_table(table, out, **options)
    return out.getvalue()


def test_parquet_rows_that_one_value_stands_for_are_bounded(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'data')")
    path = tmp_path / "val.parquet"
    rows = 100_000
    path.write_bytes(shard(arrow.table({"image": [b"x"] * rows, "label": np.zeros(rows, np.int64)})))
    with pytest.raises(DataError, match="100,000 images in"):
        open_dataset(path)
    image = np.random.default_rng(0).bytes(100_000)
    table = arrow.table({"image": [image] * 2000, "label": np.zeros(2000, np.int64)})
    path.write_bytes(shard(table, row_group_size=2000, dictionary_pagesize_limit=1 << 20))
    assert path.stat().st_size < 200_000
    with open_dataset(path) as data, pytest.raises(DataError, match="far more than the file's own bytes"):
        data.samples[0].read()


def test_parquet_pages_that_are_stated_to_be_too_large_are_not_unpacked(tmp_path, monkeypatch):
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'data')")
    import pyarrow.parquet

    path = tmp_path / "val.parquet"
    table = arrow.table({"image": [bytes(40_000_000)] * 4, "label": [0, 1, 2, 3]})
    path.write_bytes(shard(table, compression="zstd", use_dictionary=False))
    assert path.stat().st_size < 100_000
    read = pyarrow.parquet.ParquetFile.iter_batches
    asked = []

    def noted(file, *arguments, columns, **options):
        asked.append(columns)
        return read(file, *arguments, columns=columns, **options)

    monkeypatch.setattr(pyarrow.parquet.ParquetFile, "iter_batches", noted)
    with open_dataset(path) as data, pytest.raises(DataError, match="far more than the file's own bytes"):
        data.samples[0].read()
    assert ["image"] not in asked


def view(content: bytes) -> object:
    """The content as record_locations takes it."""
    return memoryview(content)
