"""The settings of the notifier."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings

from core.settings.text_pattern import TextPattern

_PAIR: Final = re.compile(r"[a-z][a-z0-9_]{0,31}=[^\s=,]+")
_RATE_PAIR: Final = re.compile(r"[a-z][a-z0-9_]{0,31}=[1-9][0-9]{0,11} ?/ ?(second|minute|hour|day)")

_REDIS_FORM: Final = "redis://:password@host:6379/{}, or rediss:// for TLS"
_REDIS_URL: Final = r"(rediss?|redis\+socket|sentinel|memory)://.*"


class NotifierSettings(BaseSettings):
    """The broker, the delivery rules, and the gateways."""

    celery_broker_url: Annotated[SecretStr, TextPattern(_REDIS_FORM.format(0), _REDIS_URL)] = SecretStr(
        "redis://127.0.0.1:6379/0"
    )
    """Redis database of the queue; lost tasks are queued again."""
    celery_result_backend: Annotated[SecretStr, TextPattern(_REDIS_FORM.format(1), _REDIS_URL)] = SecretStr(
        "redis://127.0.0.1:6379/1"
    )
    """Redis database of rate limits, and of gateways that are paused for all workers."""
    notify_senders: Annotated[str, TextPattern("channels and their senders, such as sms=kavenegar,email=smtp")] = (
        "sms=print,email=print,telegram=print,webhook=print"
    )
    """Sender of each channel: print, smtp, kavenegar, telegram, webhook, or the dotted path of a class, such as
    sms=kavenegar,email=smtp."""
    notify_print_warning: bool = True
    """Whether a worker warns at its start about channels with the sender print, which only logs."""
    notify_rate_limits: Annotated[
        str, TextPattern("channels and their rates, such as sms=10/second,email=100/minute; or empty")
    ] = ""
    """Rate limit of each channel for all workers together, such as sms=10/second,email=100/minute."""
    notify_max_attempts: int = Field(default=15, ge=1, le=100)
    """Attempts per channel before a message is dead."""
    notify_backoff_s: float = Field(default=10.0, gt=0, le=86_400)
    """Seconds until the second attempt; doubled for each further attempt, up to NOTIFY_BACKOFF_MAX_S."""
    notify_backoff_max_s: float = Field(default=3600.0, gt=0, le=604_800)
    """Maximum seconds between attempts, unless the gateway asks for more."""
    notify_send_timeout_s: float = Field(default=10.0, gt=0, le=60)
    """Seconds to wait for the response of a gateway."""
    notify_lease_s: float = Field(default=120.0, gt=0, le=86_400)
    """Seconds after which an attempt without an outcome is taken over by another worker; at least four times
    NOTIFY_SEND_TIMEOUT_S."""
    notify_clock_limit_s: float = Field(default=10.0, gt=0, le=3600)
    """Seconds that the clock of a worker may differ from that of Redis, at most a quarter of NOTIFY_LEASE_S. With a
    larger difference a worker does not start, or sends nothing."""
    notify_sweep_s: float = Field(default=5.0, gt=0, le=3600)
    """Seconds between sweeps, which queue the messages that are due."""
    notify_metrics_host: Annotated[str, TextPattern("an IP address or a name of this host", r"[^\s/@\[\]]+")] = (
        "127.0.0.1"
    )
    """Address on which a worker serves its metrics to Prometheus; 0.0.0.0: all."""
    notify_metrics_port: int = Field(default=0, ge=0, le=65_535)
    """Port on which a worker serves its metrics to Prometheus; 0: none."""
    notify_pulse_file: Annotated[str, TextPattern("the path of a file; or empty")] = ""
    """Heartbeat file for health checks: a worker touches it every two seconds, beat with each task."""
    notify_settling_s: float = Field(default=3600.0, ge=0, le=604_800)
    """A period is announced only if the source was read at least this many seconds after its end."""
    notify_not_after_s: float = Field(default=172_800.0, gt=0)
    """A period is announced at most this many seconds after its end."""
    smtp_host: Annotated[str, TextPattern("a host name or address; or empty")] = ""
    """Mail server."""
    smtp_port: int = Field(default=587, ge=1, le=65_535)
    """Port of the mail server."""
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    """Encryption of the connection to the mail server; none only on this host."""
    smtp_user: Annotated[str, TextPattern("ASCII; or empty")] = ""
    """User of the mail server. Empty: no login."""
    smtp_password: Annotated[SecretStr, TextPattern("ASCII; or empty")] = SecretStr("")
    """Password of SMTP_USER."""
    smtp_from: Annotated[str, TextPattern("an address, with or without a name before it; or empty")] = ""
    """Sender address of mail, such as Summaries <no-reply@shop.example>."""
    kavenegar_url: Annotated[str, TextPattern("https://host, or http:// to this machine", r"https?://.+")] = (
        "https://api.kavenegar.com"
    )
    """Base URL of the SMS gateway."""
    kavenegar_api_key: Annotated[SecretStr, TextPattern("the key; or empty")] = SecretStr("")
    """API key of the SMS gateway."""
    kavenegar_sender: Annotated[str, TextPattern("a number of the account; or empty")] = ""
    """Line that SMS are sent from. Empty: the default line of the account."""
    telegram_url: Annotated[str, TextPattern("https://host, or http:// to this machine", r"https?://.+")] = (
        "https://api.telegram.org"
    )
    """Base URL of the Telegram Bot API."""
    telegram_bot_token: Annotated[SecretStr, TextPattern("the token; or empty")] = SecretStr("")
    """Token of the Telegram bot."""
    webhook_secret: Annotated[SecretStr, TextPattern("the secret; or empty")] = SecretStr("")
    """Secret that signs webhooks (HMAC-SHA256); all receivers must belong to one owner."""
    webhook_allow_private: bool = False
    """Whether webhooks may be sent to private and loopback addresses."""

    webhook_ports: Annotated[
        str, TextPattern("ports such as 443,8443", r" *[1-9][0-9]{0,4} *(, *[1-9][0-9]{0,4} *)*")
    ] = "443,80,8443,8080"
    """Allowed ports of webhooks, comma separated."""

    @field_validator("notify_senders")
    @classmethod
    def _known_pairs(cls, listed: str) -> str:
        return _checked(listed, _PAIR, "sms=print,email=smtp")

    @field_validator("notify_rate_limits")
    @classmethod
    def _known_rates(cls, listed: str, info: ValidationInfo) -> str:
        _checked(listed, _RATE_PAIR, "sms=10/second,email=100/minute")
        senders = info.data.get("notify_senders")  # None when it is itself refused
        strange = [] if senders is None else sorted(_pairs(listed).keys() - _pairs(senders).keys())
        if strange:
            raise ValueError(f"NOTIFY_SENDERS has no channel {', '.join(strange)}")
        return listed

    @field_validator("notify_lease_s")
    @classmethod
    def _long_enough(cls, lease_s: float, info: ValidationInfo) -> float:
        send_s = info.data.get("notify_send_timeout_s", 0.0)
        # A task begins no send after a quarter of the lease, and is cancelled at three quarters of it.
        if lease_s < 4 * send_s:
            raise ValueError(f"it must be at least four times NOTIFY_SEND_TIMEOUT_S, which is {send_s:g}")
        return lease_s

    @property
    def senders(self) -> dict[str, str]:
        """What sends over each channel: the name of a sender, or the dotted path of its class."""
        return _pairs(self.notify_senders)

    @property
    def clock_limit_s(self) -> float:
        """How many seconds clocks may differ: those of two workers, half a lease at most."""
        return min(self.notify_clock_limit_s, self.notify_lease_s / 4)

    @property
    def rate_limits(self) -> dict[str, str]:
        """The limit of each channel that has one."""
        return _pairs(self.notify_rate_limits)

    @property
    def allowed_webhook_ports(self) -> frozenset[int]:
        """`webhook_ports` as numbers."""
        return frozenset(map(int, self.webhook_ports.split(",")))


def _pairs(listed: str) -> dict[str, str]:
    return dict(part.strip().split("=", 1) for part in listed.split(",") if part.strip())


def _checked(listed: str, form: re.Pattern[str], example: str) -> str:
    parts = [part.strip() for part in listed.split(",") if part.strip()]
    if any(not form.fullmatch(part) for part in parts) or len(_pairs(listed)) < len(parts):
        raise ValueError(f"it must name each channel once, such as {example}")
    return listed
