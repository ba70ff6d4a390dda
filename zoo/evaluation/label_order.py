"""Do the labels number the classes as the net does? The first few hundred images show it.

ImageNet's classes are numbered in several ways: by sorted synset id from 0 (Caffe, torchvision, this zoo),
the same from 1, with a background class first (so that the classes begin at 1), or by the development kit's
own ids, 1 to 1000. With a list of the wrong kind, any net is right only by chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from zoo.bundled import devkit_order

# Enough images to tell chance (0.1 %) from the weakest net.
IMAGES_CHECKED = 256
MIN_IMAGES = 50
# Another order is reported only if this share of the images fits it, and this many times as many as fit
# the labels as given.
MIN_SHARE, MIN_RATIO = 0.1, 4


@dataclass(frozen=True, slots=True)
class LabelConvention:
    """One way to number classes: the net's class for a label (None: no class), and what to do if it fits."""

    name: str
    as_class: Callable[[int], int | None]
    advice: str = ""


AS_GIVEN = "as given"
SORTED_FROM_0 = "give a list that counts sorted synset ids from 0"


def detect_label_order(labels: Sequence[int], best: Sequence[int]) -> LabelConvention | None:
    """The order in which the labels fit the net's results; None if too few images show it.

    labels: as given.
    best: the class that the net ranked first, for the same images.
    """
    if len(labels) < MIN_IMAGES:
        return None
    hits = {
        order.name: sum(order.as_class(label) == first for label, first in zip(labels, best, strict=True))
        for order in _orders()
    }
    winner = max(_orders(), key=lambda order: hits[order.name])
    if hits[winner.name] < MIN_SHARE * len(labels):
        return None
    if winner.name != AS_GIVEN and hits[winner.name] < MIN_RATIO * hits[AS_GIVEN]:
        return None
    return winner


def _orders() -> list[LabelConvention]:
    to_sorted = dict(enumerate(devkit_order(), 1))
    to_devkit = {label: number for number, label in to_sorted.items()}
    return [
        LabelConvention(AS_GIVEN, lambda label: label),
        LabelConvention(
            "counted from 1",
            lambda label: label - 1,
            f"the labels count from 1, the net's classes from 0; {SORTED_FROM_0}",
        ),
        LabelConvention(
            "background class first",
            lambda label: label + 1,
            "the net has another class before the first one, as nets with a background class have; "
            "add 1 to the labels",
        ),
        LabelConvention(
            "devkit ids",
            lambda label: to_sorted.get(label),
            "the labels are the ids of ImageNet's development kit (1 to 1000), the net counts sorted synset "
            f"ids; {SORTED_FROM_0}",
        ),
        LabelConvention(
            "devkit ids from 0",
            lambda label: to_sorted.get(label + 1),
            "the labels are the ids of ImageNet's development kit minus 1, the net counts sorted synset ids; "
            f"{SORTED_FROM_0}",
        ),
        LabelConvention(
            "net in devkit order",
            lambda label: to_devkit.get(label, 0) - 1,
            "the labels count sorted synset ids, the net counts the ids of ImageNet's development kit; "
            "give a list of those ids minus 1",
        ),
    ]
