"""The entry point of `dsd-zoo`: all commands, global options, and how errors are reported."""

from __future__ import annotations

import errno
import functools
import gc
import io
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from converters import UnverifiedWarning
from zoo.cli._output import Document, in_github_workflow, json_document, print_document
from zoo.cli.command import Command, all_commands, with_values
from zoo.errors import InterruptedRunError, ZooError

# The exit code that shells report after SIGPIPE; 1 would mean that something does not hold.
PIPE_CLOSED = 141
# The error of options and arguments that cannot be understood; Typer gives only the kind below it a name.
_UsageError: Any = typer.BadParameter.__base__
# A net is many small objects that live to the end. With Python's own thresholds (700, 10, 10), looking for
# garbage among them takes a third of the time of a conversion; garbage stays bounded with these too.
GARBAGE_THRESHOLDS = (50_000, 5, 20)


def main() -> None:
    """Entry point of the console script and of `python -m zoo`."""
    gc.set_threshold(*GARBAGE_THRESHOLDS)
    app = typer.Typer(
        name="dsd-zoo",
        no_args_is_help=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A file name that the locale cannot encode must not end a command; stderr escapes it by default.
        sys.stdout.reconfigure(errors="backslashreplace")
    warnings.showwarning = functools.partial(_show_warning, warnings.showwarning)
    session = _Session()
    app.callback(help=_HELP)(session.global_options)
    for name, command in _needed(all_commands(), sys.argv[1:]).items():
        app.command(name, cls=_class_of(command))(session.guarded(command.function))
    try:
        sys.exit(app(prog_name="dsd-zoo", standalone_mode=False) or 0)
    except _UsageError as error:
        sys.exit(_refuse(error))
    except typer.Abort:
        print("dsd-zoo: aborted", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # the help cannot be printed
        print(_error_text(error), file=sys.stderr)
        sys.exit(2)


def _refuse(error: typer.BadParameter) -> int:
    """Say that a command cannot be understood; returns the exit code."""
    error.show()
    with json_document("--json" in sys.argv) as document:
        if document is not None:
            document.fail("UsageError", error.format_message(), error.exit_code)
            print_document(document)
    return error.exit_code


_HELP = """The DSD model zoo: fetch, verify, convert and re-measure published Caffe and Torch7 models.

Exit codes: 0 done and as claimed; 1 it ran, and something does not hold; 2 usage or bad input;
130 stopped by Ctrl-C.
"""


def _class_of(command: Command) -> type[TyperCommand]:
    """The class of a command: one whose options may stand alone gives them their values first."""
    if not command.optional_values:
        return TyperCommand

    class WithOptionalValues(TyperCommand):
        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:  # noqa: ANN401 - of vendored click
            return super().parse_args(ctx, with_values(args, command.optional_values))

    return WithOptionalValues


def _needed(commands: dict[str, Command], arguments: Sequence[str]) -> dict[str, Command]:
    """The command that is called, as reading the options of all takes long; all for help and for errors."""
    called = next((argument for argument in arguments if not argument.startswith("-")), "")
    return {called: commands[called]} if called in commands else commands


def _show_warning(others: Callable[..., None], message: Warning | str, *place: Any) -> None:  # noqa: ANN401
    """A warning of ours as one line for people; `others`: how Python shows all others."""
    if isinstance(message, UnverifiedWarning):
        print(f"dsd-zoo: warning: {message}", file=sys.stderr)
    else:
        others(message, *place)


def _print_version(wanted: bool) -> None:
    if wanted:
        from converters import __version__

        print(f"dsd-zoo {__version__}")
        raise typer.Exit


class _Session:
    """One run of the command line: its global options, and how its errors are reported."""

    def __init__(self) -> None:
        self._debug = False

    def global_options(
        self,
        version: Annotated[
            bool,
            typer.Option(
                "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
            ),
        ] = False,
        debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    ) -> None:
        self._debug = debug

    def guarded(self, command: Callable[..., None]) -> Callable[..., None]:
        """`command`, with every error printed as one block on stderr and turned into an exit code."""

        @functools.wraps(command)
        def run(*args: object, **kwargs: object) -> None:
            with json_document(kwargs.get("json") is True) as document:
                try:
                    code = self._run(command, args, kwargs, document)
                    if document is not None and document.is_set:
                        print_document(document)
                    # Unlike sys.stdout.flush(), this also works if there is no stdout.
                    print(end="", flush=True)
                except BrokenPipeError:
                    # The reader of the pipe, such as `head`, has closed it. Discard what is still buffered.
                    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
                    code = PIPE_CLOSED
                except OSError as error:  # what prints
                    print(_error_text(error), file=sys.stderr)
                    code = 2
            if code:
                raise typer.Exit(code)

        return run

    def _run(
        self,
        command: Callable[..., None],
        args: Sequence[object],
        kwargs: Mapping[str, object],
        document: Document | None,
    ) -> int:
        """Run the command; tell its error on stderr and in the document. Returns the exit code."""
        try:
            command(*args, **kwargs)
            return 0
        except typer.Exit as ended:
            if document is not None and not document.is_set:
                document.fail("Exit", "ended before there was an answer; stderr says why", ended.exit_code)
            return ended.exit_code
        except (typer.Abort, _UsageError, BrokenPipeError):
            raise
        except KeyboardInterrupt as error:
            # A command that can go on afterwards raises InterruptedRunError, and says how.
            if document is not None:
                document.fail(type(error).__name__, "interrupted", InterruptedRunError.exit_code)
            return InterruptedRunError.exit_code
        except Exception as error:
            code = error.exit_code if isinstance(error, ZooError) else 2
            text = _error_text(error)
            if self._debug:
                traceback.print_exc()
            else:
                print(text, file=sys.stderr)
            if in_github_workflow():
                from zoo.report.annotations import error_line

                print(error_line("dsd-zoo", text.removeprefix("dsd-zoo: ")), file=sys.stderr)
            if document is not None:
                document.fail(type(error).__name__, text.removeprefix("dsd-zoo: "), code)
            return code


def _error_text(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        # Whoever writes a file names it; what prints does not.
        printed = error.errno == errno.ENOSPC and "standard output: "
        place = printed or "" if error.filename is None else f"{os.fsdecode(error.filename)}: "
        return f"dsd-zoo: {place}{error.strerror}"
    if isinstance(error, ModuleNotFoundError) and (missing := _missing_package(error)):
        return f"dsd-zoo: {missing}"
    if isinstance(error, ZooError | OSError) or _is_converter_error(error):
        return f"dsd-zoo: {error}"
    return (
        f"dsd-zoo: internal error: {error!r}\n"
        "  this is a fault of dsd-zoo; please report it with what `dsd-zoo --debug ...` prints"
    )


def _missing_package(error: ModuleNotFoundError) -> str | None:
    """What to type where a package is missing that an extra installs; None for any other module."""
    from converters import extras

    module = (error.name or "").partition(".")[0]
    return extras.missing(module, "this command") if module in extras.EXTRAS else None


def _is_converter_error(error: Exception) -> bool:
    from converters import ConverterError

    return isinstance(error, ConverterError)
