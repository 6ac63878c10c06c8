"""Runs the service: checks, starts and stops its programs."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import typer

from core.errors import ServiceError
from core.settings import Settings, read_settings
from core.stores import open_stores
from stack.lines import Terminal
from stack.programs import HOST, NAMES, Places, programs
from stack.supervisor import Ended, Supervisor

_LINK_TIMEOUT_S = 30.0
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def serve(port: int, metrics_port: int | None, data: Path, *, as_json: bool) -> int:
    """Run the service until it is stopped; returns the exit code.

    :param port: of the API, or 0 for any.
    :param metrics_port: of the worker's metrics, 0 for any; by default that of `port_next_to`.
    :param data: folder of the store, queue and quarantine files.
    :raises ServiceError: a port is in use, another service uses `data`, there is no Redis, or a setting is invalid.
    """
    settings = read_settings()
    if metrics_port is None:
        metrics_port = port_next_to(port)
    ports = _free_ports({"--port": port, "--metrics-port": metrics_port, "": 0})
    store_url = os.environ.get("STORE_URL") or f"sqlite:///{data / 'summaries.db'}"
    places = Places(data, store_url, *ports)
    with _only_one(data) as lock:
        open_stores(store_url, timeout_s=settings.store_timeout_s).close()  # none of the others needs to make it then
        ended = asyncio.run(_run(places, settings, lock, as_json))
    if ended is None:
        typer.echo("Stopped.")
        return 0
    code = ended.code
    how = f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
    raise ServiceError(f"{ended.name} {how}, so the others were stopped", "Its last output is above.")


def port_next_to(port: int) -> int:
    """The next port after `port`; 0 (any) if there is none, or if `port` is 0."""
    return port + 1 if 0 < port < 65_535 else 0


async def _run(places: Places, settings: Settings, lock: int, as_json: bool) -> Ended | None:
    supervisor = Supervisor(Terminal(NAMES, as_json=as_json).show, settings.notify_lease_s, lock)
    for number in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(number, supervisor.stop)
    password = secrets.token_hex(16)
    stages = programs(places, os.environ, password)
    variables = places.variables(os.environ, password)
    background: set[asyncio.Task[None]] = set()

    def ready() -> None:
        _print_ready(places, file)
        if sys.stdout.isatty():  # else it may be a log file, which must not contain the link
            background.add(asyncio.create_task(show_sign_in_link({**os.environ, **variables})))

    with _offered(places.data / "environment", variables) as file:
        return await supervisor.run(stages, ready)


@contextmanager
def _offered(file: Path, variables: Mapping[str, str]) -> Iterator[Path]:
    """A script that sets `variables` in a shell of this user, so that commands use the data of the service."""
    file.unlink(missing_ok=True)
    file.touch(mode=0o600, exist_ok=False)
    file.write_text("".join(f"export {name}={shlex.quote(value)}\n" for name, value in variables.items()), "utf-8")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)


def _print_ready(places: Places, file: Path) -> None:
    api = f"http://{HOST}:{places.api}"
    typer.echo(
        f"Ready. Dashboard: {api}/  API: {api}/docs  Metrics: {api}/metrics, http://{HOST}:{places.metrics}/metrics\n"
        f"In another terminal, first run: . {shlex.quote(_from_here(file))}\n"
        f"Build summaries: {_from_here(Path(sys.executable))} -m jobs rebuild SOURCE --truncate\n"
        "If you have no data, `make demo` writes the sample demo/sample.archive.gz.\n"
        f"Sign in to the dashboard: {_from_here(Path(sys.executable))} -m api sign-in\n"
        "Ctrl-C stops."
    )


async def show_sign_in_link(variables: Mapping[str, str], timeout_s: float = _LINK_TIMEOUT_S) -> None:
    """Print a sign-in link; nothing if the store does not answer in time.

    :param variables: of the environment, with ``STORE_URL`` and ``API_BIND``.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "api", "sign-in"),
        env=variables,  # not options, which other users can see
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    try:
        link, _ = await asyncio.wait_for(process.communicate(), timeout_s)
    except TimeoutError:
        process.kill()
        await process.wait()
    else:
        if process.returncode == 0:
            typer.echo(f"This link signs in to the dashboard, once, within ten minutes: {link.decode().strip()}")


def _from_here(file: Path) -> str:
    """The path of `file` relative to the current folder; the shell command `.` needs a slash in it."""
    path = file.absolute()
    return f"./{path.relative_to(Path.cwd())}" if path.is_relative_to(Path.cwd()) else str(path)


def _free_ports(wanted: dict[str, int]) -> list[int]:
    """The ports of loopback, by option; 0 is replaced by a free port.

    They are kept open until all are known, so that no port is chosen twice.

    :raises ServiceError: one is taken.
    """
    sockets = []
    try:
        for option, port in wanted.items():
            try:
                sockets.append(socket.create_server((HOST, port)))
            except OSError as error:
                reason = (error.strerror or str(error)).partition(" (")[0].lower()  # what follows repeats the port
                raise ServiceError(
                    f"port {port} of {HOST} cannot be opened: {reason}",
                    f"Stop what uses it, or choose another with {option} (make run PORT=9000).",
                ) from None
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


@contextmanager
def _only_one(data: Path) -> Iterator[int]:
    """Lock the folder `data` by a file descriptor; creates it if needed.

    The lock ends when no process has this descriptor open; programs that outlive this process hold it too.

    :raises ServiceError: another service is running on it, or it cannot be written.
    """
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data / "lock").open("w")
    except OSError as error:
        raise ServiceError(
            f"{data} cannot be written: {error.strerror}", "Choose another folder with --data."
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise ServiceError(
                f"another service uses {data}, or programs of a service that was killed",
                f"Stop it first, or use --data. `fuser {shlex.quote(str(data / 'lock'))}` lists the processes.",
            ) from None
        yield lock.fileno()
