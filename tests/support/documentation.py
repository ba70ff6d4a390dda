"""The pages of the documentation as something to run: what their code blocks are, and what they print.

A page is Markdown. What a fenced block is follows from its language and from a comment above it:

    console   commands after `$ `, each followed by what it prints. They run, in the order of the page, in one
              folder that holds a copy of `manifests/digits`. `$ echo $?` shows the exit code of the command
              before; without it that code is 0. A line `...` stands for any lines.
    python    runs in the same folder; a text block right below it is what it prints.
    sh        not run (it needs the network, ImageNet or several machines): every dsd-zoo command in it must
              be one that the option parser accepts.
    yaml      the same for the commands in it, and for what it hands to the action `accuracy`.
    <!-- file: NAME -->    above a block: its content is put into the folder under this name, not run.
    <!-- needs: shared --> above a console block: it is run only where other people's weights are at hand.

`python tests/support/documentation.py` writes what the commands print today into the pages.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_BLOCK = re.compile(
    r"(?:^<!-- (?P<key>file|needs): (?P<value>[^\n]*?) -->\n+)?"
    r"^```(?P<language>\w*)\n(?P<text>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
# Commands beside dsd-zoo that a console block may show.
_SHOWING = frozenset({"cat", "head", "ls"})
_ELISION = "..."
# What differs from run to run, or from one processor to the next.
_VOLATILE = (
    (re.compile(r"[\d.,]+ images/s, [\d.]+ s, batches of \d+"), "(speed)"),
    (re.compile(r"\b\d(?:\.\d+)?e[-+]\d\d\b"), "(difference)"),
    (re.compile(r'\b(time|timestamp)="[^"]*"'), r'\1="(time)"'),
)


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text and where that stands in the page; `note` is of the comment."""

    language: str
    text: str
    start: int
    end: int
    note: tuple[str, str] | None = None


