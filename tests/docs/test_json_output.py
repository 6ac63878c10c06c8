"""With ``--json`` every command prints one JSON object per line and nothing else, errors included."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, NoReturn
from uuid import uuid4

import pytest
from announcing_cli import Notifier
from command_line import ROOT, CommandLine
from delivery_broker import RedisProcess
from notification_examples import NOW_MS, happen, notification
from pymongo import MongoClient
from transactions import spread, write_bson
from typer.main import get_command
from typer.testing import CliRunner
from unmeasured import unmeasured

import api.__main__
import jobs.__main__
import notifier.__main__
from bench.mongo_urls import database_of, with_database
from core.notifications.events import EventKind
from core.stores import open_stores

APPS: Final = {"jobs": jobs.__main__.app, "notifier": notifier.__main__.app, "api": api.__main__.app}

Words = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """The arguments with which a command is called.

    :param works: arguments with which it prints a result.
    :param fails: arguments that can be parsed, and with which it fails; None where nothing that it takes can be wrong.
    :param misspelt: arguments that cannot be parsed.
    :param code: what it ends with when it works.
    """

    works: Words = ()
    fails: Words | None = ("--store", "sqlite:////no-such-folder/s.db")
    misspelt: Words = ("--no-such-option",)
    code: int = 0


NO_RESULT: Final = {("api", "serve")}
"""Commands that print no result, and have no ``--json``."""

SERIES: Final = ("--mode", "daily", "--type", "amount")
RULES: Final[dict[Words, Rule]] = {
    ("jobs", "inspect"): Rule(("shop.bson",), ("missing.bson",)),
    ("jobs", "rebuild"): Rule(("shop.bson", "--truncate"), ("missing.bson", "--truncate")),
    ("jobs", "refresh"): Rule(("{live}", "--store", "sqlite:///live.db"), ("shop.bson",)),
    ("jobs", "verify"): Rule(("other.bson",), ("missing.bson",), code=4),
    ("jobs", "status"): Rule((), ("99",), ("zero",)),
    ("jobs", "summary"): Rule(SERIES, (*SERIES, "--merchant-id", "nobody"), ("--mode", "hourly")),
    ("jobs", "query"): Rule(("top_merchants",), ("no_such_query",), ("--format", "xml")),
    ("jobs", "export"): Rule(("out.csv", "--mode", "daily"), ("-", "--mode", "daily", "--format", "csv")),
    ("jobs", "sample"): Rule(("new.bson", "--transactions", "9"), ("shop.bson",), ("new.bson", "--seed", "-1")),
    ("jobs", "prune"): Rule(("--older-than", "9"), ("--older-than", "9", "--store", "sqlite:///missing.db")),
    ("jobs", "warm"): Rule((), None),
    ("jobs", "merchants", "import"): Rule(("names.csv",), ("missing.csv",)),
    ("jobs", "merchants", "list"): Rule(),
    ("jobs", "merchants", "remove"): Rule(("nobody",), ()),
    ("notifier", "status"): Rule((), ("no-such-id",)),
    ("notifier", "retry"): Rule(("{dead}",), ("no-such-id",)),
    ("notifier", "announce"): Rule(),
    ("notifier", "prune"): Rule(("--older-than", "99"), ("--older-than", "1")),
    ("notifier", "sweep"): Rule(),
    ("notifier", "send"): Rule(
        ("sara", "--title", "Hello", "--body", "Text", "--channel", "sms"),
        ("sara", "--title", "Hello", "--body", "Text", "--channel", "pigeon"),
    ),
    ("notifier", "contacts", "set"): Rule(("sara", "sms=09127654321"), ("sara", "sms=none")),
    ("notifier", "contacts", "show"): Rule(("sara",)),
    ("notifier", "contacts", "remove"): Rule(("sara",)),
    ("notifier", "senders", "test"): Rule(("sms", "09121234567"), ("sms", "no number")),
    ("notifier", "subscriptions", "add"): Rule(
        ("sara", "--channel", "sms", "--all-merchants"), ("sara", "--channel", "pigeon", "--all-merchants")
    ),
    ("notifier", "subscriptions", "list"): Rule(("--ended",)),
    ("notifier", "subscriptions", "end"): Rule(("{subscription}",), ("no-such-id",)),
    ("api", "sign-in"): Rule((), ("--url", "no-address")),
    ("api", "sign-out"): Rule(),
    ("api", "keys", "add"): Rule(("new", "--summaries"), ("new",)),
    ("api", "keys", "list"): Rule(),
    ("api", "keys", "revoke"): Rule(("{key}",), ("no-such-id",)),
}


@dataclass(frozen=True, slots=True)
class CommandOutput:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str

    def objects(self) -> list[dict[str, Any]]:
        """The objects on standard output; the test fails where anything else is there."""
        found = [json.loads(line) for line in self.out.splitlines()]
        assert all(isinstance(one, dict) for one in found), self
        assert self.out == "" or self.out.endswith("\n")
        return found

    def problem(self) -> dict[str, Any]:
        """The error, which is all that was printed."""
        (printed,) = self.objects()
        assert printed.keys() == {"error"}
        problem: dict[str, Any] = printed["error"]
        assert problem.keys() == {"type", "message", "hint", "exit_code"}
        assert problem["message"]
        assert problem["exit_code"] == self.code != 0
        assert "Traceback" not in self.err
        return problem


class Everything:
    """Calls the commands of all programs over one store that has data of every kind."""

    def __init__(self, folder: Path, live_url: str, broker_url: str) -> None:
        write_bson(folder / "shop.bson", spread(["a", "b"], days=12))
        (folder / "names.csv").write_text("id,name,language\na,Tea House,en\n", "utf-8")
        write_bson(folder / "other.bson", spread(["a"], days=12))
        self.jobs = CommandLine(folder)
        assert self.jobs("rebuild", "shop.bson").code == 0
        assert self.jobs("merchants", "import", "names.csv").code == 0
        self.notifier = Notifier(folder, CELERY_BROKER_URL=broker_url)
        dead = notification(1, "sms")
        with open_stores(self.notifier.url, timeout_s=10) as stores:
            stores.notifications.add(replace(dead, created_at_ms=NOW_MS), NOW_MS)
            happen(stores.notifications, dead, EventKind.ATTEMPT, EventKind.DEAD, channel="sms")
        self.places = {"live": live_url, "dead": dead.id}
        made = self(("notifier", "subscriptions", "add"), ("ali", "--channel", "sms", "--all-merchants"))
        self.places["subscription"] = made.objects()[0]["id"]
        self.places["key"] = self(("api", "keys", "add"), ("old", "--summaries")).objects()[0]["id"]

    def __call__(self, command: Words, arguments: Words) -> CommandOutput:
        """Call a command with ``--json``."""
        program, *words = command
        words += ["--json", *(argument.format(**self.places) for argument in arguments)]
        if program == "jobs":
            result = self.jobs(*words)
            return CommandOutput(result.code, result.out, result.err)
        ended = CliRunner().invoke(APPS[program], words, env=self.notifier.settings, prog_name=program)
        return CommandOutput(ended.exit_code, ended.stdout, ended.stderr)


@pytest.fixture(scope="module")
def everything(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, missing: Callable[[str], NoReturn]
) -> Iterator[Everything]:
    redis = RedisProcess(tmp_path_factory.mktemp("redis"), missing)
    redis.start()
    url = with_database(mongo_url, f"json_output_{uuid4().hex}")
    with MongoClient[dict[str, Any]](url) as client:
        documents = [
            {"merchantId": "a", "amount": n, "createdAt": one.at} for n, one in enumerate(spread(["a"], days=3))
        ]
        client.get_default_database()["transaction"].insert_many(documents)
        yield Everything(tmp_path_factory.mktemp("json"), url, redis.url(0))
        client.drop_database(database_of(url))
    redis.kill()


def _commands(command: Any, words: Words) -> Iterator[Words]:
    """The commands that `command` consists of, groups left out."""
    inner = getattr(command, "commands", None)
    if inner is None:
        yield words
    for name, one in (inner or {}).items():
        yield from _commands(one, (*words, name))


def test_every_command_has_a_case_in_this_test() -> None:
    found = {words for name, app in APPS.items() for words in _commands(get_command(app), (name,))}
    assert found == RULES.keys() | NO_RESULT


@pytest.mark.parametrize("command", RULES, ids=" ".join)
def test_a_failed_command_prints_one_object_with_its_exit_code(everything: Everything, command: Words) -> None:
    rule = RULES[command]
    assert everything(command, rule.misspelt).problem()["exit_code"] == 2
    if rule.fails is not None:
        everything(command, rule.fails).problem()


@pytest.mark.parametrize("command", RULES, ids=" ".join)
def test_a_successful_command_prints_one_object_per_line(everything: Everything, command: Words) -> None:
    result = everything(command, RULES[command].works)
    assert result.code == RULES[command].code, result
    found = result.objects()
    assert found
    assert all("error" not in one for one in found)


def test_queries_are_listed_one_per_line(everything: Everything) -> None:
    listed = everything(("jobs", "query"), ("--list",)).objects()
    assert len(listed) == len({one["name"] for one in listed}) > 1


def test_an_unknown_command_prints_an_error_object(everything: Everything) -> None:
    for program in APPS:
        assert "no-such-command" in everything((program, "no-such-command"), ()).problem()["message"]


def test_a_file_name_like_an_option_is_no_option(everything: Everything) -> None:
    result = everything.jobs("inspect", "--", "--json")
    assert (result.code, result.out) == (1, "")


READING_THE_STORE: Final = [
    words for words in RULES if words[0] == "jobs" and words[1] not in ("inspect", "sample", "warm")
]


@pytest.mark.parametrize("command", READING_THE_STORE, ids=" ".join)
def test_a_job_stopped_by_a_signal_prints_an_error_object(everything: Everything, command: Words) -> None:
    arguments = [argument.format(**everything.places) for argument in RULES[command].works]
    result = everything.jobs(*command[1:], "--json", *arguments, signal_after=1, number=signal.SIGTERM)
    assert CommandOutput(result.code, result.out, result.err).problem()["exit_code"] == 128 + signal.SIGTERM


def test_an_interrupted_command_prints_an_error_object(everything: Everything) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        settings = {"STORE_URL": everything.notifier.url, "CELERY_BROKER_URL": url, "PYTHONPATH": str(ROOT)}
        with subprocess.Popen(
            [sys.executable, "-m", "notifier", "sweep", "--json"],
            env=unmeasured() | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            silent.settimeout(60)
            with silent.accept()[0]:  # it waits for an answer now
                process.send_signal(signal.SIGINT)
                result = CommandOutput(0, *process.communicate(timeout=60))
    problem = replace(result, code=process.returncode).problem()
    assert (problem["exit_code"], problem["message"]) == (130, "stopped by SIGINT")
