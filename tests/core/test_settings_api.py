"""Settings of the API with their own format: rate limits and CORS origins."""

from __future__ import annotations

import pytest

from core.errors import SettingsError
from core.settings import read_settings


@pytest.mark.parametrize("rate", ["1/second", "6000/minute", "100 / hour", "999999999999/day"])
def test_a_rate_limit_is_a_number_per_time(monkeypatch: pytest.MonkeyPatch, rate: str) -> None:
    monkeypatch.setenv("API_RATE_LIMIT", rate)
    assert read_settings().api_rate_limit == rate


@pytest.mark.parametrize("rate", ["", "100", "0/second", "-1/second", "1.5/second", "5/fortnight", "1/second;9/day"])
def test_an_invalid_rate_limit_is_refused_with_an_example(monkeypatch: pytest.MonkeyPatch, rate: str) -> None:
    monkeypatch.setenv("API_RATE_LIMIT", rate)
    with pytest.raises(SettingsError) as refusal:
        read_settings()
    assert refusal.value.sentence.startswith(f"API_RATE_LIMIT is {rate!r}: ")
    assert "such as 100/second" in refusal.value.sentence


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        ("", []),
        (" , ,", []),
        ("https://app.example", ["https://app.example"]),
        (
            " https://app.example:8443 ,http://localhost:3000,",
            ["https://app.example:8443", "http://localhost:3000"],
        ),
    ],
)
def test_cors_origins_are_comma_separated(monkeypatch: pytest.MonkeyPatch, origins: str, allowed: list[str]) -> None:
    monkeypatch.setenv("CORS_ORIGINS", origins)
    assert read_settings().allowed_origins == allowed


@pytest.mark.parametrize(
    "wrong",
    ["*", "app.example", "https://app.example/", "https://*.example", "ftp://app.example", "https://u@app.example"],
)
def test_an_invalid_cors_origin_is_reported_among_valid_ones(monkeypatch: pytest.MonkeyPatch, wrong: str) -> None:
    monkeypatch.setenv("CORS_ORIGINS", f"https://app.example,{wrong}")
    with pytest.raises(SettingsError) as refusal:
        read_settings()
    assert f"{wrong!r} is not an origin such as https://app.example" in refusal.value.sentence
