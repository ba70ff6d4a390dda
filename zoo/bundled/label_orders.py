"""What the classes of a net mean, in the order of its outputs. A manifest names its order of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from converters import Registry
from zoo.bundled.folder import bundled_folder


@dataclass(frozen=True, slots=True)
class LabelOrder:
    """What the classes of a net mean, in the order of its outputs.

    classes: how many there are. class_names: reads their names. description: for people, after "N classes".
    """

    classes: int
    class_names: Callable[[], list[str]]
    description: str


LABEL_ORDERS: Registry[LabelOrder] = Registry("label order")


def register_label_order(name: str, order: LabelOrder) -> None:
    """Add an order of labels. ValueError if another has the same name."""
    LABEL_ORDERS.add(name, order)


def imagenet_synsets() -> dict[str, int]:
    """ILSVRC2012 synset id ("n01440764") to label."""
    return {line.split()[0]: label for label, line in enumerate(_lines("ilsvrc2012/ilsvrc2012-synsets.txt"))}


def imagenet_names() -> list[str]:
    """The names of ILSVRC2012's classes ("tench") in label order."""
    return [line.split(maxsplit=1)[1] for line in _lines("ilsvrc2012/ilsvrc2012-synsets.txt")]


def _lines(path: str) -> list[str]:
    return (bundled_folder() / path).read_text(encoding="utf-8").splitlines()


register_label_order(
    "sorted-synsets", LabelOrder(1000, imagenet_names, ", in the sorted order of their synset ids")
)
register_label_order(
    "digits", LabelOrder(10, lambda: [str(digit) for digit in range(10)], ", the digits in order")
)
