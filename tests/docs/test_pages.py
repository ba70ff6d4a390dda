"""What the pages show is what happens: commands, their output, Python, options, links, tables."""

from __future__ import annotations

import importlib.util
import inspect
import json
import re
import tomllib
from pathlib import Path

import pytest
import typer
from documentation import PAGES, ROOT, Block, blocks, commands_in, environment, prepare, run_page
from typer.core import TyperCommand

import converters
from converters.from_caffe import schema
from converters.from_caffe.layers import layer_types
from zoo.cli.command import all_commands

TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PAGES}
# Words that a sh block may begin with beside dsd-zoo.
COMMANDS = all_commands()
OTHER_COMMANDS = frozenset({"cd", "cp", "curl", "export", "git", "make", "pip", "python", "torchrun"})
LANGUAGES = frozenset({"console", "json", "prototxt", "python", "sh", "text", "toml", "yaml"})
CELL = re.compile(r"^\|([^|]*(?:\\\|[^|]*)*)\|", re.MULTILINE)


def command_named(name: str) -> TyperCommand:
    app = typer.Typer(add_completion=False, rich_markup_mode=None)
    app.command(name)(COMMANDS[name].function)
    command = typer.main.get_command(app)
    assert isinstance(command, TyperCommand)
    return command


def options_of(command: TyperCommand) -> set[str]:
    return {"-h", "--help", *(name for parameter in command.params for name in parameter.opts)}


ALL_OPTIONS = {"--version", "--debug"}.union(*(options_of(command_named(name)) for name in COMMANDS))


@pytest.mark.parametrize(
    "page", [page for page in TEXTS if re.search("^```(console|python)$", TEXTS[page], re.MULTILINE)]
)
def test_every_example_prints_what_the_page_shows(page: str, tmp_path: Path) -> None:
    prepare(tmp_path / "digits")
    with environment():
        wrong = [e.difference() for e in run_page(TEXTS[page], tmp_path / "digits") if not e.holds]
    assert not wrong, "\n\n".join(["to mend it: make docs", *wrong])


def test_the_real_net_is_measured_as_the_page_shows(shared: Path, tmp_path: Path) -> None:
    (tmp_path / "imagenet-sample").symlink_to(shared / "imagenet-sample")
    for name in ("compressed_SqueezeNet.net", "SqueezeNet_deploy.prototxt"):
        (tmp_path / name).symlink_to(shared / "models" / "squeezenet-deep-compression" / name)
    with environment():
        examples = [e for text in TEXTS.values() for e in run_page(text, tmp_path, needs="shared")]
    assert examples
    assert not [e.difference() for e in examples if not e.holds]


def test_an_example_that_does_not_hold_is_found(tmp_path: Path) -> None:
    def wrong(block: str) -> list[str]:
        with environment():
            return [e.what for e in run_page(f"```{block}\n```\n", tmp_path) if not e.holds]

    (tmp_path / "said.txt").write_text("one 1.0e-07\ntwo\nthree\n", encoding="utf-8")
    assert wrong("console\n$ cat said.txt\none 3.0e-07\ntwo\nthree") == []
    assert wrong("console\n$ cat said.txt\n...\nthree") == []
    assert wrong("console\n$ cat said.txt\none 1.0e-07\n...\nfour") == ["cat said.txt"]
    assert wrong("console\n$ cat said.txt\none 1.0e-07\ntwo") == ["cat said.txt"]
    assert wrong("python\nprint(1)\n```\n\n```text\n2") == ["print(1)"]
    with pytest.raises(AssertionError, match="ended with 2"):
        wrong("console\n$ dsd-zoo show nothing\n...")


@pytest.mark.parametrize("page", TEXTS)
def test_every_block_is_of_a_kind_that_is_checked(page: str) -> None:
    for block in blocks(TEXTS[page]):
        assert block.language in LANGUAGES, block.text
        if block.language == "sh":
            for line in re.sub(r"\\\n\s*", " ", block.text).splitlines():
                assert line.split()[:1] == ["dsd-zoo"] or line.split()[0] in OTHER_COMMANDS, line
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "toml":
            tomllib.loads(block.text)


@pytest.mark.parametrize("page", TEXTS)
def test_what_is_not_run_is_accepted_by_the_option_parser(page: str) -> None:
    for block in blocks(TEXTS[page]):
        if block.language in {"sh", "yaml"}:
            check_commands(block)


def check_commands(block: Block) -> None:
    assert commands_in(block) or block.language == "sh"
    for name, *arguments in commands_in(block):
        command_named(name).make_context(name, arguments)


