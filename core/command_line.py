"""What all command lines share: errors become a sentence, a hint and an exit code; the stores are opened."""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

import typer

from core.errors import ServiceError, exit_code_of

if TYPE_CHECKING:
    from core.settings import Settings
    from core.stores import Stores


@contextmanager
def edge(as_json: bool = False, *, after_defect: str = "") -> Iterator[None]:
    """Run a command inside: whatever it raises is told once, and ends the program with the right exit code.

    :param as_json: tell it on standard output too, as JSON.
    :param after_defect: a sentence for whoever met a defect of the program.
    """
    try:
        yield
    except ServiceError as error:
        _fail(error, as_json)
    except BrokenPipeError:
        # The reader of our output has gone, as `| head` does; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # takes what is still to be flushed
        raise typer.Exit(1) from None
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{where.filename.rsplit('/', 1)[-1]}:{where.lineno}"
        hint = f"This is a defect of the program ({place}): please report it. {after_defect}".rstrip()
        _fail(ServiceError(f"unexpected {type(error).__name__}: {error}", hint), as_json)


def _fail(error: ServiceError, as_json: bool) -> NoReturn:
    code = exit_code_of(error)
    typer.secho(f"Error: {error.sentence}.", err=True, fg="red" if sys.stderr.isatty() else None)
    if error.hint:
        typer.echo(error.hint, err=True)
    if as_json:
        problem = {"type": type(error).__name__, "message": error.sentence, "hint": error.hint, "exit_code": code}
        print_json({"error": problem})
    raise typer.Exit(code) from None


def print_json(content: Any) -> None:
    """Print `content` as JSON on standard output.

    Names of files may be any bytes; what is no UTF-8 in them is written as JSON escapes.
    """
    text = json.dumps(content, ensure_ascii=False, indent=2)
    typer.echo(text.encode("utf-8", "backslashreplace"))


def settings_and_store(store_url: str | None, *, create: bool) -> tuple[Settings, Stores]:
    """The settings, and the stores they (or `store_url`) name, which the caller closes.

    :raises SettingsError: a variable's value is not allowed.
    :raises StoreUnavailable: the store cannot be opened, or is not there and `create` is False.
    """
    # Not before it is needed: help and misspelt options are answered at once.
    from core.settings import read_settings
    from core.stores import open_stores

    settings = read_settings()
    return settings, open_stores(store_url or settings.store_url, timeout_s=settings.store_timeout_s, create=create)
