"""Tables that fit the width they are given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoo.cli._columns import SHORTEST_TEXT, Column, table_lines, terminal_width, wrap

COLUMNS = [
    Column("NAME"),
    Column("N", is_right=True, rank=1),
    Column("KIND", rank=2),
    Column("TITLE", rank=3, is_text=True),
]
ROWS = [
    ["first", "1", "caffe", "a title of some length that is cut somewhere"],
    ["second", "100", "torch7", "short"],
]


def test_a_wide_table_has_everything():
    assert table_lines(COLUMNS, ROWS, 100) == [
        "NAME      N  KIND    TITLE",
        "first     1  caffe   a title of some length that is cut somewhere",
        "second  100  torch7  short",
    ]


def test_a_text_gets_what_the_others_leave():
    lines = table_lines(COLUMNS, ROWS, 50)
    assert lines[1] == "first     1  caffe   a title of some length tha..."
    assert len(lines[1]) == 50


@pytest.mark.parametrize(
    ("width", "header"),
    [
        (21 + SHORTEST_TEXT, "NAME      N  KIND    TITLE"),
        (20 + SHORTEST_TEXT, "NAME      N  KIND"),
        (19, "NAME      N  KIND"),
        (18, "NAME      N"),
        (10, "NAME"),
        (1, "NAME"),
    ],
)
def test_the_least_important_columns_go_first(width, header):
    assert table_lines(COLUMNS, ROWS, width)[0] == header


def test_a_column_without_content_is_left_out():
    assert table_lines(COLUMNS, [["first", "1", "", ""]], 100) == ["NAME   N", "first  1"]


@given(
    st.lists(st.tuples(*[st.text("abc", max_size=30)] * 4), min_size=1, max_size=5),
    st.integers(1, 120),
)
def test_no_line_is_wider_unless_a_name_is(rows, width):
    lines = table_lines(COLUMNS, rows, width)
    assert len(lines) == 1 + len(rows)
    names = max(4, *(len(row[0]) for row in rows))
    assert max(map(len, lines)) <= max(width, names)


def test_the_width_is_that_of_the_terminal_or_80(monkeypatch):
    monkeypatch.setenv("COLUMNS", "57")
    assert terminal_width() == 57
    monkeypatch.delenv("COLUMNS")
    monkeypatch.setattr("os.get_terminal_size", lambda *_: (_ for _ in ()).throw(OSError))
    assert terminal_width() == 80


def test_a_long_word_stays_whole():
    assert wrap("more: dsd-zoo show MODEL", 8, "  ") == "more:\n  dsd-zoo\n  show\n  MODEL"
    assert wrap("a-very-long-name is here", 10) == "a-very-long-name\nis here"
