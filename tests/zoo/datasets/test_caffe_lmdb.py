"""LMDBs against the batches that real Caffe made of them, and against what is damaged."""

from __future__ import annotations

import struct
from concurrent.futures import ThreadPoolExecutor

import lmdb
import numpy as np
import pytest

from zoo.datasets import open_dataset
from zoo.datasets.lmdb_pages import BRANCH, MAGIC, META, PAGE, VERSION, record_locations
from zoo.errors import DataError, UsageError
from zoo.preprocessing import preprocessor
from zoo.preprocessing.decode import DecodedImage
from zoo.preprocessing.settings import Preprocessing

# Per case: the settings of its transform_param, as far as they are not the defaults.
WHOLE = {
    "data-plain": {},
    "data-scale": {"scale": 0.00390625},
    "data-gray": {"mean": [33], "scale": 0.00390625},
    "data-keys": {},
    "data-nolabel": {},
    "data-wrap": {},
    "data-meanvalue": {"mean": [104, 117, 123], "scale": 0.017},
    "data-float": {"mean": [0.5], "scale": 2},
    "data-meanfile": {"mean_image": True},
    "data-meanfile-shape": {"mean_image": True},
}
CROPPED = {
    "data-crop": {"crop": 27},
    "data-meanvalue1": {"crop": 32, "mean": [127.5], "scale": 0.0078125},
    "data-five": {"crop": 8, "mean": [1, 2, 3, 4, 5]},
    "data-meanfile-crop": {"crop": 33, "mean_image": True, "scale": 0.5},
    "data-meanfile-double": {"crop": 20, "mean_image": True},
    "data-net": {"crop": 21, "mean": [110, 115, 120], "scale": 0.02},
}


def recorded_batches(folder) -> tuple[np.ndarray, np.ndarray | None]:
    """Images and labels of all recorded batches, in order."""
    with np.load(folder / "io.npz") as first, np.load(folder / "batches.npz") as later:
        # In a whole net the data are no output.
        whole = first["out:data"] if "out:data" in first else first["mid:data"]
        images = [whole, *(later[f"data@{k}"] for k in (2, 3) if f"data@{k}" in later)]
        if "out:label" not in first:
            return np.concatenate(images), None
        labels = [first["out:label"], *(later[f"label@{k}"] for k in (2, 3) if f"data@{k}" in later)]
    return np.concatenate(images), np.concatenate(labels)


@pytest.mark.parametrize(("case", "settings"), [*WHOLE.items(), *CROPPED.items()])
def test_batches_are_those_of_caffe(corpus, case, settings):
    folder = corpus / "caffe" / case
    images, labels = recorded_batches(folder)
    mean = folder / "mean.binaryproto"
    with open_dataset(folder / "lmdb") as data:
        samples = [data.samples[i % len(data)] for i in range(len(images))]
        if labels is not None:
            assert [sample.label for sample in samples] == labels.astype(int).tolist()
        for sample, expected in zip(samples, images, strict=True):
            content = sample.read()
            if "crop" in settings:
                prepare = preprocessor(Preprocessing(flavour="caffe-stored", **settings), mean)
                result = prepare(content)
            else:
                # Not square, so Caffe's own arithmetic without a window.
                crop = min(content.pixels.shape[:2])
                prepare = preprocessor(Preprocessing(flavour="caffe-stored", crop=crop, **settings), mean)
                result = prepare(content)
                expected = expected[:, *prepare.flavour.window(*content.pixels.shape[:2], crop)]
            np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize(
    ("case", "settings"),
    [
        ("data-encoded", {"crop": 48}),
        ("data-encoded-forcecolor", {"crop": 48, "scale": 0.5}),
        ("data-jpeg", {"crop": 96, "mean": [104, 117, 123]}),
    ],
)
def test_encoded_records_are_decoded_as_caffe_did(shared, case, settings):
    folder = shared / "corpus" / "caffe" / case
    images, labels = recorded_batches(folder)
    prepare = preprocessor(Preprocessing(flavour="caffe-stored", **settings))
    with open_dataset(folder / "lmdb") as data:
        for i, expected in enumerate(images):
            sample = data.samples[i % len(data)]
            assert isinstance(sample.read(), bytes)
            assert sample.label == labels[i]
            result = prepare(sample.read())
            height, width = expected.shape[1:]
            rows, columns = prepare.flavour.window(height, width, settings["crop"])
            np.testing.assert_array_equal(result, expected[:, rows, columns])


