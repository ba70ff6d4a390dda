"""The result of one check of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from zoo.store.cache import Trust

CheckKind = Literal["integrity", "structure", "parity"]


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one check. `subject` is a file or a converted net; `detail` is one or more lines.

    `sha256` is that of the file, where the check has read it.
    """

    kind: CheckKind
    subject: str
    ok: bool
    detail: str
    trust: Trust | None = None
    sha256: str | None = None
