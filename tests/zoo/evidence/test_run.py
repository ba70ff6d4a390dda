"""Runs on disk: they are read back bit for bit, and files that contradict each other are refused."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest

from zoo.errors import DataError, UsageError
from zoo.evidence.rows import Row
from zoo.evidence.run import Result, Run, find_runs, read_run, write_run

SHA = "ab" * 32
ROWS = [
    Row("a.jpg", 3, (3, 1, 2, 0, 4), (0.9, 0.05, 0.03, 0.01, 0.005), 1, SHA),
    Row('odd, "name".jpg', 3, (1, 2, 3, 0, 4), (0.5, 0.5, 0.0, -1e-30, -3e38), 3, SHA),
    Row("c.jpg", 9, (1, 2, 3, 0, 4), (5.0, 4.0, 3.0, 2.0, 1.0), 17),
]


def result(**changes) -> Result:
    values = {
        "model": "net",
        "n": 3,
        "n_dataset": 4,
        "top1_correct": 1,
        "top5_correct": 2,
        "dataset": "photos",
        "dataset_source": "photos/",
        "labels": "val.txt",
        "flavour": "caffe-warp256",
        "preprocessing": {"flavour": "caffe-warp256", "crop": 227},
        "runtime": "onnx",
        "device": "cpu",
        "precision": "float32",
        "files": {"net.onnx": "0" * 64},
        "environment": {"python": "3.12"},
        "command": "dsd-zoo validate",
        "started": "2026-01-01T00:00:00+00:00",
        "seconds": 1.5,
        "images_per_second": 2.0,
        "unreadable": ["d.jpg"],
    }
    return Result.model_validate({**values, **changes})


def test_verdicts():
    assert [(row.top1_correct, row.top5_correct) for row in ROWS] == [
        (True, True),
        (False, True),
        (False, False),
    ]


def test_a_run_comes_back_as_it_was(tmp_path):
    random = np.random.default_rng(0).standard_normal((200, 5)).astype(np.float32)
    scores = np.sort(random, axis=1)[:, ::-1]
    rows = [Row(f"{i}.jpg", 0, (0, 1, 2, 3, 4), tuple(map(float, line))) for i, line in enumerate(scores)]
    written = result(n=200, n_dataset=201, top1_correct=200, top5_correct=200)
    write_run(tmp_path / "new" / "run", Run(written, rows))
    came = read_run(tmp_path / "new" / "run")
    assert came.result == written
    assert came.rows == rows
    assert read_run(tmp_path / "new" / "run" / "result.json") == came
    assert sorted(path.name for path in (tmp_path / "new" / "run").iterdir()) == [
        "evidence.csv",
        "result.json",
    ]


def test_names_that_are_not_utf8_are_written_with_escapes(tmp_path):
    odd = result(n=0, top1_correct=0, top5_correct=0, dataset="\udce9", files={"\udce9.onnx": "0"})
    write_run(tmp_path, Run(odd, []))
    read = read_run(tmp_path).result
    assert (read.dataset, read.files) == ("\\udce9", {"\\udce9.onnx": "0"})


def test_the_csv_is_what_others_can_read(tmp_path):
    write_run(tmp_path, Run(result(), ROWS))
    with (tmp_path / "evidence.csv").open(newline="") as file:
        lines = list(csv.reader(file))
    columns = "image,label,rank,id1,id2,id3,id4,id5,score1,score2,score3,score4,score5,sha256"
    assert ",".join(lines[0]) == columns
    assert lines[1] == ["a.jpg", "3", "1", *"31204", "0.9", "0.05", "0.03", "0.01", "0.005", SHA]
    assert lines[3][:3] == ["c.jpg", "9", "17"]
    assert lines[2][0] == 'odd, "name".jpg'


def test_nets_with_fewer_classes_leave_columns_empty(tmp_path):
    rows = [Row("a.jpg", 1, (1, 0), (0.75, 0.25))]
    write_run(tmp_path, Run(result(n=1, top1_correct=1, top5_correct=1), rows))
    assert (tmp_path / "evidence.csv").read_text().splitlines()[1] == "a.jpg,1,,1,0,,,,0.75,0.25,,,,"
    assert read_run(tmp_path).rows == rows


def test_a_later_run_replaces_an_earlier_one(tmp_path):
    write_run(tmp_path, Run(result(), ROWS))
    write_run(tmp_path, Run(result(n=1, top5_correct=1), ROWS[:1]))
    assert [row.image for row in read_run(tmp_path).rows] == ["a.jpg"]


def test_an_interrupted_replacement_leaves_no_result_beside_other_rows(tmp_path, monkeypatch):
    write_run(tmp_path, Run(result(), ROWS))

    def fail(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(Result, "model_dump_json", fail)
    with pytest.raises(KeyboardInterrupt):
        write_run(tmp_path, Run(result(n=1, top5_correct=1), ROWS[:1]))
    assert [path.name for path in tmp_path.iterdir()] == ["evidence.csv"]


@pytest.mark.parametrize("name", ["n", "top1_correct", "top5_correct"])
def test_counts_that_the_rows_do_not_bear_out_are_refused(tmp_path, name):
    write_run(tmp_path, Run(result(), ROWS))
    changed = json.loads((tmp_path / "result.json").read_text())
    changed[name] += 1
    (tmp_path / "result.json").write_text(json.dumps(changed))
    with pytest.raises(DataError, match=rf"says {name} = \d+, the rows of evidence.csv give"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("image,label", "name,label", "expected the columns image,label"),
        ("a.jpg,3,1,3", "a.jpg,x,1,3", "line 2: not a row of evidence"),
        ("a.jpg,3,1,3", "a.jpg,3,3", "line 2: not a row of evidence: 13 columns"),
        ("a.jpg,3,1,3,1", "a.jpg,3,1,1,1", "line 2: .*not distinct"),
        ("a.jpg,3,1,3,1", "a.jpg,3,1,3,", "line 2: .*one score each"),
        ("a.jpg,3,1,3", "a.jpg,3,2,3", "line 2: .*the rank 2 of class 3 contradicts the five best"),
        ("a.jpg,3,1,3", "a.jpg,3,,3", None),
        ("c.jpg,9,17", "c.jpg,9,5", "line 4: .*the rank 5 of class 9 contradicts the five best"),
        ("a.jpg,3", "a" * 140000, "line 2: .*field larger"),
        ("c.jpg", "a.jpg", "line 4: .*a.jpg is there twice"),
        ("0.9,0.05", "0.05,0.9", "line 2: .*the scores 0.05.* do not decrease"),
        ("0.9,0.05", "nan,0.05", "line 2: .*the scores nan .* do not decrease"),
        (SHA, SHA[:-1], f"line 2: .*'{SHA[:-1]}' is no sha256"),
    ],
)
def test_damaged_rows_are_named(tmp_path, old, new, message):
    write_run(tmp_path, Run(result(), ROWS))
    path = tmp_path / "evidence.csv"
    path.write_text(path.read_text().replace(old, new, 1))
    if message is None:
        assert read_run(tmp_path).rows[0].rank is None
        return
    with pytest.raises(DataError, match=message):
        read_run(tmp_path)


def test_a_run_of_more_images_than_there_were_is_refused(tmp_path):
    write_run(tmp_path, Run(result(n_dataset=3), ROWS))
    with pytest.raises(DataError, match="says that 3 of 3 images were ranked and 1 left out"):
        read_run(tmp_path)


def test_damaged_results_are_named(tmp_path):
    write_run(tmp_path, Run(result(), ROWS))
    path = tmp_path / "result.json"
    path.write_text(path.read_text().replace('"n": 3', '"n": "many"'))
    with pytest.raises(DataError, match=r"result\.json: not the result of a run: n: "):
        read_run(tmp_path)
    path.write_text("{")
    with pytest.raises(DataError, match="not the result of a run: the file"):
        read_run(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=r"result\.json: cannot be read: No such file"):
        read_run(tmp_path)


def test_runs_are_found_below_a_folder(tmp_path):
    for name in ("b/onnx", "a/pytorch", "a/onnx"):
        write_run(tmp_path / name, Run(result(), ROWS))
    assert find_runs(tmp_path) == [
        tmp_path / "a" / "onnx",
        tmp_path / "a" / "pytorch",
        tmp_path / "b" / "onnx",
    ]
    assert find_runs(tmp_path / "nowhere") == []


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="file/run: the evidence cannot be written: Not a directory"):
        write_run(tmp_path / "file" / "run", Run(result(), ROWS))
