"""The readers of `make fuzz` read their own seeds: each with a result, or with an error of the zoo."""

from __future__ import annotations

import importlib
import itertools
import sys
from pathlib import Path

import pytest

FUZZ = Path(__file__).resolve().parent / "fuzz"
SEEDS_READ = 4


@pytest.fixture(scope="module")
def readers():
    pytest.importorskip("pyarrow", reason="needs pyarrow (the extra 'data')")
    sys.path.insert(0, str(FUZZ))
    yield importlib.import_module("reader")
    sys.path.remove(str(FUZZ))


def test_every_reader_reads_its_seeds(readers, tmp_path):
    wrong = []
    for number, reader in enumerate(readers.all_readers().values()):
        seeds, work = tmp_path / f"{number}-seeds", tmp_path / f"{number}-work"
        seeds.mkdir()
        work.mkdir()
        contents = list(itertools.islice(reader.seeds(seeds), SEEDS_READ))
        assert contents, reader.name
        assert max(map(len, contents)) <= readers.MOST_BYTES
        read = 0
        for content in contents:
            try:
                reader.read(content, work)
                read += 1
            except readers.own_errors():
                pass
        if not read:
            wrong.append(reader.name)
    # The first definitions of the corpus need weights; the fuzzer has all of them.
    assert set(wrong) <= {"prototxt"}
