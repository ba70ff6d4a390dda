"""Folders and tars of images: labels, order, and what is said when they do not fit together."""

from __future__ import annotations

import io
import os
import tarfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zoo.bundled import KNOWN_DATASETS, ilsvrc2012_val_labels, imagenet_synsets
from zoo.datasets import Dataset, open_dataset
from zoo.errors import DataError, UsageError

CONTENT = {"a.jpg": b"A", "b.PNG": b"BB", "sub/c.jpeg": b"CCC"}


@pytest.fixture(params=["folder", "tar"])
def place(request, tmp_path):
    """A function that puts files into a folder or a tar and returns where they are."""

    def put(files: dict[str, bytes]) -> Path:
        if request.param == "folder":
            for name, content in files.items():
                (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / "images" / name).write_bytes(content)
            return tmp_path / "images"
        with tarfile.open(tmp_path / "images.tar", "w") as archive:
            for name, content in files.items():
                member = tarfile.TarInfo(f"./{name}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))
        return tmp_path / "images.tar"

    return put


def table(data: Dataset) -> list[tuple[str, int, bytes]]:
    with data:
        return [(sample.id, sample.label, sample.read()) for sample in data]


@pytest.mark.parametrize("name", ["labels.txt", "val.txt"])
def test_a_list_inside_gives_labels_and_order(place, name):
    where = place({**CONTENT, name: b"sub/c.jpeg 7\n\na.jpg 0\n"})
    data = open_dataset(where)
    assert len(data) == 2
    # b.PNG is not listed.
    assert data.labels_source == f"{name}, which leaves out 1 of the images there"
    assert data.name == where.name
    assert table(data) == [("sub/c.jpeg", 7, b"CCC"), ("a.jpg", 0, b"A")]


def test_a_given_list_comes_before_the_one_inside(place, tmp_path):
    given = tmp_path / "mine.list"
    given.write_bytes(b"/a.jpg 3\r\n./b.PNG\t4\r\n")
    data = open_dataset(place({**CONTENT, "val.txt": b"nonsense"}), given)
    assert data.labels_source == f"{given}, which leaves out 1 of the images there"
    assert table(data) == [("a.jpg", 3, b"A"), ("b.PNG", 4, b"BB")]


def test_names_may_hold_blanks(place):
    data = open_dataset(place({"a b.jpg": b"x", "labels.txt": b"a b.jpg 1"}))
    assert table(data) == [("a b.jpg", 1, b"x")]


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
def test_lists_of_any_system_and_editor(place, end):
    """With the mark of Windows' editors in front, and a name with characters that end lines elsewhere."""
    lines = (b"\xef\xbb\xbfa.jpg 1", "b\u2028\x0b.jpg 2".encode(), b"")
    data = open_dataset(place({"a.jpg": b"x", "b\u2028\x0b.jpg": b"y", "labels.txt": end.join(lines)}))
    assert table(data) == [("a.jpg", 1, b"x"), ("b\u2028\x0b.jpg", 2, b"y")]


def test_synset_folders(place):
    data = open_dataset(place({"n01443537/z.JPEG": b"1", "n15075141/a.JPEG": b"2", "n01440764/b.JPEG": b"0"}))
    assert data.labels_source == "synset folder"
    assert [(sample.id, sample.label) for sample in data] == [
        ("n01440764/b.JPEG", 0),
        ("n01443537/z.JPEG", 1),
        ("n15075141/a.JPEG", 999),
    ]


def test_synset_prefixes(place):
    data = open_dataset(place({"n01443537_gold.JPEG": b"1", "n01440764_tench.JPEG": b"0"}))
    assert data.labels_source == "synset prefix of the file name"
    assert [(sample.id, sample.label) for sample in data] == [
        ("n01440764_tench.JPEG", 0),
        ("n01443537_gold.JPEG", 1),
    ]


def test_ilsvrc2012_validation_names(place):
    data = open_dataset(
        place({"ILSVRC2012_val_00050000.JPEG": b"z", "ILSVRC2012_val_00000001.JPEG": b"a", "readme.txt": b""})
    )
    assert data.name == "ilsvrc2012-val"
    # The first and the last line of Caffe's val.txt.
    assert [(sample.id[-13:], sample.label) for sample in data] == [
        ("00000001.JPEG", 65),
        ("00050000.JPEG", 355),
    ]


def test_validation_images_sorted_into_folders_are_checked_against_their_numbers(place):
    right = open_dataset(place({"n01751748/ILSVRC2012_val_00000001.JPEG": b""}))
    assert [(sample.id, sample.label) for sample in right] == [("n01751748/ILSVRC2012_val_00000001.JPEG", 65)]
    right.close()
    with pytest.raises(
        DataError, match=r"00000001\.JPEG is class 65 by its file name .* and 0 by its synset folder"
    ):
        open_dataset(place({"n01440764/ILSVRC2012_val_00000001.JPEG": b""}))


def test_the_built_in_labels_are_balanced_and_in_range():
    labels = ilsvrc2012_val_labels()
    assert len(labels) == 50_000
    assert all(labels.count(label) == 50 for label in range(0, 1000, 97))
    synsets = imagenet_synsets()
    assert sorted(synsets) == list(synsets)
    assert list(synsets.values()) == list(range(1000))


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        ({"a.jpg": b"", "b.jpg": b""}, UsageError, "nothing says what its 2 images show.*--labels FILE"),
        ({"n01440764_a.jpg": b"", "b.jpg": b""}, UsageError, "nothing says"),
        ({"n99999999/a.jpg": b""}, UsageError, "nothing says"),
        ({"ILSVRC2012_val_00050001.JPEG": b""}, UsageError, "nothing says"),
        ({"readme.txt": b""}, DataError, "no images there"),
        (
            {"a.jpg": b"", "val.txt": b"a.jpg 0", "labels.txt": b"a.jpg 0"},
            UsageError,
            "both labels.txt and val.txt",
        ),
        (
            {"a.jpg": b"", "val.txt": b"a.jpg 0\nb.jpg 1\nc 2"},
            DataError,
            "val.txt: 2 of the 3 images it lists are not in",
        ),
        (
            {"a.jpg": b"", "val.txt": b"a.jpg 0\n\na.jpg 0"},
            DataError,
            "line 3: a.jpg is listed a second time",
        ),
        ({"a.jpg": b"", "val.txt": b"a.jpg -1"}, DataError, "line 1: expected 'NAME LABEL'"),
        ({"a.jpg": b"", "val.txt": b"490\n361"}, DataError, "line 1: expected 'NAME LABEL'.*came '490'"),
        ({"a.jpg": b"", "val.txt": b"a.jpg 1.0"}, DataError, "line 1"),
        ({"a.jpg": b"", "val.txt": b"a.jpg 99999999999999999999"}, DataError, "line 1"),
        ({"a.jpg": b"", "val.txt": b"\n \n"}, DataError, "list of labels is empty"),
        (
            {"a.jpg": b"", "val.txt": b"a.jpg 1\xff"},
            DataError,
            "val.txt: a list of labels is UTF-8 text; byte 7 is none",
        ),
    ],
)
def test_what_does_not_fit_is_said(place, files, error, message):
    with pytest.raises(error, match=f"(?s){message}"):
        open_dataset(place(files))


