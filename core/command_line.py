"""Shared by all command lines: converts errors to a sentence, a hint and an exit code, and opens the stores.

With ``--json`` standard output has only JSON objects, one per line, including errors. Only ``--help`` and ``--version``
print text.

With ``COMMAND_LOG=json`` standard error has lines of JSON instead of sentences, after the settings are read.
"""

from __future__ import annotations

import gc
import io
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn, TextIO

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from core import __version__
from core.errors import ServiceError, UsageError, exit_code_of
from core.event_log import is_log_json, log_event, take_over_logging
from core.system_limits import Limit, limit_of

if TYPE_CHECKING:
    from core.settings import Settings
    from core.stores import Stores

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version and exit.")
]
"""The option of every command line."""


Json = Annotated[
    bool, typer.Option("--json", help="Print JSON objects, one per line, for machines; also for an error.")
]
"""The option of each command that prints results."""


Store = Annotated[str | None, typer.Option("--store", metavar="URL", help="The store. [default: STORE_URL]")]
"""The option of each command that opens the store."""

HELP_OPTIONS: Final = ["-h", "--help"]


def command_group(text: str, **options: Any) -> typer.Typer:
    """A group of commands with the help `text`.

    Help is plain text: brackets remain, logs have no boxes, and Rich is not loaded.
    """
    return typer.Typer(
        help=text,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": HELP_OPTIONS},
        **options,
    )


class Program(TyperGroup):
    """The commands of a program. Usage errors are reported like others: with ``--json`` also as an object."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> NoReturn:
        """Run the command of `args`, by default the process's arguments.

        :raises SystemExit: always, with the exit code.
        """
        _open_standard_descriptors()
        words = list(sys.argv[1:] if args is None else args)
        as_json = wants_json(words)
        try:
            sys.exit(super().main(words, *others, **(options | {"standalone_mode": False, "obj": as_json})))
        except TyperException as error:
            with _to_stderr():
                error.show()  # type: ignore[attr-defined]  # only its subclasses are raised, which have it
            if as_json:
                hint = "The same command with --help shows its options."
                _print_problem("UsageError", error.format_message(), hint, error.exit_code)
            sys.exit(error.exit_code)

    def parse_args(self, ctx: typer.Context, args: list[str]) -> list[str]:  # type: ignore[override]  # as below
        """Parse inside an `edge`, as this prints help and version."""
        with edge(ctx.obj):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # ours is the context that it gets
        """Run the command inside an `edge`, for failures before the command's own, such as in an import."""
        with edge(ctx.obj):
            _require_threads()
            return super().invoke(ctx)


def _open_standard_descriptors() -> None:
    """Open missing standard descriptors, as no other file may have the one that libraries write messages to.

    Output to a closed standard output fails, so that it is not lost silently.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(descriptor, True)
    os.close(descriptor)
    if sys.stdout is None:
        sys.stdout = os.fdopen(os.open(os.devnull, os.O_RDONLY), "w")
    elif isinstance(getattr(sys.stdout, "buffer", None), io.FileIO):
        # As with PYTHONUNBUFFERED: it does not report that a full disk took only a part of what is written at once.
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout = open(sys.stdout.fileno(), "w", encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", errors="backslashreplace", closefd=False)  # noqa: SIM115 - until the end


def _require_threads() -> None:
    """Raise if the threads of a library are set to what it fails with or ignores.

    :raises UsageError: it is not 1 or more.
    """
    given = {
        "NUMBA_NUM_THREADS": os.environ.get("NUMBA_NUM_THREADS"),
        "POLARS_MAX_THREADS": os.environ.get("POLARS_MAX_THREADS"),
    }
    for name, text in given.items():
        if text and not (text.isdecimal() and text.strip("0")):
            raise UsageError(f"{name} is {text!r}", "Set it to 1 or more, or remove it.")


def wants_json(words: Sequence[str]) -> bool:
    """Whether `words` contain the option ``--json``."""
    return "--json" in words[: words.index("--") if "--" in words else None]


@dataclass(slots=True)
class CommandResult:
    """The result of a command before it is printed.

    :param exit_code: the exit code even if printing fails; None if not yet known.
    """

    exit_code: int | None = None


@contextmanager
def edge(as_json: bool = False, *, after_defect: str = "") -> Iterator[CommandResult]:
    """Inside, an error is printed once, and ends the program with its exit code.

    :param as_json: also print it to standard output, as JSON.
    :param after_defect: a sentence to add to a defect of the program.
    """
    result = CommandResult()
    try:
        yield result
    except ServiceError as error:
        _fail(error, as_json)
    except BrokenPipeError:
        # The pipe of standard output was closed, as by `| head`.
        _give_up(sys.stdout)
        raise typer.Exit(1 if result.exit_code is None else result.exit_code) from None
    except OSError as error:
        if not _is_of_output(error):
            _fail(_defect(error, after_defect), as_json)
        _give_up(sys.stdout)
        hint = "The command succeeded, but its output is lost. Free some space, or write to another place."
        lost = ServiceError(f"standard output cannot be written: {error.strerror or error}", hint)
        _fail(lost, False, result.exit_code)
    except (TyperException, typer.Exit):
        raise
    except Exception as error:
        _fail(_defect(error, after_defect), as_json)
    except KeyboardInterrupt:
        _fail(ServiceError("stopped by SIGINT", "Run the same command again."), as_json, 128 + signal.SIGINT)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # Polars' PanicException is not an Exception
            raise
        _fail(_defect(error, after_defect), as_json)


@contextmanager
def importing() -> Iterator[None]:
    """Inside, import the modules of a verb: the last imports of a program that began with ``gc.disable()``.

    Imports create many objects and little garbage. Afterwards garbage collection is enabled, with these objects frozen.
    """
    yield
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def fail_of_memory(limit: Limit) -> None:
    """End the program after its child process ran out of memory."""
    with suppress(typer.Exit):
        _fail(_stopped_by(limit, None), wants_json(sys.argv[1:]))
    sys.exit(1)


def _stopped_by(limit: Limit, file: str | bytes | None) -> ServiceError:
    what = "the command failed" if file is None else f"{os.fsdecode(file)} cannot be used"
    return ServiceError(f"{what}: {limit.reason}", limit.hint)


def _defect(error: BaseException, after_defect: str) -> ServiceError:
    """Convert an unexpected `error`: a limit of the system, or a defect of the program."""
    if (limit := limit_of(error)) is not None:
        return _stopped_by(limit, getattr(error, "filename", None))
    if isinstance(error, UnicodeEncodeError) and _is_of_output(error):
        return ServiceError(
            f"standard output cannot be written: its encoding {error.encoding} lacks characters such as "
            f"{error.object[error.start]!a}",
            "Use a locale with UTF-8, such as LC_ALL=C.UTF-8, and do not set PYTHONIOENCODING.",
        )
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.filename.rsplit('/', 1)[-1]}:{where.lineno}"
    hint = f"This is a defect of the program ({place}): please report it. {after_defect}".rstrip()
    return ServiceError(f"unexpected {type(error).__name__}: {error}", hint)


def _is_of_output(error: Exception) -> bool:
    """Whether `error` is from writing to standard output, which all commands do by `typer.echo`."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_code is typer.echo.__code__ and not frame.f_locals["err"] for frame in frames)


