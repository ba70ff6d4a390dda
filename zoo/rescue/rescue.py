"""From programs with broken importers to converted, checked models and a patch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import converters
from zoo.errors import UsageError
from zoo.rescue.calls import CPP, Call, Source, find_sources, read_source
from zoo.rescue.models import Model, convert, locate, output_names
from zoo.rescue.patch import Replacement, patched, replacement, unified_diff
from zoo.verification.opencv import OPENCV_4, OpenCV

# The kinds of files that the old readers read; cv2.dnn.readNet reads others too, which still work.
OLD_KINDS = {converters.Kind.PROTOTXT, converters.Kind.CAFFEMODEL, converters.Kind.TORCH7}


@dataclass(frozen=True, slots=True)
class Rescue:
    """A call, and what became of it. Without `replacement`, `problem` says what to do by hand."""

    call: Call
    model: Model | None = None
    replacement: Replacement | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of all calls, the patches by source, and the sources that could not be read.

    patches: the source, its new text and the patch.
    """

    rescues: list[Rescue]
    patches: list[tuple[Path, str, str]]
    unread: list[str]

    @property
    def complete(self) -> bool:
        """Whether every source was read, and every call has a replacement that computes right in OpenCV."""
        return not self.unread and all(
            rescue.replacement is not None
            and rescue.model is not None
            and rescue.model.agreement is not None
            and rescue.model.agreement.holds
            for rescue in self.rescues
        )


def rescue(
    place: Path,
    *,
    out: Path | None = None,
    input_shapes: Mapping[str, Sequence[int | str]] | None = None,
    opencv4: Path | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Outcome:
    """Find the calls in `place`, a source or a folder of sources, and convert the models that they read.

    out: the folder for the .onnx files; by default each lies beside its weights.
    input_shapes: of inputs, by name, for nets that do not state them.
    opencv4: a Python whose OpenCV still has the old readers; the converted nets are held against them.
    progress: called with one line before each conversion.

    Raises:
        UsageError: nothing to read, or no OpenCV to check with.
    """
    sources, unread = [], []
    for path in find_sources(place):
        try:
            sources.append(read_source(path))
        except UsageError as error:
            unread.append(str(error))
    calls = [call for source in sources for call in source.calls]
    if not calls:
        return Outcome([], [], unread)
    located = {id(call): _located(call) for call in calls}
    converters.extras.require("cv2", "checking the converted nets")
    ours = OpenCV.of()
    theirs = None if opencv4 is None else OpenCV.of(opencv4, OPENCV_4)
    if theirs is not None and theirs.major >= 5:
        raise UsageError(
            f"{opencv4}: its OpenCV is {theirs.version}; expected 4, whose readers 5 no longer has"
        )
    found = [files for files in located.values() if files and isinstance(files, tuple)]
    places = output_names((files, out or files[-1].parent) for files in found)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
    models: dict[tuple[Path, ...], Model] = {}
    for files, target in places.items():
        progress(f"converting {files[-1]}")
        _check_target(target)
        users = [source for source in sources if any(located[id(call)] == files for call in source.calls)]
        wanted = dict.fromkeys(name for source in users for use in source.forwards for name in use.names)
        models[files] = convert(files, target, wanted, input_shapes, ours, theirs)
    rescues = [_rescued(call, located[id(call)], models) for call in calls if located[id(call)] != ()]
    return Outcome(rescues, _patches(sources, rescues), unread)


def _located(call: Call) -> tuple[Path, ...] | str:
    """The files of a call; why there are none; () where it reads none of the old formats."""
    if call.problem is not None:
        return call.problem
    try:
        files = locate(call)
        kinds = [converters.identify(path) for path in files]
    except (UsageError, converters.ConverterError) as error:
        return () if call.reader.name == "readNet" and _is_other_format(call) else str(error)
    if not set(kinds) & OLD_KINDS:
        return ()
    # cv2.dnn.readNet takes both files in any order.
    return tuple(sorted(files, key=lambda path: converters.identify(path) is not converters.Kind.PROTOTXT))


def _is_other_format(call: Call) -> bool:
    names = [name for name in (call.definition, call.weights) if name]
    return not any(name.endswith((".prototxt", ".caffemodel", ".t7", ".net")) for name in names)


def _check_target(target: Path) -> None:
    """UsageError for an .onnx that no conversion of ours wrote: it must not be lost."""
    if not target.exists():
        return
    try:
        own = "dsd-zoo.version" in converters.load(target).metadata_props
    except converters.ConverterError:
        own = False
    if not own:
        raise UsageError(f"{target}: it exists, and dsd-zoo did not write it; give -o DIR")


def _rescued(call: Call, files: tuple[Path, ...] | str, models: Mapping[tuple[Path, ...], Model]) -> Rescue:
    if isinstance(files, str):
        return Rescue(call, problem=f"{files}\n{_by_hand(call)}")
    model = models[files]
    if model.onnx is None:
        return Rescue(call, model, problem=model.problem)
    return Rescue(call, model, replacement(call, files, model.onnx, list(model.inputs)))


def _by_hand(call: Call) -> str:
    """What to do with a call whose files are not known."""
    files = "NET.t7" if call.reader.definition is None else "NET.prototxt NET.caffemodel"
    new = "read NET.onnx with cv2.dnn.readNetFromONNX" if call.reader.module == "cv2.dnn" else "run NET.onnx"
    return f"by hand: dsd-zoo convert {files} -o NET.onnx, then {new}"


def _patches(sources: Sequence[Source], rescues: Sequence[Rescue]) -> list[tuple[Path, str, str]]:
    found = []
    for source in sources:
        if source.path.suffix in CPP:
            continue
        own = [
            rescue.replacement
            for rescue in rescues
            if rescue.replacement is not None and rescue.call.path == source.path
        ]
        new = patched(source, own)
        if new != source.text:
            found.append((source.path, new, unified_diff(source, new)))
    return found