def test_a_list_cannot_reach_out_of_the_folder(place, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="not in"):
        open_dataset(place({"a.jpg": b"", "val.txt": b"../secret.jpg 0"}))


def test_names_that_are_not_utf8_are_shown_with_escapes(place):
    name = os.fsdecode(b"n01440764_\xe9.jpg")
    assert table(open_dataset(place({name: b"1"}))) == [("n01440764_\\udce9.jpg", 0, b"1")]


def test_links_are_followed_but_not_in_circles(tmp_path):
    folder = tmp_path / "images"
    (folder / "n01440764").mkdir(parents=True)
    (folder / "n01440764" / "a.jpg").write_bytes(b"1")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "b.jpg").write_bytes(b"2")
    (folder / "n01443537").symlink_to(tmp_path / "elsewhere")
    for name, target in (("up", ".."), ("here", "."), ("itself.jpg", "itself.jpg"), ("gone.jpg", "nowhere")):
        (folder / "n01440764" / name).symlink_to(target)
    assert table(open_dataset(folder)) == [("n01440764/a.jpg", 0, b"1"), ("n01443537/b.jpg", 1, b"2")]


def test_a_pipe_is_no_place_of_images(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UsageError, match="no such folder or file"):
        open_dataset(tmp_path / "pipe")


def test_hidden_files_are_left_out(place):
    data = open_dataset(place({"n01440764_a.jpg": b"1", "._n01440764_a.jpg": b"mac"}))
    assert [sample.id for sample in data] == ["n01440764_a.jpg"]


def test_what_is_no_dataset_is_said(tmp_path):
    with pytest.raises(UsageError, match="no such folder or file"):
        open_dataset(tmp_path / "nowhere")
    for content in (b"", b"\x1f\x8b compressed"):
        (tmp_path / "file").write_bytes(content)
        with pytest.raises(UsageError, match="expected a folder of images, an uncompressed"):
            open_dataset(tmp_path / "file")
    with pytest.raises(UsageError, match="list of labels cannot be read"):
        open_dataset(tmp_path, tmp_path / "nowhere.txt")


