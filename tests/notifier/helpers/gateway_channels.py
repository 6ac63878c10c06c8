"""A gateway on loopback for each built-in sender, and the variables by which a worker finds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

from gateway_http import Behaviour, Gateway, Request, answers, answers_with, gateway
from gateway_mail import MailServer, mail_server

NUMBER: Final = "+989123456789"
MAIL_ADDRESS: Final = "reader@shop.example"
CHAT: Final = 123456789
WEBHOOK_SECRET: Final = "webhook-secret"

_SEND: Final = "/sms/send.json"
_NOT_THERE: Final = 100


def _kavenegar(server: Gateway, request: Request) -> dict[str, Any]:
    """As the real gateway: its status lookup finds messages by ``localid``."""
    localid = request.form["localid"]
    known = request.path.endswith(_SEND) or any(one.form["localid"] == localid for one in short_messages(server))
    entry = {"messageid": int(localid) % 10**9 if known else 0, "status": 1 if known else _NOT_THERE}
    return {"return": {"status": 200, "message": "تایید شد"}, "entries": [entry]}


def _telegram(server: Gateway, request: Request) -> dict[str, Any]:
    return {"ok": True, "result": {"message_id": server.requests.index(request) + 1}}


KAVENEGAR: Final[Behaviour] = answers_with(_kavenegar)
TELEGRAM: Final[Behaviour] = answers_with(_telegram)
WEBHOOK: Final[Behaviour] = answers(204)


def short_messages(kavenegar: Gateway) -> list[Request]:
    """The requests that send a message."""
    return [one for one in list(kavenegar.requests) if one.path.endswith(_SEND)]


@dataclass(frozen=True)
class Gateways:
    """All gateways, which accept messages until their behaviours, or the script, are changed."""

    kavenegar: Gateway
    telegram: Gateway
    webhook: Gateway
    mail: MailServer

    @property
    def addresses(self) -> dict[str, str]:
        """Where a user is reached, by channel."""
        return {
            "sms": NUMBER,
            "email": MAIL_ADDRESS,
            "telegram": str(CHAT),
            "webhook": f"{self.webhook.url}/in",
        }

    @property
    def variables(self) -> dict[str, str]:
        """The environment of a worker that sends by them."""
        return {
            "NOTIFY_SENDERS": "sms=kavenegar,email=smtp,telegram=telegram,webhook=webhook",
            "KAVENEGAR_URL": self.kavenegar.url,
            "KAVENEGAR_API_KEY": "kavenegar-key",
            "TELEGRAM_URL": self.telegram.url,
            "TELEGRAM_BOT_TOKEN": "123:telegram-token",
            "WEBHOOK_SECRET": WEBHOOK_SECRET,
            "WEBHOOK_ALLOW_PRIVATE": "true",
            "WEBHOOK_PORTS": str(self.webhook.port),
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.mail.port),
            "SMTP_SECURITY": "none",
            "SMTP_FROM": "Summaries <no-reply@shop.example>",
        }


@contextmanager
def gateways() -> Iterator[Gateways]:
    """All of them, running, until the end of the block."""
    with (
        gateway(KAVENEGAR) as kavenegar,
        gateway(TELEGRAM) as telegram,
        gateway(WEBHOOK) as webhook,
        mail_server() as mail,
    ):
        yield Gateways(kavenegar, telegram, webhook, mail)
