"""What a command or a call is about: a model of the catalog, or files of the user's own."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import converters
from zoo.catalog.catalog import Catalog
from zoo.catalog.manifest import Manifest
from zoo.errors import IntegrityError, UsageError, excerpt
from zoo.files import require_file
from zoo.preprocessing.preparation import settings_of
from zoo.store.cache import Cache
from zoo.store.converted import SourceNet, recorded_preprocessing
from zoo.store.digests import hash_file
from zoo.store.docstring import preprocessing_in_docstring
from zoo.store.hashing_ahead import HashesAhead
from zoo.store.known_net import KnownNet, known_net
from zoo.store.recognition import Recognition, Recognizer
from zoo.vocabulary import Form


@dataclass(frozen=True)
class Subject:
    """The files of a net by name, in conversion order, and what the zoo knows about them.

    `name` is the name in results; `cache` is the root of the user's cache, which keeps converted forms.
    `recognizer` tells what is known of files of the user's own; None for the files of a model.
    `kept` is what was read of the files; None: they are read for one thing only.
    `ahead` has the hashes that are being computed since the files were named.
    """

    name: str
    files: Mapping[str, Path]
    cache: Path
    manifest: Manifest | None = None
    mean_image: Path | None = None
    expected: Mapping[str, str | None] = field(default_factory=dict)
    """Name to the sha256 on record; None where there is none."""
    recognizer: Recognizer | None = None
    kept: converters.KeptSources | None = None
    ahead: HashesAhead = field(default_factory=lambda: HashesAhead(()), compare=False, repr=False)
    _recognized: dict[str, Recognition] = field(default_factory=dict, compare=False, repr=False)
    _hashing: list[Future[dict[str, str]]] = field(default_factory=list, compare=False, repr=False)

    @property
    def sources(self) -> list[Path]:
        """The files that the converter reads."""
        return list(self.files.values())

    def read_once(self) -> Subject:
        """The same net; what is read of its files stays in memory for whatever else they are read for."""
        return replace(self, kept=converters.KeptSources())

    def forget(self) -> None:
        """Release the memory of what `read_once` keeps."""
        if self.kept is not None:
            self.kept.forget()

    @cached_property
    def hashes(self) -> dict[str, str]:
        """Name to sha256, computed once. IntegrityError if a model's file is not the verified one."""
        return self._hashing[0].result() if self._hashing else self._hash()

    def hash_in_background(self) -> None:
        """Start to compute `hashes`, and what `recognize` tells by them, in a thread. Both wait for it."""
        if self._hashing:
            return
        if self.recognizer is not None:
            self.recognizer.read_manifests()  # here, as a thread should import nothing
        pool = ThreadPoolExecutor(1, "hashing")
        self._hashing.append(pool.submit(self._hash))
        pool.shutdown(wait=False)

    def unhashed(self) -> Subject:
        """The same files, of which nothing is known by their hashes."""
        return replace(self, recognizer=None)

    def _hash(self) -> dict[str, str]:
        _ = self.states  # computed before the files are read
        self._recognize(["sha256"])
        read = {name: one.hashes.get("sha256") for name, one in self._recognized.items()}
        found = {
            name: read.get(name) or hash_file(path, ["sha256"], self.ahead.of(path))["sha256"]
            for name, path in self.files.items()
        }
        for name, digest in found.items():
            if self.expected.get(name) not in (None, digest):
                raise IntegrityError(
                    f"{self.files[name]}: {name} of {self.name} is not the file that was verified\n"
                    f"  sha256: expected {self.expected[name]}, came {digest}\n"
                    f"  what is wrong with it: dsd-zoo verify {self.name}"
                )
        return found

    def recognize(self, also: Collection[str] = ()) -> list[Recognition]:
        """What is known of each file of the user's own, in their order; empty for a model of the catalog.

        Each file is read at most once, on the first call. also: kinds of hashes to compute in that pass;
        with "sha256", `hashes` needs no other pass. No model consists of .onnx or .py files.
        """
        for hashing in self._hashing:
            hashing.result()
        return self._recognize(also)

    def _recognize(self, also: Collection[str]) -> list[Recognition]:
        if self.recognizer is None:
            return []
        _ = self.states  # computed before the files are read
        for name, path in self.files.items():
            if name not in self._recognized and path.suffix not in (".onnx", ".py"):
                self._recognized[name] = self.recognizer.recognize(path, also, ahead=self.ahead.of(path))
        return list(self._recognized.values())

    def known_net(self) -> KnownNet | None:
        """The model of the catalog whose weights are among files of the user's own; None if there is none."""
        recognized = self.recognize()
        return None if self.recognizer is None else known_net(recognized, self.recognizer.cache)

    def names(self) -> list[str]:
        """How to name the net to a command: the model where all its files are here, else the files read."""
        known = self.known_net()
        if known is None or known.added_source is None or self.recognizer is None:
            return [str(path) for path in self.files.values()]
        cache = self.recognizer.cache
        if all(cache.find(file) is not None for file in known.manifest.source_model_files()):
            return [known.manifest.name]
        return [str(known.added_source), *(str(path) for path in self.files.values())]

    @cached_property
    def states(self) -> list[converters.FileState]:
        """What the files were just before `hashes` read them."""
        return [self.ahead.state(path) for path in self.files.values()]

    def verify_external_files(self) -> None:
        """Hash the files in which an .onnx keeps its weights, where it says which they were.

        converters.ConverterError if one is another file, is missing or is cut off.
        """
        for path in self.sources:
            if path.suffix == ".onnx":
                converters.external_files(path, verify=True)

    def scores(self, chosen: str | None) -> str | None:
        """The output that ranks the classes: as chosen, or as the manifest says; None: the only one."""
        return chosen or (None if self.manifest is None else self.manifest.scores)

    def image_shape(self, crop: int) -> Sequence[int]:
        """(channels, height, width) of the net's input; three channels unless a manifest says otherwise."""
        known = None if self.manifest is None else self.manifest.image_shape
        return (3, crop, crop) if known is None else known

    def converted(
        self, form: Form, scores: str | None = None, input_shape: Sequence[int] | None = None
    ) -> Path:
        """The net in the form that a runtime needs; see `zoo.store.converted.SourceNet`."""
        net = SourceNet(self.sources, scores, input_shape, list(self.hashes.values()), self.states, self.kept)
        return net.converted(form, self.cache)

    def image_order(self, form: Form) -> Literal["BGR", "RGB"] | None:
        """The order of the channels of the images that a net takes whole; None: it takes prepared input.

        form: in which it will run; no other than an .onnx takes whole images.
        """
        is_onnx = [source.suffix for source in self.sources] == [".onnx"]
        return self._stated_in_onnx[1] if is_onnx and form == "onnx" else None

    @cached_property
    def _stated_in_onnx(self) -> tuple[dict[str, Any] | None, Literal["BGR", "RGB"] | None]:
        """How the only file, an .onnx, says that its images are prepared; and see `image_order`.

        UsageError if it takes whole images in a way that this version does not know.
        """
        metadata = converters.metadata_of(self.sources[0])
        embedded = converters.embedded_preprocessing_of(metadata)
        if embedded is not None and "layout" in embedded:
            layout, order = embedded["layout"], embedded.get("channel_order")
            if layout != "NHWC" or order not in ("BGR", "RGB"):
                raise UsageError(
                    f"{self.sources[0]}: takes images as {excerpt(repr(layout))} in {excerpt(repr(order))}; "
                    "this version of dsd-zoo knows NHWC in BGR or RGB"
                )
            stated = {name: embedded[name] for name in embedded if name not in ("layout", "channel_order")}
            return stated, "BGR" if order == "BGR" else "RGB"
        stated_outside = converters.preprocessing_of(metadata)
        # A net that finds objects has only the preparation; any other has the settings, with their names.
        if stated_outside is None and (preparation := converters.preparation_of(metadata)) is not None:
            stated_outside = settings_of(preparation)
        return stated_outside, None

    def carried_preprocessing(self, form: Form, scores: str | None = None) -> dict[str, Any] | None:
        """The preprocessing that the files themselves describe; None for a .t7, which does not.

        A net.py has it in its docstring, if `convert` wrote it.
        The net is converted for this if it is not yet, as `converted` does it: it is read once for both.
        """
        first = self.sources[0]
        if first.suffix == ".py":
            return preprocessing_in_docstring(first)
        if converters.identify(first) is converters.Kind.TORCH7:
            return None
        net = self.converted(form, scores)
        if net == first:
            return self._stated_in_onnx[0]
        return recorded_preprocessing(net)


