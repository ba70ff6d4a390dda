"""The embedded models over the embedded images, held against what real Caffe and real Torch7 recorded.

From the image files on: decoding, preprocessing, the converted net and the runtime all have to be right.
"""

from __future__ import annotations

import numpy as np
import pytest

from zoo.bundled import bundled_folder
from zoo.catalog.catalog import Catalog
from zoo.datasets import open_dataset
from zoo.evaluation.evaluate import evaluate
from zoo.runtimes import best, form_of
from zoo.store.converted import SourceNet

MODELS = [name for name in Catalog.load().names() if name.startswith("digits-")]


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.mark.parametrize("runtime", ["onnx", "openvino", "pytorch"])
@pytest.mark.parametrize("model", MODELS)
def test_every_image_is_scored_as_the_original_framework_did(model, runtime, cache):
    manifest = Catalog.load().get(model)
    sources = [manifest.directory / file.path for file in manifest.source_files()]
    net = SourceNet(sources, image_shape=manifest.input_shape).converted(form_of(runtime), cache)
    with open_dataset(bundled_folder() / "digits" / "images" / "test_images.tar") as data:
        run = evaluate(net, data, manifest.preprocessing, model=model, runtime=runtime)
    (key,) = manifest.recorded.values()
    with np.load(manifest.directory / manifest.file("recorded").path) as recorded:
        expected = recorded[key]
    ids, scores = best(expected)
    bound = 1e-5 * np.abs(expected).max()
    np.testing.assert_allclose([row.scores for row in run.rows], scores, rtol=0, atol=bound)
    for row, classes, values, complete in zip(run.rows, ids.tolist(), scores, expected, strict=True):
        # Two classes with nearly equal scores may be in either order.
        for mine, theirs, value in zip(row.top5, classes, values, strict=True):
            assert mine == theirs or abs(complete[mine] - value) <= 2 * bound, row.image
    assert run.result.top1_correct == manifest.claim("top1").correct
    assert run.result.top5_correct == manifest.claim("top5").correct
