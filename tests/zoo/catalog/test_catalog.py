"""The catalog: bundled manifests, those of the user, and suggestions for unknown names."""

from __future__ import annotations

import pytest

from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.errors import UsageError

MANIFEST = (bundled_folder() / "squeezenet-v1.0.toml").read_text(encoding="utf-8")


def test_an_unknown_name_gets_the_closest_ones():
    with pytest.raises(UsageError) as caught:
        Catalog.load().get("SqueezeNet_DSD")
    assert str(caught.value).splitlines() == [
        "no model is called 'SqueezeNet_DSD'",
        "  did you mean squeezenet-dsd?",
        "  all models: dsd-zoo list",
    ]


def test_a_misspelt_name_gets_several_suggestions():
    with pytest.raises(UsageError, match="did you mean squeezenet-dsd or "):
        Catalog.load().get("squeznet-dsd")


def test_a_name_unlike_any_other_gets_no_suggestion():
    with pytest.raises(UsageError) as caught:
        Catalog.load().get("zzz")
    assert "did you mean" not in str(caught.value)


def test_a_folder_of_the_user_adds_models(tmp_path):
    (tmp_path / "mine.toml").write_text(MANIFEST.replace('name = "squeezenet-v1.0"', 'name = "mine"', 1))
    catalog = Catalog.load([tmp_path])
    assert len(catalog) == len(Catalog.load()) + 1
    assert "mine" in catalog
    assert catalog.get("mine").directory == tmp_path.resolve()
    assert [manifest.name for manifest in catalog] == catalog.names() == sorted(catalog.names())


def test_a_model_cannot_hide_another(tmp_path):
    (tmp_path / "squeezenet-v1.0.toml").write_text(MANIFEST)
    with pytest.raises(UsageError, match="a model of that name is already in"):
        Catalog.load([tmp_path])


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="no such folder of manifests"):
        Catalog.load([tmp_path / "nowhere"])


def test_a_broken_manifest_spoils_only_itself(tmp_path):
    (tmp_path / "broken.toml").write_text("name =")
    catalog = Catalog.load([tmp_path])
    assert catalog.get("squeezenet-dsd").name == "squeezenet-dsd"
    with pytest.raises(UsageError, match=r"broken\.toml: not a TOML file"):
        catalog.get("broken")


def test_baselines_are_found_by_name():
    catalog = Catalog.load()
    baseline = catalog.baseline(catalog.get("squeezenet-dsd"))
    assert baseline is not None
    assert baseline.name == "squeezenet-v1.0"
    assert catalog.baseline(baseline) is None


def test_a_baseline_that_is_not_there_is_an_error_of_the_model_that_names_it(tmp_path):
    text = MANIFEST.replace('name = "squeezenet-v1.0"', 'name = "mine"\nbaseline = "squeezenet-v1.5"', 1)
    (tmp_path / "mine.toml").write_text(text)
    catalog = Catalog.load([tmp_path])
    with pytest.raises(UsageError) as caught:
        catalog.baseline(catalog.get("mine"))
    assert str(caught.value).splitlines()[:2] == [
        "mine: its baseline 'squeezenet-v1.5' is no model of the catalog",
        "  did you mean squeezenet-v1.1 or squeezenet-v1.0 or squeezenet-dsd?",
    ]
