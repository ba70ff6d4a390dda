"""The findings of an audit on the terminal: the same tables for `audit` and `demo`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.cli._colour import Verdict
from zoo.cli._output import print_table, say
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from zoo.claims.audit import Audit, ClaimAudit
    from zoo.report.tables import ClaimBlock
    from zoo.verification.parity import Parity


def print_claims(audits: Sequence[Audit]) -> None:
    """One line per claim and distinct measurement."""
    from zoo.report.tables import claim_blocks

    lines = [
        (audit.model, *cells) for audit in audits for row in claim_blocks(audit) for cells in _claim(row)
    ]
    header: tuple[str, ...] = (
        "MODEL",
        "METRIC",
        "CLAIMED",
        "",
        "DERIVED FROM",
        "MEASURED",
        "WITH",
        "VERDICT",
    )
    if not any(line[5] for line in lines):
        header = header[:5]
    print_table(header, [line[: len(header)] for line in lines], right=(2, 3, 5), merged=5)
    for audit in audits:
        if audit.unpinned_files:
            say(f"{audit.model}: no hash was known beforehand for {', '.join(audit.unpinned_files)}")


def print_gains(audits: Sequence[Audit]) -> None:
    """A table by preparation for each pair and metric; nothing where no model has a baseline."""
    from zoo.cli._gains_text import print_gain_blocks
    from zoo.report import words
    from zoo.report.tables import gain_blocks

    blocks = [block for audit in audits for block in gain_blocks(audit)]
    if blocks:
        print()
        print_gain_blocks(blocks)
        if sentence := words.claimed_gains(audits):
            say(sentence)


def print_conflicts(audits: Sequence[Audit]) -> None:
    """Published values that contradict a claim."""
    from zoo.report import words

    if any(audit.conflicts for audit in audits):
        print()
    for audit in audits:
        for conflict in audit.conflicts:
            off = conflict.difference_points
            distance = "" if off is None else f", {words.signed(off, 2)} points from the claim"
            say(
                f"conflict: {audit.model} {METRIC_NAMES[conflict.metric]} is also published as "
                f"{conflict.published}{distance}\n  {conflict.source}\n  {conflict.note}",
                "  ",
            )


def print_verdict(audits: Sequence[Audit], parity: Sequence[Parity] = ()) -> None:
    """What does not hold, and the verdict over all."""
    from zoo.report import words

    print()
    problems = words.problems(audits, parity)
    for model, problem in problems:
        say(f"{model}: {problem}", "  ")
    verdicts = {claim.verdict for audit in audits for claim in audit.claims}
    holds = False if problems else True if verdicts == {"agrees"} else None
    say(Verdict(words.headline(audits, parity), holds))


def _claim(row: ClaimBlock) -> list[tuple[str, ...]]:
    from zoo.report import words

    head = (
        METRIC_NAMES[row.claim.metric],
        words.claimed(row.claim),
        f"{row.claim.percent:.2f} %",
        _derivation(row.claim),
    )
    if not row.lines:
        return [(*head, "", "", _verdict(row.claim.verdict))]
    return [
        (
            *head,
            f"{line.run.correct:,} of {line.run.n:,}",
            line.runtimes,
            _verdict(line.run.verdict, "" if line.run.difference is not None else f": {line.run.remark}"),
        )
        for line in row.lines
    ]


def _verdict(verdict: str, remark: str = "") -> Verdict:
    return Verdict(verdict + remark, {"agrees": True, "differs": False}.get(verdict))


def _derivation(claim: ClaimAudit) -> str:
    found = claim.derivation
    if found is None:
        return "-"
    batches = f"{found.batches} batches of {found.batch_size}"
    return batches if found.holds else Verdict(f"NOT: {batches} give {found.printed}", False)
