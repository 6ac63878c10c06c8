"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from core.errors import SettingsError
from core.settings import Settings, read_settings


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_settings_have_their_documented_defaults() -> None:
    assert read_settings() == Settings(
        store_url="sqlite:///summaries.db",
        time_zone="Asia/Tehran",
        calendar="jalali",
        currency="",
        quarantine_dir=Path("quarantine"),
        threads=0,
        store_timeout_s=30.0,
    )


def test_environment_variables_are_the_upper_case_names(monkeypatch: pytest.MonkeyPatch) -> None:
    given = {
        "STORE_URL": "mongodb://db/x",
        "TIME_ZONE": "Europe/Berlin",
        "CALENDAR": "gregorian",
        "CURRENCY": "EUR",
        "QUARANTINE_DIR": "/srv/q",
        "THREADS": "3",
        "STORE_TIMEOUT_S": "1.5",
        "NOT_OURS": "x",
    }
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert read_settings() == Settings(
        store_url="mongodb://db/x",
        time_zone="Europe/Berlin",
        calendar="gregorian",
        currency="EUR",
        quarantine_dir=Path("/srv/q"),
        threads=3,
        store_timeout_s=1.5,
    )


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("TIME_ZONE", "Tehran", "an IANA time zone such as Asia/Tehran"),
        ("TIME_ZONE", "", "an IANA time zone such as Asia/Tehran"),
        ("TIME_ZONE", "../../etc/passwd", "an IANA time zone such as Asia/Tehran"),
        ("TIME_ZONE", "Asia", "an IANA time zone such as Asia/Tehran"),
        ("CALENDAR", "persian", "'jalali' or 'gregorian'"),
        ("THREADS", "many", "a whole number"),
        ("THREADS", "-1", "0"),
        ("THREADS", "257", "256"),
        ("STORE_TIMEOUT_S", "0", "a number, more than 0"),
        ("STORE_TIMEOUT_S", "inf", "a number, more than 0"),
        ("STORE_TIMEOUT_S", "nan", "a number, more than 0"),
    ],
)
def test_an_invalid_value_is_reported_with_the_allowed_ones(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, allowed: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refusal:
        read_settings()
    assert refusal.value.sentence.startswith(f"{name} is {value!r}: ")
    assert allowed in refusal.value.sentence
    assert "environment variable" in refusal.value.hint


def test_every_wrong_variable_is_reported_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALENDAR", "persian")
    monkeypatch.setenv("THREADS", "many")
    with pytest.raises(SettingsError, match=r"^CALENDAR is 'persian': .*; THREADS is 'many': "):
        read_settings()


def test_settings_are_immutable() -> None:
    with pytest.raises(ValidationError):
        read_settings().threads = 5  # type: ignore[misc]


def test_a_wrong_url_is_shown_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API_RATE_LIMIT_STORAGE", "rediss2://user:s3cret@host/2")
    with pytest.raises(SettingsError) as caught:
        read_settings()
    assert "s3cret" not in str(caught.value)
    assert "API_RATE_LIMIT_STORAGE" in str(caught.value)
    assert "memory:// or redis://host:6379/2" in str(caught.value)


def test_a_rate_limit_of_a_channel_without_sender_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SENDERS", "sms=print")
    monkeypatch.setenv("NOTIFY_RATE_LIMITS", "sms=1/second,smss=10/second,email=1/minute")
    with pytest.raises(SettingsError, match=r"^NOTIFY_RATE_LIMITS is .*: NOTIFY_SENDERS has no channel email, smss$"):
        read_settings()


def test_invalid_senders_cause_no_second_error_about_rate_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SENDERS", "sms")
    monkeypatch.setenv("NOTIFY_RATE_LIMITS", "sms=10/second")
    with pytest.raises(SettingsError) as refusal:
        read_settings()
    assert "NOTIFY_RATE_LIMITS" not in refusal.value.sentence
