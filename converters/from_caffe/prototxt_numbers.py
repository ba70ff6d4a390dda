"""Numbers in a prototxt as Caffe's parser, protobuf's in C++, reads them, where the one in Python does not.

C++ takes a space behind a minus sign, and refuses a plus sign, underscores, and binary and octal numbers that
begin with a letter (TextFormat and Tokenizer of protobuf).
"""

from __future__ import annotations

import re
from pathlib import Path

from converters.errors import FormatError

_MAY_DIFFER = re.compile(r"-\s|\+\s*+[\d.]|\d_|\b0[bBoO]|:\s*+0[xX0-7]")
# Comments and strings are matched so that nothing inside them is.
_TOKEN = re.compile(
    r"#[^\n]*+|\"(?:\\.|[^\"\\\n])*+(?:\"|\\?(?=\n|\Z))|'(?:\\.|[^'\\\n])*+(?:'|\\?(?=\n|\Z))"
    r"|(?P<spaced>-[ \t]++)(?=[\d.a-zA-Z])"
    r"|(?P<refused>\+[\d.][\w.]*|(?<![\w.])(?:0[bBoO]\w*|\.?\d[\w.]*_[\w.]*))"
)


def as_caffe_reads_numbers(text: str, path: Path) -> str:
    """The text, with numbers written so that Python reads them as C++ does; nothing moves.

    FormatError for a number that C++ refuses and Python would take.
    """
    if not _MAY_DIFFER.search(text):
        return text

    def replaced(match: re.Match[str]) -> str:
        if match["refused"]:
            line = text.count("\n", 0, match.start()) + 1
            raise FormatError(f"{path}:{line}: the number {match['refused']!r}, which Caffe cannot read")
        return match["spaced"][::-1] if match["spaced"] else match[0]

    return _TOKEN.sub(replaced, text)


def with_plain_boolean(text: str, line: int | None, column: int | None) -> str | None:
    """The text with 0 or 1 for the boolean at this place and those of the same name; None if it is neither.

    C++ reads an integer in any base there, and Python only 0 and 1.
    """
    if line is None or column is None:
        return None
    offset = sum(len(part) + 1 for part in text.split("\n")[: line - 1]) + column - 1
    number = re.compile(r"0[xX]0*([01])\b|0+([01])\b").match(text, offset)
    name = re.search(r"(\w+)\s*:\s*$", text[max(0, offset - 200) : offset])
    if number is None or name is None:
        return None
    same = re.compile(rf"(\b{name[1]}\s*:\s*)({re.escape(number[0])})\b")
    digit = number[1] or number[2]
    return same.sub(lambda found: found[1] + digit.rjust(len(found[2])), text)
