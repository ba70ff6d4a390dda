"""What the classes of a net mean, in the order of its outputs. A manifest names its order of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from converters import Registry
from zoo.bundled.folder import bundled_folder


@dataclass(frozen=True, slots=True)
class LabelOrder:
    """What the classes of a net mean, in the order of its outputs.

    classes: how many there are.
    class_names: reads their names.
    description: for people, after "N classes".
    advice: how to get a list of labels in this order, after "so:"; "" if there is no more to say.
    """

    classes: int
    class_names: Callable[[], list[str]]
    description: str
    advice: str = ""


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


def devkit_order() -> list[int]:
    """The sorted-synset label of each development kit id, 1 to 1000 (ILSVRC2012_ID in its meta.mat)."""
    path = bundled_folder() / "ilsvrc2012" / "ilsvrc2012-devkit-order.txt"
    return [int(number) for number in path.read_text(encoding="ascii").split()]


def _ilsvrc2015_names() -> list[str]:
    names = imagenet_names()
    return [names[label] for label in devkit_order()]


def _lines(path: str) -> list[str]:
    return (bundled_folder() / path).read_text(encoding="utf-8").splitlines()


register_label_order(
    "sorted-synsets", LabelOrder(1000, imagenet_names, ", in the sorted order of their synset ids")
)
register_label_order(
    "ilsvrc2015",
    LabelOrder(
        1000,
        _ilsvrc2015_names,
        ", in the order of ILSVRC2015's development kit (class 0 is kit fox)",
        "give --labels FILE with the ids of the development kit minus 1. Its\n"
        "  ILSVRC2012_validation_ground_truth.txt has the ids; this makes the list:\n"
        """  awk '{printf "ILSVRC2012_val_%08d.JPEG %d\\n", NR, $1 - 1}' """
        "ILSVRC2012_validation_ground_truth.txt",
    ),
)
register_label_order(
    "voc-with-background",
    LabelOrder(
        21,
        lambda: _lines("labels/voc-with-background.txt"),
        ", background first, then the 20 of Pascal VOC in the order of the alphabet",
    ),
)
register_label_order(
    "coco-with-background",
    LabelOrder(
        81,
        lambda: _lines("labels/coco-with-background.txt"),
        ", background first, then the 80 of COCO in the order of their ids",
    ),
)
register_label_order(
    "digits", LabelOrder(10, lambda: [str(digit) for digit in range(10)], ", the digits in order")
)
