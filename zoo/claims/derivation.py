"""Published numbers, derived again from the per-batch traces published with them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from zoo.claims.trace import average_loss, read_trace, reprint

if TYPE_CHECKING:
    from zoo.catalog.claim import Claim
    from zoo.catalog.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Reprint:
    """A published number, and what the original tool prints for the trace in the same format."""

    published: str
    printed: str
    source: str
    holds: bool

    def contradiction(self, what: str) -> str:
        """The sentence for a number that does not hold."""
        return f"{what}: '{self.published}' in {self.source}, its trace gives '{self.printed}'"


@dataclass(frozen=True, slots=True)
class Derivation:
    """A claim, derived again from its own per-batch trace."""

    trace: str
    batches: int
    batch_size: int
    correct: int
    printed: str
    """What the original tool prints for these batches, in the format of the claim."""
    also: list[Reprint]
    """The same for every other place that prints the number."""
    holds: bool


def derive(claim: Claim, manifest: Manifest) -> Derivation | None:
    """Derive a claim from its trace; None if it has none. DataError if the trace is damaged."""
    if claim.trace is None:
        return None
    trace = read_trace(manifest.directory / claim.trace, claim.n)
    counts = trace.counts(claim.metric)
    printed = reprint(claim.published, counts, trace.batch_size)
    also = [
        Reprint(other.published, again, other.source, again == other.published)
        for other in claim.also
        for again in [reprint(other.published, counts, trace.batch_size)]
    ]
    return Derivation(
        trace=claim.trace,
        batches=len(counts),
        batch_size=trace.batch_size,
        correct=sum(counts),
        printed=printed,
        also=also,
        holds=printed == claim.published and claim.correct in (None, sum(counts)),
    )


def derive_loss(manifest: Manifest) -> Reprint | None:
    """Derive the published average loss; None if there is none. DataError if its trace is damaged."""
    loss = manifest.loss
    if loss is None:
        return None
    printed = average_loss(manifest.directory / loss.trace)
    return Reprint(loss.published, printed, loss.source, printed == loss.published)
