"""Rows as columns: the same rows, and the text that csv, json and numpy write."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.evidence import rows as rows_module
from zoo.evidence.row_text import HEADER, BadRowError, cells_json, csv_lines, rows_from_cells, rows_from_lines
from zoo.evidence.rows import Row, Rows
from zoo.evidence.run import Run, read_run, write_run

SHA = "0123456789abcdef" * 4
# Any float32, by its bits.
FLOATS = st.integers(0, (1 << 32) - 1).map(lambda bits: float(np.array(bits, np.uint32).view(np.float32)))


@st.composite
def rows(draw) -> list[Row]:
    """Rows that a run could have: distinct classes, scores that decrease, ranks that fit."""
    found = []
    for number in range(draw(st.integers(0, 6))):
        classes = draw(st.lists(st.integers(0, 1 << 40), unique=True, max_size=5))
        scores = draw(st.lists(FLOATS.filter(lambda x: x == x), min_size=len(classes), max_size=len(classes)))
        label = draw(st.sampled_from([*classes, (1 << 41) + number]))
        rank = classes.index(label) + 1 if label in classes else draw(st.integers(6, 1 << 30))
        found.append(
            Row(
                f"{number}{draw(st.text(st.characters(exclude_categories=['Cs']), max_size=8))}",
                label,
                tuple(classes),
                tuple(sorted(scores, reverse=True)),
                draw(st.sampled_from([rank, None])),
                draw(st.sampled_from(["", SHA])),
            )
        )
    return found


def cells(row: Row) -> list[str]:
    """The cells of a row as docs and the header say, by numpy's and Python's own text of each value."""
    empty = [""] * (5 - len(row.top5))
    scores = [str(np.float32(score)) for score in row.scores]
    rank = "" if row.rank is None else str(row.rank)
    return [row.image, str(row.label), rank, *map(str, row.top5), *empty, *scores, *empty, row.sha256]


@given(rows())
def test_text_is_that_of_csv_and_json_and_reads_back(wanted):
    columns = Rows.of(wanted)
    assert list(columns) == wanted
    written = io.StringIO()
    csv.writer(written, lineterminator="\n").writerows(map(cells, wanted))
    assert csv_lines(columns) == written.getvalue()
    expected = json.dumps(list(map(cells, wanted)), ensure_ascii=False, separators=(",", ":"))
    assert cells_json(columns) == expected
    assert rows_from_cells(list(map(cells, wanted))) == wanted
    plain = rows_from_lines(csv_lines(columns)) if wanted else columns
    quoted = any(mark in row.image for row in wanted for mark in '\r\n",')
    assert plain == (None if quoted else wanted)


@given(rows(), rows(), st.slices(6))
def test_joined_and_taken_rows_are_those_of_lists(first, second, part):
    one, other = Rows.of(first), Rows.of(second)
    joined = Rows.joined([one, other])
    assert list(joined) == first + second
    # With and without the text that was made before.
    for _ in range(2):
        assert csv_lines(Rows.joined([one, other])) == csv_lines(one) + csv_lines(other)
    assert list(joined[part]) == (first + second)[part]
    for at in range(-len(joined), len(joined)):
        assert joined[at] == (first + second)[at]
    with pytest.raises(IndexError):
        joined[len(joined)]
    for metric in ("top1", "top5"):
        assert joined.correct(metric).tolist() == [row.correct(metric) for row in first + second]


@given(rows(), st.integers(0, 5), st.sampled_from(range(1, len(HEADER))))
def test_the_first_wrong_row_is_named(wanted, place, column):
    lines = list(map(cells, wanted))
    wrong = cells(Row("wrong", 1, (1, 0), (0.5, 0.25), 1, SHA))
    wrong[column] = "x"
    place = min(place, len(lines))
    lines[place:place] = [wrong, wrong]
    with pytest.raises(BadRowError) as caught:
        rows_from_cells(lines)
    assert caught.value.place == place
    assert rows_from_lines("".join(",".join(line) + "\n" for line in lines)) is None


@pytest.mark.parametrize("text", ["a,1\n", "a,1", "", f"{',' * 12}\n{',' * 14}\n", f"{',' * 13}\n,"])
def test_lines_of_other_lengths_are_no_rows(text):
    assert rows_from_lines(text) is None


def test_a_run_is_read_counted_and_written_without_an_object_for_each_row(made_run, tmp_path, monkeypatch):
    run = made_run("digits-caffe-dsd")
    made = []
    monkeypatch.setattr(rows_module, "Row", lambda *values: made.append(values))
    write_run(tmp_path, run)
    read = read_run(tmp_path)
    assert read.rows.count_correct("top1") == run.result.top1_correct
    assert csv_lines(read.rows) == csv_lines(run.rows)
    assert not made
    assert isinstance(Run(run.result, read.rows[:3]).rows, Rows)
    list(read.rows[:3])
    assert len(made) == 3
