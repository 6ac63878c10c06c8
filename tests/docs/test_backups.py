"""The documented backups with MongoDB's tools, which cannot run here: users and passwords in commands."""

from __future__ import annotations

import re
from typing import Final

import pytest
import yaml
from pages import ROOT, blocks, commands

TOOL: Final = re.compile(r"\bmongo(dump|restore) ")
FOUND: Final = [line for block in blocks("docs/operations.md", "sh") for line in commands(block) if TOOL.search(line)]
IN_CONTAINERS: Final = [line for line in FOUND if line.startswith("docker compose exec ")]


def test_backup_and_restore_are_documented_with_and_without_docker() -> None:
    assert [TOOL.findall(line) for line in FOUND] == [["dump"], ["restore"]] * 2
    assert len(IN_CONTAINERS) == 2


@pytest.mark.parametrize("command", FOUND)
def test_documented_commands_have_no_password_in_arguments(command: str) -> None:
    arguments = TOOL.split(command)[-1]
    assert "--password" not in arguments
    assert "--uri" not in arguments
    assert "--config" in arguments


@pytest.mark.parametrize("command", IN_CONTAINERS)
def test_documented_commands_use_the_database_user_of_the_container(command: str) -> None:
    assert '--username="$MONGO_USER" --authenticationDatabase="$MONGO_DATABASE"' in command
    environment = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["mongodb"]["environment"]
    assert set(re.findall(r"\$([A-Z_]+)", command)) <= environment.keys()
    assert command.startswith("docker compose exec -T ")  # a terminal would spoil the archive
