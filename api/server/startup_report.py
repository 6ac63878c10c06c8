"""The startup report: where the server is, what it serves, and to whom."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from api.server.address import Address
from core.errors import SettingsError, StoreError, StoreMissing
from core.settings import Settings
from core.stores import open_stores, wall_clock_ms
from core.stores.summaries import Fingerprint


@dataclass(frozen=True, slots=True)
class StartupReport:
    """The store as it is at the start.

    :param store: its URL, without user and password.
    :param state: what is there, in a sentence without its full stop.
    :param hint: what the operator can do about that, or an empty string.
    :param open_loopback: whether programs on this host are served without a key.
    :param has_keys: whether there is a key that is neither revoked nor expired; None while the store does not answer.
    """

    store: str
    state: str
    hint: str
    open_loopback: bool
    has_keys: bool | None

    def lines(self, address: Address) -> list[str]:
        """What to say of a server at `address`, sentence by sentence."""
        store = f"The store is {self.store}: {self.state}."
        return [f"Summaries are served at {address.url}", f"{store} {self.hint}".rstrip(), self._access()]

    def _access(self) -> str:
        keys = {
            None: "",
            False: " There is no valid key: python -m api keys add NAME --summaries makes one.",
            True: " python -m api keys list shows those that there are.",
        }[self.has_keys]
        if self.open_loopback:
            return (
                "Programs on this host are served without a key (API_ACCESS=open-loopback): let no proxy on this host "
                "lead here. All others need a key." + keys
            )
        return "Programs need a key, and people a link: python -m api sign-in." + keys


def startup_report(settings: Settings) -> StartupReport:
    """What the store that `settings` name holds; nothing is made where nothing is.

    :raises SettingsError: ``STORE_URL`` names no store; or ``CURRENCY`` or ``AMOUNT_SCALE`` are not those of the store.
    """
    has_keys: bool | None = None
    store, is_open = _without_password(settings.store_url), settings.api_access == "open-loopback"
    try:
        with open_stores(settings.store_url, timeout_s=settings.api_store_timeout_s, create=False) as stores:
            has_keys = any(key.is_valid(wall_clock_ms()) for key in stores.keys.all())
            published = stores.summaries.published()
        if published is not None:
            _require_same_unit(settings, published.fingerprint)
    except StoreMissing as error:
        return StartupReport(store, "nothing was built there yet", error.hint, is_open, False)
    except StoreError as error:
        return StartupReport(store, error.sentence, error.hint, is_open, has_keys)
    if published is None:
        state, hint = "nothing is published there yet", "Build summaries with: python -m jobs rebuild SOURCE."
    else:
        state, hint = f"{published.rows:,} summaries of {published.first_day_key} to {published.last_day_key}", ""
    return StartupReport(store, state, hint, is_open, has_keys)


def _require_same_unit(settings: Settings, fingerprint: Fingerprint) -> None:
    differing = []
    if settings.currency and fingerprint.currency not in (None, settings.currency):
        differing.append(f"CURRENCY is {settings.currency}, and amounts in the store are in {fingerprint.currency}")
    if settings.amount_scale and int(settings.amount_scale) != fingerprint.amount_scale:
        places = f"{fingerprint.amount_scale} decimal places"
        differing.append(f"AMOUNT_SCALE is {settings.amount_scale}, and amounts in the store have {places}")
    if differing:
        raise SettingsError(
            "; ".join(differing),
            "Unset the variable, to use the value of the store, or replace everything with: rebuild --truncate.",
        )


def _without_password(store_url: str) -> str:
    if store_url.startswith("sqlite:"):
        return store_url
    parts = urlsplit(store_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"  # options may hold secrets as well
