"""One implementation for everything that can be added by name."""

from __future__ import annotations

import pytest

from converters import from_torch7
from converters.registry import Registry, modules_in


def test_entries_are_found_by_name_in_the_order_they_came():
    registry: Registry[int] = Registry("number")
    registry.add("two", 2)
    registry.add("one", 1)
    assert dict(registry) == {"two": 2, "one": 1}
    assert list(registry) == ["two", "one"]
    assert "three" not in registry


def test_a_second_entry_of_the_same_name_is_refused_and_the_first_stays():
    registry: Registry[int] = Registry("layer type")
    registry.add("ReLU", 1)
    with pytest.raises(ValueError, match="two entries of the kind 'layer type' are named 'ReLU'"):
        registry.add("ReLU", 2)
    assert registry["ReLU"] == 1


def test_the_modules_of_a_package_are_those_that_lie_in_it():
    names = [module.__name__ for module in modules_in(from_torch7)]
    assert names == sorted(names)
    assert "converters.from_torch7.reader" in names
    assert "converters.from_torch7.modules" not in names  # a package of its own
