"""Tables and fields that keep all they say in any width."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from zoo.cli._tables import Verbatim, field_lines, table_lines, wrapped

HEADER = ("LAYER", "PARAMETERS", "RIGHT IMAGES")
ROWS = [("conv1", "weight 16x3x3x3, bias 16", "493 of 500"), ("relu1", "", "7")]


def lines(width: int, **options: object) -> list[str]:
    return table_lines(HEADER, ROWS, width, right=(2,), **options)


def test_a_table_that_fits_is_one_line_a_row():
    assert lines(80) == [
        "LAYER  PARAMETERS                RIGHT IMAGES",
        "conv1  weight 16x3x3x3, bias 16    493 of 500",
        "relu1                                       7",
    ]


def test_the_header_is_wrapped_before_the_text():
    assert lines(43) == [
        "                                      RIGHT",
        "LAYER  PARAMETERS                    IMAGES",
        "conv1  weight 16x3x3x3, bias 16  493 of 500",
        "relu1                                     7",
    ]


def test_text_is_wrapped_and_numbers_are_not():
    assert lines(36) == [
        "                               RIGHT",
        "LAYER  PARAMETERS             IMAGES",
        "conv1  weight 16x3x3x3,   493 of 500",
        "       bias 16",
        "relu1                              7",
    ]


def test_the_blanks_before_a_heading_count():
    """As where what rows have in common stands above them."""
    header, rows = ("  METRIC", "COUNT"), [("  a", "1 of 2"), ("  b", "2 of 2")]
    assert table_lines(header, rows, 16, right=(1,)) == [
        "  METRIC   COUNT",
        "  a       1 of 2",
        "  b       2 of 2",
    ]
    for width in range(1, 40):
        shown = table_lines(header, rows, width, right=(1,))
        assert max(map(len, shown)) <= max(width, 16)


def test_a_table_that_cannot_be_so_narrow_becomes_blocks():
    assert lines(30) == [
        "conv1",
        "  PARAMETERS    weight",
        "                16x3x3x3, bias",
        "                16",
        "  RIGHT IMAGES  493 of 500",
        "relu1",
        "  RIGHT IMAGES  7",
    ]


def test_what_rows_have_in_common_is_said_once():
    header, rows = (
        ("MODEL", "METRIC", "N"),
        [("net", "top-1", "1"), ("net", "top-5", "1"), ("b", "top-1", "2")],
    )
    assert table_lines(header, rows, 80, merged=2) == [
        "MODEL  METRIC  N",
        "net    top-1   1",
        "       top-5   1",
        "b      top-1   2",
    ]
    assert table_lines(header, rows, 13, merged=2) == [
        "  METRIC  N",
        "net",
        "  top-1   1",
        "  top-5   1",
        "b",
        "  top-1   2",
    ]


def test_texts_between_rows_stay_where_they_are():
    found = table_lines(("", "N"), ["first group", ("  a", "1"), "second group", ("  b", "2")], 80)
    assert found == ["     N", "first group", "  a  1", "second group", "  b  2"]


def test_fields_stand_under_each_other():
    fields = [("kind", "Caffe"), ("notes", "no weights were given\nand another note")]
    assert field_lines(fields, 30) == [
        "  kind   Caffe",
        "  notes  no weights were given",
        "         and another note",
    ]
    assert field_lines(fields, 26)[1:3] == ["  notes  no weights were", "         given"]


def test_what_is_to_be_copied_stays_whole():
    for text in ("dsd-zoo compare a.prototxt,a.caffemodel net.onnx", Verbatim("net = readNet('a b.onnx')")):
        assert wrapped(text, 10) == [text]
    url = "https://example.org/a/long/address"
    assert wrapped(f"from: {url} and more", 20) == [f"from: {url}", "and more"]


words = st.text("abcdefg", min_size=1, max_size=9)
cells = st.lists(words, max_size=4).map(" ".join)


@given(
    st.lists(st.tuples(words, cells, cells), min_size=1, max_size=5), st.integers(16, 60), st.integers(0, 2)
)
def test_no_line_is_longer_and_no_word_is_lost(rows, width, merged):
    header = ("NAME", "ONE", "TWO")
    found = table_lines(header, rows, width, merged=merged)
    assert max(map(len, found)) <= width
    shown = " ".join(found).split()
    assert {word for row in rows for cell in row for word in cell.split()} <= set(shown)
