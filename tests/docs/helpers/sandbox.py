"""The sandbox in which commands of the pages run: a folder with their files, and their servers."""

from __future__ import annotations

import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import urlsplit

from command_line import warm_server
from delivery_broker import RedisProcess
from pages import ROOT

from core.notifications.events import Event, EventKind
from core.notifications.model import Notification, new_id
from core.stores import open_stores, wall_clock_ms

STORE: Final = "sqlite:///demo/summaries.db"
TIMEOUT_S: Final = 300
API: Final = ".venv/bin/python -m api"
DOCUMENTED: Final = "http://127.0.0.1:8000"
SAMPLE: Final = "demo/sample.archive.gz --transactions 500000 --force"
"""As in `make demo`: the pages show its figures."""

_LINKED: Final = ("api", ".env.example", "requirements.txt", "pins", "tests", "pyproject.toml")
_READY: Final = re.compile(r"served at http|\bready\.|beat v\S+ .*is starting")


@dataclass
class Sandbox:
    """The folder, the variables of commands, and the replacements in them.

    :param warm: the descriptor of the server that runs ``python -m jobs`` and others, a second quicker each time.
    :param running: ends what runs until the end of all pages.
    """

    folder: Path
    variables: dict[str, str]
    warm: int
    running: ExitStack
    replaced: dict[str, str] = field(default_factory=dict)
    met: set[str] = field(default_factory=set)

    def adapted(self, text: str) -> str:
        """`text` with the replacements of this sandbox."""
        for found, replacement_of in self.replaced.items():
            text = text.replace(found, replacement_of)
        return text

    def without_settings(self) -> Sandbox:
        """The same folder, without the variables that a page should tell the reader to set."""
        reported = ("STORE_URL", "TOKEN", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")
        variables = {name: value for name, value in self.variables.items() if name not in reported}
        address = f"127.0.0.1:{_free_port()}"
        replaced = self.replaced | {DOCUMENTED: f"http://{address}"}
        return replace(self, variables=variables | {"API_BIND": address}, replaced=replaced)

    def have_api(self) -> None:
        """Start the API, until the end of all pages."""
        if self.is_first(API):
            self.running.enter_context(self.serving(API))

    def remember(self, command: str) -> None:
        """Set the variables of ``export NAME=VALUE``, or of a script of such lines, for all later commands."""
        lines = [command] if command.startswith("export ") else (self.folder / command[2:]).read_text().splitlines()
        for line in lines:
            name, _, value = line.removeprefix("export ").partition("=")
            self.variables[name] = " ".join(shlex.split(value))

    def run(self, script: str, **variables: str) -> str:
        """Run a script with bash, which must succeed; returns its standard output."""
        ended = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.adapted(script)],
            cwd=self.folder,
            env=self.variables | variables,
            pass_fds=[self.warm],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert ended.returncode == 0, f"{script}\n{ended.stdout}\n{ended.stderr}"
        assert "Traceback" not in ended.stderr
        return ended.stdout

    def start_once(self, command: str) -> None:
        """Start the server of the command and stop it, unless another page had the same."""
        if self.is_first(command):
            with self.serving(command):
                pass

    def is_first(self, command: str) -> bool:
        """Whether the command runs for the first time; comments are ignored."""
        alone = command.partition(" #")[0].strip()
        known = alone in self.met
        self.met.add(alone)
        return not known

    @contextmanager
    def serving(self, command: str) -> Iterator[None]:
        """The server that the command starts, until the end of the block; it must start, and stop with success."""
        log = self.folder / f"server-{len(list(self.folder.glob('server-*')))}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                ["bash", "-c", re.sub(r"^((?:\w+=\S+ )*)", r"\1exec ", self.adapted(command.partition(" #")[0]))],
                cwd=self.folder,
                env=self.variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            deadline = time.monotonic() + TIMEOUT_S
            while not _READY.search(log.read_text()):
                assert process.poll() is None, f"{command}\n{log.read_text()}"
                assert time.monotonic() < deadline, f"{command}\n{log.read_text()}"
                time.sleep(0.05)
            yield
            process.terminate()
            # beat logs its start before it handles signals.
            assert process.wait(timeout=TIMEOUT_S) in (0, -signal.SIGTERM), f"{command}\n{log.read_text()}"
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(timeout=60)


