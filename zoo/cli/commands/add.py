"""`dsd-zoo add [MODEL] FILE`: register a file that was downloaded by hand."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from converters import quoted
from zoo.cli._completion import complete_nets
from zoo.cli._options import JsonOption, ManifestsOption
from zoo.cli._output import print_json, say
from zoo.cli._subject import load_catalog
from zoo.cli.command import command
from zoo.errors import UsageError, ZooError

if TYPE_CHECKING:
    from zoo.catalog.manifest import Manifest, ModelFile
    from zoo.store.cache import Cache
    from zoo.store.recognition import Recognizer


@command("add", order=40)
def add(
    what: Annotated[
        list[str],
        typer.Argument(
            metavar="[MODEL] FILE",
            help="The file, copied, not moved; before it the model, unless the file's content tells which.",
            autocompletion=complete_nets,
        ),
    ],
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="Which file of the model it is, if that is not clear."),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Accept other content than at first use. Never overrules a known hash."
        ),
    ] = False,
    json: JsonOption = False,
    manifests: ManifestsOption = None,
) -> None:
    """Register a file that was downloaded by hand.

    It may lie in a zip or tar archive. It must agree with every size and hash on record. Of a file of which
    nothing is known beforehand, what comes first is put on record, and later files must match it. Without
    MODEL, its hash says which file of which models it is; the archive in which the files of a model were
    published is known too.

    --json prints: files (model, name, role, trust, path in the cache), missing (of each model, the names of
    the files that are not here yet).
    """
    from zoo.download import files_in, import_file
    from zoo.store.cache import Cache
    from zoo.store.recognition import Recognizer

    if len(what) not in (1, 2):
        raise UsageError(f"expected [MODEL] FILE, {len(what)} arguments came; add one file at a time")
    catalog, cache, path = load_catalog(manifests), Cache(), Path(what[-1])
    recognizer = Recognizer(catalog, cache)
    added: list[dict[str, str]] = []
    if len(what) == 1:
        files = _known_files(path, name, recognizer)
    else:
        files = files_in(catalog.get(what[0]), path, cache, name)
    for file in files:
        try:
            stored = import_file(file, path, cache, replace=replace)
        except ZooError as error:
            raise _with_what_it_is(error, path, file, recognizer) from error
        trust = cache.trust(file)
        added.append(
            {
                "model": file.model,
                "name": file.name,
                "role": file.entry.role,
                "trust": trust,
                "path": str(stored),
            }
        )
        if not json:
            say(f"{file.model}: {file.name} is now in the cache ({trust})\n  {stored}", "  ")
    missing = {file.model: _missing(file.manifest, cache) for file in files}
    if json:
        print_json({"files": added, "missing": missing})
        return
    for model, names in missing.items():
        if names:
            say(f"  still missing: {', '.join(names)}; run: dsd-zoo fetch {model}", "  ")


def _known_files(path: Path, name: str | None, recognizer: Recognizer) -> list[ModelFile]:
    """The files of all models that `path` is or holds. UsageError if it is not known."""
    from zoo.cli._known_files import namesake_text

    found = recognizer.recognize(path)
    if not found.is_known:
        namesakes = [namesake_text(found)] if found.namesakes else []
        text = f"{path}: not known by its content; say of which model it is: dsd-zoo add MODEL FILE"
        raise UsageError("\n".join([text, *namesakes]))
    files = [file for file in (*found.known_as, *found.archive_of) if name in (None, file.name)]
    here = [file for file in files if file.entry.path is None]
    if not here:
        why = f"is not {name}" if not files else "ships with the zoo; there is nothing to add"
        raise UsageError(f"{path}: it is {(files or found.known_as or found.archive_of)[0]}, which {why}")
    return here


def _with_what_it_is(error: ZooError, path: Path, file: ModelFile, recognizer: Recognizer) -> ZooError:
    """The error, with the file that it is instead, if that is known."""
    found = recognizer.recognize(path)
    others = [other for other in (*found.known_as, *found.archive_of) if other != file]
    if not others:
        return error
    advice = "" if others[0].entry.path is not None else f": {quoted('dsd-zoo', 'add', str(path))}"
    return type(error)(f"{error}\n  it is {others[0]}{advice}")


def _missing(manifest: Manifest, cache: Cache) -> list[str]:
    return [file.name for file in manifest.model_files() if cache.find(file) is None]
