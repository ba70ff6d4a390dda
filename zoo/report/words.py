"""Numbers and findings in words, for the terminal and the page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.claims.audit import Audit, ClaimAudit
from zoo.claims.gains import ClaimedGain, PairedGain
from zoo.claims.statistics import Interval
from zoo.runtimes import all_runtimes
from zoo.vocabulary import METRIC_NAMES

if TYPE_CHECKING:
    from zoo.verification.parity import Parity

FRAMEWORK_NAMES = {"caffe": "Caffe", "torch7": "Torch7", "pytorch": "PyTorch"}


def percent(fraction: float) -> str:
    """`0.98` as `98.00 %`."""
    return f"{100 * fraction:.2f} %"


def percent_range(interval: Interval) -> str:
    """An interval of fractions of 1 as `96.7 to 99.0 %`."""
    return f"{100 * interval.low:.1f} to {100 * interval.high:.1f} %"


def points(fraction: float) -> str:
    """A difference of accuracies in percentage points, signed: `-0.20`, `+4.32`."""
    return signed(100 * fraction, 2)


def points_range(interval: Interval) -> str:
    """An interval of differences in percentage points: `-0.42 to +0.14`."""
    return f"{points(interval.low)} to {points(interval.high)}"


def signed(value: float, decimals: int = 0) -> str:
    """A number with its sign, without one if it rounds to zero: `+3`, `-1`, `0`."""
    text = f"{abs(value):.{decimals}f}"
    if not float(text):
        return text
    return ("+" if value > 0 else "-") + text


def typeset(text: str) -> str:
    """The text with true minus signs and without line breaks in p-values, for the page."""
    return re.sub(r"(?<!\w)-(?=\d)|(?<=e)-(?=\d)", "−", text).replace("p = ", "p\u00a0=\u00a0")


def runtime_label(name: str) -> str:
    """What people call a runtime: `ONNX Runtime` for `onnx`."""
    return all_runtimes()[name].label


def place(runtime: str, device: str) -> str:
    """The runtime, with its device unless that is the CPU: `PyTorch`, `PyTorch on cuda:0`."""
    name = runtime_label(runtime)
    return name if device == "cpu" else f"{name} on {device}"


def trust(audit: Audit) -> str:
    """Whether the manifest pins all source files by hash."""
    return "files pinned by hash" if audit.trust == "pinned" else "not all files pinned by hash"


def images(count: int) -> str:
    """`1 image`, `2 images`, `50,000 images`."""
    return f"{count:,} image" if count == 1 else f"{count:,} images"


def p_value(p: float) -> str:
    """`p = 1`, `p = 0.0313`, `p = 4.19e-13`."""
    return f"p = {p:.3g}"


def claimed(claim: ClaimAudit) -> str:
    """The claimed count if it is known, else the claim as published: `30,879 of 50,000`, `42.56 % error`."""
    return claim.published if claim.correct is None else f"{claim.correct:,} of {claim.n:,}"


def derivation(claim: ClaimAudit) -> str:
    """Whether the claim follows from its own trace."""
    found = claim.derivation
    if found is None:
        return "no per-batch trace"
    if found.holds:
        return f"follows from {found.batches} batches of {found.batch_size}"
    return f"does NOT follow from its trace, which gives {found.printed}"


def claimed_gain(gain: ClaimedGain) -> str:
    """The published gain with its interval, as one clause."""
    rounded = "" if gain.exact else ", from rounded percentages"
    return (
        f"claimed {points(gain.gain)} points (95 % interval {points_range(gain.interval)}, "
        f"images unpaired{rounded})"
    )


def paired_gain(gain: PairedGain) -> str:
    """The measured gain with its interval and test, as one clause."""
    change = gain.only_model - gain.only_baseline
    return (
        f"{signed(change)} of {images(gain.n)}, {points(gain.gain)} points "
        f"(95 % interval {points_range(gain.interval)}, {p_value(gain.p_value)})"
    )


def gain_verdict(gain: ClaimedGain | PairedGain) -> str:
    """`significant gain`, `significant loss` or `not significant`, at 5 %."""
    if not gain.significant:
        return "not significant"
    return "significant gain" if gain.gain > 0 else "significant loss"


def problems(audits: Sequence[Audit], parity: Sequence[Parity] = ()) -> list[tuple[str, str]]:
    """What does not hold, as (model, sentence)."""
    found = [(audit.model, problem) for audit in audits for problem in audit.problems]
    found += [
        (
            row.model,
            f"{row.output} with {row.runtime} is off by {row.difference:.1e} of the largest recorded value, "
            f"allowed are {row.bound:.0e}",
        )
        for row in parity
        if not row.holds
    ]
    return found


def headline(audits: Sequence[Audit], parity: Sequence[Parity] = ()) -> str:
    """Two sentences: whether the claims hold, and whether any measured gain is significant."""
    wrong = len(problems(audits, parity))
    if wrong:
        first = f"{wrong} {'thing does' if wrong == 1 else 'things do'} not hold."
    else:
        first = _claims_sentence(audits)
    return f"{first} {_gains_sentence(audits)}".strip()


def _claims_sentence(audits: Sequence[Audit]) -> str:
    claims = [claim for audit in audits for claim in audit.claims]
    agreeing = sum(claim.verdict == "agrees" for claim in claims)
    if claims and agreeing == len(claims):
        return "Every published count was measured again and agrees."
    if agreeing:
        return f"{agreeing} of {len(claims)} published counts were measured again, and all of those agree."
    if any(claim.derivation is not None for claim in claims):
        return "Every published number that has a trace follows from it. None was measured here in full."
    return "No published number was measured here in full."


def _gains_sentence(audits: Sequence[Audit]) -> str:
    pairs = [pair for audit in audits for gain in audit.gains for pair in gain.measured]
    gains = sum(pair.significant and pair.gain > 0 for pair in pairs)
    if not pairs:
        return ""
    if gains == len(pairs):
        return "Every measured gain is significant."
    if gains:
        return f"{gains} of {len(pairs)} measured gains are significant."
    return "No model is significantly better than its baseline."


def gain_sentences(audit: Audit) -> list[str]:
    """The gains of a model over its baseline: as measured, or as claimed where nothing was measured.

    Equal runs give one sentence. A metric on which the two nets agree for every image gives none.
    """
    sentences = []
    for gain in audit.gains:
        clauses = {
            paired_gain(pair): gain_verdict(pair)
            for pair in gain.measured
            if pair.only_model or pair.only_baseline
        }
        if not gain.measured and gain.claimed is not None:
            clauses = {claimed_gain(gain.claimed): gain_verdict(gain.claimed)}
        sentences += [
            f"{METRIC_NAMES[gain.metric]}: {clause}: {verdict}" for clause, verdict in clauses.items()
        ]
    return sentences
