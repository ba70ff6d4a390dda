"""A kind of place that holds images is one file in zoo/datasets/sources, or one registered class."""

from __future__ import annotations

import subprocess
import sys

import pytest
from registry_entries import entries_restored, only_these_entries

from zoo.datasets import (
    Files,
    Record,
    Records,
    all_sources,
    expected_sources,
    kinds_of_sources,
    open_dataset,
    register_source,
    registry,
)
from zoo.errors import UsageError

SHIPPED = [
    "packed file",
    "Caffe LMDB",
    "parquet shards",
    "WebDataset shards",
    "list",
    "tar",
    "folder",
]
HEAVY = ("numpy", "pydantic", "pyarrow", "cv2", "torch", "onnx")


class Frames(Records):
    """A text file of image bytes, a line each, with its label in front."""

    kind = "frame file"
    description = "a file of frames"
    labels_source = "the frames"

    def __init__(self, path):
        self.lines = [line.split(" ", 1) for line in path.read_text().splitlines()]
        self.records = [Record(f"frame{i}", int(label)) for i, (label, _) in enumerate(self.lines)]
        self.closed = False

    @classmethod
    def accepts(cls, path):
        return path.suffix == ".frames"

    def read(self, index):
        return self.lines[index][1].encode()

    def close(self):
        self.closed = True


@pytest.fixture
def shipped():
    """Only the sources of SHIPPED, whatever else lies in zoo/datasets/sources."""
    all_sources()
    with only_these_entries(registry._SOURCES, *SHIPPED):
        yield


@pytest.fixture
def frames(shipped):
    with entries_restored(registry._SOURCES):
        yield register_source(Frames)


def test_sources_are_tried_from_the_most_special_to_the_folder(shipped):
    assert [source.kind for source in all_sources()] == SHIPPED


def test_the_kinds_in_words(shipped):
    assert kinds_of_sources() == (
        "a folder, tar, list, Caffe LMDB, parquet or WebDataset shards, or a packed file"
    )
    assert expected_sources() == (
        "a folder of images, an uncompressed .tar (unpack a compressed one), a list of files, a Caffe LMDB, "
        "parquet or WebDataset shards, or a file of dsd-zoo pack"
    )


def test_a_registered_source_is_opened(frames, tmp_path):
    (tmp_path / "a.frames").write_text("3 first\n0 second\n")
    with open_dataset(tmp_path / "a.frames") as data:
        assert [(sample.id, sample.label, sample.read()) for sample in data] == [
            ("frame0", 3, b"first"),
            ("frame1", 0, b"second"),
        ]
        assert (data.name, data.labels_source) == ("a.frames", "the frames")


def test_help_and_errors_name_a_registered_source(frames, tmp_path):
    assert "Caffe LMDB, frame file, parquet or WebDataset shards" in kinds_of_sources()
    (tmp_path / "a.zip").write_bytes(b"PK")
    with pytest.raises(UsageError, match=r"a\.zip: expected a folder of images, .*, a file of frames, "):
        open_dataset(tmp_path / "a.zip")


def test_a_source_of_files_takes_labels_from_names_or_a_list(tmp_path):
    class Pairs(Files):
        kind, description, trial = "pair", "a pair", 0

        def __init__(self, path):
            self.names = frozenset({"a.jpg", "b.jpg"})

        @classmethod
        def accepts(cls, path):
            return path.suffix == ".pair"

        def read(self, name):
            return name.encode()

        def close(self):
            pass

    (tmp_path / "x.pair").touch()
    (tmp_path / "labels").write_text("b.jpg 4\na.jpg 2\n")
    with entries_restored(registry._SOURCES):
        register_source(Pairs)
        with open_dataset(tmp_path / "x.pair", tmp_path / "labels") as data:
            assert [(sample.id, sample.label) for sample in data] == [("b.jpg", 4), ("a.jpg", 2)]


def test_a_second_source_of_one_kind_is_refused(frames):
    with pytest.raises(ValueError, match="two entries of the kind 'dataset source' are named 'frame file'"):
        register_source(Frames)


def test_the_kinds_are_listed_without_heavy_libraries():
    program = (
        "import sys; from zoo.datasets import kinds_of_sources; kinds_of_sources(); "
        f"print([name for name in {HEAVY} if name in sys.modules])"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout == "[]\n"
