"""What the schema cannot read in a definition: taken out of the text, field by field, and judged afterwards.

Forks add fields and enum values, and make fields repeated. Where they stand in a layer that inference leaves
out, they cannot matter. Only the layer that contains such a field is parsed again.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from google.protobuf import text_format

from converters.errors import FormatError
from converters.from_caffe import schema
from converters.from_caffe.inputs import is_data_layer
from converters.from_caffe.layers.dropped import is_dropped
from converters.from_caffe.netstate import is_included
from converters.from_caffe.quick_text import read_quickly
from converters.from_caffe.upgrade import v1_type_name

UNKNOWN_FIELD = re.compile(r'Message type "caffe\.(\w+)" has no field named "(\w+)"')
_UNKNOWN_VALUE = re.compile(r'Enum type "caffe\.([\w.]+)" has no value (?:named|with number) ([^\s]+)\.$')
_REPEATED = re.compile(r'Message type "caffe\.(\w+)" should not have multiple "(\w+)" fields')
# Each costs another look at its layer. The definitions in use have up to a few hundred.
MOST_UNREAD = 1_000
# To take out a field, the text up to it is read again. This many words may be read again for a file, and so
# many characters passed over count as one: it takes a second.
MOST_READ_AGAIN = 200_000
_CHARACTERS_PER_WORD = 500
# The name of a field and the space behind it.
_LONGEST_NAME = 200
# These decide which layers exist, so they must be read.
_RULES = frozenset({"NetStateRule", "NetState", "Phase"})
# Fields of a net by which forks save memory or time, and by which they train: yjxiong's, NVIDIA's, Intel's.
MEMORY_FIELDS = frozenset(
    {
        "mem_param", "optimize_mem", "eltwise_mem_sharing", "bn_stats_batch_size", "compile_net_state",
        "engine", "reduce_buckets", "global_grad_scale", "global_grad_scale_adaptive", "quantize",
        "default_cudnn_math_override", "default_conv_algos_override",
    }
)  # fmt: skip


@dataclass(frozen=True)
class Unread:
    """A field that was taken out. `layer` counts the layers of the net; None outside of layers.

    message: the type of message that has the field, or the enum of its value. error: what protobuf says.
    """

    field: str
    line: int
    layer: int | None
    message: str
    error: str

    @property
    def is_unknown(self) -> bool:
        """Whether no message known has such a field."""
        return UNKNOWN_FIELD.search(self.error) is not None

    @property
    def is_repeated(self) -> bool:
        """Whether the field is there several times where Caffe has it once."""
        return _REPEATED.search(self.error) is not None

    @property
    def v1_type(self) -> str | None:
        """The unknown type of a V1 layer, such as VIDEO_DATA; None where the field is another one."""
        found = _UNKNOWN_VALUE.search(self.error)
        return found[2] if found and found[1] == "V1LayerParameter.LayerType" else None

    def __str__(self) -> str:
        return f"{self.field} (line {self.line})"


@dataclass
class _Effort:
    """The words that were read again so far."""

    spent: int = 0


def without_unread(text: str, path: Path) -> tuple[str, list[Unread]]:
    """(the text with spaces in place of what the schema cannot read, these fields in their order).

    FormatError where there are more than any definition has.
    """
    parts: list[str] = []
    unread: list[Unread] = []
    end, line, layers = 0, 1, 0
    effort = _Effort()
    for start, stop in _top_level_fields(text):
        parts.append(text[end:start])
        line += parts[-1].count("\n")
        field = text[start:stop]
        read, found, count = _read_field(field, line, layers, effort)
        parts.append(read)
        unread += found
        if len(unread) > MOST_UNREAD or effort.spent > MOST_READ_AGAIN:
            taken = min(len(unread) - 1, MOST_UNREAD)
            raise FormatError(
                f"{path}:{unread[-1].line}: more than {taken:,} fields up to here that no dialect of Caffe "
                f"declares, the first of them {unread[0]}: is this the file?"
            )
        layers += count
        line += field.count("\n")
        end = stop
    return "".join([*parts, text[end:]]), unread


def is_harmless(
    unread: Unread, net: schema.Message, v1_types: Mapping[int, str], stages: Sequence[str], level: int
) -> bool:
    """Whether a field cannot matter: it steers memory alone, or inference leaves out its layer."""
    if unread.layer is None:
        return unread.is_unknown and unread.message == "NetParameter" and unread.field in MEMORY_FIELDS
    # With layers of both forms, which Caffe refuses, a position does not tell which layer it is.
    if unread.message in _RULES or (len(net.layer) and len(net.layers)):
        return False
    if len(net.layers):
        layer = net.layers[unread.layer]
        type_ = v1_types.get(unread.layer) or v1_type_name(layer)
    else:
        layer = net.layer[unread.layer]
        type_ = layer.type
    return (
        not is_included(layer, {*net.state.stage, *stages}, level)
        or is_dropped(type_)
        or is_data_layer(type_, layer)
    )


def unknown_v1_types(unread: Sequence[Unread]) -> dict[int, str]:
    """By position of the layer, its unknown V1 type in the words of V2: VIDEO_DATA as VideoData."""
    types = {
        item.layer: item.v1_type for item in unread if item.v1_type is not None and item.layer is not None
    }
    return {k: "".join(word.capitalize() for word in name.split("_")) for k, name in types.items()}


def _read_field(field: str, line: int, layers: int, effort: _Effort) -> tuple[str, list[Unread], int]:
    """(the field without what cannot be read, what was taken out, how many layers the field holds).

    Stops when it takes too much effort, to which it adds its own.
    """
    is_layer = re.match(r"layers?\b", field) is not None
    taken: list[Unread] = []
    while (error := _error_in(field)) is not None:
        place = _place(field, error)
        if place is None:
            break  # another kind of error, which reading the whole text reports
        start, stop, name, message = place
        where = line + field.count("\n", 0, start)
        taken.append(Unread(name, where, layers if is_layer else None, message, str(error)))
        field = field[:start] + re.sub(r"[^\n]", " ", field[start:stop]) + field[stop:]  # keeps line numbers
        effort.spent += len(field[:start].split()) + len(field) // _CHARACTERS_PER_WORD
        if len(taken) > MOST_UNREAD or effort.spent > MOST_READ_AGAIN:
            break
    return field, taken, int(is_layer)


def _error_in(field: str) -> text_format.ParseError | None:
    """The first error in a field of the net; None also for errors that are not protobuf's own."""
    if read_quickly(schema.new("NetParameter"), field):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)
            text_format.Parse(field, schema.new("NetParameter"))
    except text_format.ParseError as error:
        return error
    except (DeprecationWarning, RecursionError):
        return None
    return None