def find_subject(
    what: str | os.PathLike[str] | Manifest | Subject | Sequence[str | os.PathLike[str]],
    catalog: Catalog,
    cache: Cache,
    ahead: HashesAhead | None = None,
) -> Subject:
    """The model that `what` is or names, or else the net in the files that it names.

    A single name is looked up in the catalog first, as a model's name may look like a file's
    (squeezenet-v1.0).

    ahead: hashes of the files that it names, computed since before the catalog was read.

    Raises:
        UsageError: no such model (with suggestions) or file, or a model's file is not in the cache yet.
    """
    if isinstance(what, Subject):
        return what
    if isinstance(what, Manifest):
        return _of_model(what, cache)
    recognizer = Recognizer(catalog, cache)
    arguments = [what] if isinstance(what, str | os.PathLike) else list(what)
    if len(arguments) == 1 and isinstance(arguments[0], str):
        found = find_model_or_file(arguments[0], catalog)
        if isinstance(found, Manifest):
            return _of_model(found, cache)
        arguments = [found]
    subject = _of_files([Path(argument) for argument in arguments], recognizer)
    return subject if ahead is None else replace(subject, ahead=ahead)


def find_model_or_file(argument: str, catalog: Catalog) -> Path | Manifest:
    """The model of that name, or else the file. UsageError if there is neither."""
    path = Path(argument)
    if argument in catalog:
        return catalog.get(argument)
    if path.exists():
        return path
    if path.name != argument:
        raise UsageError(f"no such file: {argument}")
    if path.suffix:
        raise UsageError(f"no such file: {argument}, nor is a model called so\n{catalog.advice(argument)}")
    return catalog.get(argument)