def test_names_lose_the_line_numbers_and_a_known_dataset_is_recognised(shared):
    folder = shared / "demo" / "caffe" / "digits_test_lmdb"
    for place in (folder, folder / "data.mdb"):
        with open_dataset(place) as data:
            assert (data.name, len(data), data.labels_source) == ("digits-test", 500, "the LMDB's records")
            assert data.samples[0].id == "test_00000.png"
            content = data.samples[0].read()
            assert isinstance(content, DecodedImage)
            assert content.pixels.shape == (36, 36, 3)


def test_many_threads_read_one_lmdb(corpus):
    with open_dataset(corpus / "caffe" / "data-plain" / "lmdb") as data:
        alone = [sample.read().sha256 for sample in data]
        with ThreadPoolExecutor(8) as pool:
            assert list(pool.map(lambda sample: sample.read().sha256, list(data) * 20)) == alone * 20


def test_pixels_are_no_start_for_a_flavour_that_reads_image_files(corpus):
    with open_dataset(corpus / "caffe" / "data-plain" / "lmdb") as data:
        content = data.samples[0].read()
    for flavour in ("torch7-bicubic32", "pil-bicubic-short32"):
        with pytest.raises(DataError, match=r"stored as pixels, but .* needs image files"):
            preprocessor(Preprocessing(flavour=flavour, crop=8))(content)
    warped = preprocessor(Preprocessing(flavour="caffe-warp40", crop=40)).resize(content)
    assert warped.shape == (40, 40, 3)


def datum(*fields: tuple[int, int | bytes]) -> bytes:
    """A Datum of these fields; lengths and numbers below 128."""
    encoded = b""
    for number, value in fields:
        if isinstance(value, bytes):
            encoded += bytes([number << 3 | 2, len(value)]) + value
        else:
            encoded += bytes([number << 3, value])
    return encoded


def make_lmdb(folder, records: dict[bytes, bytes]):
    with lmdb.open(str(folder), map_size=1 << 20) as env, env.begin(write=True) as transaction:
        for key, value in records.items():
            transaction.put(key, value)
    (folder / "lock.mdb").unlink()
    return folder


GOOD = datum((1, 3), (2, 1), (3, 2), (4, b"abcdef"), (5, 7))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (datum((1, 3), (2, 2), (3, 2), (4, b"abcdef")), r"a Datum of 3 x 2 x 2 .* with 6 numbers"),
        (datum((1, 3), (5, 1)), r"a Datum of 3 x 0 x 0"),
        (datum((1, 1), (2, 1), (3, 1), (6, b"abc")), "not a multiple of 4"),
        (datum((4, b"<html>"), (7, 1)), "cannot decode 6 bytes"),
    ],
)
def test_a_record_that_is_no_image_is_named_when_it_is_read(tmp_path, record, message):
    prepare = preprocessor(Preprocessing(flavour="caffe-stored", crop=1))
    with open_dataset(make_lmdb(tmp_path / "db", {b"1": GOOD, b"2": record})) as data:
        assert prepare(data.samples[0].read()).shape == (3, 1, 1)
        with pytest.raises(DataError, match=message):
            prepare(data.samples[1].read())


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"\x0f", "byte 0 of 1: no field can have the tag 15.*damaged"),
        (b"\x22\x7fabc", "field 4 claims 127 bytes and 3 remain: truncated or damaged"),
        (b"\x28\xff", "ends inside a number"),
        (b"\x28" + b"\xff" * 11, "longer than ten bytes"),
    ],
)
def test_a_record_that_is_no_datum_is_named_by_its_key(tmp_path, record, message):
    with pytest.raises(DataError, match=f"b'odd' is no Datum of Caffe: .*{message}"):
        open_dataset(make_lmdb(tmp_path / "db", {b"odd": record}))


def test_floats_may_be_packed_or_not(tmp_path):
    numbers = struct.pack("<2f", 0.25, -3)
    packed = datum((1, 1), (2, 1), (3, 2), (6, numbers))
    loose = datum((1, 1), (2, 1), (3, 2)) + b"".join(bytes([6 << 3 | 5]) + numbers[k : k + 4] for k in (0, 4))
    with open_dataset(make_lmdb(tmp_path / "db", {b"1": packed, b"2": loose})) as data:
        for sample in data:
            assert sample.read().pixels.tolist() == [[[0.25], [-3]]]


