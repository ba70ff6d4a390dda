"""One set of images in every form: the same names, labels, hashes and pixels; damage is named."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile

import cv2
import numpy as np
import pytest
from image_sources import FORMS, add, write, write_packed, write_parquet, write_webdataset

from zoo.datasets import open_dataset
from zoo.datasets.loader import load_samples
from zoo.datasets.packed_format import MAGIC, TRAILER, PackedIndex
from zoo.datasets.packing import pack
from zoo.errors import DataError, UsageError
from zoo.preprocessing import preprocessor, resolve
from zoo.preprocessing.decode import DecodedImage
from zoo.preprocessing.settings import Preprocessing

FLAVOUR = "caffe-warp32"


@pytest.fixture(scope="module")
def images():
    generator = np.random.default_rng(0)
    found = []
    for i in range(20):
        pixels = generator.integers(0, 256, (20 + i, 45 - i, 3), np.uint8)
        found.append((f"img_{i:02d}.jpg", i % 7, cv2.imencode(".jpg", pixels)[1].tobytes()))
    return found


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_images(tmp_path, images, form):
    prepare = preprocessor(Preprocessing(flavour=FLAVOUR, crop=27))
    with open_dataset(write(form, tmp_path, images, FLAVOUR)) as data:
        found = list(load_samples(data.samples, prepare, ahead=5, workers=4))
    assert [image.sample.id.rpartition("/")[2] for image in found] == [name for name, _, _ in images]
    for image, (_, label, content) in zip(found, images, strict=True):
        assert image.sample.label == label
        assert image.sha256 == hashlib.sha256(content).hexdigest()
        np.testing.assert_array_equal(image.pixels, prepare(content))


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_the_photographs_gives_the_same_input(shared, tmp_path, form):
    with open_dataset(shared / "imagenet-sample") as data:
        photographs = [(sample.id, sample.label, sample.read()) for sample in data.samples[::8]]
    prepare = preprocessor(Preprocessing(flavour="caffe-warp256", crop=227, mean=[104, 117, 123]))
    with open_dataset(write(form, tmp_path, photographs, "caffe-warp256")) as data:
        found = list(load_samples(data.samples, prepare, ahead=5))
    # WebDataset orders samples by key; the others keep the list's order, which is that of the names here.
    assert [image.sample.label for image in found] == [label for _, label, _ in photographs]
    for image, (_, _, content) in zip(found, photographs, strict=True):
        np.testing.assert_array_equal(image.pixels, prepare(content))


@pytest.mark.parametrize("flavour", ["torch7-bicubic32", "pil-bicubic-short32", "caffe-short32"])
def test_packed_pixels_are_the_first_stage_of_any_flavour(tmp_path, images, flavour):
    with open_dataset(write_packed(tmp_path / "x.pack", images, flavour)) as data:
        assert data.flavour == flavour
        for sample, (_, _, content) in zip(data, images, strict=True):
            stored = sample.read()
            assert isinstance(stored, DecodedImage)
            expected = resolve(flavour).resize(content)
            assert stored.pixels.dtype == expected.dtype
            np.testing.assert_array_equal(stored.pixels, expected)


def test_packed_images_serve_no_other_flavour_and_are_not_packed_again(tmp_path, images):
    with open_dataset(write_packed(tmp_path / "x.pack", images, FLAVOUR)) as data:
        with pytest.raises(DataError, match="packed by caffe-warp32; caffe-warp40 cannot be made from that"):
            preprocessor(Preprocessing(flavour="caffe-warp40", crop=8))(data.samples[0].read())
        with pytest.raises(UsageError, match="already packed by caffe-warp32"):
            pack(data, resolve(FLAVOUR), tmp_path / "again.pack")


def test_packing_keeps_what_could_not_be_decoded_and_what_was_rotated(tmp_path, images):
    name, label, content = images[0]
    exif = bytes.fromhex(
        "ffe1 0022 45786966 0000 4d4d002a 00000008 0001 0112 0003 00000001 0006 0000 00000000"
    )
    odd = [("broken.jpg", 3, b"<html>"), (name, label, content[:2] + exif + content[2:])]
    with open_dataset(write_packed(tmp_path / "x.pack", odd, FLAVOUR)) as data:
        with pytest.raises(DataError, match="cannot decode 6 bytes"):
            data.samples[0].read()
        assert data.samples[1].read().rotated
    with pytest.raises(DataError, match="none of its 1 images can be decoded"):
        write_packed(tmp_path / "again" / "y.pack", odd[:1], FLAVOUR)


def test_packing_leaves_nothing_behind_when_it_fails(tmp_path, images):
    folder = tmp_path / "readonly" / "nowhere"
    with (
        open_dataset(write("folder", tmp_path, images, FLAVOUR)) as data,
        pytest.raises(UsageError, match="cannot be written: No such file"),
    ):
        pack(data, resolve(FLAVOUR), folder / "x.pack")
    with open_dataset(tmp_path / "images") as data, pytest.raises(KeyboardInterrupt):
        pack(data, resolve(FLAVOUR), tmp_path / "x.pack", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["images"]


def test_packing_again_removes_what_a_killed_one_left(tmp_path, images):
    left = tmp_path / ".dsd-zoo-01234567-0123456789abcdef.part"
    left.mkdir()
    (left / "x.pack").write_bytes(b"gigabytes")
    write_packed(tmp_path / "x.pack", images, FLAVOUR)
    assert (tmp_path / "x.pack").exists()
    assert not left.exists()


def interrupt(done: int, total: int) -> None:
    raise KeyboardInterrupt


def test_of_two_that_pack_to_one_file_the_second_says_who_the_first_is(tmp_path, images):
    refused = []

    def start_another(done: int, total: int) -> None:
        with pytest.raises(UsageError) as caught:
            pack(data, resolve(FLAVOUR), tmp_path / "x.pack")
        refused.append(str(caught.value))

    with open_dataset(write("folder", tmp_path, images, FLAVOUR)) as data:
        pack(data, resolve(FLAVOUR), tmp_path / "x.pack", progress=start_another)
    assert len(refused) == len(images)
    assert all(f"x.pack: already written by process {os.getpid()} on " in text for text in refused)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["images", "x.pack"]
    with open_dataset(tmp_path / "x.pack") as data:
        assert len(data) == len(images)


def test_damage_to_a_packed_file_is_found(tmp_path, images):
    path = write_packed(tmp_path / "x.pack", images, FLAVOUR)
    whole = path.read_bytes()
    for content, message in (
        (whole[:50], "truncated or damaged: 50 bytes"),
        (whole[:-1], "does not end as it should"),
        (whole[:-60] + b"?" + whole[-59:], "index has another checksum"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            open_dataset(path)
    path.write_bytes(whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:])
    with open_dataset(path) as data:
        with pytest.raises(DataError, match="CRC-32 is another"):
            data.samples[0].read()
        assert data.samples[1].read().pixels.shape == (32, 32, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 10**6}, "img_03.jpg reaches beyond the pixels"),
        ({"offset": 10**9}, "img_03.jpg reaches beyond the pixels"),
        ({"height": 10**9}, "images.3.height: .* less than"),
        ({"width": -1}, "images.3.width: .* greater than"),
        # A product would not show these.
        ({"height": 0}, "img_03.jpg is 0 pixels high and 32 wide"),
        ({"width": 0}, "img_03.jpg is 32 pixels high and 0 wide"),
        ({"height": 0, "width": 2**62}, "images.3.width: .* less than"),
        ({"height": 2**62, "width": 0}, "images.3.height: .* less than"),
        ({"label": 2**70}, "images.3.label"),
        ({"offset": 2**70, "height": 1, "width": 1}, "images.3.offset"),
        ({"name": "img_05.jpg"}, "x.pack: 2 images are called img_05.jpg"),
    ],
)
def test_an_index_of_impossible_images_is_refused(tmp_path, images, change, message):
    path = write_packed(tmp_path / "x.pack", images, FLAVOUR)
    whole = path.read_bytes()
    offset, length, _, _ = TRAILER.unpack(whole[-TRAILER.size :])
    index = PackedIndex.model_validate_json(whole[offset : offset + length])
    damaged = index.model_dump()
    damaged["images"][3].update(change)
    text = json.dumps(damaged).encode()
    trailer = TRAILER.pack(offset, len(text), hashlib.sha256(text).digest(), MAGIC)
    path.write_bytes(whole[:offset] + text + trailer)
    with pytest.raises(DataError, match=message):
        open_dataset(path)


def test_one_shard_is_a_dataset_too(tmp_path, images):
    folder = write_webdataset(tmp_path / "shards", images)
    with open_dataset(folder / "shard-001.tar") as data:
        assert [sample.label for sample in data] == [label for _, label, _ in images[10:]]
        assert data.labels_source == "the shards' .cls members"
    folder = write_parquet(tmp_path / "parquet", images)
    with open_dataset(folder / "data" / "val-00001.parquet") as data:
        assert [sample.id for sample in data] == [name for name, _, _ in images[10:]]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"a.jpg": b"x", "a.cls": b"1", "b.jpg": b"y"}, r"1 images have no label \(\.cls\), such as b\.jpg"),
        ({"a.jpg": b"x", "a.cls": b"cat"}, r"a\.cls: expected a class number from 0, came b'cat'"),
        ({"a.jpg": b"x", "a.png": b"x", "a.cls": b"1"}, r"sample a has two images, a\.jpg and a\.png"),
    ],
)
def test_shards_that_do_not_fit_are_named(tmp_path, members, message):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, content in members.items():
            add(archive, name, content)
    with pytest.raises(DataError, match=message):
        open_dataset(tmp_path / "x.tar")


def test_a_sample_in_two_shards_is_an_error(tmp_path, images):
    folder = write_webdataset(tmp_path / "shards", images)
    (folder / "shard-002.tar").write_bytes((folder / "shard-001.tar").read_bytes())
    with pytest.raises(DataError, match=r"shard-002\.tar: holds img_10\.jpg, and so does .*shard-001\.tar"):
        open_dataset(folder)


def test_labels_at_the_first_dot_and_folders_in_names(tmp_path):
    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for name, content in {"v1.0/a.jpg": b"A", "v1.0/a.cls": b"4\n", "v1.0/a.json": b"{}"}.items():
            add(archive, name, content)
    with open_dataset(tmp_path / "x.tar") as data:
        assert [(sample.id, sample.label, sample.read()) for sample in data] == [("v1.0/a.jpg", 4, b"A")]


def test_parquet_that_does_not_fit_is_named(tmp_path):
    arrow = pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'data')")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    cases = [
        ({"picture": [b"x"], "label": [1]}, "expected columns image and label, it has picture, label"),
        ({"image": [b"x", b"y"], "label": [1, -1]}, "row 1: expected a class number from 0, the label is -1"),
        ({"image": [b"x"], "label": ["cat"]}, "the label is 'cat'"),
        ({"image": [b"x"], "label": [True]}, "the label is True"),
        ({"image": ["x.jpg"], "label": [1]}, r"expected encoded images \(bytes\) .*, it holds string"),
        (
            {"image": [{"path": "x.jpg"}], "label": [1]},
            r"expected encoded images \(bytes\) .*, it holds struct",
        ),
        (
            {"image": [{"bytes": b"x", "path": "a"}, {"bytes": b"y", "path": "a"}], "label": [1, 1]},
            "2 images are called a in the column",
        ),
    ]
    for columns, message in cases:
        parquet.write_table(arrow.table(columns), path)
        with pytest.raises(DataError, match=message):
            open_dataset(path)
    parquet.write_table(arrow.table({"image": [b"x", None], "label": [1, 2]}), path)
    with open_dataset(path) as data:
        assert [(sample.id, sample.label) for sample in data] == [("x-000000", 1), ("x-000001", 2)]
        assert data.samples[0].read() == b"x"
        with pytest.raises(DataError, match="no image bytes"):
            data.samples[1].read()
    parquet.write_table(arrow.table({"image": [{"bytes": b"x"}], "label": [1]}), path)
    with open_dataset(path) as data:
        assert [(sample.id, sample.read()) for sample in data] == [("x-000000", b"x")]
    path.write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(DataError, match="the parquet file cannot be read"):
        open_dataset(path)


def test_damage_to_the_pixels_of_parquet_is_found_when_they_are_read(tmp_path, images):
    pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'data')")
    path = min((write_parquet(tmp_path, images) / "data").iterdir())
    content = path.read_bytes()
    path.write_bytes(content[:100] + bytes(len(content) // 4) + content[100 + len(content) // 4 :])
    with open_dataset(path) as data, pytest.raises(DataError, match="the file is damaged"):
        data.samples[0].read()


def test_the_validation_split_is_taken_from_several(tmp_path, images):
    folder = write_parquet(tmp_path / "hf", images)
    for shard in sorted((folder / "data").iterdir()):
        shard.rename(shard.with_name(shard.name.replace("val-", "validation-")))
    other = write_parquet(tmp_path / "train", images[:3], shards=1)
    (other / "data" / "val-00000.parquet").rename(folder / "data" / "train-00000-of-00001.parquet")
    with open_dataset(folder) as data:
        assert len(data) == 20
    for shard in (folder / "data").glob("validation-*"):
        shard.rename(shard.with_name(shard.name.replace("validation-", "test-")))
    with pytest.raises(UsageError, match=r"several splits \(test, train\) and none is 'validation'"):
        open_dataset(folder)


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow.parquet", None)
    (tmp_path / "x.parquet").write_bytes(b"PAR1" + bytes(100))
    with pytest.raises(
        UsageError, match=r'needs pyarrow, which is not installed\n  pip install "dsd-zoo\[data\]"'
    ):
        open_dataset(tmp_path / "x.parquet")


def test_hugging_faces_names_of_the_validation_images_are_recognised(tmp_path):
    rows = [("ILSVRC2012_val_00000001_n01751748.JPEG", 65, b"x")]
    with open_dataset(write_parquet(tmp_path / "hf", rows, shards=1)) as data:
        assert data.name == "ilsvrc2012-val"


def test_a_list_may_name_absolute_paths_and_paths_after_the_root_folder(tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "a.jpg").write_bytes(b"A")
    (tmp_path / "b.jpg").write_bytes(b"B")
    (tmp_path / "list.txt").write_text(f"{tmp_path}/elsewhere/a.jpg 1\n/b.jpg 2\n")
    with open_dataset(tmp_path / "list.txt") as data:
        assert [(sample.label, sample.read()) for sample in data] == [(1, b"A"), (2, b"B")]
    (tmp_path / "list.txt").write_text("gone.jpg 1\nb.jpg 2\n")
    with pytest.raises(DataError, match=r"1 of the 2 images it lists are not in .*list\.txt: gone\.jpg"):
        open_dataset(tmp_path / "list.txt")


def test_image_data_layers_of_caffe(corpus):
    """Real Caffe's ImageData layer: listed files, resized by OpenCV to one size or not at all."""
    folder = corpus / "caffe" / "imagedata-native"
    prepare = preprocessor(Preprocessing(flavour="caffe-stored", crop=20))
    with np.load(folder / "io.npz") as first, np.load(folder / "batches.npz") as later:
        recorded = [first["out:data"][0], later["data@2"][0], later["data@3"][0]]
        labels = [first["out:label"][0], later["label@2"][0], later["label@3"][0]]
    with open_dataset(folder / "list.txt") as data:
        for sample, image, label in zip(data.samples[:3], recorded, labels, strict=True):
            assert sample.label == label
            rows, columns = prepare.flavour.window(*image.shape[1:], 20)
            np.testing.assert_array_equal(prepare(sample.read()), image[:, rows, columns])
