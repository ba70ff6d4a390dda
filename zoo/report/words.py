"""Numbers and findings in words, for the terminal and the page."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.claims.audit import Audit, ClaimAudit
from zoo.claims.gains import PairedGain, UnpairedGain
from zoo.claims.statistics import Interval

if TYPE_CHECKING:
    from zoo.catalog.claim import PublishedMeasurement
    from zoo.claims.prepared_gains import Figure, PreparedGain
    from zoo.verification.parity import Parity

NOT_STATED = "not stated"
# What became of claimed gains, for one and for more.
STANDINGS: dict[str, tuple[str, str]] = {
    "stands": ("stands", "stand"),
    "shrinks": ("shrinks", "shrink"),
    "depends on the preparation": ("depends on the preparation", "depend on the preparation"),
    "undecided": ("is undecided", "are undecided"),
    "unknown": ("was not measured again", "were not measured again"),
}
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
    """The text with true minus signs and without line breaks in p-values and before `%`, for the page."""
    minus = re.sub(r"(?<!\w)-(?=\d)|(?<=e)-(?=\d)", "−", text)
    return minus.replace("p = ", "p\u00a0=\u00a0").replace(" %", "\u00a0%")


def runtime_label(name: str) -> str:
    """What people call a runtime: `ONNX Runtime` for `onnx`."""
    from zoo.runtimes import all_runtimes  # it loads numpy

    return all_runtimes()[name].label


def place(runtime: str, device: str) -> str:
    """The runtime, with its device unless that is the CPU: `PyTorch`, `PyTorch on cuda:0`."""
    name = runtime_label(runtime)
    return name if device == "cpu" else f"{name} on {device}"


def trust(audit: Audit) -> str:
    """Whether the manifest pins all source files by hash."""
    return "files pinned by hash" if audit.trust == "pinned" else "not all files pinned by hash"


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, (", ".join(parts[:-1]), parts[-1])))


def class_label(label: int, names: Sequence[str] = ()) -> str:
    """`class 281 (tabby)`; `class 3` where the name is not known, or is the number itself."""
    return f"class {_class(label, names)}"


def class_name(label: int, names: Sequence[str] = ()) -> str:
    """`tabby`, the first of several names; `class 281` where it is not known, or is the number itself."""
    name = _own_name(label, names)
    return f"class {label}" if name is None else name


def ranked(labels: Sequence[int], names: Sequence[str] = ()) -> str:
    """The best classes, best first, with the name of the first: `281 (tabby) 282 285 287 283`."""
    return " ".join([_class(label, names) if at == 0 else str(label) for at, label in enumerate(labels)])


def _class(label: int, names: Sequence[str]) -> str:
    name = _own_name(label, names)
    return str(label) if name is None else f"{label} ({name})"


def _own_name(label: int, names: Sequence[str]) -> str | None:
    """The first of its names; None if none is known, or it is the number itself."""
    name = names[label].partition(",")[0] if 0 <= label < len(names) else ""
    return None if name in ("", str(label)) else name


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


def paired_gain(gain: PairedGain) -> str:
    """The measured gain with its interval and test, as one clause."""
    change = gain.only_model - gain.only_baseline
    return (
        f"{signed(change)} of {images(gain.n)}, {points(gain.gain)} points "
        f"(95 % interval {points_range(gain.interval)}, {p_value(gain.p_value)})"
    )


def gain_verdict(gain: UnpairedGain | PairedGain) -> str:
    """`significant gain`, `significant loss` or `not significant`, at 5 %."""
    if not gain.significant:
        return "not significant"
    return "significant gain" if gain.gain > 0 else "significant loss"


def preparation(row: PreparedGain) -> str:
    """`shorter side 256, crop 224`, or that it is not stated."""
    if row.preparation.words is not None:
        return row.preparation.words
    return "as the authors did, not stated" if row.basis == "published" else NOT_STATED


def preparation_of(found: PublishedMeasurement) -> str:
    """The preparation of what somebody else measured, in the zoo's terms where it is known so exactly."""
    from zoo.preprocessing.settings import in_words

    if found.preprocessing is not None:
        return in_words(found.preprocessing.model_dump())
    return found.preparation or "a preparation that is not stated"


