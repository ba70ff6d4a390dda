"""The schema of a training recipe: one TOML file, data only.

A recipe says how a net is trained by Dense-Sparse-Dense (DSD; Han et al., ICLR 2017) and, with the same
numbers but without a mask, how its baseline is. `read_recipe` reads and checks it.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from zoo.bundled import bundled_folder
from zoo.errors import UsageError
from zoo.schema import Data

PhaseName = Literal["dense", "sparse", "redense"]
PHASES: tuple[PhaseName, ...] = ("dense", "sparse", "redense")

Rate = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(ge=0, lt=1)]
"""A share of the weights that are set to zero: 0.4 are 40 %."""


Rounding = Literal["down", "nearest"]


class Fixed(Data):
    """The same learning rate all the time."""

    policy: Literal["fixed"]
    base: Rate

    def at(self, epochs_done: float, epochs: int) -> float:
        """The rate after so many of the epochs of the phase."""
        return self.base


class Steps(Data):
    """The learning rate is multiplied by `gamma` whenever one of these numbers of epochs is done."""

    policy: Literal["steps"]
    base: Rate
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    at_epochs: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=1)]

    def at(self, epochs_done: float, epochs: int) -> float:
        """The rate after so many of the epochs of the phase."""
        done = sum(epochs_done >= epoch for epoch in self.at_epochs)
        return float(self.base * self.gamma**done)


class Polynomial(Data):
    """Caffe's poly: base * (1 - share of the phase that is done) ** power."""

    policy: Literal["poly"]
    base: Rate
    power: Annotated[float, Field(gt=0)] = 1.0

    def at(self, epochs_done: float, epochs: int) -> float:
        """The rate after so many of the epochs of the phase."""
        return float(self.base * (1 - min(1.0, epochs_done / epochs)) ** self.power)


Schedule = Annotated[Fixed | Steps | Polynomial, Field(discriminator="policy")]


class Phase(Data):
    """One phase: how long, and at which learning rate. What is not given is that of the recipe."""

    epochs: Annotated[int, Field(ge=0, le=100_000)]
    learning_rate: Schedule
    momentum: Annotated[float, Field(ge=0, lt=1)] | None = None
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Pruning(Data):
    """Which weights the sparse phase holds at zero: of each tensor those of the smallest magnitude."""

    sparsity: Share
    by_layer: dict[str, Share] = {}
    """Another sparsity for single layers, by the name of the layer."""
    exclude: list[str] = []
    """Layers that stay dense."""
    rounding: Rounding = "down"
    """Of the number of weights that the sparsity gives for a tensor. The digits nets that ship with the zoo
    were pruned with `down` in Caffe and with `nearest` in Torch7."""

    @model_validator(mode="after")
    def _once(self) -> Self:
        if both := sorted(set(self.by_layer) & set(self.exclude)):
            raise ValueError(f"{', '.join(both)}: in by_layer and in exclude")
        return self


class Augmentation(Data):
    """How training images differ from those of the evaluation, as Caffe's data layer does it."""

    crop: Literal["random", "centre"] = "centre"
    """Where the window is cut from the resized image."""
    mirror: bool = False
    """Whether half of the images are mirrored, by chance."""


class Factors(Data):
    """Factors on the learning rate and the weight decay of some parameters.

    One that is given counts instead of the net's own (see `Recipe.multipliers`).
    """

    learning_rate: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None


class Recipe(Data):
    """A Dense-Sparse-Dense training and its baseline."""

    schema_version: Literal[1]
    title: str
    source: str
    """Where its numbers come from, and which of them are a choice."""
    seeds: Annotated[list[Annotated[int, Field(ge=0, lt=2**32)]], Field(min_length=1)]
    """Fixed beforehand; each gives its own initial weights (if the net has none), order and windows."""
    batch_size: Annotated[int, Field(gt=0, le=1 << 20)]
    """The images of one step."""
    images_at_once: Annotated[int, Field(gt=0)] | None = None
    """So many images of a batch go through the net at once, over all processes, so that a batch may need more
    memory than there is; their gradients are added up. By default the whole batch. Where Caffe's solver has
    batch_size 32 and iter_size 16, that is a batch_size of 512 with 32 images at once."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    nesterov: bool = False
    weight_decay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    multipliers: bool = True
    """Whether the net's own factors count: lr_mult and decay_mult of its Caffe definition. A weight with
    lr_mult 0 is frozen: neither trained nor pruned."""
    biases: Factors = Factors()
    batch_norm: Factors = Factors()
    """For the scales and biases of batch normalisation."""
    augmentation: Augmentation = Augmentation()
    pruning: Pruning
    dense: Phase
    sparse: Phase
    redense: Phase

    @property
    def part_size(self) -> int:
        """How many images go through the net at once."""
        return min(self.batch_size, self.images_at_once or self.batch_size)

    def phase(self, name: PhaseName) -> Phase:
        """The phase of this name."""
        found: Phase = getattr(self, name)
        return found

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.seeds)) < len(self.seeds):
            raise ValueError("a seed is given twice")
        if self.nesterov and not self.momentum:
            raise ValueError("nesterov needs a momentum")
        if not self.sparse.epochs or not self.redense.epochs:
            raise ValueError("the sparse and the redense phase need one epoch or more")
        return self


def recipe_names() -> list[str]:
    """The recipes that ship with the zoo."""
    return sorted(path.stem for path in _bundled().glob("*.toml"))


def read_recipe(what: str | Path) -> Recipe:
    """The recipe in a TOML file, or the one of that name that ships with the zoo.

    UsageError says what does not fit, and where.
    """
    path = Path(what)
    if path.suffix != ".toml":
        if str(what) not in recipe_names():
            raise UsageError(
                f"no recipe is called '{what}': expected {' or '.join(recipe_names())}, or a file RECIPE.toml"
            )
        path = _bundled() / f"{what}.toml"
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UsageError(f"{path}: the recipe cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise UsageError(f"{path}: the recipe does not fit the schema\n{_explain(error)}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not a TOML file: {error}") from error


def _bundled() -> Path:
    return bundled_folder() / "recipes"


def _explain(error: ValidationError) -> str:
    lines = []
    for problem in error.errors(include_url=False):
        where = ".".join(str(part) for part in problem["loc"]) or "recipe"
        came = (
            "" if problem["type"] == "missing" or not problem["loc"] else f" (came: {problem['input']!r:.80})"
        )
        lines.append(f"  {where}: {problem['msg'].removeprefix('Value error, ')}{came}")
    return "\n".join(lines)


def with_seeds(recipe: Recipe, seeds: Sequence[int]) -> Recipe:
    """The recipe with other seeds; UsageError for seeds that no recipe may have."""
    if not seeds:
        return recipe
    try:
        return Recipe.model_validate({**recipe.model_dump(), "seeds": list(seeds)})
    except ValidationError as error:
        raise UsageError(f"--seed: {_explain(error).strip()}") from error