def test_a_damaged_lmdb_is_an_error_and_not_the_end_of_the_process(tmp_path, corpus):
    whole = (corpus / "caffe" / "data-plain" / "lmdb" / "data.mdb").read_bytes()
    folder = tmp_path / "db"
    folder.mkdir()
    for content, message in (
        (b"", "not an LMDB data file"),
        (b"<html>" * 100, "not an LMDB data file"),
        (whole[:-4096], "truncated: it has 90112 bytes, its pages take 94208"),
        (whole[:4200], "truncated: it has 4200 bytes, less than two pages"),
        (whole[:40] + b"\xff" * 4 + whole[44:], "damaged: pages of 4294967295 bytes"),
    ):
        (folder / "data.mdb").write_bytes(content)
        with pytest.raises(DataError, match=message):
            open_dataset(folder)
    with pytest.raises(UsageError, match="no images there"):
        open_dataset(make_lmdb(tmp_path / "empty", {}))
    (tmp_path / "mine.list").write_text("a 1")
    with pytest.raises(UsageError, match="its images carry their labels"):
        open_dataset(corpus / "caffe" / "data-plain" / "lmdb", tmp_path / "mine.list")


@pytest.mark.parametrize("count", [1, 40, 3000])
def test_records_are_those_that_the_c_library_reads(tmp_path, count):
    """Also with several levels of pages, and data of any size beside and inside the pages."""
    random = np.random.default_rng(count)
    sizes = random.integers(0, 9000 if count < 3000 else 60, count)
    records = {b"%08d_%d" % (k * 7919 % 10007, k): random.bytes(size) for k, size in enumerate(sizes)}
    make_lmdb(tmp_path / "db", records)
    with (tmp_path / "db" / "data.mdb").open("rb") as file:
        content = memoryview(file.read())
    found = [
        (location.key, bytes(content[location.offset :][: location.size]))
        for location in record_locations(content)
    ]
    with lmdb.open(str(tmp_path / "db"), readonly=True, lock=False) as env, env.begin() as transaction:
        assert found == list(transaction.cursor())
    assert len(found) == count


def test_no_damage_to_the_pages_goes_unnoticed_or_ends_the_process(tmp_path):
    """Every byte of the meta pages and of the pages of the tree, in three ways."""
    make_lmdb(tmp_path / "db", {b"%04d" % k: bytes(20) for k in range(300)})
    whole = (tmp_path / "db" / "data.mdb").read_bytes()
    true = record_locations(memoryview(whole))
    refused = 0
    for page in range(len(whole) // 4096):
        for byte in (*range(0, 160), *range(4000, 4040)):
            for value in (0, 1, 255):
                damaged = bytearray(whole)
                damaged[page * 4096 + byte] = value
                try:
                    found = record_locations(memoryview(damaged))
                except DataError:
                    refused += 1
                    continue
                # Where the later meta page is lost, LMDB takes the earlier one: the database was empty then.
                assert len(found) in (0, len(true))
                assert all(location.offset + location.size <= len(whole) for location in found)
    assert refused > 500


def test_a_tree_deeper_than_any_is_refused(tmp_path):
    """5000 branch pages one below the other."""
    pages = bytearray(512 * 5002)
    META.pack_into(pages, 0, MAGIC, VERSION, 512, 0, 5000, 1, 2, 5001, 1)
    META.pack_into(pages, 512, 0, 0, 0, 0, 0, 0, 0, 0, 0)
    for number in range(2, 5002):
        PAGE.pack_into(pages, 512 * number, BRANCH, PAGE.size + 2)
        struct.pack_into("<HHHHH", pages, 512 * number + PAGE.size, PAGE.size + 2, number + 1, 0, 0, 0)
    with pytest.raises(DataError, match="damaged: 5000 levels of pages"):
        record_locations(memoryview(pages))


def test_databases_in_the_database_are_refused(tmp_path):
    with lmdb.open(str(tmp_path / "db"), max_dbs=1) as env:
        env.open_db(b"inner")
    with pytest.raises(DataError, match=r"data\.mdb: an LMDB of databases"):
        open_dataset(tmp_path / "db")


def test_a_record_of_more_fields_than_its_numbers_is_refused(tmp_path):
    """Floats that are not packed take five bytes each; nothing else comes often."""
    with pytest.raises(DataError, match=r"no Datum of Caffe: .*more than 40,100 fields"):
        open_dataset(make_lmdb(tmp_path / "db", {b"odd": b"\x28\x01" * 100_000}))
    loose = datum((1, 1), (2, 100), (3, 100)) + b"\x35\0\0\x80?" * 10_000
    with open_dataset(make_lmdb(tmp_path / "loose", {b"1": loose})) as data:
        assert data.samples[0].read().pixels.sum() == 10_000
