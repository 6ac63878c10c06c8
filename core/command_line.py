"""What all command lines share: errors become a sentence, a hint and an exit code; the stores are opened.

With ``--json`` standard output has JSON objects, one per line, and nothing else; an error is one of them. Only what
``--help`` and ``--version`` print is text.

With ``COMMAND_LOG=json`` standard error has lines of JSON instead of sentences, once the settings are read.
"""

from __future__ import annotations

import gc
import json
import os
import re
import signal
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Final, NoReturn

import typer
from typer.core import TyperGroup
from typer.exceptions import TyperException

from core import __version__
from core.errors import ServiceError, exit_code_of
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


class Program(TyperGroup):
    """The commands of a program. Wrong usage is an error like others: with ``--json`` also an object."""

    def main(self, args: Sequence[str] | None = None, *others: Any, **options: Any) -> NoReturn:
        """Run the command that `args` name, or those of the process.

        :raises SystemExit: always, with the exit code.
        """
        words = list(sys.argv[1:] if args is None else args)
        as_json = wants_json(words)
        try:
            sys.exit(super().main(words, *others, **(options | {"standalone_mode": False, "obj": as_json})))
        except TyperException as error:
            error.show()  # type: ignore[attr-defined]  # only its subclasses are raised, which have it
            if as_json:
                hint = "See how it is used with the same command and --help."
                _print_problem("UsageError", error.format_message(), hint, error.exit_code)
            sys.exit(error.exit_code)

    def invoke(self, ctx: typer.Context) -> Any:  # type: ignore[override]  # ours is the context that it gets
        """Run the command; commands have an edge of their own, and this one is for what fails before, as an import."""
        with edge(ctx.obj):
            return super().invoke(ctx)


def wants_json(words: Sequence[str]) -> bool:
    """Whether the arguments `words` have the option ``--json``."""
    return "--json" in words[: words.index("--") if "--" in words else None]


@dataclass(slots=True)
class CommandResult:
    """What a command has found out before it tells it.

    :param exit_code: what it ends with although nobody may hear the rest; None while that is open.
    """

    exit_code: int | None = None


@contextmanager
def edge(as_json: bool = False, *, after_defect: str = "") -> Iterator[CommandResult]:
    """Run a command inside: an error is printed once, and ends the program with its exit code.

    :param as_json: print it to standard output too, as JSON.
    :param after_defect: a sentence to add after a defect of the program.
    """
    result = CommandResult()
    try:
        yield result
    except ServiceError as error:
        _fail(error, as_json)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does; nobody reads any more.
        _give_up_output()
        raise typer.Exit(1 if result.exit_code is None else result.exit_code) from None
    except OSError as error:
        if not _is_of_output(error):
            _fail(_defect(error, after_defect), as_json)
        _give_up_output()
        hint = "The command has done its work; only its answer is lost. Make room, or write it somewhere else."
        lost = ServiceError(f"standard output cannot be written: {error.strerror or error}", hint)
        _fail(lost, False, result.exit_code)
    except (TyperException, typer.Exit):
        raise
    except Exception as error:
        _fail(_defect(error, after_defect), as_json)
    except KeyboardInterrupt:
        _fail(ServiceError("stopped by SIGINT", "Run the same command again."), as_json, 128 + signal.SIGINT)
    except BaseException as error:
        if type(error).__name__ != "PanicException":  # of Polars, which is no Exception
            raise
        _fail(_defect(error, after_defect), as_json)


@contextmanager
def importing() -> Iterator[None]:
    """Import what a verb needs inside: the last imports of a program that began with ``gc.disable()``.

    Imports make many objects and hardly any garbage. Only afterwards is garbage looked for, and never among these.
    """
    yield
    if not gc.isenabled():
        gc.freeze()
        gc.enable()


def fail_of_memory(limit: Limit) -> None:
    """End the program whose process was ended for a lack of memory."""
    with suppress(typer.Exit):
        _fail(_stopped_by(limit, None), wants_json(sys.argv[1:]))
    sys.exit(1)