def _give_up(stream: TextIO) -> None:
    """Discard unflushed output, as Python would fail again when it flushes it at exit."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextmanager
def _to_stderr() -> Iterator[None]:
    """Inside, ignore that standard error cannot be written: its disk is full, or its reader has ended."""
    try:
        yield
    except OSError:
        _give_up(sys.stderr)


def _fail(error: ServiceError, as_json: bool, exit_code: int | None = None) -> NoReturn:
    code = exit_code or exit_code_of(error)
    with _to_stderr():
        if is_log_json():
            log_event("failed", "error", type=error.kind, error=error.sentence, hint=error.hint, exit_code=code)
        else:
            typer.secho(f"Error: {printable(error.sentence)}.", err=True, fg="red" if sys.stderr.isatty() else None)
            if error.hint:
                typer.echo(printable(error.hint), err=True)
    if as_json:
        _print_problem(error.kind, error.sentence, error.hint, code)
    try:
        sys.stdout.flush()
    except OSError:
        _give_up(sys.stdout)
    raise typer.Exit(code) from None


def _print_problem(kind: str, sentence: str, hint: str, exit_code: int) -> None:
    try:
        print_json({"error": {"type": kind, "message": sentence, "hint": hint, "exit_code": exit_code}})
    except OSError:
        _give_up(sys.stdout)  # already printed to standard error


def print_message(sentence: str, level: str = "info") -> None:
    """Print a message to standard error.

    :param sentence: including the full stop.
    :param level: ``info`` or ``warning``.
    """
    with _to_stderr():
        if is_log_json():
            log_event("note", level, message=sentence)
        else:
            safe = printable(sentence)
            typer.echo(f"Warning: {safe}" if level == "warning" else safe, err=True)


def counted(number: int, what: str) -> str:
    """`number` and the noun `what`, in the plural unless it is 1."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def printable(text: str) -> str:
    """`text` with control characters escaped, as a merchant's name could contain terminal sequences."""
    return _CONTROLS.sub(lambda control: control[0].encode("unicode_escape").decode(), text)


def print_json(content: Any) -> None:
    """Print `content` as JSON on one line of standard output.

    Bytes of file names that are not UTF-8 are written as JSON escapes.
    """
    text = json.dumps(content, ensure_ascii=False)
    typer.echo(text.encode("utf-8", "backslashreplace"))


def print_result(as_json: bool, fields: dict[str, Any], text: str) -> None:
    """Print the result of a command to standard output: `fields` as JSON, or `text`."""
    if as_json:
        print_json(fields)
    else:
        typer.echo(text)


def command_settings() -> Settings:
    """Read the settings, and configure logging by them.

    :raises SettingsError: a variable's value is invalid.
    """
    # Imported on demand, so that help and usage errors are fast.
    from core.settings import read_settings

    settings = read_settings()
    if settings.command_log == "json":
        take_over_logging("WARNING", on_stderr=True)
    return settings


@contextmanager
def opened(store_url: str | None, *, create: bool = False) -> Iterator[tuple[Settings, Stores]]:
    """The settings, by which logging is configured, and their store (or `store_url`), open until the end of the block.

    :raises SettingsError: a variable's value is invalid.
    :raises StoreUnavailable: the store cannot be opened, or does not exist and `create` is False.
    """
    settings = command_settings()
    with store_named(settings, store_url, create=create) as stores:
        yield settings, stores


def store_named(settings: Settings, store_url: str | None, *, create: bool) -> Stores:
    """Open the store of `settings` (or `store_url`); the caller closes it.

    :raises StoreUnavailable: the store cannot be opened, or is not there and `create` is False.
    """
    from core.stores import open_stores

    return open_stores(
        settings.store_url if store_url is None else store_url, timeout_s=settings.store_timeout_s, create=create
    )
