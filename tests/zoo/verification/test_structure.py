"""The real definitions of the DSD zoo agree with their manifests, for any weights."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from caffemodel_writer import write_caffemodel

from zoo.catalog.catalog import Catalog
from zoo.catalog.manifest import Manifest
from zoo.download import add_file
from zoo.store.cache import Cache
from zoo.store.converted import source_net
from zoo.verification.structure import check_structure, differences_in_architecture

CATALOG = Catalog.load()


def without_hashes_of_weights(manifest: Manifest) -> Manifest:
    """The model without hashes of its weights, so that it takes made-up weights."""
    unknown = {"bytes": None, "sha256": None, "sha384": None, "sha1": None, "git_blob": None}
    files = [file.model_copy(update=unknown) if file.role == "weights" else file for file in manifest.files]
    return manifest.model_copy(update={"files": files})


def filled_in(manifest: Manifest, folder: Path, cache: Cache, tmp_path: Path) -> Manifest:
    """The model in the cache, with its real definition and ones for weights."""
    shapes = json.loads((folder / "params.json").read_text())
    layers = {name: [np.ones(shape, np.float32) for shape, _ in blobs] for name, blobs in shapes.items()}
    model = without_hashes_of_weights(manifest)
    weights = model.file("weights")
    definition = model.file("definition")
    assert weights is not None
    assert definition is not None
    add_file(model, write_caffemodel(tmp_path / weights.name, layers), cache, name=weights.name)
    add_file(model, folder / "net.prototxt", cache, name=definition.name)
    return model


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("alexnet-dsd", "dsd-alexnet"),
        ("googlenet-dsd", "dsd-googlenet"),
        ("squeezenet-dsd", "dsd-squeezenet"),
        ("squeezenet-residual", "squeezenet-residual"),
    ],
)
def test_parameters_input_and_scores_are_as_stated(shared, tmp_path, name, folder):
    cache = Cache(tmp_path / "cache")
    manifest = filled_in(CATALOG.get(name), shared / "models" / folder, cache, tmp_path)
    (check,) = check_structure(manifest, source_net(manifest, cache), cache)
    assert check.ok, check.detail
    model = source_net(manifest, cache).model
    assert [value.name for value in model.graph.outputs] == ["prob"]
    assert int(model.graph.outputs[0].shape[1]) == manifest.classes


def test_nets_that_name_their_layers_otherwise_are_of_one_architecture(shared, tmp_path):
    """SqueezeNet v1.0 with and without bypasses: other names, the same parameters, other operators."""
    cache = Cache(tmp_path / "cache")
    dsd, residual = (
        source_net(filled_in(CATALOG.get(name), shared / "models" / folder, cache, tmp_path), cache).model
        for name, folder in (
            ("squeezenet-dsd", "dsd-squeezenet"),
            ("squeezenet-residual", "squeezenet-residual"),
        )
    )
    assert set(dsd.graph.initializers) != set(residual.graph.initializers)
    assert differences_in_architecture(dsd, dsd) == []
    found = differences_in_architecture(residual, dsd)
    assert found
    assert all("x Add to" in line for line in found)