def _stopped_by(limit: Limit, file: str | bytes | None) -> ServiceError:
    what = "the command could not go on" if file is None else f"{os.fsdecode(file)} cannot be used"
    return ServiceError(f"{what}: {limit.reason}", limit.hint)


def _defect(error: BaseException, after_defect: str) -> ServiceError:
    """The error for `error`, which nothing has foreseen: a limit of the system, or a defect of the program."""
    if (limit := limit_of(error)) is not None:
        return _stopped_by(limit, getattr(error, "filename", None))
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{where.filename.rsplit('/', 1)[-1]}:{where.lineno}"
    hint = f"This is a defect of the program ({place}): please report it. {after_defect}".rstrip()
    return ServiceError(f"unexpected {type(error).__name__}: {error}", hint)


def _is_of_output(error: OSError) -> bool:
    """Whether `error` comes from writing to standard output, which all commands do by `typer.echo`."""
    frames = (frame for frame, _ in traceback.walk_tb(error.__traceback__))
    return any(frame.f_code is typer.echo.__code__ and not frame.f_locals["err"] for frame in frames)


def _give_up_output() -> None:
    """Throw away what is still to be flushed, at which Python would fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _fail(error: ServiceError, as_json: bool, exit_code: int | None = None) -> NoReturn:
    code = exit_code or exit_code_of(error)
    if is_log_json():
        log_event("failed", "error", type=error.kind, error=error.sentence, hint=error.hint, exit_code=code)
    else:
        typer.secho(f"Error: {printable(error.sentence)}.", err=True, fg="red" if sys.stderr.isatty() else None)
        if error.hint:
            typer.echo(printable(error.hint), err=True)
    if as_json:
        _print_problem(error.kind, error.sentence, error.hint, code)
    raise typer.Exit(code) from None


def _print_problem(kind: str, sentence: str, hint: str, exit_code: int) -> None:
    try:
        print_json({"error": {"type": kind, "message": sentence, "hint": hint, "exit_code": exit_code}})
    except OSError:
        _give_up_output()  # it was printed to standard error


def print_message(sentence: str, level: str = "info") -> None:
    """Tell something on standard error.

    :param sentence: with its full stop.
    :param level: ``info`` or ``warning``.
    """
    if is_log_json():
        log_event("note", level, message=sentence)
    else:
        safe = printable(sentence)
        typer.echo(f"Warning: {safe}" if level == "warning" else safe, err=True)


def printable(text: str) -> str:
    """`text` with its control characters as escapes: a merchant's name could command the terminal by them."""
    return _CONTROLS.sub(lambda control: control[0].encode("unicode_escape").decode(), text)


def print_json(content: Any) -> None:
    """Print `content` as JSON on one line of standard output.

    Names of files may be any bytes; what is no UTF-8 in them is written as JSON escapes.
    """
    text = json.dumps(content, ensure_ascii=False)
    typer.echo(text.encode("utf-8", "backslashreplace"))


def command_settings() -> Settings:
    """The settings, which apply to the log from now on.

    :raises SettingsError: a variable's value is not allowed.
    """
    # Not before it is needed: help and misspelt options are answered at once.
    from core.settings import read_settings

    settings = read_settings()
    if settings.command_log == "json":
        take_over_logging("WARNING", on_stderr=True)
    return settings


def settings_and_store(store_url: str | None, *, create: bool) -> tuple[Settings, Stores]:
    """The settings, which then apply to the log too, and the stores they (or `store_url`) name.

    The caller closes those.

    :raises SettingsError: a variable's value is not allowed.
    :raises StoreUnavailable: the store cannot be opened, or is not there and `create` is False.
    """
    settings = command_settings()
    return settings, store_named(settings, store_url, create=create)


def store_named(settings: Settings, store_url: str | None, *, create: bool) -> Stores:
    """The stores that `settings` (or `store_url`) name, which the caller closes.

    :raises StoreUnavailable: the store cannot be opened, or is not there and `create` is False.
    """
    from core.stores import open_stores

    return open_stores(store_url or settings.store_url, timeout_s=settings.store_timeout_s, create=create)