def test_an_option_that_does_not_exist_is_found() -> None:
    with pytest.raises(Exception, match="No such option: --pretty"):
        check_commands(Block("sh", "dsd-zoo list --pretty\n", 0, 0))
    with pytest.raises(Exception, match="fp99' is not one of"):
        check_commands(Block("sh", "torchrun -m zoo validate net.t7 --precision fp99\n", 0, 0))


@pytest.mark.parametrize("page", TEXTS)
def test_commands_and_options_in_the_text_exist(page: str) -> None:
    for span in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", TEXTS[page]):
        words = span.split()
        if words[0] == "dsd-zoo" and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in COMMANDS, span
            known = options_of(command_named(words[1]))
            assert {word for word in words if re.match(r"--?[a-z]", word)} <= known, span
        elif re.match(r"--[a-z]", words[0]):
            assert words[0].partition("=")[0] in ALL_OPTIONS, span


def test_every_make_target_named_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        name for text in TEXTS.values() for name in re.findall(r"(?:^|`)make ([a-z-]+)", text, re.MULTILINE)
    }
    assert named
    assert named <= targets


def test_the_command_table_lists_every_command() -> None:
    rows = TEXTS["README.md"].split("| command | does |", 1)[1].split("\n\n", 1)[0]
    listed = {name for cell in CELL.findall(rows) for name in re.findall(r"`([a-z-]+)", cell)}
    assert {name for name in listed if not name.startswith("-")} == set(COMMANDS)


def test_readme_is_short() -> None:
    assert len(TEXTS["README.md"].splitlines()) <= 250


@pytest.mark.parametrize("page", TEXTS)
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXTS[page]):
        if re.match(r"https?://", target):
            continue
        name, _, anchor = target.partition("#")
        path = ((ROOT / page).parent / name).resolve() if name else ROOT / page
        assert path.exists(), target
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), target


def anchors(page: str) -> set[str]:
    """The anchors that GitHub gives the headings of a page."""
    headings = re.findall(r"^#+ (.+)$", page, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ["caffe-layers.md", "torch7-classes.md"])
def test_generated_pages_are_those_of_the_registries(name: str) -> None:
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    assert TEXTS[f"docs/{name}"] == generate.pages()[name], f"docs/{name} is stale: run `make docs`"


def test_field_numbers_are_those_of_the_schema() -> None:
    page = TEXTS["docs/caffe-fields.md"]
    messages = page.partition("## Messages of BVLC Caffe")[2].partition("\n## ")[0]
    fields = [
        (message, name, int(number))
        for message, cells in re.findall(r"^\| ([A-Z]\w+) \| (.*) \|$", messages, re.MULTILINE)
        for number, name in re.findall(r"(?:^|; )(\d+) `(\w+)`", cells)
    ]
    assert len(fields) > 200
    for message, name, number in fields:
        assert schema.new(message).DESCRIPTOR.fields_by_name[name].number == number, (message, name)
    numbers = page.partition("what a number means where")[2].partition("\n## ")[0]
    declared = {
        (name, int(number))
        for number, cells in re.findall(r"^\| (\d+) \| (.*) \|$", numbers, re.MULTILINE)
        for name in re.findall(r"`(\w+)`", cells)
    }
    known = layer_types().values()
    assert {(kind.param, number) for kind in known for number in kind.fork_field_numbers} <= declared


def test_readme_counts_what_converts() -> None:
    caffe, torch7 = (
        re.search(r"turns these (\d+)", TEXTS[f"docs/{name}.md"])[1]  # type: ignore[index]
        for name in ("caffe-layers", "torch7-classes")
    )
    assert f"{caffe} Caffe layer types and {torch7} Torch7 classes" in TEXTS["README.md"]


def test_citation_names_this_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {converters.__version__}\n" in citation
    assert f"## [{converters.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_python_options_are_those_of_the_functions() -> None:
    rows = TEXTS["docs/python.md"].partition("| option | of |")[2].partition("\n\n")[0]
    documented = {
        (function, option)
        for options, functions in re.findall(r"^\| (.*?`) \| ([a-z, ]+) \|", rows, re.MULTILINE)
        for function in functions.split(", ")
        for option in re.findall(r"`(\w+)=", options)
    }
    functions = {"load": converters.load, "save": converters.save, "convert": converters.convert}
    keywords = {
        (name, parameter.name)
        for name, function in functions.items()
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is parameter.KEYWORD_ONLY
    }
    assert documented == keywords
