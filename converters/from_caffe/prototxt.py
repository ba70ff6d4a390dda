"""Prototxt text -> typed net, in the current (V2) form.

protobuf itself reads the text. This module turns its errors into errors that name the file, line, layer and
field, and skips the unknown fields that a user chose to ignore.
"""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Collection
from pathlib import Path

from google.protobuf import text_format

from converters.errors import FormatError, UnsupportedError
from converters.from_caffe import schema
from converters.from_caffe.upgrade import upgrade

# GoogLeNet's definition has 0.04 MB and 2,000 fields. protobuf reads about 60,000 fields per second.
MAX_BYTES = 2**20
MAX_FIELDS = 40_000

_UNKNOWN_FIELD = re.compile(r'Message type "caffe\.(\w+)" has no field named "(\w+)"')


def parse(path: Path, ignore_fields: Collection[str] = ()) -> tuple[schema.Message, list[str]]:
    """The NetParameter in `path`, upgraded to the current form, and the ignored fields as "name (line n)".

    FormatError for text that Caffe's parser would refuse; UnsupportedError for a field that neither BVLC
    Caffe nor a known fork declares.
    """
    text = _read(path)
    ignored: list[str] = []
    while True:
        net = schema.new("NetParameter")
        try:
            _parse_into(net, text)
        except text_format.ParseError as error:
            unknown = _UNKNOWN_FIELD.search(str(error))
            if unknown and unknown[2] in ignore_fields:
                ignored.append(f"{unknown[2]} (line {error.GetLine()})")
                text = _without_field(text, *_position(error), path)
                continue
            raise _explained(error, path, text) from None
        except DeprecationWarning as warning:
            raise FormatError(f"{path}: a string that Caffe refuses: {warning}") from None
        except RecursionError:
            raise FormatError(f"{path}: messages are nested too deeply for a network definition") from None
        if missing := net.FindInitializationErrors():
            raise FormatError(f"{path}: required fields are missing: {', '.join(missing)}")
        return upgrade(net, path), ignored


def _parse_into(net: schema.Message, text: str) -> None:
    with warnings.catch_warnings():
        # protobuf decodes strings with Python's codec, which only warns of an invalid escape sequence.
        warnings.simplefilter("error", DeprecationWarning)
        text_format.Parse(text, net)


def _read(path: Path) -> str:
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise FormatError(
            f"{path}: {size:,} bytes of text; a definition has at most {MAX_BYTES:,}: is this the file?"
        )
    raw = path.read_bytes()
    fields = raw.count(b":") + raw.count(b"{")
    if fields > MAX_FIELDS:
        raise FormatError(
            f"{path}: some {fields:,} fields; a definition has at most {MAX_FIELDS:,}: is this the file?"
        )
    if raw.startswith(b"\xef\xbb\xbf"):
        raise FormatError(
            f"{path}: starts with a UTF-8 byte order mark, which Caffe refuses; save it without one"
        )
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise FormatError(f"{path}: byte {error.start} is not UTF-8 text; is this a prototxt?") from None


def _explained(error: text_format.ParseError, path: Path, text: str) -> FormatError | UnsupportedError:
    line = error.GetLine() or _last_line(error)
    where = f"{path}:{line}" if line else str(path)
    layer = _enclosing_layer(text, line) if line else None
    inside = f" in layer {layer!r}" if layer else ""
    unknown = _UNKNOWN_FIELD.search(str(error))
    if unknown is None:
        return FormatError(f"{where}: {_reason(error)}{inside}")
    message, field = unknown.groups()
    known = [f.name for f in schema.new(message).DESCRIPTOR.fields]
    close = difflib.get_close_matches(field, known, n=3)
    hint = f"; did you mean {' or '.join(close)}?" if close else ""
    if message == "NetParameter" and not close:
        hint = "; is this a network definition at all?"
    return UnsupportedError(
        f"{where}: unknown field {field!r} of {message}{inside}{hint}\n"
        f"  If it does not matter at inference, accept it by name: --ignore-field {field}"
    )


def _reason(error: text_format.ParseError) -> str:
    text = re.sub(r"^\d+:\d+ : ", "", str(error)).replace("caffe.", "")
    return text if len(text) <= 240 else f"{text[:80]} ... {text[-140:]}"  # protobuf quotes the whole line


def _last_line(error: text_format.ParseError) -> int | None:
    found = re.match(r"(\d+):\d+ : ", str(error))
    return int(found[1]) if found else None


def _position(error: text_format.ParseError) -> tuple[int, int]:
    line, column = error.GetLine(), error.GetColumn()
    assert line is not None
    assert column is not None
    return line, column


def _enclosing_layer(text: str, line: int) -> str | None:
    """The name of the layer that contains `line`, for error messages; None where there is none."""
    head = "\n".join(text.split("\n")[:line])
    starts = [m.start() for m in re.finditer(r"^\s*layers?\s*:?\s*[{<]", head, re.MULTILINE)]
    if not starts:
        return None
    name = re.search(r"name\s*:\s*(\"([^\"]*)\"|'([^']*)')", text[starts[-1] :])
    return (name[2] or name[3]) if name else None


def _without_field(text: str, line: int, column: int, path: Path) -> str:
    """The text with spaces in place of the field whose name starts at, or ends before, this position."""
    lines = text.split("\n")
    offset = sum(len(part) + 1 for part in lines[: line - 1]) + column - 1
    start = _word_start(text, offset)
    end = _field_end(text, start)
    if end is None:
        raise FormatError(f"{path}:{line}: a field that does not end; is this a network definition at all?")
    blank = re.sub(r"[^\n]", " ", text[start:end])  # keeps line numbers
    return text[:start] + blank + text[end:]


def _word_start(text: str, offset: int) -> int:
    while offset > 0 and (text[offset - 1].isalnum() or text[offset - 1] == "_"):
        offset -= 1
    return offset


_TOKEN = re.compile(r"\s+|#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|[{}<>\[\]]|[^\s{}<>\[\]#\"']+")


def _field_end(text: str, start: int) -> int | None:
    """The end of the field that starts at `start`, behind its message or scalar. None if it has no end."""
    depth, seen_value, position = 0, False, start
    name_seen = False
    for token in _TOKEN.finditer(text, start):
        word = token.group()
        position = token.end()
        if word.isspace() or word.startswith("#"):
            continue
        if not name_seen:
            name_seen = True
            if ":" in word and not word.endswith(":"):
                return position
            continue
        if word in "{<[":
            depth += 1
        elif word in "}>]":
            depth -= 1
            seen_value = True
        elif word != ":":
            seen_value = True
        if depth == 0 and seen_value:
            return position
    return None
