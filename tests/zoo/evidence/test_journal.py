"""The journal of a run: what is read back, what is deleted, what is refused."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from unittest import mock

import numpy as np
import pytest

from zoo.errors import DataError, UsageError
from zoo.evidence import journal
from zoo.evidence.journal import Batch, Journal
from zoo.evidence.rows import Row
from zoo.evidence.run import read_run, write_run

PLAN = {"model": "net", "images": 9, "files": {"net.onnx": "1" * 64}, "preprocessing": [{"crop": 8}]}


def scores(*values: float) -> tuple[float, ...]:
    """float32, as a net gives them."""
    return tuple(np.array(values, np.float32).tolist())


def batch(number: int) -> Batch:
    rows = tuple(
        Row(f"{number}-{i} ä, 'x'.jpg", i, (i, 7, 8), scores(0.1 + i, 1e-30, -3.25), 1, "cd" * 32)
        for i in range(3)
    )
    return Batch(number, (rows, rows[:2]), (f"{number}-gone.jpg",), number)


def written(folder, *batches: Batch, name: str = "rank0-of-1"):
    file = Journal(folder, name)
    for one in batches:
        file.append(one)
    file.close()
    return next((folder / "partial").glob(f"{name}-*.jsonl"))


def test_batches_come_back_bit_for_bit(tmp_path):
    assert journal.start(tmp_path, PLAN, resume=False) == {}
    written(tmp_path, batch(2), batch(0))
    written(tmp_path, batch(1), name="rank1-of-2")
    assert journal.read(tmp_path) == {k: batch(k) for k in range(3)}
    assert journal.start(tmp_path, PLAN, resume=True) == {k: batch(k) for k in range(3)}


def test_a_line_that_was_cut_short_does_not_count(tmp_path):
    journal.start(tmp_path, PLAN, resume=False)
    path = written(tmp_path, batch(0), batch(1))
    whole = path.read_bytes()
    first = whole.index(b"\n") + 1
    for length in (len(whole) - 1, first + 1, first + 100):
        path.write_bytes(whole[:length])
        assert journal.read(tmp_path) == {0: batch(0)}
    path.write_bytes(whole[: first - 1])
    assert journal.read(tmp_path) == {}
    # A resumed run writes into a new file, so the incomplete line stays incomplete.
    written(tmp_path, batch(5))
    assert journal.read(tmp_path) == {5: batch(5)}


def test_an_unfinished_run_is_thrown_away_only_if_that_is_asked_for(tmp_path):
    journal.start(tmp_path, PLAN)
    # A run that ranked nothing yet is no loss.
    journal.start(tmp_path, PLAN)
    path = written(tmp_path, batch(0))
    with pytest.raises(UsageError, match=r"evidence of 3 images\n  --resume goes on with it; --restart"):
        journal.start(tmp_path, PLAN)
    assert journal.read(tmp_path) == {0: batch(0)}
    path.write_text("damaged\n")
    with pytest.raises(DataError, match="--restart throws the unfinished run away"):
        journal.start(tmp_path, PLAN)
    assert journal.start(tmp_path, PLAN, restart=True) == {}
    assert journal.read(tmp_path) == {}
    journal.finish(tmp_path)
    assert list(tmp_path.iterdir()) == []
    # With nothing to resume the run starts from the beginning.
    assert journal.start(tmp_path, PLAN, resume=True) == {}
    assert journal.read_plan(tmp_path) == PLAN


def test_another_plan_is_refused_by_what_differs(tmp_path):
    journal.start(tmp_path, PLAN, resume=False)
    written(tmp_path, batch(0))
    other = {**PLAN, "images": 10, "scores": "prob", "files": {"net.onnx": "2" * 64}}
    with pytest.raises(UsageError) as caught:
        journal.start(tmp_path, other, resume=True)
    assert "images was 9 and is 10" in str(caught.value)
    assert "scores was not given and is prob" in str(caught.value)
    assert "files: net.onnx was 1111" in str(caught.value)
    assert journal.read(tmp_path) == {0: batch(0)}


@pytest.mark.parametrize(
    "line",
    [
        "not json",
        "[]",
        '{"batch": "x", "rows": [], "unreadable": [], "rotated": 0}',
        '{"batch": 0, "rows": [[["a.jpg"]]], "unreadable": [], "rotated": 0}',
        '{"batch": Infinity, "rows": [], "unreadable": [], "rotated": 0}',
        "[" * 100_000,
    ],
)
def test_a_damaged_line_is_named(tmp_path, line):
    journal.start(tmp_path, PLAN, resume=False)
    path = written(tmp_path, batch(0))
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(DataError, match=r"\.jsonl, line 2: not a batch of evidence"):
        journal.read(tmp_path)


def test_a_damaged_plan_is_named(tmp_path):
    journal.start(tmp_path, PLAN, resume=False)
    for damaged in ("{", "[" * 100_000):
        (tmp_path / "partial" / "plan.json").write_text(damaged)
        with pytest.raises(DataError, match=r"plan\.json: the unfinished run cannot be read"):
            journal.start(tmp_path, PLAN, resume=True)
    (tmp_path / "partial" / "plan.json").write_text("{")
    with pytest.raises(DataError, match=r"plan\.json: the unfinished run cannot be read"):
        journal.start(tmp_path, PLAN, resume=True)
    (tmp_path / "partial" / "plan.json").write_text(json.dumps([]))
    with pytest.raises(UsageError, match="images was not given and is 9"):
        journal.start(tmp_path, PLAN, resume=True)


def test_a_full_disk_names_the_file_and_how_to_go_on(tmp_path):
    journal.start(tmp_path, PLAN, resume=False)
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    with contextlib.closing(Journal(tmp_path, "rank0-of-1")) as file:
        file.append(batch(0))
        disk = mock.Mock(write=mock.Mock(side_effect=full))
        with mock.patch.object(file, "_file", disk), pytest.raises(UsageError) as caught:
            file.append(batch(1))
    assert str(tmp_path / "partial" / "rank0-of-1") in str(caught.value)
    assert "No space left on device" in str(caught.value)
    assert "the same command with --resume goes on" in str(caught.value)
    assert journal.start(tmp_path, PLAN, resume=True) == {0: batch(0)}


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="the evidence cannot be written: Not a directory"):
        journal.start(tmp_path / "file", PLAN, resume=False)
    with pytest.raises(UsageError, match="the evidence cannot be written: No such file"):
        Journal(tmp_path, "rank0-of-1")


def test_a_run_does_not_give_way_to_one_of_fewer_images_or_other_settings(tmp_path, made_run):
    write_run(tmp_path, made_run("digits-caffe-dsd"))
    with pytest.raises(UsageError, match="holds a run of 500 images, this one sees 9: choose another folder"):
        journal.start(tmp_path, PLAN, resume=False)
    settings = read_run(tmp_path).result.preprocessing
    other = {**PLAN, "images": 500, "preprocessing": [{**settings, "crop": 8, "scale": 2.0}]}
    with pytest.raises(UsageError, match=r"holds a run of images prepared in another way \(crop, scale\)"):
        journal.start(tmp_path, other, resume=False)
    assert read_run(tmp_path).result.n == 500
    assert journal.start(tmp_path, {**other, "preprocessing": [settings]}, resume=False) == {}
