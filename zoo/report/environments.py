"""What the runs of a report ran on, said once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.evidence.run import Result


def common_environment(results: Sequence[Result]) -> tuple[dict[str, str], bool]:
    """Each version and device with its values, separated by semicolons, and whether any has several."""
    found: dict[str, list[str]] = {}
    for result in results:
        for name, value in result.environment.items():
            values = found.setdefault(name, [])
            if value not in values:
                values.append(value)
    several = any(len(values) > 1 for values in found.values())
    return {name: "; ".join(values) for name, values in found.items()}, several
