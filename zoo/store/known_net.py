"""Which model of the catalog a net of the user's own is, and what follows from that.

A net is the model whose weights it has: a definition is shared by many trainings, and tells nothing of what
the numbers were trained for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import converters
from zoo.catalog.manifest import Manifest, ModelFile
from zoo.catalog.metadata import metadata_of
from zoo.store.recognition import Recognition

if TYPE_CHECKING:
    from zoo.store.cache import Cache


@dataclass(frozen=True, slots=True)
class KnownNet:
    """A net whose weights are those of a model.

    manifest: of the model.
    definition: the file of the model that describes its layers; None if the weights do that, or if nobody
        published one.
    definition_path: where that file lies in the cache; None if it is not there.
    published: whether the definition that was given is that file. None: no definition was given.
    mean_image_path: where the model's mean image lies in the cache, if it has one.
    """

    manifest: Manifest
    definition: ModelFile | None
    definition_path: Path | None
    published: bool | None
    mean_image_path: Path | None = None

    @property
    def added_source(self) -> Path | None:
        """The published definition, if none was given and the cache has it."""
        return self.definition_path if self.published is None else None

    @property
    def mean_image(self) -> Path | None:
        """The file of the mean image that the model subtracts, if the cache has it."""
        preprocessing = self.manifest.preprocessing
        if self.published is False or preprocessing is None or not preprocessing.mean_image:
            return None
        return self.mean_image_path

    @property
    def image_shape(self) -> list[int] | None:
        """See `Manifest.image_shape`. A definition that is not the published one may be of another size."""
        return None if self.published is False else self.manifest.image_shape

    def metadata(self, *, embedded: bool = False) -> dict[str, Any]:
        """What is known of the model, as options of `converters.convert`.

        embedded: as for `metadata_of`.

        A definition that is not the published one may describe other inputs and outputs. Then what it states
        of the preprocessing counts, sizes are left to it, and what is about another net is left out.
        """
        known = stated_metadata(self.manifest, embedded=embedded)
        if self.published is not False:
            return {"metadata": known}
        stated = known.pop("preprocessing", {})
        stated.pop("crop", None)
        for name in ("claims", "outputs", "preparation"):
            known.pop(name, None)
        for given in known["inputs"]:
            given.pop("shape", None)
        return {"metadata": known, "default_preprocessing": stated}

    def notes(self) -> list[str]:
        """What a person should know of the definition: where it came from, or where to get it."""
        model = self.manifest.name
        if self.published:
            return []
        if self.definition is None:
            why = self.manifest.definition_note
            return [] if self.published is False or why is None else [f"{model}: {why}"]
        if self.published is False:
            return [
                f"the weights are those of {model}, the definition is not its {self.definition.name}: "
                "the claims about that model are left out"
            ]
        if self.definition_path is not None:
            place = "from the cache" if self.definition.bundled_path is None else "which ships with the zoo"
            return [f"the definition is {self.definition}, {place}"]
        return [f"no definition was given; that of {model} is {self.definition.name}: {fetch_advice(model)}"]


def known_net(recognitions: Sequence[Recognition], cache: Cache) -> KnownNet | None:
    """The model whose weights are among these files, which form one net.

    None if there is none, or if several models are equally near: `candidates` has them.
    """
    found = candidates(recognitions)
    if len(found) != 1:
        return None
    manifest = found[0]
    entry = manifest.file("definition")
    definition = None if entry is None else ModelFile(manifest, entry)
    mean = manifest.file("mean")
    alone = all(_is_weights(one, manifest) for one in recognitions)
    published = None if alone else _has_definition(recognitions, manifest)
    return KnownNet(
        manifest,
        definition,
        None if definition is None else cache.find(definition),
        published,
        None if mean is None else cache.find(ModelFile(manifest, mean)),
    )


def stated_metadata(manifest: Manifest, *, embedded: bool = False) -> dict[str, Any]:
    """`metadata_of` without what the manifest does not state, so that it hides nothing of the files' own."""
    found = metadata_of(manifest, embedded=embedded)
    return {name: value for name, value in found.items() if value is not None}


def candidates(recognitions: Sequence[Recognition]) -> list[Manifest]:
    """The models whose weights are among these files; if there are several, those nearest to the files.

    Nearer is a model whose definition is among them too, then one whose weights were known by a hash
    beforehand.
    """
    files = [file for one in recognitions for file in one.known_as]
    manifests = [file.manifest for file in files if file.entry.role == "weights"]
    for nearer in (lambda m: _has_definition(recognitions, m), _is_pinned):
        if len(manifests) > 1:
            manifests = [manifest for manifest in manifests if nearer(manifest)] or manifests
    return manifests


def net_notes(recognitions: Sequence[Recognition], known: KnownNet | None) -> list[str]:
    """What a person should know of a net's files: see `KnownNet.notes`; or that several models fit."""
    if known is not None:
        return known.notes()
    names = [manifest.name for manifest in candidates(recognitions)]
    if not names:
        return []
    return [
        f"the files fit {' and '.join(names)} alike, so what is known of them is not used; "
        "name the model instead of its files"
    ]


def fetch_advice(model: str) -> str:
    """How to get the files of a model that are not here."""
    return f"dsd-zoo fetch {model} (what is here already: dsd-zoo add FILE)"


def _has_definition(recognitions: Iterable[Recognition], manifest: Manifest) -> bool:
    return any(
        file.model == manifest.name and file.entry.role == "definition"
        for one in recognitions
        for file in one.known_as
    )


def _is_pinned(manifest: Manifest) -> bool:
    weights = manifest.file("weights")
    return weights is not None and weights.trust == "pinned"


def _is_weights(one: Recognition, manifest: Manifest) -> bool:
    return any(file.model == manifest.name and file.entry.role == "weights" for file in one.known_as)


@contextmanager
def with_advice(find: Callable[[], tuple[Sequence[Recognition], KnownNet | None]]) -> Iterator[None]:
    """Add to an error of the converters what is known of the files, if that says what to do.

    find: what is known; called only after an error.
    """
    try:
        yield
    except converters.ConverterError as error:
        recognized, known = find()
        lines = [line for one in recognized for line in _archive_advice(one)]
        if known is not None and known.published is None and known.definition_path is None:
            lines += [f"  {note}" for note in known.notes()]
        if not lines:
            raise
        raise type(error)("\n".join([str(error), *lines])) from error


def _archive_advice(one: Recognition) -> list[str]:
    models = ", ".join(dict.fromkeys(file.model for file in one.archive_of))
    add = converters.quoted("dsd-zoo", "add", str(one.path))
    return [f"  it is the archive in which {models} was published: {add}"] if models else []
