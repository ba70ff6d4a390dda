"""What modules want as input, as far as their fields say: shapes of tensors, and how tables nest.

A net's input is derived from these, back to front: what a module wants depends on what its successor wants.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from converters.graph import Dim, Shape, Symbol


@dataclass(frozen=True)
class Many:
    """A table of any length: it begins with `head`, all others are like `item`."""

    head: tuple[Expected, ...] = ()
    item: Expected = ()


@dataclass(frozen=True)
class Fitted:
    """A table whose nesting depends on the shapes of the tensors in it, depth first."""

    choose: Callable[[Sequence[Shape]], Expected]


# A tensor of this shape (None: any size), a table of such, or one of the classes above. PASS: whatever the
# successor wants. None: the module does not say.
Expected = tuple[Dim | None, ...] | list["Expected"] | Many | Fitted | None
PASS: Expected = ()


def batch_first(*sizes: Dim | None) -> Expected:
    """A batch called N and these sizes."""
    return (Symbol("N"), *sizes)


def time_first(features: int) -> Expected:
    """Time x batch x features."""
    return (Symbol("T"), Symbol("N"), features)


def is_table(expected: Expected) -> bool:
    """Whether a table is wanted."""
    return isinstance(expected, list | Many | Fitted)


def says_something(expected: Expected) -> bool:
    """Whether anything is known of what is wanted."""
    return expected is not None and expected != PASS


def completed(expected: Expected, after: Expected) -> Expected:
    """What a module wants before a successor: the number of channels it leaves open is its successor's."""
    if expected == PASS:
        return after
    if isinstance(expected, tuple) and isinstance(after, tuple) and len(expected) == len(after) > 1:
        axis = 2 if len(expected) == 3 else 1  # N x time x features; N x channels x ...
        if expected[axis] is None:
            return (*expected[:axis], after[axis], *expected[axis + 1 :])
    return expected


def entry_of(expected: Expected, place: int) -> Expected:
    """What is wanted as one entry (from 1) of a table."""
    if isinstance(expected, Many):
        return expected.head[place - 1] if place <= len(expected.head) else expected.item
    return expected[place - 1] if isinstance(expected, list) and place <= len(expected) else None


def merged(a: Expected, b: Expected) -> Expected:
    """What two modules want of one input: of a table each may know entries; else what the first says."""
    if not says_something(a) or not says_something(b):
        return a if says_something(a) else b
    if not (isinstance(a, list | Many) and isinstance(b, list | Many)):
        return a
    lengths = [len(table) for table in (a, b) if isinstance(table, list)]
    known = max(len(table.head if isinstance(table, Many) else table) for table in (a, b))
    if lengths and (known > min(lengths) or len(set(lengths)) > 1):
        return a
    entries = [merged(entry_of(a, place), entry_of(b, place)) for place in range(1, known + 1)]
    return (
        entries if lengths else Many(tuple(entries), merged(entry_of(a, known + 1), entry_of(b, known + 1)))
    )


def count(expected: Expected) -> int | None:
    """How many tensors; None where it is not fixed."""
    if not is_table(expected):
        return 1
    if not isinstance(expected, list):
        return None
    counts = [count(entry) for entry in expected]
    return None if None in counts else sum(known or 0 for known in counts)


def arranged(expected: Expected, shapes: Sequence[Shape]) -> Expected:
    """A fixed nesting (lists and tensors only) that takes exactly these tensors; None if there is none."""
    if isinstance(expected, Fitted):
        return arranged(expected.choose(shapes), shapes)
    if not is_table(expected):
        return expected if len(shapes) == 1 else None
    wanted = list(expected.head) if isinstance(expected, Many) else list(_entries(expected))
    if isinstance(expected, Many):
        each = count(expected.item)
        spare = len(shapes) - sum(count(entry) or 1 for entry in wanted)
        if each is not None and all(count(entry) is not None for entry in wanted):
            wanted += [expected.item] * max(0, spare // each)
    return _divided(wanted, shapes)


def _entries(expected: Expected) -> list[Expected]:
    return expected if isinstance(expected, list) else []


def _divided(wanted: list[Expected], shapes: Sequence[Shape]) -> Expected:
    """The tensors dealt out to entries; at most one entry takes a number that is not fixed."""
    counts = [count(entry) for entry in wanted]
    spare = len(shapes) - sum(known for known in counts if known is not None)
    if counts.count(None) > 1 or spare < 0 or (spare and None not in counts):
        return None
    result: list[Expected] = []
    start = 0
    for entry, known in zip(wanted, counts, strict=True):
        taken = spare if known is None else known
        part = arranged(entry, shapes[start : start + taken])
        if part is None and is_table(entry):
            return None
        result.append(part)
        start += taken
    return result
