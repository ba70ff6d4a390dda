"""`dsd-zoo validate` of what `dsd-zoo convert` wrote."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo.store.docstring import preprocessing_in_docstring


@pytest.fixture
def folder(dsd_zoo_here) -> Path:
    assert dsd_zoo_here("convert", "digits-caffe-dsd", "-o", "my net").code == 0
    return Path("my net")


def test_a_folder_of_convert_is_a_net_of_that_name(dsd_zoo_here, folder):
    outcome = dsd_zoo_here("validate", folder, "--data", images(), "-o", "out", "--json")
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)["result"]
    assert (result["model"], result["top1_correct"]) == ("my net", 492)
    outcome = dsd_zoo_here("validate", folder, "digits-caffe-baseline", "--data", images(), "--limit", 20)
    assert outcome.code == 0, outcome.err
    assert "my net on digits-test: 20 of 500 images" in outcome.out


def test_a_net_py_is_prepared_as_its_docstring_says(dsd_zoo_here, folder):
    options = ["--data", images(), "--runtime", "pytorch", "--json"]
    outcome = dsd_zoo_here("validate", folder / "net.py", *options)
    assert outcome.code == 0, outcome.err
    result = json.loads(outcome.out)["result"]
    assert result["top1_correct"] == 492
    assert result["preprocessing"]["mean"] == [127, 127, 127]
    # Options come first.
    outcome = dsd_zoo_here("validate", folder / "net.py", *options, "--flavour", "caffe-short36", "-o", "b")
    assert json.loads(outcome.out)["result"]["flavour"] == "caffe-short36"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('"""Net.\n\nPreprocessing, as the source describes it:\n    crop: 32\n"""', {"crop": 32}),
        (
            '# c\n\n"""N.\n\nPreprocessing, as the source describes it:\n    mean: [1,\n        2]\n\n'
            'Notes:\n    crop: 3\n"""',
            {"mean": [1, 2]},
        ),
        ('"""Net."""', None),
        ('"""Net.\n\nPreprocessing, as the source describes it:\n    crop: [[\n"""', None),
        ('x = """\nPreprocessing, as the source describes it:\n    crop: 32\n"""', None),
        ('f"""{print(1)}\nPreprocessing, as the source describes it:\n    crop: 32\n"""', None),
        ('"""open', None),
        ("", None),
        ("\x00", None),
    ],
)
def test_the_docstring_is_read_and_nothing_run(tmp_path, text, expected):
    (tmp_path / "net.py").write_text(text)
    assert preprocessing_in_docstring(tmp_path / "net.py") == expected


def images() -> Path:
    from zoo.bundled import bundled_folder

    return bundled_folder() / "digits" / "images" / "test_images.tar"
