"""From the words of a command to a training: the net, its preprocessing, its images and the recipe."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import converters
from zoo.bundled import bundled_folder, embedded_images
from zoo.catalog.catalog import Catalog
from zoo.errors import UsageError
from zoo.evaluation.settings import Settings, complete_settings, settings_for
from zoo.files import sha256
from zoo.preprocessing.settings import carried_settings
from zoo.runtimes.input_shape import COLOURS
from zoo.training.job import TrainingJob
from zoo.training.net import Source
from zoo.training.recipe import Recipe, read_recipe, recipe_names, with_seeds

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest
    from zoo.datasets import Dataset
    from zoo.store.subject import Subject

# The window of most nets for ImageNet.
USUAL_CROP = 227
# The training that ships with the zoo: a definition, whose weights are initial ones, and all images.
EMBEDDED = "digits"
_DEFINITION, _MODEL = "digits/caffe/train_val.prototxt", "digits-caffe-dsd"
_DATA, _TEST = "digits-train", "digits-test"


@dataclass(frozen=True)
class TrainingInputs:
    """All that a training needs but the opened images."""

    name: str
    source: Source
    hashes: Mapping[str, str]
    settings: Settings
    recipe: Recipe
    recipe_name: str
    data: Path
    test: Path
    manifest: Manifest | None

    @property
    def default_name(self) -> str:
        """What its folder is called if nothing else is said."""
        return self.name if self.name == self.recipe_name else f"{self.name}-{self.recipe_name}"

    def job(self, data: Dataset, test: Dataset, **options: Any) -> TrainingJob:  # noqa: ANN401 - fields of it
        """The training with opened images."""
        return TrainingJob(
            self.name,
            self.source,
            self.hashes,
            self.settings,
            data,
            test,
            self.recipe,
            self.manifest,
            **options,
        )


def is_embedded(net: Sequence[str]) -> bool:
    """Whether the words name the training that ships with the zoo."""
    return list(net) == [EMBEDDED]


def training_inputs(
    net: Sequence[str],
    find_subject: Callable[[Sequence[str]], Subject],
    *,
    recipe: str | None,
    data: Path | None,
    test: Path | None,
    seeds: Sequence[int],
    scores: str | None,
    chosen: Mapping[str, Any],
    mean: Sequence[float] | Path | None,
) -> TrainingInputs:
    """The inputs of a training. `chosen` and `mean` are as for `settings_for`.

    Raises:
        UsageError: something is missing or does not fit.
        converters.ConverterError: the net cannot be read.
    """
    if is_embedded(net):
        return _embedded(recipe or EMBEDDED, seeds, chosen, mean)
    missing = [
        option
        for option, value in (("--data", data), ("--test", test), ("--recipe", recipe))
        if value is None
    ]
    if missing:
        raise UsageError(
            f"give {', '.join(missing)}: images to train with, images to measure with, and a recipe "
            f"({' or '.join(recipe_names())}, or a file RECIPE.toml)"
        )
    assert data is not None
    assert test is not None
    assert recipe is not None
    read = with_seeds(read_recipe(recipe), seeds)
    subject = find_subject(net).read_once()
    source = Source(
        subject.sources, subject.scores(scores), hashes=list(subject.hashes.values()), kept=subject.kept
    )
    settings = (
        _settings_of_definition(subject, source, chosen, mean)
        if source.is_untrained
        else settings_for(subject, "onnx", source.scores, chosen, mean=mean)
    )
    return TrainingInputs(
        # A name that the manifests of its nets can have.
        name=re.sub(r"[^A-Za-z0-9._-]+", "-", subject.name).lstrip("._-") or "net",
        source=replace(source, image_shape=subject.image_shape(settings.preprocessing.crop)),
        hashes=subject.hashes,
        settings=settings,
        recipe=read,
        recipe_name=Path(recipe).stem,
        data=data,
        test=test,
        manifest=subject.manifest,
    )


def _embedded(
    recipe: str, seeds: Sequence[int], chosen: Mapping[str, Any], mean: Sequence[float] | Path | None
) -> TrainingInputs:
    definition = bundled_folder() / _DEFINITION
    manifest = Catalog.load().get(_MODEL)
    data, test = embedded_images(_DATA), embedded_images(_TEST)
    assert data is not None
    assert test is not None
    assert manifest.preprocessing is not None
    digest = sha256(definition)
    return TrainingInputs(
        name=EMBEDDED,
        source=Source([definition], hashes=[digest]),
        hashes={definition.name: digest},
        settings=complete_settings(manifest.preprocessing.model_dump(), None, chosen, mean=mean),
        recipe=with_seeds(read_recipe(recipe), seeds),
        recipe_name=Path(recipe).stem,
        data=data,
        test=test,
        manifest=manifest,
    )


def _settings_of_definition(
    subject: Subject,
    source: Source,
    chosen: Mapping[str, Any],
    mean: Sequence[float] | Path | None,
) -> Settings:
    """The settings that a definition without weights states, changed by the options."""
    # Only a definition that does not state its size is read with this one, and then only for its settings.
    side = chosen.get("crop") or USUAL_CROP
    model = replace(source, image_shape=(COLOURS, side, side)).read(0)
    own = carried_settings(converters.preprocessing_of(model))
    return complete_settings(own, subject.mean_image, chosen, mean=mean)