def as_published(figure: Figure | None) -> str:
    """The accuracy in percent, with as many digits after the point as are known, at most two; "" for None."""
    if figure is None:
        return ""
    return f"{figure.percent:.{2 if figure.decimals is None else min(2, figure.decimals)}f}"


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
    """Whether the claims hold, and whether any gain is significant; each sentence says what it is about."""
    wrong = len(problems(audits, parity))
    if wrong:
        first = f"{wrong} {'thing does' if wrong == 1 else 'things do'} not hold."
    else:
        first = _claims_sentence(audits)
    return f"{first} {_measured_gains_sentence(audits)}".strip()


def _claims_sentence(audits: Sequence[Audit]) -> str:
    claims = [claim for audit in audits for claim in audit.claims]
    agreeing = sum(claim.verdict == "agrees" for claim in claims)
    derived = sum(claim.derivation is not None for claim in claims)
    if not claims:
        return f"No accuracy of {_models(audits)} is claimed."
    if len(claims) == 1:
        what = f"The published accuracy of {_models(audits)}"
        trace = "; it follows from its trace" if derived else ""
        return f"{what} {'was measured here and agrees' if agreeing else f'was not measured here{trace}'}."
    about = f"published accuracies of {_models(audits)}"
    if agreeing == len(claims):
        return f"{'Both' if agreeing == 2 else f'All {agreeing}'} {about} were measured here and agree."
    of = f"Of the {len(claims)} {about},"
    if agreeing:
        verbs = ("was", "agrees") if agreeing == 1 else ("were", "agree")
        return f"{of} {agreeing} {verbs[0]} measured here in full and {verbs[1]}."
    follow = (
        "both follow" if derived == len(claims) == 2 else f"{derived} follow{'s' if derived == 1 else ''}"
    )
    return f"{of} none was measured here in full{f'; {follow} from their traces' if derived else ''}."


def _models(audits: Sequence[Audit]) -> str:
    return audits[0].model if len(audits) == 1 else f"{len(audits)} models"


def claimed_gains(audits: Sequence[Audit]) -> str:
    """How many claim a gain and what became of it; nothing for a single pair, which has its own sentence."""
    found = [gains for audit in audits for gains in audit.by_preparation if gains.metric == "top1"]
    pairs = [gains for gains in found if gains.claimed is not None]
    if len(pairs) < 2:
        return ""
    standings = Counter[str](gains.standing for gains in pairs if gains.standing != "nothing claimed")
    claiming = standings.total()
    sentence = (
        f"Of the {len(pairs)} pairs with published numbers, {_count(claiming, len(pairs))} "
        f"{'claims' if claiming < 2 else 'claim'} a significant gain in top-1."
    )
    said = [
        f"{standings[standing]} {one if standings[standing] == 1 else more}"
        for standing, (one, more) in STANDINGS.items()
        if standings[standing]
    ]
    return f"{sentence} Of these gains, {', '.join(said)}." if said else sentence


def _measured_gains_sentence(audits: Sequence[Audit]) -> str:
    measured = [
        gain.measured for audit in audits for gain in audit.gains if gain.metric == "top1" and gain.measured
    ]
    better = sum(all(run.significant and run.gain > 0 for run in runs) for runs in measured)
    worse = sum(all(run.significant and run.gain < 0 for run in runs) for runs in measured)
    if not measured:
        return ""
    if len(measured) == 1:
        what = "a significant gain" if better else "a significant loss" if worse else "no significant gain"
        return f"The pair measured here shows {what} in top-1."
    losses = f", {_count(worse, len(measured))} a significant loss" if worse else ""
    verb = "shows" if better < 2 else "show"
    return (
        f"Of the {len(measured)} pairs measured here, {_count(better, len(measured))} {verb} "
        f"a significant gain in top-1{losses}."
    )


def _count(count: int, of: int) -> str:
    return "none" if not count else "all" if count == of else str(count)
