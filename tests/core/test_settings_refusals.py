"""Each variable with each kind of invalid value: the error names variable, value and allowed values."""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, get_origin

import annotated_types
import pytest
from command_line import CommandLine
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from core.errors import SettingsError
from core.settings import Settings, read_settings
from core.settings.text_pattern import TextPattern

ROOT: Final = Path(__file__).parents[2]
WRONG_TEXT: Final = {
    "time_zone": "Tehran",
    "currency": "1 $",
    "amount_scale": "12",
    "time_zone_of_text": "Tehran",
    "csv_delimiter": ";;",
    "source_url": "postgres://db/shop",
    "refresh_options": "--where 'status=paid",
    "api_rate_limit": "many",
    "api_rate_limit_storage": "unix:///run/redis.sock",
    "api_trusted_proxies": "proxy.example",
    "cors_origins": "app.example",
    "celery_broker_url": "amqp://queue",
    "celery_result_backend": "db+sqlite:///results",
    "notify_senders": "sms",
    "notify_rate_limits": "sms=many",
    "notify_metrics_host": "http://worker",
    "kavenegar_url": "gateway.example",
    "telegram_url": "gateway.example",
    "webhook_ports": "https",
}
VALIDATED_WHERE_USED: Final = {
    "store_url",  # --store goes before it
    "api_bind",  # the API's own
    "quarantine_dir",
    "notify_pulse_file",
    "time_format",  # --time-format goes before it
    "smtp_host",
    "smtp_user",
    "smtp_password",
    "smtp_from",
    "kavenegar_api_key",
    "kavenegar_sender",
    "telegram_bot_token",
    "webhook_secret",
}
"""These accept any text; the code that uses one reports errors."""

MAY_BE_EMPTY: Final = {"store_url", "api_bind", "notify_senders"}
"""These may be empty, as may those with an empty default: the first two are validated on use."""


@pytest.mark.parametrize("options", ["--help", "--where status=paid -h", "--version"])
def test_options_that_would_prevent_a_refresh_are_refused(monkeypatch: pytest.MonkeyPatch, options: str) -> None:
    monkeypatch.setenv("REFRESH_OPTIONS", options)
    with pytest.raises(SettingsError, match=r"REFRESH_OPTIONS is .*: it must be options of a refresh, but -"):
        read_settings()


def _wrong_numbers(field: FieldInfo) -> Iterator[str]:
    bounds = {type(one): one for one in field.metadata}
    step = 1 if field.annotation is int else 0.001
    if (least := bounds.get(annotated_types.Ge)) is not None:
        yield str(least.ge - step)
    if (above := bounds.get(annotated_types.Gt)) is not None:
        yield str(above.gt)
    if (most := bounds.get(annotated_types.Le)) is not None:
        yield str(most.le + step)
    yield from ("many", "1e999", "nan", "")
    if field.annotation is int:
        yield "1.5"


def _wrong_values() -> Iterator[tuple[str, str]]:
    for name, field in Settings.model_fields.items():
        if field.annotation in (int, float):
            yield from ((name, value) for value in _wrong_numbers(field))
        elif field.annotation is bool or get_origin(field.annotation) is Literal:
            yield from ((name, value) for value in ("maybe", ""))
        else:
            if name in WRONG_TEXT:
                yield name, WRONG_TEXT[name]
            default = field.default.get_secret_value() if isinstance(field.default, SecretStr) else field.default
            if default and name not in MAY_BE_EMPTY:
                yield name, ""


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(("name", "value"), list(_wrong_values()))
def test_a_wrong_value_is_refused(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    field = Settings.model_fields[name]
    monkeypatch.setenv(name.upper(), value)
    with pytest.raises(SettingsError) as refusal:
        read_settings()
    shown = f"{value.partition('://')[0]}://***" if value and isinstance(field.default, SecretStr) else value
    assert refusal.value.sentence.startswith(f"{name.upper()} is {shown!r}: ")
    if patterns := [one for one in field.metadata if isinstance(one, TextPattern) and one.pattern]:
        assert refusal.value.sentence.endswith(f": it must be {patterns[0].words}")
    if field.annotation in (int, float):
        assert re.search(r": it must be a (whole )?number, .*\d", refusal.value.sentence)
    assert re.search(r": .{10,}", refusal.value.sentence), "what is allowed"


def test_every_variable_has_a_case_in_this_test() -> None:
    tried = {name for name, _ in _wrong_values()}
    assert set(Settings.model_fields) - tried == VALIDATED_WHERE_USED - {"quarantine_dir"}


@pytest.mark.parametrize("name", list(Settings.model_fields))
def test_the_default_is_allowed_when_it_is_given(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    default = Settings.model_fields[name].default
    text = default.get_secret_value() if isinstance(default, SecretStr) else str(default)
    monkeypatch.setenv(name.upper(), text)
    assert getattr(read_settings(), name) == default


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if field.annotation is float])
def test_infinite_numbers_are_refused(name: str) -> None:
    assert math.isfinite(getattr(Settings(), name))


def test_an_invalid_secret_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CELERY_BROKER_URL", "amqp://user:s3cret@queue/s3cret")
    monkeypatch.setenv("CELERY_RESULT_BACKEND", "s3cret")
    monkeypatch.setenv("SOURCE_URL", "user:s3cret@host://x")
    with pytest.raises(SettingsError) as refusal:
        read_settings()
    assert refusal.value.sentence.count(": it must be ") == 3
    assert "s3cret" not in refusal.value.sentence + refusal.value.hint


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (["gunicorn", "-c", "api/gunicorn_conf.py", "api:get_app()"], 2),
        (["celery", "-A", "core", "worker"], 1),
    ],
    ids=["api", "worker"],
)
def test_no_server_starts_with_a_wrong_value(command: list[str], code: int, tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin"} | _wrong_variables(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == code, ended
    _require_refused(ended.stderr, tmp_path)


@pytest.mark.parametrize("program", ["jobs", "notifier"])
def test_no_command_runs_with_a_wrong_value(program: str, tmp_path: Path) -> None:
    ended = CommandLine(ROOT, **_wrong_variables(tmp_path))("status", program=program)
    assert ended.code == 2, ended
    _require_refused(ended.err, tmp_path)


def _wrong_variables(folder: Path) -> dict[str, str]:
    return {"CALENDAR": "lunar", "THREADS": "", "AMOUNT_TEXT": "maybe", "STORE_URL": f"sqlite:///{folder}/s.db"}


def _require_refused(output: str, tmp_path: Path) -> None:
    assert "CALENDAR is 'lunar': it must be 'jalali' or 'gregorian'" in output
    assert "AMOUNT_TEXT is 'maybe': it must be true or false" in output
    assert "; THREADS is '': it must be a whole number, 0 to 256" in output
    assert "Change the environment variable, or unset it for its default." in output
    assert "Traceback" not in output
    assert list(tmp_path.iterdir()) == []
