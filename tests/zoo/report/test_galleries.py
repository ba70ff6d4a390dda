"""Which images a page shows."""

from __future__ import annotations

from dataclasses import replace

from zoo.catalog.catalog import Catalog
from zoo.claims.reported import reported
from zoo.report.galleries import MOST_MISTAKES, MOST_OF_A_KIND, pair_galleries, surest_mistakes

MODEL, BASELINE = "digits-caffe-dsd", "digits-caffe-baseline"


def scored(run, scores: dict[int, float]):
    """The run with other scores of the best class for some images."""
    rows = [
        replace(row, scores=(scores[at], *row.scores[1:])) if at in scores else row
        for at, row in enumerate(run.rows)
    ]
    return replace(run, rows=rows)


def test_the_images_that_tell_two_nets_apart(made_run):
    (pair,) = reported(Catalog.load(), [made_run(MODEL), made_run(BASELINE)]).pairs
    won, lost = pair_galleries(pair)
    assert [card.image for card in won.cards] == ["test_00243.png"]
    assert [card.image for card in lost.cards] == ["test_00012.png", "test_00360.png"]
    (card,) = won.cards
    assert [(one.net, one.said, one.score, one.right) for one in card.answers] == [
        ("model", "class 0", "0.90", True),
        ("baseline", "class 1", "0.90", False),
    ]


def test_of_many_images_the_surest_are_shown(made_run):
    ours = scored(made_run(MODEL, wrong=range(30)), {17: 0.99})
    (pair,) = reported(Catalog.load(), [ours, made_run(BASELINE, wrong=())]).pairs
    (lost,) = pair_galleries(pair)
    assert len(lost.cards) == MOST_OF_A_KIND
    assert lost.more == 30 - MOST_OF_A_KIND
    assert lost.cards[0].image == "test_00017.png"


def test_each_mistake_is_shown_once_with_all_nets_that_made_it(made_run):
    found = surest_mistakes(reported(Catalog.load(), [made_run(MODEL), made_run(BASELINE)]))
    names = [card.image for card in found.cards]
    assert len(names) == len(set(names)) == 9
    shared = next(card for card in found.cards if card.image == "test_00091.png")
    assert [(one.net, one.said) for one in shared.answers] == [(f"{BASELINE} and 1 other", "class 1")]


def test_nets_take_turns_as_scores_of_two_nets_are_not_of_one_kind(made_run):
    loud = scored(made_run(MODEL, wrong=range(20)), dict.fromkeys(range(20), 40.0))
    quiet = made_run(BASELINE, wrong=range(20, 40))
    found = surest_mistakes(reported(Catalog.load(), [loud, quiet]))
    assert len(found.cards) == MOST_MISTAKES
    assert found.more == 40 - MOST_MISTAKES
    assert {card.answers[0].net for card in found.cards[:2]} == {MODEL, BASELINE}


def test_nets_without_mistakes_or_runs_have_no_gallery(made_run):
    assert surest_mistakes(reported(Catalog.load(), [made_run(MODEL, wrong=())])) is None


def test_a_single_net_is_not_named_under_each_image(made_run):
    found = surest_mistakes(reported(Catalog.load(), [made_run(MODEL)]))
    assert len(found.cards) == 8
    assert {answer.net for card in found.cards for answer in card.answers} == {""}