def test_a_vanished_image_is_named(tmp_path):
    (tmp_path / "n01440764_a.jpg").write_bytes(b"x")
    data = open_dataset(tmp_path)
    (tmp_path / "n01440764_a.jpg").unlink()
    with pytest.raises(DataError, match=r"n01440764_a\.jpg: cannot be read: No such file"):
        data.samples[0].read()


def make_tar(path: Path, *members: tuple[str, bytes]) -> None:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_damaged_tars(tmp_path):
    path = tmp_path / "images.tar"
    make_tar(path, ("n01440764_a.jpg", bytes(5000)), ("n01440764_b.jpg", bytes(5000)))
    whole = path.read_bytes()
    # inside the second image, at its end, and where the end mark should be
    for length in (9000, 11264, 11264 + 100):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="truncated or damaged"):
            open_dataset(path)
    damaged = bytearray(whole)
    damaged[5632:5700] = b"\xff" * 68  # the second header
    path.write_bytes(damaged)
    with pytest.raises(DataError, match="damaged"):
        open_dataset(path)
    make_tar(path, ("n01440764_a.jpg", b"1"), ("n01440764_a.jpg", b"2"))
    with pytest.raises(DataError, match=r"holds n01440764_a\.jpg twice"):
        open_dataset(path)


def test_tar_links_and_folders_are_no_images(tmp_path):
    path = tmp_path / "images.tar"
    with tarfile.open(path, "w") as archive:
        link = tarfile.TarInfo("n01440764_link.jpg")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
        image = tarfile.TarInfo("n01440764_a.jpg")
        image.size = 3
        archive.addfile(image, io.BytesIO(b"abc"))
    assert table(open_dataset(path)) == [("n01440764_a.jpg", 0, b"abc")]


def test_many_threads_read_one_tar(tmp_path):
    members = [(f"n01440764_{i}.jpg", bytes([i]) * (1000 + i)) for i in range(200)]
    make_tar(tmp_path / "images.tar", *members)
    with open_dataset(tmp_path / "images.tar") as data, ThreadPoolExecutor(8) as pool:
        for sample, content in zip(data, pool.map(lambda sample: sample.read(), data), strict=True):
            assert (sample.id, content) in members


def test_the_embedded_digits_are_known_by_name():
    from zoo.bundled import bundled_folder

    with open_dataset(bundled_folder() / "digits" / "images" / "test_images.tar") as data:
        assert (data.name, len(data), data.labels_source) == ("digits-test", 500, "val.txt")
        assert data.samples[0].read().startswith(b"\x89PNG")


def test_a_known_name_with_another_label_is_not_that_dataset(place):
    data = open_dataset(place({"test_00000.png": b"", "val.txt": b"test_00000.png 1"}))
    assert data.name.startswith("images")


def test_the_photograph_sample_is_labelled_alike_by_list_and_by_name(shared, tmp_path):
    folder = shared / "imagenet-sample"
    with open_dataset(folder) as listed:
        assert (len(listed), listed.labels_source) == (200, "labels.txt")
        synsets = imagenet_synsets()
        assert all(synsets[sample.id.split("_")[0]] == sample.label for sample in listed)


@pytest.mark.parametrize(
    ("labels", "order"),
    [
        # Tench and kit fox by their sorted synset ids, and by the ids of ILSVRC2015 minus 1 (map_clsloc.txt).
        (b"n01440764_a.jpg 0\nn02119789/b.jpg 278\n", "sorted-synsets"),
        (b"n01440764_a.jpg 448\nn02119789/b.jpg 0\n", "ilsvrc2015"),
        (b"n01440764_a.jpg 1\nn02119789/b.jpg 279\n", None),
        (b"n01440764_a.jpg 0\nother.jpg 278\n", None),
        (None, "sorted-synsets"),
    ],
)
def test_the_order_of_labels_is_told_by_synsets_in_the_names(place, labels, order):
    files = {"n01440764_a.jpg": b"", "n02119789/b.jpg": b""}
    if labels is not None:
        files |= {"other.jpg": b"", "labels.txt": labels}
    else:
        files = {"n01440764/a.jpg": b"", "n02119789/b.jpg": b""}
    with open_dataset(place(files)) as data:
        assert data.label_order == order


@pytest.mark.parametrize("dataset", ["ilsvrc2012-val", "ilsvrc2015-val"])
def test_lists_of_the_validation_images_are_known_in_both_orders(place, tmp_path, dataset):
    known = KNOWN_DATASETS[dataset]
    names = [f"ILSVRC2012_val_{number:08d}.JPEG" for number in (1, 2, 50_000)]
    labels = known.labels()
    (tmp_path / "list.txt").write_text("".join(f"{name} {labels[name]}\n" for name in names))
    with open_dataset(place(dict.fromkeys(names, b"")), tmp_path / "list.txt") as data:
        assert (data.name, data.label_order) == (dataset, known.label_order)
