"""One thing that was verified, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zoo.store.cache import Trust

Kind = Literal["integrity", "structure", "parity"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `subject` is a file or a form of the net, `detail` one or more lines."""

    kind: Kind
    subject: str
    ok: bool
    detail: str
    trust: Trust | None = None
