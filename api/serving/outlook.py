"""What whoever starts the server is told: where it is, what it will serve, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from api.serving.address import Address
from core.errors import StoreError, StoreMissing
from core.settings import Settings
from core.stores import open_stores


@dataclass(frozen=True, slots=True)
class Outlook:
    """The store as it is at the start.

    :param store: its URL, without user and password.
    :param state: what is there, in a sentence without its full stop.
    :param hint: what the operator can do about that, or an empty string.
    :param closed: whether a key was ever made; None while the store does not answer.
    """

    store: str
    state: str
    hint: str
    closed: bool | None

    def lines(self, address: Address) -> list[str]:
        """What to say of a server at `address`, sentence by sentence."""
        store = f"The store is {self.store}: {self.state}."
        return [f"Summaries are served at {address.url}", f"{store} {self.hint}".rstrip(), _access(self.closed)]


def look(settings: Settings) -> Outlook:
    """What the store that `settings` name holds; nothing is made where nothing is.

    :raises SettingsError: ``STORE_URL`` names no store.
    """
    closed: bool | None = None
    try:
        with open_stores(settings.store_url, timeout_s=settings.api_store_timeout_s, create=False) as stores:
            closed = stores.keys.ever_made()
            published = stores.summaries.published()
    except StoreMissing as error:
        return Outlook(_without_password(settings.store_url), "nothing was built there yet", error.hint, False)
    except StoreError as error:
        return Outlook(_without_password(settings.store_url), error.sentence, error.hint, closed)
    if published is None:
        state, hint = "nothing is published there yet", "Build summaries with: python -m jobs rebuild SOURCE."
    else:
        state, hint = f"{published.rows:,} summaries of {published.first_day_key} to {published.last_day_key}", ""
    return Outlook(_without_password(settings.store_url), state, hint, closed)


def _access(closed: bool | None) -> str:
    if closed is None:
        return "Whether keys were made is not known yet: nobody is served before the store answers."
    if closed:
        return "Every request needs a key: python -m api keys list shows those that were made."
    return (
        "No key was made yet, so only programs on this host are served. To serve others, also through a proxy on this "
        "host, make one first: python -m api keys add NAME --summaries"
    )


def _without_password(store_url: str) -> str:
    if store_url.startswith("sqlite:"):
        return store_url
    parts = urlsplit(store_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"  # options may hold secrets as well