def net_in_folder(path: Path) -> Path | None:
    """The net.onnx in a folder that `convert -o DIR` wrote; None if `path` is no such folder."""
    net = path / "net.onnx"
    return net if path.is_dir() and net.is_file() else None


def _of_model(manifest: Manifest, cache: Cache) -> Subject:
    sources = manifest.source_model_files()
    files = dict(zip((file.name for file in sources), cache.sources(manifest), strict=True))
    expected = {file.name: cache.expected_sha256(file) for file in sources}
    subtracts_image = manifest.preprocessing is not None and manifest.preprocessing.mean_image
    mean = cache.require(manifest, "mean") if subtracts_image else None
    return Subject(manifest.name, files, cache.root, manifest, mean, expected)


def _of_files(paths: Sequence[Path], recognizer: Recognizer) -> Subject:
    if not paths:
        raise UsageError("no files given; expected a model's name, or the files of a net")
    if len(paths) == 1 and (net := net_in_folder(paths[0])) is not None:
        return replace(_of_files([net], recognizer), name=paths[0].resolve().name)
    for path in paths:
        require_file(path)
    # A result lists the hashes of a net's files by name, so names must differ.
    if len({path.name for path in paths}) < len(paths):
        raise UsageError(
            f"several files of one name: {', '.join(map(str, paths))}\n"
            "  name each file of the net once, or rename one of them"
        )
    files = {path.name: path for path in paths}
    return Subject(paths[-1].stem, files, recognizer.cache.root, recognizer=recognizer)
