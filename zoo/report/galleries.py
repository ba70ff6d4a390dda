"""Which images tell two nets apart, and which mistakes nets are surest of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from zoo.evidence.pairing import pair_rows
from zoo.evidence.rows import Rows
from zoo.report import words

if TYPE_CHECKING:
    from zoo.claims.reported import Reported, ReportedNet, ReportedPair
    from zoo.evidence.rows import Row

# Images in one row of thumbnails, and in the gallery of mistakes.
MOST_OF_A_KIND, MOST_MISTAKES = 6, 12


@dataclass(frozen=True, slots=True)
class Answer:
    """What one net says of an image: the name of its best class with the score, and whether it is right.

    net: the net or, in the galleries of a pair, "model" or "baseline"; "" where there is only one net.
    """

    net: str
    said: str
    score: str
    right: bool


@dataclass(frozen=True, slots=True)
class Card:
    """One image with its true class and the answers. `sha256` is that of its file, "" if unknown."""

    image: str
    sha256: str
    truth: str
    answers: list[Answer]


@dataclass(frozen=True, slots=True)
class Gallery:
    """Images of one kind; `more` others are not shown."""

    title: str
    cards: list[Card]
    more: int = 0


def pair_galleries(pair: ReportedPair) -> list[Gallery]:
    """Images right in top-1 with one net and wrong with the other; first those of which both are surest."""
    if pair.runs is None:
        return []
    run, other = pair.runs
    names, nets = pair.class_names, ("model", "baseline")
    ours, theirs = pair_rows(run.rows, other.rows)
    right, other_right = ours.correct("top1"), theirs.correct("top1")
    found = []
    for title, differs in (
        (f"Right with {pair.model.name}, wrong with {pair.baseline.name}", right & ~other_right),
        (f"Wrong with {pair.model.name}, right with {pair.baseline.name}", other_right & ~right),
    ):
        chosen = [(ours[place], theirs[place]) for place in differs.nonzero()[0].tolist()]
        chosen.sort(key=lambda both: -sum(row.scores[0] for row in both if row.scores))
        cards = [_card(zip(nets, both, strict=True), names) for both in chosen[:MOST_OF_A_KIND]]
        if cards:
            found.append(Gallery(title, cards, len(chosen) - len(cards)))
    return found


def surest_mistakes(found: Reported) -> Gallery | None:
    """The images that nets ranked wrong in top-1 with the highest scores, each once with all that are wrong.

    Nets whose scores are probabilities and nets whose scores are not take turns: the numbers of the two
    cannot be held against each other.
    """
    wrong: dict[tuple[str, int], list[tuple[str, Row]]] = {}
    ranked: list[list[tuple[str, int]]] = []
    named: dict[tuple[str, int], ReportedNet] = {}
    for net in found.nets:
        rows = [] if net.main is None else _wrong(net.main.rows)
        rows.sort(key=lambda row: -row.scores[0])
        for row in rows:
            wrong.setdefault((row.image, row.label), []).append((net.name, row))
            named.setdefault((row.image, row.label), net)
        ranked.append([(row.image, row.label) for row in rows])
    order = list(dict.fromkeys(_turns(ranked)))
    if not order:
        return None
    cards = [_merged(_card(wrong[key], named[key].class_names)) for key in order[:MOST_MISTAKES]]
    if len(found.nets) == 1:
        cards = [_without_nets(card) for card in cards]
    return Gallery("The surest mistakes", cards, len(order) - len(cards))


def _wrong(rows: Sequence[Row]) -> list[Row]:
    """The rows that are wrong in top-1."""
    columns = Rows.of(rows)
    wrong = (~columns.correct("top1")).nonzero()[0].tolist()
    return [row for row in columns.taken(wrong) if row.top5]


def _turns(lists: Sequence[Sequence[tuple[str, int]]]) -> Iterable[tuple[str, int]]:
    """The first of each list, then the second of each, ..."""
    for at in range(max(map(len, lists), default=0)):
        yield from (one[at] for one in lists if at < len(one))


def _card(answers: Iterable[tuple[str, Row]], names: Sequence[str]) -> Card:
    of_nets = list(answers)
    row = of_nets[0][1]
    said = [
        Answer(net, words.class_name(answer.top5[0], names), _score(answer), answer.top1_correct)
        for net, answer in of_nets
        if answer.top5
    ]
    return Card(row.image, row.sha256, words.class_name(row.label, names), said)


def _merged(card: Card) -> Card:
    """Nets that say the same have one answer, with the score of the first."""
    by_class: dict[str, list[Answer]] = {}
    for answer in card.answers:
        by_class.setdefault(answer.said, []).append(answer)
    answers = [replace(same[0], net=_few([answer.net for answer in same])) for same in by_class.values()]
    return replace(card, answers=answers)


def _without_nets(card: Card) -> Card:
    return replace(card, answers=[replace(answer, net="") for answer in card.answers])


def _few(nets: Sequence[str]) -> str:
    more = len(nets) - 1
    return nets[0] if not more else f"{nets[0]} and {more} other{'s' if more > 1 else ''}"


def _score(row: Row) -> str:
    return f"{row.scores[0]:.2f}" if row.scores else ""
