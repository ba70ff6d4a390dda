"""`dsd-zoo inspect --weights A B`: two nets of one architecture, weight by weight."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from zoo.cli._output import print_json, print_table, say
from zoo.cli._subject import find_subject
from zoo.errors import UsageError

if TYPE_CHECKING:
    from zoo.verification.weights import Weight, WeightComparison

BAR_WIDTH = 30


def show_weights(
    nets: Sequence[str], manifests: Sequence[Path] | None, *, as_json: bool, verify: bool = False
) -> None:
    """Print the comparison of two nets. UsageError if there are not two, or their architectures differ.

    Ends with 1 if a net contains values that are not finite. `verify`: see `converters.load`.

    As JSON: classes (names), a and b (names of the nets), arrays (the fields of
    `zoo.verification.weights.WeightComparison`).
    """
    from zoo.verification.weights import class_names, compare_weights, pair_weights

    if len(nets) != 2:
        raise UsageError(f"--weights compares two nets, A B; {len(nets)} given (files of one net: A1,A2)")
    first, second = found = [_weights(net, manifests, verify=verify) for net in nets]
    rows = [compare_weights(*both) for both in pair_weights(first, second)]
    if as_json:
        arrays = [asdict(row) for row in rows]
        print_json({"a": nets[0], "b": nets[1], "classes": class_names(), "arrays": arrays})
    else:
        _print(rows, nets)
    broken = [
        f"{net}: {weight.name} holds values that are no numbers"
        for net, weights in zip(nets, found, strict=True)
        for weight in weights
        if not weight.is_finite
    ]
    if broken:
        print("\n".join(broken), file=sys.stderr)
        raise typer.Exit(1)


def _weights(net: str, manifests: Sequence[Path] | None, *, verify: bool) -> list[Weight]:
    import converters
    from zoo.store.cache import Cache
    from zoo.store.converted import source_net
    from zoo.verification.weights import weights_of

    subject = find_subject(net.split(","), manifests)
    if subject.manifest is not None:
        return weights_of(source_net(subject.manifest, Cache()).model)
    return weights_of(converters.load(*subject.sources, verify=verify))


def _print(rows: Sequence[WeightComparison], nets: Sequence[str]) -> None:
    from zoo.verification.weights import class_names, total_classes

    say(f"A  {nets[0]}\nB  {nets[1]}\n")
    pruned = [row for row in rows if row.prunable]
    lines = [
        (
            row.name if row.name == row.other_name else f"{row.name} / {row.other_name}",
            "x".join(map(str, row.shape)),
            f"{row.size:,}",
            *(_percent(zeros, row.size) for zeros in row.zeros),
            _percent(row.equal, row.size),
            "-" if row.correlation is None else f"{row.correlation:.4f}",
        )
        for row in pruned
    ]
    size = sum(row.size for row in pruned)
    zeros = [_percent(sum(row.zeros[which] for row in pruned), size) for which in (0, 1)]
    lines.append(
        ("all of these", "", f"{size:,}", *zeros, _percent(sum(row.equal for row in pruned), size), "")
    )
    header = ("WEIGHTS", "SHAPE", "VALUES", "ZERO IN A", "ZERO IN B", "EQUAL", "CORRELATION")
    print_table(header, lines, right=(2, 3, 4, 5, 6))
    others = len(rows) - len(pruned)
    say(f"\n{others} biases and statistics are not listed; --json has them.")
    say("\nMagnitudes of these weights, as multiples of the root mean square of the same layer in B")
    columns = [
        (f"{100 * count / max(1, size):.2f} %", "#" * round(BAR_WIDTH * count / max(1, size)))
        for which in (0, 1)
        for count in total_classes(rows, which)
    ]
    names = class_names()
    table = [
        (name, *in_a, *in_b)
        for name, in_a, in_b in zip(names, columns[: len(names)], columns[len(names) :], strict=True)
    ]
    print_table(("MAGNITUDE", "IN A", "", "IN B", ""), table, right=(1, 3))


def _percent(count: int, size: int) -> str:
    return f"{100 * count / max(1, size):.2f} %"