@dataclass(frozen=True)
class Example:
    """What a page shows as printed, where it stands there, and what was printed. `what` names it."""

    what: str
    start: int
    end: int
    shown: str
    printed: str

    @property
    def holds(self) -> bool:
        """Whether the page shows what was printed, apart from what differs from run to run."""
        lines = [
            r"(?:.*\n)*?.*" if line == _ELISION else re.escape(line)
            for line in steady(self.shown).splitlines()
        ]
        return re.fullmatch("\n".join(lines), steady(self.printed)) is not None

    def difference(self) -> str:
        """The two as a diff, for a test that fails."""
        lines = difflib.unified_diff(
            self.shown.splitlines(), self.printed.splitlines(), "in the page", "printed", lineterm=""
        )
        return f"{self.what}\n" + "\n".join(lines)


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page."""
    return [
        Block(
            found["language"],
            found["text"],
            found.start("text"),
            found.end("text"),
            (found["key"], found["value"]) if found["key"] else None,
        )
        for found in _BLOCK.finditer(page)
    ]


def steady(text: str) -> str:
    """The text without what differs from run to run."""
    for pattern, instead in _VOLATILE:
        text = pattern.sub(instead, text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def prepare(folder: Path) -> None:
    """What a reader has after `cp -r manifests/digits .`"""
    shutil.copytree(ROOT / "manifests" / "digits", folder, dirs_exist_ok=True)


def run_page(page: str, folder: Path, needs: str | None = None) -> Iterator[Example]:
    """Run the blocks of a page in `folder`; those that need something only if that is `needs`."""
    names: dict[str, object] = {}
    found = blocks(page)
    for block, following in zip(found, [*found, None][1:], strict=True):
        key, value = block.note or ("", "")
        if key == "file":
            (folder / value).parent.mkdir(parents=True, exist_ok=True)
            (folder / value).write_text(block.text, encoding="utf-8")
            continue
        wanted = value if key == "needs" else None
        if wanted != needs:
            continue
        if block.language == "console":
            yield from _console(block, folder)
        elif block.language == "python":
            yield from _python(page, block, following, folder, names)


def _console(block: Block, folder: Path) -> Iterator[Example]:
    commands = list(re.finditer(r"^\$ (?P<command>(?:.*\\\n)*.*\n)", block.text, re.MULTILINE))
    ends = [following.start() for following in commands[1:]]
    code = 0
    for found, end in zip(commands, [*ends, len(block.text)], strict=True):
        command = found["command"].strip()
        if command == "echo $?":
            printed, code = f"{code}\n", 0
        else:
            assert code == 0, f"a command ended with {code} and the page does not say so, before: {command}"
            code, printed = run(command, folder)
        start, stop = block.start + found.end(), block.start + end
        yield Example(command, start, stop, block.text[found.end() : end], printed)
    assert code == 0, f"it ended with {code}, and the page does not say so: {commands[-1]['command']}"


def _python(
    page: str, block: Block, following: Block | None, folder: Path, names: dict[str, object]
) -> Iterator[Example]:
    printed = io.StringIO()
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(printed),
        mock.patch.object(sys, "path", [str(folder), *sys.path]),
    ):
        exec(compile(block.text, "<page>", "exec"), names)  # noqa: S102 - our own page
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(str(folder)):
            del sys.modules[name]  # the next page may write another one of this name
    adjacent = following is not None and not page[block.end + 3 : following.start - 8].strip()
    if following is not None and following.language == "text" and adjacent:
        yield Example(
            block.text.splitlines()[0], following.start, following.end, following.text, printed.getvalue()
        )
    else:
        assert not printed.getvalue(), f"prints what the page does not show: {block.text}"


def run(command: str, folder: Path) -> tuple[int, str]:
    """The exit code of a command and all it prints; dsd-zoo runs in this process, which saves its imports."""
    words = shlex.split(command.replace("\\\n", " "))
    if words[0] in _SHOWING:
        done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
        return 0, done.stdout
    assert words[0] == "dsd-zoo", f"a console block shows dsd-zoo or one of {sorted(_SHOWING)}: {command}"
    from zoo.cli.main import main

    printed, code = io.StringIO(), 0
    with (
        contextlib.chdir(folder),
        contextlib.redirect_stdout(printed),
        contextlib.redirect_stderr(printed),
        mock.patch.object(sys, "argv", words),
    ):
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 0
    return code, printed.getvalue()


def commands_in(block: Block) -> list[list[str]]:
    """The dsd-zoo commands of a sh or yaml block, without the name of the program."""
    lines = re.sub(r"\\\n\s*", " ", block.text).splitlines()
    if block.language == "yaml":
        lines = re.findall(r"- run: (?:>\n)?((?:.*\n)(?:\s{10}.*\n)*)", block.text)
    found = []
    if "actions/accuracy" in block.text:
        given = dict(
            re.findall(r"^ {10}(net|data|options|baseline|tolerance): (.*)$", block.text, re.MULTILINE)
        )
        rest = [word for name in ("data", "baseline", "tolerance") for word in (f"--{name}", given[name])]
        found.append(["validate", *given["net"].split(), *given["options"].split(), *rest])
    for line in lines:
        words = shlex.split(line, comments=True)
        if words[:1] == ["dsd-zoo"]:
            found.append(words[1:])
        elif "zoo" in words and words[words.index("zoo") - 1] == "-m":
            found.append(words[words.index("zoo") + 1 :])
    return found


def update(pages: Sequence[Path] = PAGES) -> None:
    """Write what the commands print today into the pages.

    What holds stays as it is, lines `...` and rates included. What does not hold any more is replaced by the
    whole output: shorten it again where the page did.
    """
    for path in pages:
        page = path.read_text(encoding="utf-8")
        with tempfile.TemporaryDirectory() as folder, environment():
            work = Path(folder) / "digits"
            prepare(work)
            examples = [example for example in run_page(page, work) if not example.holds]
        for example in reversed(examples):
            print(f"{path.name}: {example.what}")
            page = page[: example.start] + example.printed.rstrip() + "\n" + page[example.end :]
        path.write_text(page, encoding="utf-8")


@contextlib.contextmanager
def environment() -> Iterator[None]:
    """80 columns; the cache and the record of first use lie in the folder of the page, as zoo.md says."""
    places = {"DSD_ZOO_CACHE": "cache", "DSD_ZOO_LOCK": "lock.json"}
    with mock.patch.dict(os.environ, {"COLUMNS": "80", "NO_COLOR": "1", **places}):
        yield


if __name__ == "__main__":
    update([Path(name) for name in sys.argv[1:]] or PAGES)
