"""Findings in words."""

from __future__ import annotations

import pytest

from zoo.report import words


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("dsd-zoo validate m --resume", "dsd-zoo validate m"),
        ("dsd-zoo validate m --restart --json --limit 5", "dsd-zoo validate m --limit 5"),
        (
            "dsd-zoo validate /home/me/a.prototxt 'C:\\nets\\a b.caffemodel' --data=/d/val.tar --out x",
            "dsd-zoo validate a.prototxt 'a b.caffemodel' --data=val.tar",
        ),
        ("dsd-zoo validate nets/a.onnx --junit=x.xml --html p.html", "dsd-zoo validate nets/a.onnx"),
        ("", ""),
    ],
)
def test_a_command_to_reproduce_names_no_folder_of_this_machine(command, expected):
    assert words.reproduction(command) == expected


def test_classes_have_their_names():
    names = ["tench, Tinca tinca", "goldfish", "2"]
    assert [words.class_label(label, names) for label in (0, 2, 3)] == [
        "class 0 (tench)",
        "class 2",
        "class 3",
    ]
    assert words.ranked([1, 0, 2], names) == "1 (goldfish) 0 2"
    assert words.ranked([1, 0], ()) == "1 0"


def test_a_command_that_no_shell_would_take_stays():
    assert words.reproduction("dsd-zoo 'open") == "dsd-zoo 'open"
