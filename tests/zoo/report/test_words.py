"""Findings in words."""

from __future__ import annotations

from zoo.report import words


def test_classes_have_their_names():
    names = ["tench, Tinca tinca", "goldfish", "2"]
    assert [words.class_label(label, names) for label in (0, 2, 3)] == [
        "class 0 (tench)",
        "class 2",
        "class 3",
    ]
    assert words.ranked([1, 0, 2], names) == "1 (goldfish) 0 2"
    assert words.ranked([1, 0], ()) == "1 0"


def test_a_class_goes_by_its_first_name_or_by_its_number():
    names = ["tench, Tinca tinca", "goldfish", "2"]
    assert [words.class_name(label, names) for label in (0, 1, 2, 3)] == [
        "tench",
        "goldfish",
        "class 2",
        "class 3",
    ]