def _place(text: str, error: text_format.ParseError) -> tuple[int, int, str, str] | None:
    """(begin, end and name of the field that the error is about, the message or enum); None for others."""
    said, line, column = str(error), error.GetLine(), error.GetColumn()
    if line is None or column is None:
        return None
    lines = text.split("\n")
    offset = sum(len(part) + 1 for part in lines[: line - 1]) + column - 1
    if (unknown := UNKNOWN_FIELD.search(said)) is not None:
        start, (message, name) = _word_start(text, offset), unknown.groups()
    elif (repeated := _REPEATED.search(said)) is not None:
        message, name = repeated.groups()
        start = text.rfind(name, 0, offset + 1)
    elif (value := _UNKNOWN_VALUE.search(said)) is not None:
        message = value[1]
        begin = max(0, offset - _LONGEST_NAME)
        before = re.search(r"(\w+)\s*+:\s*+$", text[begin:offset])
        start, name = (begin + before.start(), before[1]) if before else (-1, "")
    else:
        return None
    stop = _field_end(text, start) if start >= 0 else None
    return (start, stop, name, message) if stop is not None else None


def _top_level_fields(text: str) -> Iterator[tuple[int, int]]:
    """Begin and end of every field that stands in no message; up to the first that does not end."""
    position = 0
    while True:
        begin = _BETWEEN.match(text, position)
        assert begin is not None
        start = begin.end()
        stop = _field_end(text, start) if start < len(text) else None
        if stop is None:
            return
        yield start, stop
        position = stop


def _word_start(text: str, offset: int) -> int:
    while offset > 0 and (text[offset - 1].isalnum() or text[offset - 1] == "_"):
        offset -= 1
    return offset


# Possessive, and a string that does not end reaches to the end of the text: each character is looked at once.
_BETWEEN = re.compile(r"(?:[\s;,]++|#[^\n]*+)*+")
_TOKEN = re.compile(
    r"(?s:\s++|#[^\n]*+|\"(?:\\.|[^\"\\])*+(?:\"|\\?\Z)|'(?:\\.|[^'\\])*+(?:'|\\?\Z)"
    r"|[{}<>\[\]]|[^\s{}<>\[\]#\"']++)"
)


def _field_end(text: str, start: int) -> int | None:
    """The end of the field that starts at `start`, behind its message or scalar. None if it has no end."""
    depth, seen_value = 0, False
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