@contextmanager
def prepared(folder: Path, mongo_url: str, missing: Callable[[str], NoReturn]) -> Iterator[Sandbox]:
    """A sandbox with the demo, an export, a live collection and its summaries, a key, a message that is dead, Redis."""
    for name in _LINKED:
        (folder / name).symlink_to(ROOT / name)
    warm = warm_server().fileno()
    make_environment(folder / ".venv" / "bin", warm)
    (folder / "demo").mkdir()
    (folder / "names.csv").write_text("id,name,language\nm0,Tea House,en\nm0,چای‌خانه,fa\n", "utf-8")
    (folder / "payments.csv").write_text("merchantId;amount;createdAt\nshop-1;12,50;2024-06-24 10:00:00\n")
    redis = RedisProcess(folder, missing)
    redis.start()
    with ExitStack() as running:
        running.callback(redis.kill)
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "NUMBA_CACHE_DIR") if name in os.environ}
        sandbox = Sandbox(
            folder,
            {
                **kept,
                "PYTHONPATH": str(ROOT),
                "LANG": "C.UTF-8",
                "PYTHONUNBUFFERED": "1",
                "POLARS_MAX_THREADS": "1",
                "STORE_URL": STORE,
                "CELERY_BROKER_URL": redis.url(0),
                "CELERY_RESULT_BACKEND": redis.url(1),
            },
            warm,
            running,
        )
        offered = ("STORE_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")
        (folder / "run-data").mkdir()  # as `make run` leaves it for other terminals
        (folder / "run-data" / "environment").write_text(
            "".join(f"export {name}={shlex.quote(sandbox.variables[name])}\n" for name in offered)
        )
        _fill(sandbox, mongo_url)
        yield sandbox


def make_environment(folder: Path, warm: int) -> None:
    """The replacement of ``.venv/bin``: the programs of this environment, short ones run by the warm server."""
    folder.mkdir(parents=True)
    for name in ("celery", "gunicorn"):
        (folder / name).symlink_to(Path(sys.executable).with_name(name))
    client = Path(__file__).with_name("warm_program.py")
    python = folder / "python"
    python.write_text(
        '#!/bin/sh\ncase "$1 $2 $3" in "-m jobs "* | "-m notifier "* | "-m api keys" | "-m api sign-"*)\n'
        f'shift; exec {sys.executable} -IS {client} {warm} "$@";; esac\n'
        f'exec {sys.executable} "$@"\n'
    )
    python.chmod(0o755)


def _fill(sandbox: Sandbox, mongo_url: str) -> None:
    python = ".venv/bin/python -m"
    sandbox.run(
        f"{python} jobs sample {SAMPLE}\n"
        "cp demo/sample.archive.gz dump.archive.gz\n"
        f"{python} jobs rebuild demo/sample.archive.gz --truncate\n"
        f"{python} jobs rebuild {shlex.quote(mongo_url)} --truncate --store sqlite:///live.db"
    )
    options = "--summaries --notifications --operate"
    sandbox.variables["TOKEN"] = sandbox.run(f"{python} api keys add tests {options}").strip()
    spare = sandbox.run(f"{python} api keys add spare --operate").split("_")[1]
    live = shlex.quote(mongo_url)
    sandbox.replaced |= {
        "revoke ID": f"revoke {spare}",
        "retry ID": f"retry {_dead_message(sandbox)}",
        "'mongodb://reader:s3cret@db1,db2/shop?replicaSet=rs0&readPreference=secondaryPreferred'": live,
        "mongodb://db1/shop": live,
        "0.0.0.0:8000": f"127.0.0.1:{_free_port()}",
        DOCUMENTED: f"http://127.0.0.1:{_free_port()}",
    }
    sandbox.variables["API_BIND"] = urlsplit(sandbox.replaced[DOCUMENTED]).netloc


def _dead_message(sandbox: Sandbox) -> str:
    now_ms = wall_clock_ms()
    message = Notification(new_id(), "sara", "title", "body", ("sms",), "en", now_ms)
    with open_stores(f"sqlite:///{sandbox.folder}/demo/summaries.db", timeout_s=10) as stores:
        kept = stores.notifications.add(message, now_ms)
        event = Event(1, EventKind.DEAD, now_ms, error="the gateway says no")
        assert stores.notifications.append(message, "sms", kept.log("sms").state, event) is not None
    return message.id


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        port: int = reserved.getsockname()[1]
    return port
