"""Writes `kubernetes/settings.yaml`: the variables of `docker-compose.yml`, with its values and the defaults."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, Final

import yaml
from pydantic import SecretStr

_ROOT: Final = Path(__file__).parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(_ROOT))

import make_settings  # noqa: E402

from core.settings import Settings  # noqa: E402

_FILE: Final = _ROOT / "kubernetes" / "settings.yaml"
_HEAD: Final = """\
# The variables of docker-compose.yml with their values. `make docs` generates this file; change values with patches of
# Kustomize. Passwords, and URLs that contain one, are in secrets.yaml.
"""


def groups() -> dict[str, dict[str, str | None]]:
    """The variables of each group, with the values that are not those of the settings."""
    compose = yaml.safe_load((_ROOT / "docker-compose.yml").read_text("utf-8"))
    shared = {name: compose[f"x-{name}"] for name in ("shared", "notifying", "source", "refreshing")}
    known = {variable for group in shared.values() for variable in group}
    services = compose["services"]

    def own(name: str) -> dict[str, str | None]:
        return {key: value for key, value in services[name]["environment"].items() if key not in known}

    heartbeat = own("beat")
    worker = {key: value for key, value in own("celery").items() if key not in heartbeat}
    return {**shared, "api": own("web"), "worker": worker, "heartbeat": heartbeat}


def secrets() -> set[str]:
    """The variables that hold a password, or may."""
    of_settings = {
        name.upper() for name, field in Settings.model_fields.items() if isinstance(field.default, SecretStr)
    }
    return of_settings | {"STORE_URL", "API_RATE_LIMIT_STORAGE"}


def default(variable: str) -> str:
    """The default of a setting, as it is written in the environment."""
    return make_settings.default(Settings.model_fields[variable.lower()])


def _value(variable: str, given: str | None) -> str:
    if given is None:
        return default(variable)
    return given.partition(":-")[2].rstrip("}") if given.startswith("${") else given


def manifests() -> list[dict[str, Any]]:
    """A ConfigMap for each group."""
    hidden = secrets()
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"summaries-{group}", "labels": {"app.kubernetes.io/name": "transaction-summary"}},
            "data": {name: _value(name, given) for name, given in variables.items() if name not in hidden},
        }
        for group, variables in groups().items()
    ]


if __name__ == "__main__":
    _FILE.write_text(_HEAD + yaml.safe_dump_all(manifests(), sort_keys=False, width=1000), "utf-8")
