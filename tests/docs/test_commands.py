"""Every command of the README and of `docs/` is run unchanged, or at least parsed."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, NoReturn

import pytest
import yaml
from pages import PAGES, ROOT, Block, blocks, commands
from parsing import require_parseable
from pymongo import MongoClient
from sandbox import STORE, Sandbox, prepared

from bench.mongo_urls import with_database
from core.stores import open_stores

LANGUAGES: Final = {
    "sh", "bash", "json", "ini", "cron", "yaml", "python", "diff", "mermaid", "js", "csv", "text",
}  # fmt: skip
ELSEWHERE: Final = "docs/extending.md"
"""Its commands are run by `test_extending`, in a program that has been extended."""

OURS: Final = re.compile(r"^(\w+=\S+ )*\.venv/bin/python -m (jobs|notifier|api keys|api sign-(in|out))\b")
CAPTURED: Final = re.compile(r"^TOKEN=\$\((?P<inner>[^)]+)\)( *#.*)?$")
TOOLS: Final = ("curl", "cp", "rm", "mkdir", "sqlite3")
SET_FOR_ALL: Final = re.compile(r"^(export \w+=\S+$|\. \S+$)")
"""Variables and functions for all later commands of the page."""
README: Final = "README.md"
SERVER: Final = re.compile(r"^(nice -n 10 )?(\w+=\S+ )*\.venv/bin/(python -m api( +#|$| --)|gunicorn|celery)")
STARTED: Final = ("-m gunicorn", ".venv/bin/gunicorn", "worker -c 2 -l info --without", "-A core beat")
"""These servers are started; others differ by options, which are parsed."""

PARSED_BY_OTHERS: Final = {
    "docker compose up": "tests/deploy reads the compose file by the library of Compose",
    "docker compose build": "likewise",
    "docker compose stop": "likewise",
    "docker compose exec mongodb": "the shell in a container of MongoDB",
    "docker compose exec -T mongodb": "test_backups reads what it logs in with",
    "mongosh ": "tests/image runs this script by it",
    "kubectl ": "tests/deploy validates the manifests, and compares them with the compose file",
    "git pull": "of the tree that this is",
    "mongodump": "of MongoDB's own tools, which are in no registry; test_backups reads what they log in with",
    "mongorestore": "likewise",
}
SERVICES: Final = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]


@pytest.fixture(scope="module")
def sandbox(
    tmp_path_factory: pytest.TempPathFactory, mongo_url: str, missing: Callable[[str], NoReturn]
) -> Iterator[Sandbox]:
    for tool in ("curl", "sqlite3"):
        if subprocess.run(["sh", "-c", f"command -v {tool}"], capture_output=True, check=False).returncode:
            missing(f"{tool} is not installed, which commands of the documents use")
    url = with_database(mongo_url, "documents")
    now = datetime.now(UTC)
    with MongoClient[dict[str, Any]](url) as client:
        client.drop_database("documents")
        client.get_default_database()["transaction"].insert_many(
            {"merchantId": f"m{n % 3}", "amount": n, "createdAt": now - timedelta(days=20, hours=n)} for n in range(60)
        )
    with prepared(tmp_path_factory.mktemp("documents"), url, missing) as made:
        yield made
    with MongoClient[dict[str, Any]](url) as client:
        client.drop_database("documents")


def test_the_commands_of_the_readme_work_in_order(sandbox: Sandbox) -> None:
    """As typed by a reader who has run `make demo`: only the page itself sets variables."""
    without_settings = sandbox.without_settings()
    with ExitStack() as running:
        for block, following in _with_next(blocks(README)):
            if block.language == "sh":
                if commands(block)[0].startswith(".venv/bin/python -m api "):
                    running.enter_context(without_settings.serving(commands(block)[0]))
                _run(without_settings, block, following)
    assert without_settings.variables["STORE_URL"] == STORE
    with open_stores(f"sqlite:///{sandbox.folder}/demo/summaries.db", timeout_s=10) as stores:
        (sent,) = [
            found.notification for found in stores.notifications.listed(limit=10) if found.notification.title == "Hello"
        ]
        assert stores.contacts.get(sent.user_id).keys() >= {*sent.channels}, "all of the page is in one store"
        assert sent.user_id in {found.user_id for found in stores.subscriptions.all()}
        assert "trial" in {key.name for key in stores.keys.all()}


def test_the_commands_printed_by_make_demo_work(sandbox: Sandbox) -> None:
    result = subprocess.run(["make", "-n", "demo"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    _, _, shown = result.stdout.partition("Try next")
    tried = re.findall(r'(?m)^echo "  (.+)"$', shown)
    without_settings = sandbox.without_settings()
    assert len(tried) == 3
    for line in tried[:2]:
        assert SET_FOR_ALL.match(line) or OURS.match(line)
    assert without_settings.run("\n".join(tried[:2]))
    require_parseable(tried[2])
    assert SERVER.match(tried[2])


@pytest.mark.parametrize("page", [page for page in PAGES if page not in (ELSEWHERE, README) and blocks(page, "sh")])
def test_the_commands_of_a_page_work_in_order(sandbox: Sandbox, page: str) -> None:
    if any("curl" in block.text for block in blocks(page, "sh")):
        sandbox.have_api()
    for block, following in _with_next(blocks(page)):
        if block.language == "sh":
            _run(sandbox, block, following)


def _run(sandbox: Sandbox, block: Block, following: Block | None) -> None:
    """Run the commands of `block`; their output must be the block below it, where that is JSON or text."""
    shown = following if following is not None and following.follows(block) else None
    runnable = list(_runnable(sandbox, block, again=shown is not None and shown.language in ("json", "text")))
    result = sandbox.run("\n".join(runnable), **_store_of(sandbox, block))
    if shown is not None and shown.language == "json":
        assert json.loads(result) == json.loads(shown.text), str(shown)
    elif shown is not None and shown.language == "text" and runnable:
        assert _is_output(result, shown.text), f"{shown}: the commands printed\n{result}"


def _is_output(result: str, shown: str) -> bool:
    """Whether `result` ends with the lines `shown`; ``…`` matches any text, and alone on a line any lines."""
    lines = [
        r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r" *\n"
        for line in shown.splitlines()
    ]
    return re.search(rf"(?m)^{''.join(lines)}\Z", result) is not None


def _with_next(found: list[Block]) -> Iterator[tuple[Block, Block | None]]:
    yield from zip(found, [*found[1:], None], strict=True)


def _store_of(sandbox: Sandbox, block: Block) -> dict[str, str]:
    """A refresh uses its own store for the live collection."""
    return {"STORE_URL": "sqlite:///live.db"} if "SOURCE_URL=" in block.text and "TOKEN" in sandbox.variables else {}


def _runnable(sandbox: Sandbox, block: Block, *, again: bool) -> Iterator[str]:
    """The commands of the block for bash; the others are handled here.

    :param again: whether commands are run that another page had too.
    """
    for line in commands(block):
        captured = CAPTURED.match(line)
        command = captured["inner"] if captured else line
        if OURS.match(command):
            # Several pages begin with the same few.
            if sandbox.is_first(line) or captured or again:
                yield line
        elif SET_FOR_ALL.match(command):
            sandbox.remember(command)
        elif command.partition(" ")[0] in TOOLS:
            yield line
        elif SERVER.match(command):
            _start_or_parse(sandbox, command)
        elif not _dealt_with(command):
            pytest.fail(f"{block}: no rule says how this is tested: {line}")


def _start_or_parse(sandbox: Sandbox, command: str) -> None:
    if any(part in command for part in STARTED) or re.search(r"-m api( +#|$)", command):
        if "-m api" not in command:  # that one is already running
            sandbox.start_once(command)
    else:
        require_parseable(command)


def _dealt_with(command: str) -> bool:
    """Whether a rule covers a command that is not run."""
    words = shlex.split(command, comments=True)
    if command.startswith("make "):
        subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, timeout=60, check=True)
    elif any(command.startswith(known) for known in PARSED_BY_OTHERS):
        pass
    elif command.startswith("docker compose run --rm "):
        require_parseable(shlex.join([*SERVICES[words[4]]["entrypoint"], *words[5:]]))
    elif command.startswith("docker compose exec "):
        assert words[3] in SERVICES
        require_parseable(shlex.join(words[4:]))
    elif command.startswith(".venv/bin/pytest "):
        assert all((ROOT / word).exists() for word in words[2:])
    elif "-m pip install" in command:
        assert all((ROOT / name).exists() for name in words[words.index("-r") + 1 :])
    elif all("=" in word for word in words):
        _require_settings(words)
    else:
        return False
    return True


def _require_settings(words: list[str]) -> None:
    from core.settings import Settings

    given: dict[str, Any] = dict(word.lower().split("=", 1) for word in words)
    assert given.keys() <= Settings.model_fields.keys()
    Settings(**given)


@pytest.mark.parametrize("page", PAGES)
def test_every_code_block_has_a_language(page: str) -> None:
    assert [str(block) for block in blocks(page) if block.language not in LANGUAGES] == []


@pytest.mark.parametrize("page", PAGES)
def test_every_table_has_rows_of_equal_width(page: str) -> None:
    for table in re.findall(r"(?m)^\|(?:.*\n\|)*.*$", (ROOT / page).read_text()):
        widths = [len(re.findall(r"(?<!\\)\|", line)) for line in table.splitlines()]
        assert len(widths) > 2, table
        assert len(set(widths)) == 1, table


@pytest.mark.parametrize("page", PAGES)
def test_every_link_target_exists(page: str) -> None:
    text = (ROOT / page).read_text()
    for target in re.findall(r"\]\(([^)#\s]+)?(?:#[^)]*)?\)", text):
        if target and not re.match(r"[a-z]+:", target):
            assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES)
def test_every_linked_anchor_exists(page: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#\s:]*)#([^)]+)\)", (ROOT / page).read_text()):
        linked = Path(ROOT / page).parent / target if target else ROOT / page
        titles = re.findall(r"(?m)^#+ (.*)$", linked.read_text())
        assert anchor in {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}
