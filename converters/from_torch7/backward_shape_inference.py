"""What modules expect as input, as far as their fields say: shapes of tensors, and how tables nest.

The input of a net is inferred from its end to its beginning: what a module expects may depend on what the
module after it, its successor, expects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from converters.sizes import Dim, Shape, Symbol


@dataclass(frozen=True)
class Repeated:
    """A table of any length: the entries of `head`, then any number of entries like `item`."""

    head: tuple[Expected, ...] = ()
    item: Expected = ()


@dataclass(frozen=True)
class ShapeDependent:
    """A table whose nesting depends on the shapes of its tensors; `choose` gets these depth first."""

    choose: Callable[[Sequence[Shape]], Expected]


# A tuple is a tensor of this shape (None: any size), a list a table of such, or one of the classes above.
# ANY: whatever the successor expects. None: unknown.
Expected = tuple[Dim | None, ...] | list["Expected"] | Repeated | ShapeDependent | None
ANY: Expected = ()


def batch_first(*sizes: Dim | None) -> Expected:
    """A tensor of N x these sizes; N is the batch."""
    return (Symbol("N"), *sizes)


def time_first(features: int) -> Expected:
    """A tensor of time x batch x features."""
    return (Symbol("T"), Symbol("N"), features)


def is_table(expected: Expected) -> bool:
    """Whether a table is expected."""
    return isinstance(expected, list | Repeated | ShapeDependent)


def is_known(expected: Expected) -> bool:
    """Whether anything is known about the input."""
    return expected is not None and expected != ANY


def complete(expected: Expected, successor: Expected) -> Expected:
    """What a module expects; a number of channels that it leaves open is taken from its successor."""
    if expected == ANY:
        return successor
    if isinstance(expected, tuple) and isinstance(successor, tuple) and len(expected) == len(successor) > 1:
        axis = 2 if len(expected) == 3 else 1  # N x time x features; N x channels x ...
        if expected[axis] is None:
            return (*expected[:axis], successor[axis], *expected[axis + 1 :])
    return expected


def expected_entry(table: Expected, position: int) -> Expected:
    """What is expected as the entry at `position` (from 1) of a table."""
    if isinstance(table, Repeated):
        return table.head[position - 1] if position <= len(table.head) else table.item
    return table[position - 1] if isinstance(table, list) and position <= len(table) else None


def merge(a: Expected, b: Expected) -> Expected:
    """What two modules expect of the same input.

    Tables of agreeing lengths are merged entry by entry; otherwise `a` counts, or `b` if `a` is unknown.
    """
    if not is_known(a) or not is_known(b):
        return a if is_known(a) else b
    if not (isinstance(a, list | Repeated) and isinstance(b, list | Repeated)):
        return a
    lengths = [len(table) for table in (a, b) if isinstance(table, list)]
    known = max(len(table.head if isinstance(table, Repeated) else table) for table in (a, b))
    if lengths and (known > min(lengths) or len(set(lengths)) > 1):
        return a
    entries = [merge(expected_entry(a, k), expected_entry(b, k)) for k in range(1, known + 1)]
    if lengths:
        return entries
    return Repeated(tuple(entries), merge(expected_entry(a, known + 1), expected_entry(b, known + 1)))


def tensor_count(expected: Expected) -> int | None:
    """How many tensors are expected; None if the number is open."""
    if not is_table(expected):
        return 1
    if not isinstance(expected, list):
        return None
    counts = [tensor_count(entry) for entry in expected]
    return None if None in counts else sum(known or 0 for known in counts)


def match(expected: Expected, shapes: Sequence[Shape]) -> Expected:
    """The nesting, of lists and tensors only, that fits tensors of these shapes; None if none fits."""
    if isinstance(expected, ShapeDependent):
        return match(expected.choose(shapes), shapes)
    if not is_table(expected):
        return expected if len(shapes) == 1 else None
    entries = list(expected.head) if isinstance(expected, Repeated) else _entries(expected)
    if isinstance(expected, Repeated):
        each = tensor_count(expected.item)
        spare = len(shapes) - sum(tensor_count(entry) or 1 for entry in entries)
        if each is not None and all(tensor_count(entry) is not None for entry in entries):
            entries += [expected.item] * max(0, spare // each)
    return _match_entries(entries, shapes)


def _entries(expected: Expected) -> list[Expected]:
    return list(expected) if isinstance(expected, list) else []


def _match_entries(entries: list[Expected], shapes: Sequence[Shape]) -> Expected:
    """The tensors dealt out to the entries; at most one entry may take an open number of them."""
    counts = [tensor_count(entry) for entry in entries]
    spare = len(shapes) - sum(known for known in counts if known is not None)
    if counts.count(None) > 1 or spare < 0 or (spare and None not in counts):
        return None
    result: list[Expected] = []
    start = 0
    for entry, known in zip(entries, counts, strict=True):
        taken = spare if known is None else known
        part = match(entry, shapes[start : start + taken])
        if part is None and is_table(entry):
            return None
        result.append(part)
        start += taken
    return result
